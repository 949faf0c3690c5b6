"""What is known of each place of a service, as numbers that a portfolio can be chosen by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lb.decide import settings
from lb.decide.budget import Money
from lb.decide.memory import PoolMemory
from lb.decide.portfolio import Place, Worth
from lb.decide.risk import hazard, loss, mean_stay_s, stays
from lb.decide.spend import on_exhausted
from lb.decide.tick import Tick
from lb.decide.units import REPLICAS, Units
from spec.desired import OnExhausted, Pool, PoolState, Service
from spec.names import Market

COOLING = "cooling down"
_HOUR = 3600.0


def remember(tick: Tick) -> None:
    """Notes since when each pool has had machines without a loss, and when the last of them was given back."""
    for pool_id in tick.pools:
        memory = tick.pool_memory[pool_id]
        here = any(not r.ended and r.preempt_at is None for r in tick.by_pool[pool_id].values())
        if here and (memory.up_since is None or memory.left_at is not None):
            since = tick.now - age_s(memory, tick.now)
            tick.pool_memory[pool_id] = replace(memory, up_since=since, left_at=None)
        elif not here and memory.up_since is not None and memory.left_at is None:
            tick.pool_memory[pool_id] = replace(memory, left_at=tick.now)


def places(
    tick: Tick,
    pools: Iterable[Pool],
    held: Mapping[str, int],
    money: Money,
    *,
    units: Units = REPLICAS,
    waiting_usd_hour: float = 0.0,
) -> list[Place]:
    """One for each pool that has replicas, or may get some now.

    Args:
        tick: the decision in the making.
        pools: those that are looked at.
        held: replicas that count, by pool.
        money: what they cost.
        units: what they are worth.
        waiting_usd_hour: what it costs that the next replica comes later.

    """
    found = []
    for pool in pools:
        here, free = held.get(pool.id, 0), _free(tick, pool, money)
        if here + free:
            worth = units.of(pool)
            found.append(_place(tick, pool, money, waiting_usd_hour, held=here, free=free, units=worth))
    return found


def waiting_usd_hour(
    tick: Tick, pools: Iterable[Pool], held: Mapping[str, int], price: Worth, *, short: bool
) -> float:
    """What it costs that the next replica comes later: being short as now, or that the next loss leaves the service short."""
    if short:
        return price.short_usd_hour
    exposed = sum(hazard_of(tick, pool) * starts_in_s(pool) for pool in pools if held.get(pool.id))
    return price.short_usd_hour * min(1.0, exposed)


def worth(tick: Tick, service: Service, needed: int, units: Units = REPLICAS) -> Worth:
    """What being short costs a service that needs so many units: what on demand would, times what its target asks.

    The closer the target is to always, the more an hour of being short may cost; but no more than a hosted provider would take
    for it, where the edges send it what comes while no replica is ready.
    """
    prices = ((p.prices.on_demand or p.prices.spot or 0.0) / units.of(p) for p in tick.pools_of(service))
    dearest = max(prices, default=0.0)
    allowed = 1.0 - service.scaling.slo / 100.0
    always = settings.SHORT_COST * max(1, needed) * dearest
    short = always / max(allowed, settings.LEAST_ALLOWED)
    none = settings.NONE_COST * always / max(allowed, settings.NONE_LEAST_ALLOWED)
    none *= 1.0 - 1.0 / max(1, needed / units.most)
    price = Worth(short, none)
    load = tick.load.get(service.name)
    if load is None or load.hosted_usd_hour is None:
        return price
    return _covered(price, load.hosted_usd_hour, load.hosted_most_usd_hour)


def _covered(price: Worth, usd_hour: float, most_usd_hour: float | None) -> Worth:
    """The same with a hosted provider that would take so much for all that callers ask, and may take `most_usd_hour`.

    What some replicas are too few for waits in their queues: the provider gets it only when none is ready. That its answers
    could be had for so much is what waiting for them is worth at most. Callers beyond its limit have nobody.
    """
    share = 1.0 if most_usd_hour is None or usd_hour <= most_usd_hour else most_usd_hour / usd_hour
    short = min(price.short_usd_hour, usd_hour)
    none = min(price.none_usd_hour, usd_hour - short)
    return Worth(
        share * short + (1.0 - share) * price.short_usd_hour,
        share * none + (1.0 - share) * price.none_usd_hour,
    )


def units_in(tick: Tick, service: Service) -> Units:
    """What replicas of the service are worth; one each where only the cheapest may stay."""
    units = tick.units[service.name]
    if units is REPLICAS:
        return units
    at_the_floor = on_exhausted(tick.desired, tick.spend_memory, service) is OnExhausted.FLOOR
    return REPLICAS if at_the_floor else units


def has_a_base(tick: Tick, service: Service) -> bool:
    """Whether some replicas of the service are on demand in any case, and counted apart."""
    if not service.scaling.base_ondemand_fallback_replicas:
        return False
    if on_exhausted(tick.desired, tick.spend_memory, service) is OnExhausted.FLOOR:
        return False  # the cheapest pools, whichever they are
    markets = {p.market is Market.ON_DEMAND for p in tick.pools_of(service) if p.state is PoolState.ACTIVE}
    return len(markets) > 1


def obstacle(tick: Tick, pool: Pool) -> str | None:
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
        return COOLING
    if tick.unfilled(pool.id) > memory.awaiting:
        return "being put right"
    if tick.machines(pool.id) + memory.awaiting >= pool.max_size:
        return "full"
    return None


def age_s(memory: PoolMemory, now: float) -> float:
    """For how long the place has been up, as far as is known.

    What nobody watched for less time than it had been up before most likely went on; of a place that was never held, what
    is known is only that it is up, and those are rather old ones.
    """
    if memory.up_since is None:
        # Once it is up again it may have been so since any moment after it was seen down.
        since_s = math.inf if memory.struck_at is None else now - memory.struck_at
        return min(since_s / 2, settings.UNKNOWN_AGE_S)
    if memory.left_at is None:
        return now - memory.up_since
    before, unwatched = memory.left_at - memory.up_since, now - memory.left_at
    return now - memory.up_since if unwatched <= before else settings.UNKNOWN_AGE_S


def chance(memory: PoolMemory, now: float) -> float:
    """The probability that a launch there succeeds."""
    if memory.struck_at is not None and memory.struck_since is not None:
        return 1.0 - stays(memory.struck_at - memory.struck_since, now - memory.struck_at)
    if memory.up_since is None or memory.left_at is None:
        return (
            settings.UNKNOWN_CHANCE
        )  # of one that is up: how many it holds beside those that are here is not known
    return stays(memory.left_at - memory.up_since, now - memory.left_at)


def said(tick: Tick, pool: Pool) -> str:
    """How safe the place is, in words: "up 4 min, 8 % risk in the next 150 s"."""
    if pool.market is not Market.SPOT:
        return pool.market.replace("_", " ")
    memory, span_s = tick.pool_memory[pool.id], starts_in_s(pool)
    age = age_s(memory, tick.now)
    watched = memory.up_since is not None and memory.left_at is None
    known = f"up {_told(age)}" if watched else "not seen up lately"
    return f"{known}, {100 * loss(age, span_s):.2g} % risk in the next {span_s:g} s"


def _told(seconds: float) -> str:
    for unit_s, unit in ((86_400.0, "d"), (_HOUR, "h"), (60.0, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def hazard_of(tick: Tick, pool: Pool) -> float:
    """Losses per second of the place; 0 of what is not taken away."""
    return hazard(age_s(tick.pool_memory[pool.id], tick.now)) if pool.market is Market.SPOT else 0.0


def chance_of(tick: Tick, pool: Pool) -> float:
    """The probability that a launch there succeeds now; 1 where nothing is refused."""
    return chance(tick.pool_memory[pool.id], tick.now) if pool.market is Market.SPOT else 1.0


def starts_in_s(pool: Pool) -> float:
    """A cold start there: for so long a replica that is lost is missed; that a notice may spare a part of it is not counted on."""
    return max(pool.cold_start_s, settings.LEAST_COLD_START_S)


def _free(tick: Tick, pool: Pool, money: Money) -> int:
    """How many machines can be launched there now."""
    if obstacle(tick, pool) is not None or money.refusal(pool) is not None:
        return 0
    return pool.max_size - tick.machines(pool.id) - tick.pool_memory[pool.id].awaiting


def _place(
    tick: Tick, pool: Pool, money: Money, waiting_usd_hour: float, *, held: int, free: int, units: int
) -> Place:
    price = money.price(pool) or 0.0
    doubt = 1.0 - chance_of(tick, pool) if free else 0.0
    dollars = pool.launch_usd * _HOUR / _stay_s(tick, pool) if pool.launch_usd else 0.0
    return Place(
        id=pool.id,
        usd_hour=0.0 if pool.market is Market.RESERVED else price,
        hazard=hazard_of(tick, pool),
        short_s=starts_in_s(pool),
        held=held,
        room=held + free,
        units=units,
        entry_usd_hour=dollars
        + price * max(starts_in_s(pool), settings.MOVE_COSTS_S) / settings.MOVE_PAYS_WITHIN_S
        + doubt * waiting_usd_hour * settings.REFUSAL_TAKES_S / settings.MOVE_PAYS_WITHIN_S,
    )


def _stay_s(tick: Tick, pool: Pool) -> float:
    """For how long a replica that is brought there will probably stay; on demand until spot is there again."""
    if pool.market is not Market.SPOT:
        return settings.ON_DEMAND_STAYS_S
    return mean_stay_s(age_s(tick.pool_memory[pool.id], tick.now), settings.STAY_COUNTS_S)
