"""Floors by the clock: at least so many replicas from 8 to 18 on working days in Berlin.

A schedule begins by the clocks of its time zone and lasts as many seconds as it says. So one that begins at 8 does so in summer
and in winter; one of 24 hours that spans a change of the clocks ends an hour earlier or later by them. What begins in the
hour that is skipped in spring begins as long after midnight as usual; in the hour that comes twice, the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from spec.cron import starts_on, zone_of
from spec.scaling import Scaling, Schedule


@dataclass(frozen=True, slots=True)
class Floor:
    """At least so many replicas, and why."""

    replicas: int
    why: str


NO_FLOOR = Floor(0, "")


def floor(scaling: Scaling, now: float) -> Floor:
    """The highest floor of the schedules that are on now."""
    on = [s for s in scaling.schedules or () if is_on(s, now)]
    if not on:
        return NO_FLOOR
    highest = max(on, key=lambda s: s.min_replicas)
    clock = highest.timezone
    if zone_of(clock) is UTC and clock != "UTC":
        clock = f"UTC, for this computer knows no {clock}"
    return Floor(highest.min_replicas, f"scheduled by `{highest.cron}` ({clock})")


def is_on(schedule: Schedule, now: float) -> bool:
    """Whether it began less than its duration ago."""
    began = last_start(schedule, int(now // 60))
    return began is not None and now < began + schedule.duration_s


@lru_cache(maxsize=4096)
def last_start(schedule: Schedule, minute: int) -> float | None:
    """When it began last until that minute since the epoch, epoch seconds; None = longer ago than it lasts."""
    zone = zone_of(schedule.timezone)
    now = minute * 60.0
    earliest = now - schedule.duration_s
    today = datetime.fromtimestamp(now, zone).date()
    for day in _days_back(today, datetime.fromtimestamp(earliest, zone).date()):
        found = [at for at in starts_on(schedule.cron, day, zone) if at <= now]
        if found:
            return max(found)
    return None


def _days_back(last: date, first: date) -> Iterator[date]:
    day = last
    while day >= first:
        yield day
        day -= timedelta(days=1)
