"""On demand beside a launch that may be refused: what it costs to be sure, where waiting to know would cost more.

Whether a place has a machine shows half a minute later, or minutes. A machine on demand that is asked for at the same moment
is there as soon, and leaves when the other has come too.
"""

from __future__ import annotations

from lb.decide import settings
from lb.decide.budget import Money
from lb.decide.places import chance, has_a_base, obstacle, worth
from lb.decide.portfolio import Counts
from lb.decide.tick import Tick
from spec.desired import Pool, Service
from spec.names import Market

_HOUR = 3600.0


def cover(tick: Tick, service: Service, chosen: Counts, money: Money, *, most: int) -> None:
    """Adds to the launches that are `chosen` up to `most` that are sure to come, as far as there is money, which is spent."""
    best = _best(tick, service, money)
    if best is None:
        return
    room = (
        best.max_size - tick.machines(best.id) - tick.pool_memory[best.id].awaiting - chosen.get(best.id, 0)
    )
    doubtful = sum(number for pool_id, number in chosen.items() if _pays(tick, service, pool_id, best, money))
    for _ in range(min(doubtful, most, room)):
        if money.refusal(best) is None:
            chosen[best.id] = chosen.get(best.id, 0) + 1
            money.spend(best)


def _best(tick: Tick, service: Service, money: Money) -> Pool | None:
    """The cheapest place that is sure; none where the service wants on demand as its base only."""
    if has_a_base(tick, service) and not service.scaling.dynamic_ondemand_fallback:
        return None
    sure = (p for p in tick.pools_of(service) if p.market is not Market.SPOT and obstacle(tick, p) is None)
    return min(sure, key=lambda p: (money.price(p) or 0.0, p.id), default=None)


def _pays(tick: Tick, service: Service, pool_id: str, best: Pool, money: Money) -> bool:
    """Whether a launch there is doubtful enough. SkyServe's `dynamic_ondemand_fallback` asks for it whenever spot is in trouble."""
    if tick.pools[pool_id].market is not Market.SPOT:
        return False
    doubt = 1.0 - chance(tick.pool_memory[pool_id], tick.now)
    if doubt and service.scaling.dynamic_ondemand_fallback and _in_trouble(tick, service):
        return True
    hour = worth(tick, service, service.scaling.min_replicas).short_usd_hour
    cold_start_s = max(best.cold_start_s, settings.LEAST_COLD_START_S)
    costs = best.launch_usd + (money.price(best) or 0.0) * cold_start_s / _HOUR
    return doubt * hour * settings.REFUSAL_TAKES_S / _HOUR > costs


def _in_trouble(tick: Tick, service: Service) -> bool:
    """Whether spot capacity lately refused, was lost or announced to go."""
    struck = (tick.pool_memory[p.id].struck_at for p in tick.pools_of(service) if p.market is Market.SPOT)
    return any(at is not None and tick.now < at + settings.SPOT_TROUBLE_S for at in struck)
