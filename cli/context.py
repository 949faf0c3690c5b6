"""Where a command works: the checkout, the stack, and the folder with that stack's state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spec.stack import StackConfig, load_stack

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the program is never installed as a package."""


@dataclass(frozen=True)
class Context:
    """One stack of this checkout."""

    stack: str = "dev"
    root: Path = ROOT

    @property
    def home(self) -> Path:
        """All local state of the stack."""
        return self.root / ".tradewind" / self.stack

    @property
    def state_dir(self) -> Path:
        """The state bucket of a local stack."""
        return self.home / "state"

    @property
    def key_file(self) -> Path:
        """The API key that `tw up` made, mode 0600."""
        return self.home / "key"

    @cached_property
    def config(self) -> StackConfig:
        """The stack's configuration; raises InputError where it is missing or wrong."""
        return load_stack(self.root, self.stack)
