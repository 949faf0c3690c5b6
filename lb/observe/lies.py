"""Replicas whose probe succeeds while they fail callers: only the edges know, for they count each attempt.

A replica that lies leaves the edges, and so can't show that it got better. What was found of it stands until it answers
well again, runs another bundle, or is old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lb.decide.observed import Health
from lb.observe.window import Window

LOOK_BACK_S = 30.0
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


class Lies:
    """What was found of each replica, by all edges."""

    def __init__(self) -> None:
        self._windows: dict[str, dict[str, Window]] = {}
        self._found: dict[str, _Found] = {}

    def take(self, edge_id: str, growth: dict[str, dict[str, int]], *, since: float, at: float) -> None:
        """One edge's replicas: how their "ok" and "failed" grew since the report before."""
        for replica_id, grown in growth.items():
            if not any(grown.values()):
                continue
            windows = self._windows.setdefault(replica_id, {})
            window = windows.setdefault(edge_id, Window(LOOK_BACK_S, since))
            window.add(grown, since=since, at=at)
            self._judge(replica_id, at)

    def merged(self, health: Iterable[Health], now: float) -> tuple[Health, ...]:
        """The same, with what was found of each."""
        found = tuple(self._with(h, now) for h in health)
        present = {h.replica_id for h in found}
        self._windows = {i: w for i, w in self._windows.items() if i in present}
        self._found = {i: f for i, f in self._found.items() if i in present}
        return found

    def _with(self, health: Health, now: float) -> Health:
        found = self._found.get(health.replica_id)
        if found is None:
            return health
        if found.bundle is None:
            found.bundle = health.bundle
        if found.bundle != health.bundle or now > found.at + STANDS_S:
            del self._found[health.replica_id], self._windows[health.replica_id]
            return health
        return replace(health, lies=found.words)

    def _judge(self, replica_id: str, now: float) -> None:
        growth: Counter[str] = Counter()
        for window in self._windows[replica_id].values():
            growth.update(window.growth(now))  # type: ignore[arg-type]  parts of requests, at the window's edge
        failed, total = round(growth["failed"]), round(growth["ok"] + growth["failed"])
        if failed >= AT_LEAST and failed >= SHARE * total:
            if (
                replica_id not in self._found
            ):  # the words stay the same, so that an idle fleet journals nothing
                words = f"{failed} of {total} requests failed in the last {LOOK_BACK_S:g} s"
                self._found[replica_id] = _Found(words, now)
        elif total >= AT_LEAST:
            self._found.pop(replica_id, None)
