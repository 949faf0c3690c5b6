"""What a service on spot machines is likely to cost, and how often it will be short: its own pools and decisions, in drawn weeks.

Nobody publishes what spot capacity there will be, so it is drawn: each place is up and down by the law that public traces
follow (`sim.generate`), places of a region fall together somewhat, and the product's own `decide` runs through every week. What
is assumed stands in docs/planning.md. Same inputs, same figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, quantiles
from typing import Any

from planner.pricing import UnknownPrice
from sim.conditions import ColdStart, Conditions
from sim.generate import TraceKind, generate
from sim.metrics import Result
from sim.scenarios import LATE_S
from sim.trace import Series, Trace
from sim.world import World
from spec.desired import Pool, PoolState
from spec.names import Market
from spec.scaling import Scaling

FIRST_SEED = 2001
"""One seed for each week. Nothing was tuned on them, and nothing else is published of them."""
WEEKS, LEAST_WEEKS, MOST_WEEKS = 20, 4, 1000
MOST_EFFORT = 400_000
"""After so much no further week is drawn (`sim.planned`): a strict target asks again and again for what is not to be had."""
DAYS = 7.0
DIGITS = 6
LAW = "spot capacity comes and goes by the law of 15 public traces (study of 2026-11)"
WARM_UP_S = 86_400.0
"""Passes before a week begins: a service that is forecast runs, and has found its places."""
LOOKS_EVERY_S = 3600.0
"""How long the simulated controller lets pass when nothing happens; the real one looks all the time."""
MOST_SPOT, MOST_SURE, MOST_REPLICAS = 24, 6, 12
"""What takes part, so that the time is bounded: the cheapest pools, and replicas; of more, several are taken as one."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is forecast.

    Attributes:
        pools: of one service; those that retire take no part.
        scaling: of the service. What its load asks for is not simulated: `targets` is.
        targets: how many replicas are needed, (from when, how many), the first from 0; seconds.

    """

    pools: tuple[Pool, ...]
    scaling: Scaling
    targets: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Of the drawn weeks: the mean, and the 5th and 95th percentile."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What came out. Shares are from 0 to 1.

    Attributes:
        usd_day: all that was paid, launches included.
        available: share of the time in which as many replicas as needed were ready.
        on_demand_part: of what was paid, for on demand and reserved machines.
        none_ready: share of the time with no replica ready.
        weeks: that were drawn.
        pools: that took part, of all that the service has.

    """

    usd_day: Range
    available: Range
    on_demand_part: float
    none_ready: float
    weeks: int
    pools: int

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints of it; the names are stable."""
        return asdict(self)


def has_spot(pools: Sequence[Pool]) -> bool:
    """Whether there is anything to forecast: machines that are not taken away cost what they cost."""
    return any(p.market is Market.SPOT and p.state is PoolState.ACTIVE for p in pools)


def forecast(
    case: Case, *, weeks: int | None = None, progress: Callable[[float], None] | None = None
) -> Forecast:
    """Runs weeks one after another: so many, or WEEKS of them if MOST_EFFORT is enough for that, but LEAST_WEEKS anyway.

    `progress` is told the share that is done, 0 to 1.

    Raises UnknownPrice, and ValueError for a case without spot pools.
    """
    if not has_spot(case.pools):
        raise ValueError("a forecast needs a spot pool")
    most = max(n for _, n in case.targets)
    size = math.ceil(most / MOST_REPLICAS) or 1
    room = max(1, _room(most) // size)
    simulated = _in_groups(replace(case, pools=_taking_part(case.pools)), size)
    done: list[Result] = []
    effort = 0
    for number in range(FIRST_SEED, FIRST_SEED + (weeks or WEEKS)):
        week, took = _week(simulated, room, number)
        done.append(week)
        effort += took
        spent = 0.0 if weeks else effort / MOST_EFFORT
        if progress is not None:
            progress(min(1.0, max(len(done) / (weeks or WEEKS), spent)))
        if spent >= 1 and len(done) >= LEAST_WEEKS:
            break
    rounded_up = _mean(simulated.targets) * size / _mean(case.targets)
    paid = sum(w.cost_usd for w in done)
    on_demand = sum(w.cost_on_demand_part * w.cost_usd for w in done)
    return Forecast(
        usd_day=_range([w.cost_usd / DAYS / rounded_up for w in done]),
        available=_range([w.availability for w in done]),
        on_demand_part=round(on_demand / paid, DIGITS) if paid else 0.0,
        none_ready=round(fmean(w.zero_ready for w in done), DIGITS),
        weeks=len(done),
        pools=len(simulated.pools),
    )


def _mean(targets: Sequence[tuple[float, int]]) -> float:
    """Replicas over the week; 1 where none are needed at all."""
    end = DAYS * 86_400
    until = [*(at for at, _ in targets[1:]), end]
    return sum(n * (u - at) for (at, n), u in zip(targets, until, strict=True)) / end or 1.0


def _range(values: Sequence[float]) -> Range:
    steps = quantiles(values, n=20, method="inclusive") if len(values) > 1 else values
    return Range(*(round(v, DIGITS) for v in (fmean(values), steps[0], steps[-1])))


# ---------------------------------------------------------------- what takes part


def _taking_part(pools: Sequence[Pool]) -> tuple[Pool, ...]:
    """A gang is taken as one machine at the price of all: it starts and dies as one."""
    staying = [_larger(p, 1 / p.capacity_units) for p in pools if p.state is PoolState.ACTIVE]
    if unknown := [p.id for p in staying if p.price_usd_hour is None]:
        raise UnknownPrice(unknown)
    staying.sort(key=lambda p: (p.price_usd_hour or 0.0, p.id))
    spot = [p for p in staying if p.market is Market.SPOT][:MOST_SPOT]
    sure = [p for p in staying if p.market is not Market.SPOT][:MOST_SURE]
    return (*spot, *sure)


def _in_groups(case: Case, size: int) -> Case:
    """As many replicas taken as one: whole places come and go, so large services fall short as small ones do."""
    if size == 1:
        return case
    names = (
        "min_replicas",
        "max_replicas",
        "surge",
        "num_overprovision",
        "base_ondemand_fallback_replicas",
    )
    fewer = {name: math.ceil(getattr(case.scaling, name) / size) for name in names}
    return Case(
        tuple(_larger(p, size) for p in case.pools),
        case.scaling.model_copy(update=fewer),
        tuple((at, math.ceil(n / size)) for at, n in case.targets),
    )


def _larger(pool: Pool, times: float) -> Pool:
    """A pool whose machine is as many of those that it has. What a launch costs is of a whole gang already."""
    usd = {m: None if p is None else p * times for m, p in _prices(pool).items()}
    whole = pool.capacity_units == 1
    return pool.model_copy(
        update={
            "capacity_units": 1.0,
            "max_size": math.floor(pool.max_size / times + 1e-9),
            "launch_usd": pool.launch_usd * times if whole else pool.launch_usd,
            "prices": pool.prices.model_copy(update=usd),
        }
    )


def _prices(pool: Pool) -> dict[str, float | None]:
    return {"spot": pool.prices.spot, "on_demand": pool.prices.on_demand}


# ---------------------------------------------------------------- one week


def _week(case: Case, room: int, seed: int) -> tuple[Result, int]:
    """What came of it, and the effort that it took."""
    from sim.planned import Planned, notice_s  # the controller's whole decisions, which few commands need

    pools = case.pools
    zones = {_zone(p, n): p for n, p in enumerate(pools)}
    conditions = Conditions(
        cold_start=ColdStart.of(max(p.cold_start_s for p in pools)),
        launch_usd=max(p.launch_usd for p in pools),
        refusal_s=LATE_S,
        notices={zone: notice_s(p) for zone, p in zones.items()},
        seed=seed,
    )
    targets = [(at + WARM_UP_S if at else 0.0, n) for at, n in case.targets]
    trace = _trace(zones, room, seed)
    world = World(trace, conditions, targets, warm_up_s=WARM_UP_S)
    policy = Planned(conditions, case.scaling, zones, quiet_s=LOOKS_EVERY_S)
    return world.run(policy).result("forecast"), policy.effort


def _zone(pool: Pool, number: int) -> str:
    """Each pool is a zone of its own in its region: shapes of one zone run out one by one."""
    return f"{pool.cloud}.{pool.region}-az{number}"


def _room(replicas: int) -> int:
    """Machines that a place has at most: about as many as in the published comparisons with 1, 3, 10, 50 and 200 replicas."""
    return min(replicas + 1, 3 + math.ceil(replicas / 2))


def _trace(zones: Mapping[str, Pool], room: int, seed: int) -> Trace:
    """Capacity by the law, prices as in the plan."""
    spot = tuple(z for z, p in zones.items() if p.market is Market.SPOT)
    days = DAYS + WARM_UP_S / 86_400
    drawn = generate(TraceKind.AGED, seed=seed, days=days, room=room, zones=spot)
    series = {}
    for zone, pool in zones.items():
        prices = [math.nan if usd is None else usd for usd in _prices(pool).values()]
        series[zone] = made = Series()
        if zone in drawn.zones:
            capacity = zip(drawn.zones[zone].times, drawn.zones[zone].capacity, strict=True)
        else:
            capacity = zip((0.0,), (0,), strict=True)
        for at, number in capacity:
            made.append(at, number, *prices)
    return Trace(drawn.name, series, drawn.end_s)
