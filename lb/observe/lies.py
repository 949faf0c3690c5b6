"""Replicas whose probe succeeds while they fail callers: only the edges know, for they count each attempt.

A replica that lies leaves the edges, and so can't show that it got better. What was found of it stands until it answers
well again, runs another bundle, or is old.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lb.decide.observed import Health

LOOK_BACK_S, STEP_S = 30.0, 1.0
AT_LEAST = 5
"""Requests within that time; fewer say nothing."""
SHARE = 0.5
"""That failed, of all that it had; what one bad caller causes seldom is so much."""
STANDS_S = 900.0


@dataclass
class _Found:
    """`bundle`: what the replica ran when this was first told; None = not told yet."""

    words: str
    at: float
    bundle: str | None = None


@dataclass
class _Lately:
    """Requests of one replica at all edges, in the last LOOK_BACK_S. `steps`: when, how many went well and how many failed.

    Edges are many and tell every second, so that what comes within STEP_S is kept together.
    """

    ok: int = 0
    failed: int = 0
    steps: deque[tuple[float, int, int]] = field(default_factory=deque)

    def add(self, ok: int, failed: int, at: float) -> None:
        """So many more, told at that moment."""
        self.ok, self.failed = self.ok + ok, self.failed + failed
        if self.steps and at < self.steps[-1][0] + STEP_S:
            began, well, badly = self.steps.pop()
            self.steps.append((began, well + ok, badly + failed))
        else:
            self.steps.append((at, ok, failed))
        while self.steps[0][0] <= at - LOOK_BACK_S:
            _, well, badly = self.steps.popleft()
            self.ok, self.failed = self.ok - well, self.failed - badly


class Lies:
    """What was found of each replica, by all edges."""

    def __init__(self) -> None:
        self._lately: dict[str, _Lately] = {}
        self._found: dict[str, _Found] = {}

    def take(self, growth: Mapping[str, Mapping[str, int]], *, at: float) -> None:
        """One edge's replicas: how their "ok" and "failed" grew since the report before."""
        for replica_id, grown in growth.items():
            if any(grown.values()):
                lately = self._lately.setdefault(replica_id, _Lately())
                lately.add(grown["ok"], grown["failed"], at)
                self._judge(replica_id, lately, at)

    def merged(self, health: Iterable[Health], now: float) -> tuple[Health, ...]:
        """The same, with what was found of each."""
        found = tuple(self._with(h, now) for h in health)
        present = {h.replica_id for h in found}
        self._lately = {i: x for i, x in self._lately.items() if i in present}
        self._found = {i: f for i, f in self._found.items() if i in present}
        return found

    def _with(self, health: Health, now: float) -> Health:
        found = self._found.get(health.replica_id)
        if found is None:
            return health
        if found.bundle is None:
            found.bundle = health.bundle
        if found.bundle != health.bundle or now > found.at + STANDS_S:
            del self._found[health.replica_id], self._lately[health.replica_id]
            return health
        return replace(health, lies=found.words)

    def _judge(self, replica_id: str, lately: _Lately, now: float) -> None:
        failed, total = lately.failed, lately.ok + lately.failed
        if failed >= AT_LEAST and failed >= SHARE * total:
            if (
                replica_id not in self._found
            ):  # the words stay the same, so that an idle fleet journals nothing
                words = f"{failed} of {total} requests failed in the last {LOOK_BACK_S:g} s"
                self._found[replica_id] = _Found(words, now)
        elif total >= AT_LEAST:
            self._found.pop(replica_id, None)
