"""Opening a trace: what keeps a file from being read is told with its name."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from spec.errors import Problem, SpecError


@contextmanager
def opened(path: Path) -> Generator[TextIO]:
    """The file, for a `csv.reader`. Raises SpecError, also for what can't be decoded while it is read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except FileNotFoundError:
        raise SpecError([Problem(str(path), "", "no such file.")]) from None
    except (OSError, UnicodeDecodeError) as e:
        raise SpecError([Problem(str(path), "", f"can't be read as a CSV file: {e}")]) from e
