"""Request traces: when requests came, how long their prompts were and how long their answers.

CSV `time_s,prompt_tokens,output_tokens`, a row per request, rows in order of time. Two requests may come at the same moment and
be alike, so equal rows are two requests. An answer of 0 tokens ends with its first byte. A trace is kept whole, in 16 bytes
per request, because several policies are replayed on it and a broken row should be told before the first of them begins.
"""

from __future__ import annotations

import csv
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TextIO

from sim.csvfile import FROM_THE_BEGINNING, LONGEST_S, header, opened
from spec.errors import Problem, SpecError

COLUMNS = ("time_s", "prompt_tokens", "output_tokens")
PROBLEMS_SHOWN = 20
"""Of a file that is wrong in every row, these are enough to see why."""
MOST_TOKENS = 100_000_000
"""Of one request; no engine takes as many, so whatever is larger is another unit."""


@dataclass(frozen=True, slots=True)
class Requests:
    """All requests, in order of time: seconds since the trace began, tokens of the prompt, tokens of the answer."""

    name: str
    times: array = field(default_factory=lambda: array("d"))
    prompts: array = field(default_factory=lambda: array("I"))
    outputs: array = field(default_factory=lambda: array("I"))

    def __len__(self) -> int:
        return len(self.times)

    @property
    def end_s(self) -> float:
        """When the last one came."""
        return self.times[-1]

    @property
    def mean_tokens(self) -> tuple[float, float]:
        """Of prompts and of answers."""
        return sum(self.prompts) / len(self), sum(self.outputs) / len(self)

    def until(self, time_s: float) -> int:
        """How many came before that moment."""
        return bisect_left(self.times, time_s)

    def append(self, time_s: float, prompt_tokens: int, output_tokens: int) -> None:
        """A later one."""
        self.times.append(time_s)
        self.prompts.append(prompt_tokens)
        self.outputs.append(output_tokens)


def read(path: Path) -> Requests:
    """Reads a file, row by row. Raises SpecError with the rows that are wrong, at most PROBLEMS_SHOWN of them."""
    with opened(path) as file:
        return _Reader(str(path)).read(file)


def write(rows: Iterable[tuple[float, int, int]], file: TextIO) -> None:
    """Writes what `read` reads, times to the millisecond, as the rows come."""
    file.write(",".join(COLUMNS) + "\n")
    file.writelines(f"{t:.3f},{prompt},{output}\n" for t, prompt, output in rows)


class Lines(Protocol):
    """What `csv.reader` makes; its type has a name from Python 3.13 on only."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]:
        """Rows."""
        ...


class _Reader:
    """Reads one file and keeps what is wrong with it. A row that is right costs little; only the others are looked at closely."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._problems: list[Problem] = []

    def read(self, file: TextIO) -> Requests:
        """Raises SpecError."""
        rows = csv.reader(file, strict=True)
        found = Requests(self._name)
        try:
            names = header(self._name, "a request trace", next(rows, []), COLUMNS, COLUMNS)
            time_s, prompt, output = (names[c] for c in COLUMNS)
            self._rows(rows, found, (time_s, prompt, output))
        except csv.Error as e:
            self._wrong(rows.line_num, "", f"is no CSV: {e}.")
        if not len(found) and not self._problems:
            self._wrong(None, "", "has no rows.")
        elif not self._problems and found.end_s <= 0:
            self._wrong(None, "time_s", "every row is at 0, so the trace covers no time.")
        if self._problems:
            raise SpecError(self._problems)
        return found

    def _rows(self, rows: Lines, found: Requests, where: tuple[int, int, int]) -> None:
        at, of_prompt, of_output = where
        times, prompts, outputs = found.times.append, found.prompts.append, found.outputs.append
        last = 0.0
        for row in rows:
            try:
                time_s, prompt, output = float(row[at]), int(row[of_prompt]), int(row[of_output])
                right = (
                    last <= time_s <= LONGEST_S
                    and 0 <= prompt <= MOST_TOKENS
                    and 0 <= output <= MOST_TOKENS
                    and len(row) == len(COLUMNS)
                )
            except (ValueError, IndexError):
                right = False
            if right:
                times(time_s)
                prompts(prompt)
                outputs(output)
                last = time_s
            elif row:
                self._explain(rows.line_num, row, where, last)
                if len(self._problems) >= PROBLEMS_SHOWN:
                    return

    def _wrong(self, line: int | None, column: str, message: str, hint: str | None = None) -> None:
        self._problems.append(Problem(self._name, column, message, line=line, hint=hint))

    def _explain(self, line: int, row: list[str], where: tuple[int, int, int], last: float) -> None:
        """Says what is wrong with a row that was not taken."""
        if len(row) != len(COLUMNS):
            self._wrong(line, "", f"has {len(row)} values, the header has {len(COLUMNS)}.")
            return
        time_s, *tokens = (row[i].strip() for i in where)
        self._explain_time(line, time_s, last)
        for column, text in zip(COLUMNS[1:], tokens, strict=True):
            if not text:
                self._wrong(line, column, "is empty.")
            elif not text.isdecimal() or int(text) > MOST_TOKENS:
                self._wrong(line, column, f"must be a whole number from 0 to {MOST_TOKENS}, got {text!r}.")

    def _explain_time(self, line: int, text: str, last: float) -> None:
        if not text:
            self._wrong(line, "time_s", "is empty.")
            return
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not number >= 0 or number == float("inf"):
            self._wrong(line, "time_s", f"must be a number, 0 or more, got {text!r}.")
        elif number > LONGEST_S:
            self._wrong(line, "time_s", f"{text} s are more than a year.", FROM_THE_BEGINNING)
        elif number < last:
            self._wrong(
                line, "time_s", f"{text} is before the row above ({last:g}).", "Sort the rows by time_s."
            )
