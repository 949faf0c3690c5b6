"""What may still be launched for the money: `worst_usd_hour` and `usd_month`, of each service and of the environment.

A machine costs what its pool costs now, whatever state it is in; one that was asked for is held against limits from then
on. A pool without a price is taken at the dearest price that is known; when none is, nothing is launched.
"""

from __future__ import annotations

from collections.abc import Mapping

from lb.decide import settings
from lb.decide.memory import ENVIRONMENT, Exhausted
from lb.decide.tick import Tick
from spec.desired import Budget, OnExhausted, Pool, Service

_ROUNDING = 1e-9


class Money:
    """What runs and is awaited costs, per service and in all. USD per hour."""

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        if tick.prices is None:
            tick.prices = _prices(tick)
        self._prices = tick.prices
        self._running = dict.fromkeys(tick.services, 0.0)
        self._awaited = dict.fromkeys(tick.services, 0.0)
        self._doomed = dict.fromkeys(tick.services, 0.0)
        self._staying = dict.fromkeys(tick.services, 0)
        self._launches = dict.fromkeys(tick.services, 0.0)
        for pool in tick.pools.values():
            if not tick.by_pool[pool.id] and not tick.pool_memory[pool.id].awaiting:
                continue
            price = self._prices[pool.id] or 0.0
            doomed = sum(r.preempt_at is not None and not r.ended for r in tick.by_pool[pool.id].values())
            machines, awaiting = tick.machines(pool.id), tick.pool_memory[pool.id].awaiting
            self._running[pool.service] += tick.replicas_in(pool) * price
            self._awaited[pool.service] += awaiting * price
            self._doomed[pool.service] += doomed * price
            self._staying[pool.service] += machines + awaiting - doomed
            self._launches[pool.service] += awaiting * pool.launch_usd

    def rates(self, before: Mapping[str, float]) -> dict[str, float]:
        """What runs now, by service, and the fixed costs of the environment.

        While no price is known at all, what runs is taken to cost what it did `before`.
        """
        running = self._running
        if all(price is None for price in self._prices.values()):
            services = self._tick.services.values()
            running = {s.name: before.get(s.name, 0.0) if self._runs(s) else 0.0 for s in services}
        return {ENVIRONMENT: self._tick.desired.fixed_usd_hour, **running}

    def _runs(self, service: Service) -> bool:
        return any(self._tick.machines(p.id) for p in self._tick.pools_of(service))

    def committed(self, scope: str) -> float:
        """What runs and is awaited; of the environment with its fixed costs."""
        if scope != ENVIRONMENT:
            return self._running[scope] + self._awaited[scope]
        everything = sum(self._running.values()) + sum(self._awaited.values())
        return self._tick.desired.fixed_usd_hour + everything

    def staying(self, scope: str) -> float:
        """The same without machines whose preemption is announced: others may take their place."""
        doomed = sum(self._doomed.values()) if scope == ENVIRONMENT else self._doomed[scope]
        return self.committed(scope) - doomed

    def price(self, pool: Pool) -> float | None:
        """What one machine of the pool is counted with; None when no price at all is known."""
        return self._prices[pool.id]

    def refusal(self, pool: Pool) -> str | None:
        """Why one more machine in that pool can't be afforded; None when it can."""
        price = self._prices[pool.id]
        if price is None:
            return "no price is known"
        service = self._tick.services[pool.service].budget
        return self._too_dear(pool, price, pool.service, service, "the service") or self._too_dear(
            pool, price, ENVIRONMENT, self._tick.desired.budget, "the environment"
        )

    def _too_dear(self, pool: Pool, price: float, scope: str, budget: Budget, of: str) -> str | None:
        worst = budget.worst_usd_hour
        if worst is not None and self.committed(scope) + price > worst + _ROUNDING:
            return f"worst_usd_hour {worst:g} of {of}"
        memory = self._tick.spend_memory
        exhausted = memory.exhausted.get(scope) if memory else None
        if exhausted is not None and not self._replaces(pool, price, scope, budget, exhausted):
            return f"usd_month {budget.usd_month:g} of {of} is used up"
        if exhausted is None and budget.usd_month is not None:
            more = pool.launch_usd + price * self.look_ahead_s(scope, budget) / 3600
            if self.soon_spent(scope, budget) + more >= budget.usd_month:
                return f"usd_month {budget.usd_month:g} of {of} is nearly used up"
        return None

    def soon_spent(self, scope: str, budget: Budget) -> float:
        """USD of the month that can't be saved any more, whatever is decided now."""
        launches = sum(self._launches.values()) if scope == ENVIRONMENT else self._launches[scope]
        ahead = self.committed(scope) * self.look_ahead_s(scope, budget) / 3600
        return self._tick.spent[scope] + launches + ahead

    def look_ahead_s(self, scope: str, budget: Budget) -> float:
        """For how long what runs must still be paid: until the next decision, and until what must go has drained."""
        if budget.on_exhausted is OnExhausted.HOLD:
            return settings.BUDGET_LOOK_AHEAD_S
        services = self._tick.services
        of_scope = services.values() if scope == ENVIRONMENT else [services[scope]]
        return settings.BUDGET_LOOK_AHEAD_S + max((s.routing.drain_limit_s for s in of_scope), default=0.0)

    def _replaces(self, pool: Pool, price: float, scope: str, budget: Budget, exhausted: Exhausted) -> bool:
        """Whether it only makes good a loss: up to what ran when the budget was used up, or up to the minimum."""
        match budget.on_exhausted:
            case OnExhausted.HOLD:
                return self.staying(scope) + price <= exhausted.usd_hour + _ROUNDING
            case OnExhausted.FLOOR:
                service = self._tick.services[pool.service]
                return self._staying[pool.service] < service.scaling.min_replicas
        return False

    def spend(self, pool: Pool) -> None:
        """Counts one more machine in that pool."""
        self._awaited[pool.service] += self._prices[pool.id] or 0.0
        self._staying[pool.service] += 1
        self._launches[pool.service] += pool.launch_usd


def price_usd_hour(tick: Tick, pool: Pool) -> float | None:
    """The cloud's price of now, or else the one that was planned with; None = neither is known."""
    observation = tick.seen.get(pool.id)
    live = observation.prices.of(pool.market) if observation and observation.prices else None
    return pool.price_usd_hour if live is None else live


def _prices(tick: Tick) -> dict[str, float | None]:
    """By pool, where none is known the dearest of all."""
    known = {i: price_usd_hour(tick, pool) for i, pool in tick.pools.items()}
    dearest = max((p for p in known.values() if p is not None), default=None)
    return {i: dearest if price is None else price for i, price in known.items()}
