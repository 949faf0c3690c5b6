"""How much counters grew within the last seconds, and a percentile of what was counted in buckets."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import accumulate

SHORTEST_S = 5.0
"""A rate is over at least this long: the first requests after a start are no flood."""


class Window:
    """The last `length_s` seconds of some counters, sliding. `began`: since when they are known."""

    def __init__(self, length_s: float, began: float) -> None:
        self._length = length_s
        self._totals: Counter[str] = Counter()
        self._points: deque[tuple[float, Counter[str]]] = deque([(began, Counter())])

    def add(self, grown: Mapping[str, int], *, since: float, at: float) -> None:
        """The counters grew by that much between `since` and `at`."""
        if not any(grown.values()):
            return
        if since > self._points[-1][0]:
            self._points.append((since, self._points[-1][1]))  # nothing came in between
        self._totals.update(grown)
        self._points.append((at, self._totals.copy()))
        while len(self._points) > 1 and self._points[1][0] <= at - self._length:
            self._points.popleft()

    def growth(self, now: float) -> dict[str, float]:
        """What came within the window; a growth over its edge counts in part."""
        start = now - self._length
        before_at, before = self._points[0]
        for at, totals in self._points:
            if at > start:
                part = 0.0 if start <= before_at else (start - before_at) / (at - before_at)
                base = {k: before[k] + (v - before[k]) * part for k, v in totals.items()}
                return {k: v - base.get(k, 0.0) for k, v in self._totals.items()}
            before_at, before = at, totals
        return dict.fromkeys(self._totals, 0.0)

    def seconds(self, now: float) -> float:
        """What a rate is to be divided by: less than the whole length while the counters are not known for so long."""
        return max(SHORTEST_S, min(self._length, now - self._points[0][0]))


def grown(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """What cumulative counters counted; one that is lower than before began anew."""
    return {k: v - before.get(k, 0) if v >= before.get(k, 0) else v for k, v in now.items()}


def percentile(share: float, counts: Sequence[float], bounds: Sequence[float]) -> float | None:
    """The value below which that share of what was counted is, interpolated within its bucket; None = nothing counted.

    Args:
        share: e.g. 0.95.
        counts: how many per bucket; one more than there are bounds.
        bounds: upper bounds of the buckets; what is above the last counts as the last.

    """
    total = sum(counts)
    if total <= 0:
        return None
    wanted = share * total
    for n, reached in enumerate(accumulate(counts[:-1])):
        if reached >= wanted and counts[n] > 0:
            below = bounds[n - 1] if n else 0.0
            return round(below + (bounds[n] - below) * (wanted - (reached - counts[n])) / counts[n], 1)
    return float(bounds[-1])
