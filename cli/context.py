"""Where a command works: the checkout, the stack, and the folder with that stack's state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from spec.errors import InputError
from spec.stack import StackConfig, load_stack

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the program is never installed as a package."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""Pulumi's rule, less names that begin like hidden files and options."""

TAKEN = {"backend", "forecast", "preview", "pulumi", "endpoint", "key", "setup.lock"}
"""What lies in `.tradewind/` beside the folders of the stacks."""


@dataclass(frozen=True)
class Context:
    """One stack of this checkout. Raises InputError for a name that no stack can have."""

    stack: str = "dev"
    root: Path = ROOT

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.stack):
            raise InputError(
                f"--stack {self.stack!r}: a stack is named with letters, digits, `-`, `_` and `.`, at most 100"
            )
        if self.stack.lower() in TAKEN:
            raise InputError(f"--stack {self.stack}: that name is taken in .tradewind/; choose another")

    @property
    def is_local(self) -> bool:
        """Whether it runs on this computer. What was started here counts, also while its settings are broken."""
        return self.state_dir.is_dir() or (self.home / "logs").is_dir() or self.config.is_local

    @property
    def env(self) -> str:
        """The environment that the stack is, or is a part of."""
        return self.config.env(self.stack)

    @property
    def referred_to(self) -> tuple[str, ...]:
        """Other stacks of the same environment, which this one asks for what they have declared."""
        if self.config.part is not None:
            return (self.config.part.of,)
        return tuple(self.config.stack_of(cloud, self.stack) for cloud in self.config.apart)

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
    def project(self) -> str:
        """The name in Pulumi.yaml, which `pulumi new` has asked for."""
        content = yaml.safe_load((self.root / "Pulumi.yaml").read_text(encoding="utf-8"))
        return str(content["name"])

    @cached_property
    def config(self) -> StackConfig:
        """The stack's configuration; raises InputError where it is missing or wrong."""
        return load_stack(self.root, self.stack)
