"""What has to happen before an engine runs, and the engine itself, one after the other.

A step is a program that runs beside the agent, never work in the agent's own thread: so copies of hours can be watched,
told of and ended like an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lb.agent.bundle import Bundle
from lb.agent.status import Phase


class Running(Protocol):
    """A started program; see engine.Process."""

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        ...

    def stop(self) -> None:
        """Ends it."""
        ...


class Launch(Protocol):
    """Starts `setup` or `run` of a bundle; raises OSError when that is not possible."""

    def __call__(self, script: str, *, bundle: Bundle, env: Mapping[str, str]) -> Running:
        """Returns what it has started."""
        ...


@dataclass(frozen=True, kw_only=True)
class Step:
    """One program on the way.

    Attributes:
        what: it is called so in messages.
        start: raises OSError, and BundleError when it can't succeed on this machine.
        ready: of a program that stays: whether the next step may start. None = when the program has ended well.
        progress: how far it is, in words.
        done: is called when it has ended well.

    """

    phase: Phase
    what: str
    start: Callable[[], Running]
    ready: Callable[[], bool] | None = None
    progress: Callable[[], str] = str
    done: Callable[[], None] = lambda: None


Prepare = Callable[[Bundle], list[Step]]
"""The steps before `setup`. Raises BundleError for a bundle that this machine can't run."""


def in_turn(*prepares: Prepare) -> Prepare:
    """The steps of all of them, one after the other."""
    return lambda bundle: [step for prepare in prepares for step in prepare(bundle)]
