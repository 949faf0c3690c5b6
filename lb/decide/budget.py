"""What may still be launched for the money: `worst_usd_hour` of each service and of the environment.

A machine costs what its pool costs now, whatever state it is in; one that was asked for costs from then on. A pool
without a price is taken at the dearest price that is known; when none is, nothing is launched.
"""

from __future__ import annotations

from lb.decide.tick import Tick
from spec.desired import Pool

_ROUNDING = 1e-9


class Money:
    """What runs and is awaited costs, per service and in all. USD per hour."""

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        known = {i: _price(tick, pool) for i, pool in tick.pools.items()}
        dearest = max((p for p in known.values() if p is not None), default=None)
        self._prices = {i: dearest if price is None else price for i, price in known.items()}
        self._of_service = dict.fromkeys(tick.services, 0.0)
        for pool in tick.pools.values():
            machines = tick.machines(pool.id) + tick.pool_memory[pool.id].awaiting
            self._of_service[pool.service] += machines * (self._prices[pool.id] or 0.0)

    @property
    def total(self) -> float:
        """The environment with its fixed costs."""
        return self._tick.desired.fixed_usd_hour + sum(self._of_service.values())

    def price(self, pool: Pool) -> float | None:
        """What one machine of the pool is counted with; None when no price at all is known."""
        return self._prices[pool.id]

    def refusal(self, pool: Pool) -> str | None:
        """Why one more machine in that pool can't be afforded; None when it can."""
        price = self._prices[pool.id]
        if price is None:
            return "no price is known"
        service = self._tick.services[pool.service].budget.worst_usd_hour
        of_service = self._of_service[pool.service] + price
        if service is not None and of_service > service + _ROUNDING:
            return f"worst_usd_hour {service:g} of the service"
        environment = self._tick.desired.budget.worst_usd_hour
        if environment is not None and self.total + price > environment + _ROUNDING:
            return f"worst_usd_hour {environment:g} of the environment"
        return None

    def spend(self, pool: Pool) -> None:
        """Counts one more machine in that pool."""
        self._of_service[pool.service] += self._prices[pool.id] or 0.0


def _price(tick: Tick, pool: Pool) -> float | None:
    """The cloud's price of now, or else the one that was planned with."""
    observation = tick.seen.get(pool.id)
    live = observation.prices.of(pool.market) if observation and observation.prices else None
    return pool.price_usd_hour if live is None else live
