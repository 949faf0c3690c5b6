"""What was decided, as people read it: the last reasons for status and page, and one line of the log for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import structlog

from lb.decide import Decision

log = structlog.get_logger(__name__)

KEPT = 50


class Reasons:
    """The last reasons, newest first, each with its time of day."""

    def __init__(self) -> None:
        self._kept: deque[str] = deque(maxlen=KEPT)
        self._told: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def remember(self, earlier: tuple[str, ...]) -> None:
        """Goes on after those of an earlier term."""
        self._kept.extend(earlier[: KEPT - len(self._kept)])

    def say(self, decision: Decision, *, tick: str, at: float) -> None:
        """Logs every command, and what else was not said in the tick before. `tick`: its name in the journal."""
        for command, reason in zip(decision.commands, decision.because, strict=True):
            log.info("command", tick=tick, reason=reason, **asdict(command))
        clock = datetime.fromtimestamp(at, UTC).strftime("%H:%M:%SZ")
        for reason in decision.reasons:
            if reason not in self._told:
                self._kept.appendleft(f"{clock} {reason}")
                if reason not in decision.because:
                    log.info("decision", tick=tick, reason=reason)
        self._told = set(decision.reasons)
