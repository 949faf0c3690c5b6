"""What the load asked for at this time of day on the days before: a floor that is there when it comes again. Off unless wanted.

Kept is the most that requests per second or in flight asked for in each quarter of an hour of the last week; quiet ones cost
nothing. The forecast is the middle one of those days, over as long as a start takes: a day that was unlike all others, a peak
or an outage, changes it by one place at most. It only ever adds, and the load alone is remembered, never what a forecast made of
it, so it can't feed itself.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

from lb.decide.memory import Pattern, ScalingMemory
from lb.decide.scaling.schedule import NO_FLOOR, Floor
from lb.decide.scaling.signals import View, by_in_flight, by_qps
from spec.desired import Service

SLOT_S = 900
DAY = 86400 // SLOT_S
DAYS = 7
FEWEST_DAYS = 2
"""After one day nobody can tell a pattern from an accident."""


def learned(service: Service, view: View, memory: ScalingMemory, now: float) -> ScalingMemory:
    """The memory with what the load asks for now; unchanged unless that is more than before in this quarter of an hour."""
    if not service.scaling.forecast:
        return memory if memory.pattern is None else replace(memory, pattern=None)
    asked = max(
        (s.wanted for s in (by_qps(service, view), by_in_flight(service, view)) if s is not None), default=0
    )
    slot, known = int(now // SLOT_S), memory.pattern or Pattern(int(now // SLOT_S))
    peaks = dict(known.peaks)
    if memory.pattern is not None and asked <= peaks.get(slot, 0):
        return memory
    if asked > 0:
        peaks[slot] = asked
    kept = tuple(sorted((at, peak) for at, peak in peaks.items() if slot - DAYS * DAY <= at <= slot))
    return replace(memory, pattern=Pattern(min(known.since, slot), kept))


def expected(service: Service, view: View, memory: ScalingMemory, now: float) -> Floor:
    """The floor from now until a replica that is launched now is ready."""
    pattern = memory.pattern
    if not service.scaling.forecast or pattern is None:
        return NO_FLOOR
    start_s = view.supply.next.cold_start_s if view.supply.next else 0.0
    first, last = int(now // SLOT_S), int((now + start_s) // SLOT_S)
    days = min(DAYS, (first - pattern.since) // DAY)
    if days < FEWEST_DAYS:
        return NO_FLOOR
    peaks = dict(pattern.peaks)
    of_days = [
        max(peaks.get(slot - day * DAY, 0) for slot in range(first, last + 1)) for day in range(1, days + 1)
    ]
    usual = statistics.median_low(of_days)
    return Floor(usual, f"usual at this time of the last {days} days") if usual else NO_FLOOR
