"""What the agent says of itself at `GET /v1/node`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

SCHEMA = 1


class Phase(StrEnum):
    """Where a machine is on the way from an assignment to a running engine."""

    WAITING = "waiting"
    FETCHING = "fetching"
    COPYING = "copying"
    MOUNTING = "mounting"
    PULLING = "pulling"
    SETUP = "setup"
    RUNNING = "running"
    FAILED = "failed"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Status:
    """One moment. `bundle` is what the phase is about; `since`: epoch seconds of the start of the phase.

    `note` is what goes wrong beside the phase, for instance an assignment that can't be read while the engine runs.
    """

    phase: Phase
    since: float
    bundle: str | None = None
    exit_code: int | None = None
    message: str = ""
    note: str = ""


class StatusBoard:
    """The present Status, and an announced preemption: the agent's threads write them, the HTTP threads read them."""

    def __init__(
        self,
        *,
        now: Callable[[], float],
        on_change: Callable[[Status], None],
        on_remark: Callable[[str, str], None] = lambda _about, _text: None,
    ) -> None:
        self._now = now
        self._on_change = on_change
        self._on_remark = on_remark
        self._remarks: dict[str, str] = {}
        self._lock = threading.Lock()
        self._status = Status(Phase.WAITING, now(), message="no assignment has been read yet")
        self._preempt_at: float | None = None
        self._leaving = False

    @property
    def status(self) -> Status:
        """As it is now."""
        with self._lock:
            return self._status

    def enter(
        self, phase: Phase, *, bundle: str | None, exit_code: int | None = None, message: str = ""
    ) -> None:
        """Starts a phase; `since` stays when it is the same phase of the same bundle."""
        old = self.status
        same = (old.phase, old.bundle) == (phase, bundle)
        self._put(Status(phase, old.since if same else self._now(), bundle, exit_code, message))

    def note(self, text: str) -> None:
        """Says what goes wrong beside the phase; an empty text takes it back."""
        self._put(replace(self.status, note=text))

    def remark(self, about: str, text: str) -> None:
        """Says what is wrong with a part of the machine, whatever its phase; an empty text takes it back."""
        with self._lock:
            changed = self._remarks.get(about, "") != text
            self._remarks[about] = text
        if changed:
            self._on_remark(about, text)

    def announce(self, preempt_at: float, *, leaving: bool = False) -> None:
        """The machine will be taken away at that moment (epoch seconds) or sooner, whatever its phase.

        `leaving`: it shuts down already: it answers what it was asked, and must be asked no more.
        """
        with self._lock:
            self._leaving |= leaving
            self._preempt_at = min(preempt_at, preempt_at if self._preempt_at is None else self._preempt_at)

    def as_json(self, *, instance_id: str, pool_id: str) -> dict[str, Any]:
        """The body of `GET /v1/node`."""
        s = self.status
        return {
            "schema": SCHEMA,
            "instance_id": instance_id,
            "pool_id": pool_id,
            "phase": s.phase.value,
            "bundle": s.bundle,
            "exit_code": s.exit_code,
            "since": s.since,
            "message": "; ".join(filter(None, (s.message, s.note, *self._remarks.values()))),
            "preempt_at": self._preempt_at,
            "leaving": self._leaving,
        }

    def _put(self, status: Status) -> None:
        with self._lock:
            changed, self._status = status != self._status, status
        if changed:
            self._on_change(status)
