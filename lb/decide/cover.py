"""More launches than are needed, where some may be refused: what it costs to be sure, where waiting to know would cost more.

Whether a place has a machine shows half a minute later, or minutes. So another place is asked at the same moment, spot or on
demand, if that is worth it; what comes and is too much leaves when all are ready.
"""

from __future__ import annotations

from lb.decide import settings
from lb.decide.budget import Money
from lb.decide.places import chance_of, has_a_base, obstacle, starts_in_s
from lb.decide.portfolio import Counts
from lb.decide.tick import Tick
from spec.desired import Pool, Service
from spec.names import Market

_HOUR = 3600.0


def cover(
    tick: Tick, service: Service, chosen: Counts, money: Money, *, most: int, waiting_usd_hour: float
) -> None:
    """Adds to the launches that are `chosen` up to `most` others, as far as they pay and there is money, which is spent.

    Only while spot is in trouble: it lately refused, was lost or announced to go. One more is worth the share of a launch that
    will probably be refused and that it stands in for, times what it costs to hear of that first; it costs its start, if it
    comes. SkyServe's `dynamic_ondemand_fallback` asks for one on demand whatever it costs.
    """
    if not _in_trouble(tick, service):
        return
    doubts = {i: 1.0 - chance_of(tick, tick.pools[i]) for i in chosen}
    missing = sum(number * doubts[i] for i, number in chosen.items())
    others = [p for p in _allowed(tick, service) if p.id not in chosen]
    at_any_price = service.scaling.dynamic_ondemand_fallback
    for _ in range(min(most, sum(chosen.values()))):
        if not missing:
            return
        gain = min(1.0, missing) * waiting_usd_hour * settings.REFUSAL_TAKES_S / _HOUR
        usable = [p for p in others if _has_room(tick, p, chosen) and money.refusal(p) is None]
        if at_any_price:
            usable = [p for p in usable if p.market is not Market.SPOT]
        best = max(usable, key=lambda p: (_pays(tick, p, gain, money), p.id), default=None)
        if best is None or (_pays(tick, best, gain, money) <= 0.0 and not at_any_price):
            return
        chosen[best.id] = chosen.get(best.id, 0) + 1
        money.spend(best)
        missing -= min(1.0, missing) * chance_of(tick, best)


def _allowed(tick: Tick, service: Service) -> list[Pool]:
    """Where launches are possible; spot only, where the service wants on demand as its base only."""
    spot_only = has_a_base(tick, service) and not service.scaling.dynamic_ondemand_fallback
    return [
        p
        for p in tick.pools_of(service)
        if obstacle(tick, p) is None and (p.market is Market.SPOT or not spot_only)
    ]


def _has_room(tick: Tick, pool: Pool, chosen: Counts) -> bool:
    """Of spot one more in each place: where one is refused, the next is too."""
    more = chosen.get(pool.id, 0)
    if more and pool.market is Market.SPOT:
        return False
    return tick.machines(pool.id) + tick.pool_memory[pool.id].awaiting + more < pool.max_size


def _pays(tick: Tick, pool: Pool, gain: float, money: Money) -> float:
    costs = pool.launch_usd + (money.price(pool) or 0.0) * starts_in_s(pool) / _HOUR
    return chance_of(tick, pool) * (gain - costs)


def _in_trouble(tick: Tick, service: Service) -> bool:
    struck = (tick.pool_memory[p.id].struck_at for p in tick.pools_of(service) if p.market is Market.SPOT)
    return any(at is not None and tick.now < at + settings.SPOT_TROUBLE_S for at in struck)
