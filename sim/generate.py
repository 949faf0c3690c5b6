"""Synthetic capacity traces: by the law of the public ones, by that with something more, and by laws that contradict it.

Public traces show hazards that fall with age, h = 0.9 / (age + 0.75 h), for losing a zone and for getting it back. A policy
built on that must also be shown where it is wrong, so CONSTANT and DIURNAL have other laws. Everything is drawn from the
seed; tuning seeds and report seeds are apart, so that no figure we publish is of a trace that anything was tuned on.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sim.trace import MOST_CAPACITY, Series, Trace, region_of

TUNING_SEEDS = tuple(range(1, 17))
"""For whoever tunes a policy: look at these as often as you like."""
REPORT_SEEDS = tuple(range(1001, 1011))
"""For figures that are published, only. Ten of them give a 95 % interval of 0.7 standard deviations."""

ZONES = tuple(f"{region}{letter}" for region in ("us-east-1", "us-west-2", "eu-west-1") for letter in "abc")
SHAPE, SCALE_H = 0.9, 0.75
"""Of the Lomax law of up and down times in the public traces."""
SHARED = 0.25
"""How much of a zone's hazard a sibling's change adds, of its own: same-region zones fall together somewhat."""
SHARED_WITHIN_S = 300.0
BURN_IN_S = 10 * 86_400.0
"""Passes before a trace begins, so that it begins with zones of all ages."""
LONGEST_H = 24 * 365.0
ON_DEMAND_USD, SPOT_USD = 7.35, 2.45
"""Two A100-80GB of Azure in eastus (the price table of SkyServe's own blog), and a third of that."""
_H = 3600.0


class TraceKind(StrEnum):
    """The law that zones follow.

    AGED: the public traces' law. CONSTANT: hazards that know no age. DIURNAL: scarce by day, local time of the region.
    COLLAPSE: AGED, and now and then a whole region is gone for hours. SINGLE: AGED with one machine per zone.
    PARTIAL: AGED, and a zone that is up has now more and now fewer machines. PRICES: AGED with prices that move apart.
    """

    AGED = "aged"
    CONSTANT = "constant"
    DIURNAL = "diurnal"
    COLLAPSE = "collapse"
    SINGLE = "single"
    PARTIAL = "partial"
    PRICES = "prices"


@dataclass(frozen=True, slots=True)
class Law:
    """How long zones stay as they are.

    Attributes:
        draw: hours until the zone changes, given whether it is up, the moment in hours and the region.
        hazard: per hour, of a zone of that state and age in hours; it weighs siblings against each other. None = they share nothing.

    """

    draw: Callable[[random.Random, bool, float, str], float]
    hazard: Callable[[bool, float], float] | None = None


def generate(kind: TraceKind, *, seed: int, days: float, room: int, zones: tuple[str, ...] = ZONES) -> Trace:
    """A trace. `room`: machines that an up zone has at most; each time it comes up it has between half of that and that."""
    source = random.Random(f"{kind} {seed} {days} {room} {len(zones)}")
    end = math.floor(days * 86_400)
    ups = _alternate(source, _LAWS[kind](zones), zones, end)
    if kind is TraceKind.COLLAPSE:
        _collapse(source, ups, end)
    series = {
        z: _capacity(source, changes, 1 if kind is TraceKind.SINGLE else room) for z, changes in ups.items()
    }
    if kind is TraceKind.PARTIAL:
        series = {z: _with_partial_losses(source, s, room, end) for z, s in series.items()}
    if kind is TraceKind.PRICES:
        series = {z: _with_prices(source, s, end) for z, s in series.items()}
    for s in series.values():
        if s.times[-1] < end:
            s.append(end, s.capacity[-1], math.nan, math.nan)
    return Trace(f"{kind} seed {seed}", series, end)


def on_demand_limits(*, seed: int, days: float, zones: tuple[str, ...] = ZONES) -> Trace:
    """Where and when on demand can be had at all: in a whole region without limit, or not, for 20 and 10 hours on average."""
    source = random.Random(f"on demand {seed} {days} {len(zones)}")
    end = math.floor(days * 86_400)
    regions = tuple(dict.fromkeys(region_of(z) for z in zones))
    ups = _alternate(
        source, Law(lambda r, up, _at, _region: r.expovariate(1 / (20 if up else 10))), regions, end
    )
    series = {}
    for zone in zones:
        series[zone] = Series()
        for at, up in ups[region_of(zone)]:
            series[zone].append(at, MOST_CAPACITY if up else 0, math.nan, math.nan)
    return Trace(f"on demand seed {seed}", series, end)


# ---------------------------------------------------------------- laws


def _lomax(r: random.Random, shape: float) -> float:
    return min(LONGEST_H, SCALE_H * ((1 - r.random()) ** (-1 / shape) - 1))


def _aged(zones: tuple[str, ...]) -> Law:
    """A zone changes by itself, and with a sibling: its own share is less, so that both together keep the law.

    Of its siblings about half are in its own state, and so can take it along.
    """
    siblings = {region: number - 1 for region, number in Counter(map(region_of, zones)).items()}
    own = {region: SHAPE / (1 + SHARED * number / 2) for region, number in siblings.items()}
    return Law(
        lambda r, _up, _at, region: _lomax(r, own[region]),
        lambda _up, age: SHAPE / (age + SCALE_H),
    )


def _constant(_zones: tuple[str, ...]) -> Law:
    return Law(lambda r, up, _at, _region: r.expovariate(1 / (6.0 if up else 4.0)))


def _diurnal(_zones: tuple[str, ...]) -> Law:
    """Thinning: candidates at the highest rate, each taken with the rate of its hour."""

    def draw(r: random.Random, up: bool, at: float, region: str) -> float:
        highest, passed = 1.2, 0.0
        while True:
            passed += r.expovariate(highest)
            by_day = (1 + math.sin(2 * math.pi * ((at + passed) / 24 - _DAWN.get(region, 0.0)))) / 2
            rate = (0.02 + 1.1 * by_day**2) if up else (0.05 + 1.0 * (1 - by_day) ** 2)
            if r.random() < rate / highest:
                return passed

    return Law(draw)


_DAWN = {"us-east-1": 12 / 24, "us-west-2": 15 / 24, "eu-west-1": 7 / 24}
"""When the day begins in each region, as a part of a day after midnight UTC."""
_LAWS: dict[TraceKind, Callable[[tuple[str, ...]], Law]] = {
    TraceKind.AGED: _aged,
    TraceKind.CONSTANT: _constant,
    TraceKind.DIURNAL: _diurnal,
    TraceKind.COLLAPSE: _aged,
    TraceKind.SINGLE: _aged,
    TraceKind.PARTIAL: _aged,
    TraceKind.PRICES: _aged,
}


# ---------------------------------------------------------------- zones over time


def _alternate(
    r: random.Random, law: Law, zones: tuple[str, ...], end: float
) -> dict[str, list[tuple[float, bool]]]:
    """Zone -> (from, up), the first from 0, in whole seconds."""
    up = {z: r.random() < 1 / 2 for z in zones}
    since = dict.fromkeys(zones, 0.0)
    turn = dict.fromkeys(zones, 0)
    changes: dict[str, list[tuple[float, bool]]] = {z: [] for z in zones}
    calendar: list[tuple[float, str, int, bool]] = []
    total = BURN_IN_S + end
    region = {z: region_of(z) for z in zones}
    siblings = {z: [other for other in zones if other != z and region[other] == region[z]] for z in zones}

    def plan(zone: str, at: float) -> None:
        heapq.heappush(
            calendar, (at + law.draw(r, up[zone], at / _H, region[zone]) * _H, zone, turn[zone], True)
        )

    for zone in zones:
        plan(zone, 0.0)
    while calendar and calendar[0][0] < total:
        at, zone, number, by_itself = heapq.heappop(calendar)
        if number != turn[zone]:
            continue
        age = (at - since[zone]) / _H
        if by_itself and law.hazard is not None:
            for other in siblings[zone]:
                if up[other] == up[zone]:
                    theirs = law.hazard(up[other], (at - since[other]) / _H)
                    if r.random() < SHARED * theirs / law.hazard(up[zone], age):
                        heapq.heappush(
                            calendar, (at + r.random() * SHARED_WITHIN_S, other, turn[other], False)
                        )
        up[zone] = not up[zone]
        since[zone] = at
        turn[zone] += 1
        changes[zone].append((at, up[zone]))
        plan(zone, at)
    return {z: _from_zero(changes[z], up[z]) for z in zones}


def _from_zero(changes: list[tuple[float, bool]], last: bool) -> list[tuple[float, bool]]:
    """Without the burn-in. Two changes within a second leave none."""
    before = [state for at, state in changes if at <= BURN_IN_S]
    after = [(math.floor(at - BURN_IN_S), state) for at, state in changes if at > BURN_IN_S]
    first = before[-1] if before else (not after[0][1] if after else last)
    found = [(0.0, first)]
    for at, state in after:
        if at == found[-1][0]:
            found.pop()
        if not found or found[-1][1] != state:
            found.append((float(at), state))
    return found if found and found[0][0] == 0 else [(0.0, first), *found]


def _collapse(r: random.Random, ups: dict[str, list[tuple[float, bool]]], end: float) -> None:
    """About every five days each region is gone, for 2 to 12 hours, whatever its zones would do."""
    for region in sorted({region_of(z) for z in ups}):
        at = r.expovariate(1 / 5) * 86_400
        while at < end:
            back = at + r.uniform(2, 12) * _H
            for zone in (z for z in ups if region_of(z) == region):
                ups[zone] = _without(ups[zone], math.floor(at), math.floor(back), end)
            at = back + r.expovariate(1 / 5) * 86_400


def _without(
    changes: list[tuple[float, bool]], start: float, stop: float, end: float
) -> list[tuple[float, bool]]:
    """Down between `start` and `stop`, as before around it."""
    at_stop = [state for at, state in changes if at <= stop][-1]
    found = [c for c in changes if c[0] < start]
    found.append((start, False))
    if stop < end:
        found += [(stop, at_stop), *(c for c in changes if c[0] > stop)]
    return [c for n, c in enumerate(found) if n == 0 or c[1] != found[n - 1][1]]


def _capacity(r: random.Random, changes: list[tuple[float, bool]], room: int) -> Series:
    series = Series()
    for at, up in changes:
        series.append(at, r.randint((room + 1) // 2, room) if up else 0, SPOT_USD, ON_DEMAND_USD)
    return series


def _with_partial_losses(r: random.Random, series: Series, room: int, end: float) -> Series:
    """While a zone is up it has another number of machines every three hours on average, 1 to `room`."""
    made = Series()
    for at, until, capacity in zip(series.times, [*series.times[1:], end], series.capacity, strict=True):
        made.append(at, capacity, SPOT_USD, ON_DEMAND_USD)
        step = math.floor(at + r.expovariate(1 / 3) * _H) + 1
        while capacity and step < until:
            made.append(float(step), r.randint(1, room), math.nan, math.nan)
            step += math.floor(r.expovariate(1 / 3) * _H) + 1
    return made


def _with_prices(r: random.Random, series: Series, end: float) -> Series:
    """Hourly, each zone by itself: drawn back to a base of its own, between a fifth and nine tenths of on demand."""
    base = math.log(SPOT_USD) + r.gauss(0, 0.25)
    drift, made, index, at = r.gauss(0, 0.2), Series(), 0, 0.0
    while at < end:
        drift = 0.97 * drift + r.gauss(0, 0.08)
        spot = min(0.9 * ON_DEMAND_USD, max(0.2 * ON_DEMAND_USD, math.exp(base + drift)))
        made.append(at, series.capacity_at(at), round(spot, 4), ON_DEMAND_USD)
        while index < len(series.times) and series.times[index] <= at:
            index += 1
        while index < len(series.times) and series.times[index] < min(at + _H, end):
            made.append(series.times[index], series.capacity[index], math.nan, math.nan)
            index += 1
        at += _H
    return made
