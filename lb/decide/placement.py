"""Where to launch: over the places of a service in the planner's order, spread over zones, around trouble.

A pool that refused or lost machines lately is left alone for a while. Capacity that is paid for anyway comes first, then
spot, then on demand, except for the replicas that the service wants on demand; `lb/decide/fallback.py` says how many.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from lb.decide import settings
from lb.decide.budget import Money
from lb.decide.commands import SetSize
from lb.decide.fallback import Where
from lb.decide.spend import on_exhausted
from lb.decide.targets import most_replicas
from lb.decide.tick import Tick, holds_place
from spec.desired import OnExhausted, Pool, PoolState, Service
from spec.names import Market

_COOLING = "cooling down"
_TIER = {Market.RESERVED: 0, Market.SPOT: 1, Market.ON_DEMAND: 2}


def grow(tick: Tick, service: Service, missing: dict[Where, int]) -> None:
    """Launches what is missing, the most urgent first, as far as limits, money and the clouds allow."""
    short = sum(missing.values())
    if short <= 0:
        return
    pools = tick.pools_of(service)
    total = sum(_staying(tick, p) + tick.pool_memory[p.id].awaiting for p in pools)
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
    chosen = _choose(tick, service, missing, min(room, settings.LAUNCHES_PER_TICK))
    for pool in pools:
        if chosen[pool.id]:
            _launch(tick, pool, chosen[pool.id], f"{service.name} lacks {short}")


def _staying(tick: Tick, pool: Pool) -> int:
    """Its machines, without those that the cloud is about to take away: whole zones must be replaceable at once."""
    return sum(not r.ended and r.preempt_at is None for r in tick.by_pool[pool.id].values())


def _choose(tick: Tick, service: Service, missing: dict[Where, int], most: int) -> Counter[str]:
    """How many to launch in each pool, at most `most` in all."""
    pools, money = tick.pools_of(service), Money(tick)
    obstacles = {p.id: _obstacle(tick, p) for p in pools}
    room = {
        p.id: p.max_size - tick.machines(p.id) - tick.pool_memory[p.id].awaiting
        for p in pools
        if obstacles[p.id] is None
    }
    placed = Placed(tick, pools)
    at_the_floor = on_exhausted(tick.desired, tick.spend_memory, service) is OnExhausted.FLOOR
    by_price = {p.id: (money.price(p) or 0.0) if at_the_floor else 0.0 for p in pools}
    chosen: Counter[str] = Counter()
    for where, short in missing.items():
        allowed = [p for p in pools if where.takes(p)]
        for number in range(min(short, most - chosen.total())):
            ranked = sorted(
                (p for p in allowed if room.get(p.id, 0) > 0),
                key=lambda p: (by_price[p.id], placed.rank(p, where)),
            )
            pool = next((p for p in ranked if money.refusal(p) is None), None)
            if pool is None:
                refusals = [money.refusal(p) for p in ranked]
                _explain(
                    tick, service, short - number, allowed, refusals + [obstacles[p.id] for p in allowed]
                )
                break
            chosen[pool.id] += 1
            room[pool.id] -= 1
            placed.add(pool)
            money.spend(pool)
    return chosen


class Placed:
    """How many replicas each zone has, with those that this decision adds."""

    def __init__(self, tick: Tick, pools: list[Pool]) -> None:
        self._order = {p.id: n for n, p in enumerate(pools)}
        self._zones: Counter[tuple[str, str, str | None]] = Counter()
        self._losing = {
            _zone(tick.pools[i])
            for i, replicas in tick.by_pool.items()
            if any(r.preempt_at is not None and not r.ended for r in replicas.values())
        }
        for pool in pools:
            holding = sum(holds_place(r) and not r.ended for r in tick.by_pool[pool.id].values())
            self._zones[_zone(pool)] += holding + tick.pool_memory[pool.id].awaiting

    def add(self, pool: Pool) -> None:
        """Counts one more."""
        self._zones[_zone(pool)] += 1

    def rank(self, pool: Pool, where: Where) -> tuple[int, bool, int, int]:
        """Smaller is better.

        The market, then whether the zone is losing machines, how many it has already, and the planner's order.
        """
        first = where is Where.ON_DEMAND_FIRST and pool.market is Market.ON_DEMAND
        zone = _zone(pool)
        return (
            -1 if first else _TIER[pool.market],
            zone in self._losing,
            self._zones[zone],
            self._order[pool.id],
        )


def _zone(pool: Pool) -> tuple[str, str, str | None]:
    return pool.cloud, pool.region, pool.zone


def _obstacle(tick: Tick, pool: Pool) -> str | None:
    """Why nothing can be launched there now; None when it can."""
    memory = tick.pool_memory[pool.id]
    if pool.state is PoolState.RETIRING:
        return "retiring"
    if pool.held:
        return "the stack that declares it can't be read"
    if pool.id not in tick.seen:
        return "not observed"
    if not tick.open(pool.id):
        return "busy"
    if tick.now < memory.not_before:
        return _COOLING
    if tick.unfilled(pool.id) > memory.awaiting:
        return "being put right"
    if tick.machines(pool.id) + memory.awaiting >= pool.max_size:
        return "full"
    return None


def _launch(tick: Tick, pool: Pool, number: int, why: str) -> None:
    memory = tick.pool_memory[pool.id]
    awaiting = memory.awaiting + number
    size = tick.machines(pool.id) + awaiting
    tick.pool_memory[pool.id] = replace(memory, awaiting=awaiting, asked_at=tick.now)
    tick.order(SetSize(pool.id, size), f"{pool.id}: {number} more, to {size}: {why}")


def _explain(
    tick: Tick, service: Service, short: int, pools: list[Pool], obstacles: list[str | None]
) -> None:
    why = Counter(o for o in obstacles if o is not None)
    told = ", ".join(f"{reason} ({n} pools)" for reason, n in sorted(why.items())) or "every pool is full"
    if set(why) == {_COOLING}:
        soonest = math.ceil(min(tick.pool_memory[p.id].not_before for p in pools))
        told += f", the first until {datetime.fromtimestamp(soonest, UTC):%H:%M:%SZ}"
    tick.say(f"{service.name}: {short} missing and nowhere to launch: {told}")
