"""Where replicas are to be: the portfolio of a part of a service, and the launches that lead there.

A pool that refused or lost machines lately is left alone for a while. Spot or on demand, near or far, is a matter of price and
risk; replicas that a service wants on demand in any case are a part of their own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lb.decide import rollout, settings
from lb.decide.budget import Money
from lb.decide.commands import SetSize
from lb.decide.cover import cover
from lb.decide.memory import ReplicaMemory
from lb.decide.places import COOLING, has_a_base, obstacle, places, said, units_in, waiting_usd_hour, worth
from lb.decide.portfolio import Counts, Worth
from lb.decide.search import choose
from lb.decide.spend import on_exhausted
from lb.decide.targets import least_replicas, most_replicas, needed_units
from lb.decide.tick import Tick, clock
from lb.decide.units import Units
from spec.desired import OnExhausted, Pool, PoolState, Service
from spec.names import Market
from spec.status import ReplicaState as S


@dataclass(frozen=True, slots=True)
class Placed:
    """Replicas that count together, and where they are to be.

    Attributes:
        replicas: those that count, by id.
        pools: where they may be.
        units: what a replica is worth, by pool.
        have: by pool, with those that are awaited.
        wanted: by pool.
        short: how many are missing even where there is room for no more.
        most: how many there may be, moves apart.
        waiting_usd_hour: what it costs that what is launched comes later.

    """

    replicas: Mapping[str, ReplicaMemory]
    pools: tuple[Pool, ...]
    units: Counts
    have: Counts
    wanted: Counts
    short: int
    most: int
    waiting_usd_hour: float

    @property
    def lacking(self) -> Counts:
        """By pool, how many are to be launched."""
        return {i: n - self.have.get(i, 0) for i, n in self.wanted.items() if n > self.have.get(i, 0)}

    @property
    def short_by(self) -> int:
        """How many of those there are too few in all, wherever they are."""
        missing, number = self.worth(self.wanted) - self.worth(self.have), 0
        for pool_id, lacking in sorted(self.lacking.items(), key=lambda item: (self.units[item[0]], item[0])):
            launches = min(lacking, math.ceil(max(0, missing) / self.units[pool_id]))
            number, missing = number + launches, missing - launches * self.units[pool_id]
        return number

    @property
    def surplus(self) -> Counts:
        """By pool, how many it has beyond what it should."""
        return {i: n - self.wanted.get(i, 0) for i, n in self.have.items() if n > self.wanted.get(i, 0)}

    def worth(self, counts: Counts) -> int:
        """Units of so many replicas by pool."""
        return _worth(self.units, counts)


def parts_of(
    tick: Tick, service: Service, target: int, extra: int, counted: Mapping[str, ReplicaMemory]
) -> list[Placed]:
    """Where the replicas of a service are to be: those that it wants on demand in any case, and all others.

    Args:
        tick: the decision in the making.
        service: whose pools that are not retiring are chosen from.
        target: how many should be ready, spares included.
        extra: as many more are held by an update for a while.
        counted: the replicas that hold a place.

    """
    pools = [p for p in tick.pools_of(service) if p.state is PoolState.ACTIVE]
    # What a place that refuses and loses still owes is not counted on, also where the cloud goes on trying by itself.
    awaiting: Counts = {
        p.id: n for p in pools if (n := tick.pool_memory[p.id].awaiting) and obstacle(tick, p) != COOLING
    }
    units = units_in(tick, service)
    needed, spares = needed_units(tick, service, target, units)
    needed += extra * units.most  # one of the largest shape must be able to move
    rolling, whole = rollout.moves(tick.service_memory[service.name]), target + extra
    # One place stays free for a move: with spares up to the limit, what is dear could never be replaced.
    least, most = 0, whole if rolling else max(target, most_replicas(service) - 1)
    if units.mixed:
        # What is needed may be worth fewer than an update holds, or the service wants in any case, and more than it may have.
        least = whole if rolling else min(target, least_replicas(tick, service))
        most = max(whole, service.scaling.max_replicas + extra)
    base = min(service.scaling.base_ondemand_fallback_replicas, target) if has_a_base(tick, service) else 0
    if not base:
        return [
            _place(tick, service, pools, counted, awaiting, goal=_Goal(units, needed, spares, least, most))
        ]
    on_demand = [p for p in pools if p.market is Market.ON_DEMAND]
    ids = {p.id for p in on_demand}
    oldest = sorted((r.instance.launched_at, i) for i, r in counted.items() if r.pool_id in ids)
    first = {i: counted[i] for _, i in oldest[:base]}
    coming: Counts = {}
    for pool in on_demand:
        coming[pool.id] = min(awaiting.get(pool.id, 0), base - len(first) - sum(coming.values()))
    others_at_most = (
        most - base
    ) * units.most  # where limits are tight the large ones may have to be of the base
    goal = _Goal(units, max(base * units.least, needed - others_at_most), 0, base if units.mixed else 0, base)
    lowest = _place(tick, service, on_demand, first, coming, goal=goal)
    if len(first) == base:
        # It stays where it is: one more on demand would count with the others, be too much there, and be asked for again.
        lowest = replace(lowest, wanted=dict(lowest.have), short=0)
    rest = {i: r for i, r in counted.items() if i not in first}
    others = {i: n - coming.get(i, 0) for i, n in awaiting.items()}
    left = max(0, needed + spares - lowest.worth(lowest.wanted))
    spares = min(spares, max(0, left - 1))
    most = max(most, whole + lowest.short) - base
    if not service.scaling.dynamic_ondemand_fallback:
        pools = [p for p in pools if p.id not in ids]
    return [
        lowest,
        _place(
            tick, service, pools, rest, others, goal=_Goal(units, left - spares, spares, least - base, most)
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Goal:
    """What a part is to be worth: so many units, and so many more as spares, in so many replicas at least and at most."""

    units: Units
    needed: int
    spares: int
    least: int
    most: int


def _place(
    tick: Tick,
    service: Service,
    pools: list[Pool],
    replicas: Mapping[str, ReplicaMemory],
    awaiting: Counts,
    *,
    goal: _Goal,
) -> Placed:
    have: Counts = Counter(awaiting)
    for replica in replicas.values():
        have[replica.pool_id] = have.get(replica.pool_id, 0) + 1
    units, needed, spares = goal.units, max(goal.needed, goal.least * goal.units.least), goal.spares
    by_pool = {p.id: units.of(p) for p in tick.pools_of(service)}
    cheapest = on_exhausted(tick.desired, tick.spend_memory, service) is OnExhausted.FLOOR
    price = Worth(0.0, 0.0) if cheapest else worth(tick, service, needed, units)
    short = _worth(by_pool, have) < needed
    waiting = waiting_usd_hour(tick, pools, have, price, short=short)
    known = places(tick, pools, have, Money(tick), units=units, waiting_usd_hour=waiting)
    if cheapest:
        known = [replace(place, entry_usd_hour=0.0) for place in known]
    chosen = choose(known, needed, price, least_spares=spares, least=goal.least, most=goal.most)
    number, missing = sum(chosen.values()), needed + spares - _worth(by_pool, chosen)
    lacking = min(max(0, math.ceil(missing / units.most), goal.least - number), goal.most - number)
    return Placed(replicas, tuple(pools), by_pool, have, chosen, lacking, goal.most, waiting)


def _worth(units: Counts, counts: Counts) -> int:
    return sum(n * units[i] for i, n in counts.items())


def grow(tick: Tick, service: Service, parts: list[Placed]) -> None:
    """Launches what is missing, the most urgent first, as far as limits, money and the clouds allow."""
    lacking = Counter({i: n for part in parts for i, n in part.lacking.items()})
    short = lacking.total() + sum(part.short for part in parts)
    if short <= 0:
        return
    total = sum(_staying(tick, p) + tick.pool_memory[p.id].awaiting for p in tick.pools_of(service))
    room = most_replicas(service) - total
    if room <= 0:
        tick.say(
            f"{service.name}: {short} missing, but {total} of at most {most_replicas(service)} machines exist"
        )
        return
    record = tick.service_memory[service.name]
    if tick.now < record.not_before:
        tick.say(f"{service.name}: {short} missing; launches wait after {record.failures} failures in a row")
        return
    serving = all(r.state is S.READY for part in parts for r in part.replicas.values())
    at_once, too_few = min(room, settings.LAUNCHES_PER_TICK), sum(part.short_by for part in parts)
    if too_few:
        _tell_cover(tick, service, too_few)
    if not serving or rollout.moves(record):
        # one change at a time: nothing moves to a better place meanwhile
        at_once = min(at_once, too_few)
    money = Money(tick)
    chosen = _affordable(tick, lacking, money, at_once)
    if not rollout.moves(record):
        waiting = max(part.waiting_usd_hour for part in parts)
        most = min(room - sum(chosen.values()), too_few)  # a move can wait
        cover(tick, service, chosen, money, most=most, waiting_usd_hour=waiting)
    for pool_id, number in sorted(chosen.items()):
        _launch(tick, tick.pools[pool_id], number, f"{service.name} lacks {short}")
    for part in parts:
        if part.short:
            _explain(tick, service, part, [money.refusal(p) for p in part.pools])


def _affordable(tick: Tick, lacking: Counts, money: Money, most: int) -> Counts:
    """As many of them as there is room and money for, which is spent."""
    chosen: Counts = Counter()
    for pool_id in sorted(lacking, key=lambda i: (money.price(tick.pools[i]) or 0.0, i)):
        for _ in range(lacking[pool_id]):
            if sum(chosen.values()) >= most or money.refusal(tick.pools[pool_id]) is not None:
                break
            chosen[pool_id] = chosen.get(pool_id, 0) + 1
            money.spend(tick.pools[pool_id])
    return chosen


def _staying(tick: Tick, pool: Pool) -> int:
    """Its machines, without those that the cloud is about to take away: whole zones must be replaceable at once."""
    return sum(not r.ended and r.preempt_at is None for r in tick.by_pool[pool.id].values())


def _launch(tick: Tick, pool: Pool, number: int, why: str) -> None:
    memory = tick.pool_memory[pool.id]
    awaiting = memory.awaiting + number
    size = tick.machines(pool.id) + awaiting
    tick.pool_memory[pool.id] = replace(memory, awaiting=awaiting, asked_at=tick.now)
    tick.order(SetSize(pool.id, size), f"{pool.id}: {number} more, to {size}: {why}; {said(tick, pool)}")


def _tell_cover(tick: Tick, service: Service, too_few: int) -> None:
    load = tick.load.get(service.name)
    if load is not None and load.hosted_usd_hour is not None:
        costs = f"about {load.hosted_usd_hour:.2f} USD per hour"
        tick.say(
            f"{service.name}: {too_few} missing; a hosted provider covers for {costs} while none is ready"
        )


def _explain(tick: Tick, service: Service, part: Placed, refusals: list[str | None]) -> None:
    why = Counter(o for o in (*refusals, *(obstacle(tick, p) for p in part.pools)) if o is not None)
    told = ", ".join(f"{reason} ({n} pools)" for reason, n in sorted(why.items())) or "every pool is full"
    if set(why) == {COOLING}:
        soonest = math.ceil(min(tick.pool_memory[p.id].not_before for p in part.pools))
        told += f", the first until {clock(soonest)}"
    tick.say(f"{service.name}: {part.short} missing and nowhere to launch: {told}")
