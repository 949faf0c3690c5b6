"""The cells of CSV tables: each is read by one function, and a wrong one says its row, its column and why.

A wrong figure is money, so a bad row is an error with its line, never a row that is skipped. Standard library only:
every command that plans pays for this import.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from catalog.accelerators import UnknownAccelerator, kind_of
from spec.errors import InputError, Problem, SpecError

UNKNOWN = "unknown"
_AS_OF = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_MAX_PROBLEMS = 20

T = TypeVar("T")
Row = Mapping[str, str]
"""The cells of a row by column."""


class Wrong(ValueError):
    """A cell can't be used: its column, and why."""

    def __init__(self, column: str, value: str, why: str) -> None:
        self.column, self.value, self.why = column, value, why
        super().__init__(why)

    def problem(self, file: str, line: int) -> Problem:
        """The same for the user."""
        return Problem(file, self.column, f"{self.why}; it is `{self.value}`", line=line, value=self.value)


def read_rows(
    lines: Iterable[str], file: str, columns: Sequence[str], read: Callable[[dict[str, str]], T]
) -> list[tuple[int, T]]:
    """Each row as `read` makes it of its cells, with its line; blank lines count for nothing.

    Raises SpecError with every wrong row (the first 20), and InputError for a file that is no CSV file.
    """
    rows = csv.reader(lines)
    found: list[tuple[int, T]] = []
    problems: list[Problem] = []
    try:
        header = tuple(cell.strip() for cell in next(rows, ()))
        if header != tuple(columns):
            raise SpecError([Problem(file, "", f"the header must be `{','.join(columns)}`", line=1)])
        for row in rows:
            line = rows.line_num
            if not row:
                continue
            if len(row) != len(columns):
                why = f"a row has {len(columns)} cells, this one {len(row)}"
                problems.append(Problem(file, "", why, line=line))
                continue
            try:
                found.append((line, read(dict(zip(columns, row, strict=True)))))
            except Wrong as wrong:
                problems.append(wrong.problem(file, line))
            if len(problems) == _MAX_PROBLEMS:
                break
    except (UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"the table {file} is no CSV file: {e}") from None
    if problems:
        raise SpecError(problems)
    return found


def read_table(
    path: Path, columns: Sequence[str], read: Callable[[dict[str, str]], T]
) -> list[tuple[int, T]]:
    """`read_rows` of a file. Raises InputError also for one that can't be read."""
    try:
        with path.open(encoding="utf-8", newline="") as f:
            return read_rows(f, path.name, columns, read)
    except OSError as e:
        raise InputError(f"the table {path} can't be read: {e.strerror}") from None


def text(column: str, row: Row) -> str:
    """A word that is there."""
    value = row[column]
    if not value or value != value.strip():
        raise Wrong(column, value, "must be a word without blanks around it")
    return value


def positive(column: str, row: Row) -> float:
    """A finite number above 0."""
    try:
        number = float(row[column])
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise Wrong(column, row[column], "must be a number above 0")
    return number


def positive_or_none(column: str, row: Row) -> float | None:
    """The same, or None where the cell is empty: nobody says."""
    return positive(column, row) if row[column] else None


def count(column: str, row: Row) -> int:
    """A whole number above 0."""
    value = row[column].strip()
    if not (value.isascii() and value.isdigit() and int(value)):
        raise Wrong(column, row[column], "must be a whole number above 0")
    return int(value)


def count_or_none(column: str, row: Row) -> int | None:
    """The same, or None where the cell is empty: nobody says."""
    return count(column, row) if row[column] else None


def canonical(column: str, row: Row) -> str:
    """An accelerator by the name that our tables use."""
    value = row[column]
    try:
        name = kind_of(value).name
    except UnknownAccelerator as e:
        raise Wrong(column, value, str(e)) from None
    if name != value:
        raise Wrong(column, value, f"write it as `{name}`")
    return name


def date(column: str, row: Row) -> str:
    """An ISO date, perhaps only its year or month, or `unknown`."""
    value = row[column]
    if value != UNKNOWN and not _AS_OF.fullmatch(value):
        raise Wrong(column, value, "must be an ISO date, its year or month, or `unknown`")
    return value
