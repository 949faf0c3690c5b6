"""The errors a user sees, each with the exit code that it ends a command with.

    TradewindError
    ├── InputError      1  the user's input or request is wrong
    │   └── SpecError      a file has problems; carries all of them
    ├── OutsideError    3  something outside failed: a cloud, the network, a missing tool
    └── RefusedError    4  a policy or a budget said no

Exit code 2 is a usage error and belongs to the argument parser.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class TradewindError(Exception):
    """Base of every error that is shown to a user as a message instead of a traceback."""

    exit_code = 1


class InputError(TradewindError):
    """The user's input or request is wrong; the message says what to change."""

    exit_code = 1


class OutsideError(TradewindError):
    """A cloud, the network or a tool outside of this program failed."""

    exit_code = 3


class RefusedError(TradewindError):
    """A policy or a budget refuses what was asked for."""

    exit_code = 4


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file: where, what was found, and the way out."""

    file: str
    field: str
    message: str
    line: int | None = None
    value: object = None
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line is not None else self.file
        field = f" {self.field}:" if self.field else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{where}:{field} {self.message}{hint}"


class SpecError(InputError):
    """A file has problems; all of them are listed, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A sentence that offers the nearest known name, or None when nothing is near."""
    by_folded = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"Did you mean `{by_folded[near[0]]}`?" if near else None
