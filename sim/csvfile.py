"""What the two kinds of trace have in common as files: opening one, its header, and how long a trace may be."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from spec.errors import Problem, SpecError, did_you_mean

LONGEST_S = 366 * 86_400.0
"""A year; what is later counts from 1970 or is no second."""
FROM_THE_BEGINNING = "Times count from the beginning of the trace."


@contextmanager
def opened(path: Path) -> Generator[TextIO]:
    """The file, for a `csv.reader`. Raises SpecError, also for what can't be decoded while it is read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except FileNotFoundError:
        raise SpecError([Problem(str(path), "", "no such file.")]) from None
    except OSError as e:
        raise SpecError([Problem(str(path), "", f"can't be read: {e.strerror}.")]) from e
    except UnicodeDecodeError as e:
        raise SpecError(
            [Problem(str(path), "", f"is no CSV file: it is no text in UTF-8 ({e.reason}).")]
        ) from e


def header(
    file: str, kind: str, row: Sequence[str], columns: Sequence[str], required: Sequence[str]
) -> dict[str, int]:
    """Where those of `columns` stand that the first row has; `required` ones may not be left out. `kind`: of trace, in words.

    Raises SpecError: without a header no row can be read.
    """
    names = [n.strip() for n in row]
    known = ",".join(columns)
    found: list[Problem] = []
    if not set(names) & set(columns) and not any(did_you_mean(n, columns) for n in names):
        hint = "Columns are separated by commas." if any(c in n for n in names for c in ";\t|") else None
        what = "is no header" if any(names) else "is empty"
        said = f"{what}: {kind} begins with the names of its columns, {known}."
        raise SpecError([Problem(file, "", said, line=1, hint=hint)])
    for name in names:
        if name not in columns:
            said = f"is no column of {kind}, which has {known}."
            found.append(Problem(file, name, said, line=1, hint=did_you_mean(name, columns)))
        elif names.count(name) > 1:
            found.append(Problem(file, name, "stands in the header more than once.", line=1))
    found += [
        Problem(file, name, f"is missing in the header; {kind} has {known}.", line=1)
        for name in required
        if name not in names
    ]
    if found:
        raise SpecError(found)
    return {name: n for n, name in enumerate(names)}
