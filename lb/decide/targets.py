"""How many replicas of a service should be ready, what they have to be worth, and how many it may have."""

from __future__ import annotations

from lb.decide import scaling
from lb.decide.scaling.schedule import floor
from lb.decide.tick import Tick, holds_place
from lb.decide.units import Units
from spec.desired import Pool, PoolState, Service
from spec.names import Market
from spec.status import ReplicaState as S

SETTLED_S = 60.0
"""What callers met is known of the last minute: a replica counts for it when it has served through all of that."""
_KEPT_FIRST = {S.READY: 0, S.UNREADY: 1, S.STARTING: 2, S.PENDING: 3}


def target_replicas(tick: Tick, service: Service) -> int:
    """The number that should be ready now, spares included; remembers what it follows from, and says why it moves."""
    view = scaling.View(tick.load.get(service.name), tick.engines, _supply(tick, service))
    memory = tick.scaling_memory.get(service.name)
    needed, after, reason = scaling.target(service, view, memory, tick.now)
    if after is not None:
        tick.scaling_memory[service.name] = after
    if reason:
        tick.say(reason)
    tick.needed[service.name], units = needed, tick.units[service.name]
    replicas = view.supply.replicas(scaling.with_spares(service.scaling, needed, units))
    if units.mixed and replicas:
        replicas = min(max(replicas, least_replicas(tick, service)), service.scaling.max_replicas)
    return replicas


def needed_units(tick: Tick, service: Service, target: int, units: Units) -> tuple[int, int]:
    """What so many replicas have to be worth for what was asked for, and how much more for the spares that the service wants.

    `units`: what replicas are worth; where all are the same the target is what budgets have left of it.
    """
    needed = tick.needed[service.name]
    if units.mixed and target:
        return needed, scaling.with_spares(service.scaling, needed, units) - needed
    least = min(target, needed)
    return least, target - least


def least_replicas(tick: Tick, service: Service) -> int:
    """So many are held whatever they are worth: the minimum, and what a schedule asks for now."""
    return max(service.scaling.min_replicas, floor(service.scaling, tick.now).replicas)


def most_replicas(service: Service) -> int:
    """The number that is never exceeded, moves and updates included."""
    return service.scaling.max_replicas + service.scaling.surge


def _supply(tick: Tick, service: Service) -> scaling.Supply:
    if not service.scaling.follows_load:
        return scaling.Supply()
    units = tick.units[service.name]
    pools = [p for p in tick.pools_of(service) if p.state is PoolState.ACTIVE]
    alive = sorted(
        (_KEPT_FIRST.get(r.state, 1), r.instance.launched_at, rid, r.pool_id)
        for rid, r in tick.replicas_of(service)
        if holds_place(r)
    )
    # One whose preemption is announced holds no place, but bears a part of the load until it drains.
    ready = {rid: r for rid, r in tick.replicas_of(service) if r.state is S.READY}
    return scaling.Supply(
        alive=tuple(units.of(tick.pools[pool_id]) for *_, pool_id in alive),
        next=_next_pool(tick, pools),
        whole=all(p.id in tick.seen for p in tick.pools_of(service)),
        ready=tuple(sorted(ready)),
        serving=tuple(units.of(tick.pools[ready[rid].pool_id]) for rid in sorted(ready)),
        settled=sum(
            units.of(tick.pools[r.pool_id]) for r in ready.values() if tick.now >= r.since + SETTLED_S
        ),
        units=units,
    )


def _next_pool(tick: Tick, pools: list[Pool]) -> Pool | None:
    """Where the next replica would go by the planner's order: not where trouble was lately, on demand last."""
    return min(
        pools,
        key=lambda p: (tick.now < tick.pool_memory[p.id].not_before, p.market is Market.ON_DEMAND),
        default=None,
    )
