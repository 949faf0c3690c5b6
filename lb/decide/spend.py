"""What the month has cost so far, and what follows when a budget of the month is used up.

Spend is remembered as a line: so much until a moment, and from then on so much per hour. The line is drawn anew only when
what runs, or its price, changes; so an idle fleet writes nothing, and time in which nobody watched is charged at the rate
before it, because machines ran on. Months are those of UTC. A budget that is used up stays so until the month turns or
the budget is raised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from lb.decide.budget import Money
from lb.decide.memory import ENVIRONMENT, Exhausted, SpendMemory
from lb.decide.tick import Tick
from spec.desired import Budget, Desired, OnExhausted, Service
from spec.status import SpendStatus

_HOUR_S = 3600.0


# ---------------------------------------------------------------- the line


def month_of(at: float) -> str:
    """The UTC month of that moment (epoch seconds): `2026-11`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m}"


def month_start(month: str) -> float:
    """Epoch seconds at which the month begins."""
    year, number = map(int, month.split("-"))
    return datetime(year, number, 1, tzinfo=UTC).timestamp()


def month_end(month: str) -> float:
    """Epoch seconds at which the next month begins."""
    year, number = map(int, month.split("-"))
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()


def counted(memory: SpendMemory, now: float) -> SpendMemory:
    """The same with everything counted until now; in a later month only what has been spent in that one.

    A clock that was set back takes nothing away: counting goes on in the month and from the moment that was reached.
    """
    if now <= memory.counted_until:
        return memory
    month, since, usd = memory.month, memory.counted_until, memory.usd
    if month_of(now) > month:
        month, usd = month_of(now), {}
        since = month_start(month)
    hours = (now - since) / _HOUR_S
    parts = {**usd, **{part: usd.get(part, 0.0) + rate * hours for part, rate in memory.usd_hour.items()}}
    if month == memory.month:
        return replace(memory, counted_until=now, usd=parts)
    return SpendMemory(month, now, parts, memory.usd_hour)


def total(memory: SpendMemory) -> float:
    """USD of the month, until it was counted: the sum of its parts."""
    return sum(memory.usd.values())


def assumed(desired: Desired, since: float, now: float) -> SpendMemory:
    """The memory after it was lost: all that may have been spent since the month began, or the stack if that was later.

    `worst_usd_hour` is held, so it is the most that an hour can have cost. Where none is declared the dearest pool of each
    replica is taken; where not even that has a price, a budget counts as used up.
    """
    hours = max(0.0, now - max(since, month_start(month_of(now)))) / _HOUR_S
    parts = {s.name: _ceiling(s.budget, _worst(desired, s), hours) for s in desired.services}
    rates = [_worst(desired, s) for s in desired.services]
    known = [r for r in rates if r is not None]
    worst = desired.fixed_usd_hour + sum(known) if len(known) == len(rates) else None
    whole = _ceiling(desired.budget, worst, hours)
    parts[ENVIRONMENT] = max(0.0, whole - sum(parts.values()))
    return SpendMemory(month_of(now), now, parts, assumed_usd=sum(parts.values()))


def _ceiling(budget: Budget, worst: float | None, hours: float) -> float:
    if budget.worst_usd_hour is not None:
        return budget.worst_usd_hour * hours
    return worst * hours if worst is not None else budget.usd_month or 0.0


def _worst(desired: Desired, service: Service) -> float | None:
    """USD per hour of as many replicas as the service may have in the dearest of its pools; None = not known."""
    pools = desired.pools_of(service.name)
    known = [p.price_usd_hour / p.capacity_units for p in pools if p.price_usd_hour is not None]
    if len(known) < len(pools):
        return None
    return (service.scaling.max_replicas + service.scaling.surge) * max(known, default=0.0)


# ---------------------------------------------------------------- in a decision


def take_stock(tick: Tick, money: Money, lost_since: float | None) -> None:
    """Counts what was spent until now and what is spent from now on, and notices budgets that are used up."""
    before = tick.spend_memory
    rates = money.rates(before.usd_hour if before else {})
    if before is not None:
        memory = _with_launches(tick, before)
    elif lost_since is None:
        memory = SpendMemory(month_of(tick.now), tick.now)
    else:
        memory = assumed(tick.desired, lost_since, tick.now)
    if month_of(tick.now) > memory.month or memory.usd_hour != rates:
        memory = replace(counted(memory, tick.now), usd_hour=rates)
    usd = counted(memory, tick.now).usd
    tick.spent = {name: usd.get(name, 0.0) for name in tick.services} | {ENVIRONMENT: sum(usd.values())}
    exhausted = _exhausted(tick, money, memory, before.usd_hour if before else {})
    tick.spend_memory = memory if exhausted == memory.exhausted else replace(memory, exhausted=exhausted)


def _with_launches(tick: Tick, memory: SpendMemory) -> SpendMemory:
    """What machines that have appeared cost once."""
    costs = [(tick.pools[i].service, tick.pools[i].launch_usd * n) for i, n in tick.appeared.items()]
    if not any(usd for _, usd in costs):
        return memory
    memory = counted(memory, tick.now)
    usd = dict(memory.usd)
    for service, cost in costs:
        if cost:
            usd[service] = usd.get(service, 0.0) + cost
    return replace(memory, usd=usd)


def _exhausted(
    tick: Tick, money: Money, memory: SpendMemory, ran: Mapping[str, float]
) -> dict[str, Exhausted]:
    """The budgets that are used up; those that already were stay so. `ran`: USD per hour until this decision."""
    found: dict[str, Exhausted] = {}
    for scope, budget in _budgets(tick.desired):
        known = memory.exhausted.get(scope)
        if budget.usd_month is None:
            continue
        if known is not None and budget.usd_month <= known.usd_month:
            found[scope] = known
        elif money.soon_spent(scope, budget) >= budget.usd_month:
            before = sum(ran.values()) if scope == ENVIRONMENT else ran.get(scope, 0.0)
            found[scope] = Exhausted(budget.usd_month, max(before, money.staying(scope)))
        if scope in found:
            tick.say(exhausted_text(scope, budget, month_end(memory.month)))
        elif known is not None:
            tick.say(f"usd_month {budget.usd_month:g} of {_of(scope)} has money left again")
    return found


def _budgets(desired: Desired) -> list[tuple[str, Budget]]:
    return [(ENVIRONMENT, desired.budget), *((s.name, s.budget) for s in desired.services)]


def limited(tick: Tick, service: Service, target: int) -> int:
    """The target as far as used-up budgets allow it: none, or at most the minimum, or as it is."""
    match on_exhausted(tick.desired, tick.spend_memory, service):
        case OnExhausted.STOP:
            return 0
        case OnExhausted.FLOOR:
            return min(target, service.scaling.min_replicas)
    return target


# ---------------------------------------------------------------- what follows from the memory


def on_exhausted(desired: Desired, memory: SpendMemory | None, service: Service) -> OnExhausted | None:
    """What holds for the service because its own or the environment's budget is used up, the stricter of both."""
    if memory is None:
        return None
    strictness = list(OnExhausted)
    found = [
        budget.on_exhausted
        for scope, budget in ((service.name, service.budget), (ENVIRONMENT, desired.budget))
        if scope in memory.exhausted
    ]
    return max(found, key=strictness.index, default=None)


def closed_until(desired: Desired, memory: SpendMemory | None) -> dict[str, float]:
    """Services that can't come up for want of money, and the epoch seconds at which they may run again.

    Those that are stopped; those that may go to zero, at the floor; and on hold those of which nothing runs, when one more
    machine would be more than what ran.
    """
    if memory is None:
        return {}
    end = month_end(memory.month)
    return {s.name: end for s in desired.services if _is_closed(desired, memory, s)}


def _is_closed(desired: Desired, memory: SpendMemory, service: Service) -> bool:
    match on_exhausted(desired, memory, service):
        case OnExhausted.STOP:
            return True
        case OnExhausted.FLOOR:
            return service.scaling.min_replicas == 0
        case OnExhausted.HOLD if not memory.usd_hour.get(service.name):
            prices = (p.price_usd_hour for p in desired.pools_of(service.name))
            cheapest = min((p for p in prices if p is not None), default=0.0)
            return cheapest * service.num_nodes > _room(memory, service)
    return False


def _room(memory: SpendMemory, service: Service) -> float:
    """USD per hour by which what runs now is below what ran when a budget of the service's was used up."""
    running = {
        service.name: memory.usd_hour.get(service.name, 0.0),
        ENVIRONMENT: sum(memory.usd_hour.values()),
    }
    return min(memory.exhausted[s].usd_hour - usd for s, usd in running.items() if s in memory.exhausted)


def retry_after_s(until: float, now: float) -> float:
    """Seconds until then, in steps of an hour, and of a minute in the last one, so that it changes seldom."""
    left = max(0.0, until - now)
    step = _HOUR_S if left > _HOUR_S else 60.0
    return max(step, math.ceil(left / step) * step)


def spend_status(desired: Desired, memory: SpendMemory | None, now: float) -> SpendStatus | None:
    """The money of the month as the status tells it; None while nothing was counted."""
    if memory is None:
        return None
    memory = counted(memory, now)
    texts = [
        exhausted_text(scope, budget, month_end(memory.month))
        for scope, budget in _budgets(desired)
        if scope in memory.exhausted
    ]
    return SpendStatus(
        month=memory.month,
        usd=round(total(memory), 6),
        budget_usd=desired.budget.usd_month,
        assumed_usd=round(memory.assumed_usd, 6),
        exhausted="; ".join(texts) or None,
    )


def service_usd(memory: SpendMemory | None, service: str, now: float) -> float | None:
    """What the service has cost since the month began; None while nothing was counted."""
    return None if memory is None else round(counted(memory, now).usd.get(service, 0.0), 6)


_MEANS = {
    OnExhausted.HOLD: "what runs stays, nothing is added",
    OnExhausted.FLOOR: "min_replicas stay, in the cheapest pools",
    OnExhausted.STOP: "everything is ended",
}


def exhausted_text(scope: str, budget: Budget, until: float) -> str:
    """Which budget is used up and what that means, in words."""
    means = f"{_MEANS[budget.on_exhausted]} ({budget.on_exhausted})"
    return f"usd_month {budget.usd_month:g} of {_of(scope)} is used up: {means} until {month_of(until)} or a higher budget"


def _of(scope: str) -> str:
    return "the environment" if scope == ENVIRONMENT else scope
