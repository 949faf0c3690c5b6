"""What a stack may cost: its figures by the one formula of `planner.pricing`, and the limits that they break.

Pure. A figure that leaves something out is worse than none: while anything in the stack has no price, a limit on a
figure counts as broken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from planner.pricing import HOURS_PER_MONTH, Cost, cost_of_fixed, cost_of_hosted, cost_of_service
from spec.desired import Pool, PoolState, Scaling


@dataclass(frozen=True)
class Service:
    """One service of the stack with its pools, all of which have a price."""

    name: str
    scaling: Scaling
    pools: tuple[Pool, ...]

    @property
    def cost(self) -> Cost:
        """What it costs without fixed costs."""
        return cost_of_service(self.scaling, self.pools)

    def cost_in(self, pool: Pool) -> Cost:
        """What it would cost if that were its only pool."""
        return cost_of_service(self.scaling, [pool])


@dataclass(frozen=True)
class Unpriced:
    """A resource whose cost can't be told, and why; `urn` names it to Pulumi."""

    resource: str
    reason: str
    urn: str


@dataclass(frozen=True)
class Stack:
    """All that a stack spends money on."""

    services: tuple[Service, ...]
    unpriced: tuple[Unpriced, ...] = ()
    fixed_usd_hour: float = 0.0
    """Hosts, addresses, endpoints that are rented by the hour."""
    hosted_usd_hour: float = 0.0
    """What hosted providers may be paid at most; infinite while one of them has no limit."""

    @property
    def others(self) -> Cost:
        """What no service is to blame for."""
        return cost_of_fixed(self.fixed_usd_hour) + cost_of_hosted(self.hosted_usd_hour)


@dataclass(frozen=True)
class Figure:
    """One of the money figures and how a message speaks of it.

    `name` is the stem of its settings (`worst` -> `tradewind:limits.worstUsdHour`). `usd_hour` takes it from a Cost.
    `because` says which service and pool cause most of it; `way_out` what to lower.
    """

    name: Literal["expected", "worst", "runaway"]
    words: str
    usd_hour: Callable[[Cost], float]
    because: Callable[[Sequence[Service]], str]
    way_out: str

    @property
    def policy(self) -> str:
        """The name of the policy that limits it."""
        return f"cost-{self.name}"


def broken_limits(figure: Figure, stack: Stack, config: Mapping[str, Any]) -> list[str]:
    """A message of one line for each limit of the figure that the stack breaks.

    `config`: `usdHour` and `usdMonth`, each a number or absent (not limited). A limit that can't be read is broken.
    """
    try:
        limits = _limits(figure, config)
    except _UnreadableLimit as e:
        return [str(e)]
    if not limits:
        return []
    if stack.unpriced:
        first = stack.unpriced[0].resource
        others = f" and {len(stack.unpriced) - 1} more" if len(stack.unpriced) > 1 else ""
        return [
            f"{figure.words} is unknown, and {limit.key} limits it: the cost of {first}{others} can't be told "
            "(see prices-known)."
            for limit in limits
        ]
    hour = sum(figure.usd_hour(service.cost) for service in stack.services) + figure.usd_hour(stack.others)
    if hour == math.inf:
        return [
            f"{figure.words} has no bound, and {limit.key} limits it: a hosted provider has neither maxUsdHour nor "
            "maxUsdMonth. Set one in tradewind:providers."
            for limit in limits
        ]
    return [_message(figure, limit, hour, stack) for limit in limits if limit.is_broken_by(hour)]


def usd(amount: float) -> str:
    """An amount with two decimals, or up to four where those would hide something."""
    text = f"{amount:.4f}"
    return text[:-2] if text.endswith("00") else text.removesuffix("0")


# ---------------------------------------------------------------- limits


class _UnreadableLimit(ValueError):
    """The policy's config is not what `policies.config` writes."""


@dataclass(frozen=True)
class _Limit:
    key: str
    unit: Literal["hour", "month"]
    usd: float

    def of(self, usd_hour: float) -> float:
        return usd_hour * HOURS_PER_MONTH if self.unit == "month" else usd_hour

    def is_broken_by(self, usd_hour: float) -> bool:
        figure = self.of(usd_hour)
        return figure > self.usd and not math.isclose(figure, self.usd)


_UNITS: Mapping[str, Literal["hour", "month"]] = {"usdHour": "hour", "usdMonth": "month"}


def _limits(figure: Figure, config: Mapping[str, Any]) -> list[_Limit]:
    limits = []
    for setting, value in config.items():
        unit = _UNITS.get(setting)
        if unit is None:
            raise _UnreadableLimit(
                f"{figure.policy} has no setting `{setting}`, so its limit can't be told. Known: {', '.join(_UNITS)}."
            )
        if value is None:
            continue
        key = f"tradewind:limits.{figure.name}Usd{unit.capitalize()}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise _UnreadableLimit(f"{key} can't be read: it must be a number of USD, 0 or more.")
        limits.append(_Limit(key, unit, value))
    return sorted(limits, key=lambda limit: limit.unit)


def _message(figure: Figure, limit: _Limit, usd_hour: float, stack: Stack) -> str:
    hours = f" ({usd(usd_hour)} USD/hour x {HOURS_PER_MONTH})" if limit.unit == "month" else ""
    others = figure.usd_hour(stack.others)
    hosted = " and hosted providers at their limits" if others > stack.fixed_usd_hour else ""
    beside = f"{usd(others)} of the hour are hosts, addresses and the like{hosted}; " if others else ""
    because = beside + (figure.because(stack.services) if stack.services else "there is no service")
    return (
        f"{figure.words} is {usd(limit.of(usd_hour))} USD/{limit.unit}{hours}, limit {usd(limit.usd)} ({limit.key}): "
        f"{because}. Lower {figure.way_out} or raise the limit."
    )


# ---------------------------------------------------------------- the figures


def _expected_usd_hour(cost: Cost) -> float:
    return cost.expected_usd_hour


def _worst_usd_hour(cost: Cost) -> float:
    return cost.worst_usd_hour


def _runaway_usd_hour(cost: Cost) -> float:
    return cost.runaway_usd_hour


def _because_expected(services: Sequence[Service]) -> str:
    service = max(services, key=lambda s: s.cost.expected_usd_hour)
    staying = [p for p in service.pools if p.state is PoolState.ACTIVE] or service.pools
    pool = min(staying, key=lambda p: service.cost_in(p).expected_usd_hour)
    scaling = service.scaling
    over = f" and num_overprovision {scaling.num_overprovision}" if scaling.num_overprovision else ""
    over += " and what its schedules ask for" if scaling.schedules else ""
    return (
        f"service {service.name} takes {usd(service.cost.expected_usd_hour)} of the hour with "
        f"min_replicas {scaling.min_replicas}{over}, cheapest in pool {pool.id}"
    )


def _because_worst(services: Sequence[Service]) -> str:
    service = max(services, key=lambda s: s.cost.worst_usd_hour)
    pool = max(service.pools, key=lambda p: service.cost_in(p).worst_usd_hour)
    scaling = service.scaling
    replicas = scaling.max_replicas + scaling.surge
    return (
        f"service {service.name}, {replicas} replicas (max_replicas {scaling.max_replicas} + surge {scaling.surge}) "
        f"x {usd(service.cost.worst_usd_hour / replicas)} in pool {pool.id}"
    )


def _because_runaway(services: Sequence[Service]) -> str:
    service = max(services, key=lambda s: s.cost.runaway_usd_hour)
    pool = max(service.pools, key=lambda p: service.cost_in(p).runaway_usd_hour)
    most = usd(service.cost_in(pool).runaway_usd_hour)
    return (
        f"service {service.name} with {len(service.pools)} pools at their maximum sizes, "
        f"of which pool {pool.id} takes {most} of the hour with {pool.max_size} machines"
    )


FIGURES = (
    Figure("expected", "expected cost", _expected_usd_hour, _because_expected, "min_replicas"),
    Figure("worst", "worst case", _worst_usd_hour, _because_worst, "max_replicas"),
    Figure(
        "runaway", "runaway cost", _runaway_usd_hour, _because_runaway, "max_replicas, maxPoolsPerService"
    ),
)
"""All figures that can be limited."""
