"""How many replicas a service is expected to have: its minimum, and the floors of its schedules by the clock.

Nobody knows tomorrow's load, so what is expected is the least that the service file asks for. Schedules are looked at over
weeks that are fixed, so that the same plan has the same figures on every day.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from spec.cron import starts_on, zone_of
from spec.scaling import Scaling, Schedule

MONDAY = date(2024, 1, 8)
"""What every period begins with, at midnight UTC. A week of no first of a month and no change of clocks."""
YEAR_DAYS = 52 * 7
_DAY_S = 86_400.0


def replicas_over(scaling: Scaling, days: float) -> tuple[tuple[float, int], ...]:
    """`(from, replicas)`, seconds since MONDAY, where the number changes; the first from 0. Without spares.

    A service that may be scaled to zero is taken to run one replica, for nobody knows how often it is needed.
    """
    return _steps(scaling.min_replicas, scaling.max_replicas, scaling.schedules or (), round(days * _DAY_S))


def shares(scaling: Scaling) -> tuple[tuple[int, float], ...]:
    """`(replicas, share of the time)` over a year, shares from 0 to 1. Without spares."""
    if not scaling.schedules:
        return ((max(scaling.min_replicas, 1), 1.0),)
    steps = replicas_over(scaling, YEAR_DAYS)
    end = YEAR_DAYS * _DAY_S
    found: dict[int, float] = {}
    for (begin, number), (until, _) in pairwise((*steps, (end, 0))):
        found[number] = found.get(number, 0.0) + (until - begin)
    return tuple((number, seconds / end) for number, seconds in sorted(found.items()))


@lru_cache(maxsize=256)
def _steps(
    least: int, most: int, schedules: tuple[Schedule, ...], seconds: int
) -> tuple[tuple[float, int], ...]:
    """A sweep over the begins and ends of all floors. What a schedule asks for beyond the maximum is not to be had."""
    changes = [
        (at, change, number)
        for number, schedule in enumerate(schedules)
        for begin, end in _on(schedule, seconds)
        for at, change in ((begin, 1), (end, -1))
        if at < seconds
    ]
    on = [0] * len(schedules)
    steps = [(0.0, max(least, 1))]
    for at, change, number in sorted(changes):
        on[number] += change
        floor = max((s.min_replicas for s, times in zip(schedules, on, strict=True) if times), default=0)
        if steps[-1][0] == at:
            steps.pop()
        steps.append((at, max(least, 1, min(floor, most))))
    return tuple(s for n, s in enumerate(steps) if not n or s[1] != steps[n - 1][1])


def _on(schedule: Schedule, seconds: int) -> Iterator[tuple[float, float]]:
    """From when until when it is on, within the period, in order and apart; what overlaps is one."""
    midnight = datetime(MONDAY.year, MONDAY.month, MONDAY.day, tzinfo=UTC).timestamp()
    zone = zone_of(schedule.timezone)
    first = (
        -math.ceil(schedule.duration_s / _DAY_S) - 1
    )  # what began before may still be on; zones are a day apart
    days = (MONDAY + timedelta(days=n) for n in range(first, math.ceil(seconds / _DAY_S) + 2))
    starts = (at - midnight for day in days for at in starts_on(schedule.cron, day, zone))
    begin = end = -math.inf
    for at in starts:
        if at > end:
            if end > 0:
                yield max(0.0, begin), end
            begin = at
        end = at + schedule.duration_s
    if end > 0:
        yield max(0.0, begin), end
