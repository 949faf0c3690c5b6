"""What a zone can still give when it gives notice: the least that it will have until the notice would be over.

A trace says when machines ended. With notices they are told before, not ended later, so that the same trace offers the
same machine-time whatever the notice; and a zone that is about to take machines gives no new ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence


def least_ahead(times: Sequence[float], values: Sequence[int], window_s: float) -> list[tuple[float, int]]:
    """The step function min of `values` over [t, t + window_s], as (from, value), where it changes.

    `times` are in order and begin at 0 or later; before the first the value is 0.
    """
    if window_s <= 0:
        return _changes(zip(times, values, strict=True))
    steps = (
        [(0.0, 0), *zip(times, values, strict=True)]
        if times[0] > 0
        else list(zip(times, values, strict=True))
    )
    moments = sorted({t for t, _ in steps} | {max(0.0, t - window_s) for t, _ in steps})
    found, entering, leaving = [], 0, 0
    smallest: deque[int] = deque()
    for moment in moments:
        while entering < len(steps) and steps[entering][0] <= moment + window_s:
            while smallest and steps[smallest[-1]][1] >= steps[entering][1]:
                smallest.pop()
            smallest.append(entering)
            entering += 1
        while leaving + 1 < len(steps) and steps[leaving + 1][0] <= moment:
            leaving += 1
        while smallest[0] < leaving:
            smallest.popleft()
        found.append((moment, steps[smallest[0]][1]))
    return _changes(found)


def _changes(steps: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
    found: list[tuple[float, int]] = []
    for step in steps:
        if not found or found[-1][1] != step[1]:
            found.append(step)
    return found
