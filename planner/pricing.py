"""The money figures of an environment: one formula for the plan, the preview, the policies and the controller.

Capacity is priced, not machines: a declared pool of size 0 costs nothing, and which pools a service will use is the
controller's choice within the limits below. Pure: takes `spec.desired` models or anything with the same fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planner.expected import shares
from spec.desired import Pool, PoolState, Scaling
from spec.names import Market

HOURS_PER_MONTH = 730
"""Average hours of a month, as the clouds bill it: 8,760 / 12."""


class UnknownPrice(ValueError):
    """A pool has no price in its market, so nothing that contains it can be computed."""

    def __init__(self, pool_ids: Iterable[str]) -> None:
        self.pool_ids = tuple(pool_ids)
        super().__init__(f"no price is known for {', '.join(self.pool_ids)}")


@dataclass(frozen=True, slots=True)
class Cost:
    """USD.

    Attributes:
        expected_usd_hour: `min_replicas` (at least one, and over the hours of the week what schedules ask for) plus
            `num_overprovision`, never more than the worst figure's replicas, each in the cheapest pools that do not retire.
        worst_usd_hour: `max_replicas + surge` replicas, all in the dearest pool, plus fixed costs; the controller
            holds this.
        runaway_usd_hour: every pool at its cloud-side maximum: what a broken or stolen controller could spend.
        idle_usd_month: the fixed costs alone.

    Always expected <= worst; and worst <= runaway where each pool alone may hold `max_replicas + surge` replicas,
    which is how the planner makes them.

    """

    expected_usd_hour: float
    worst_usd_hour: float
    runaway_usd_hour: float
    idle_usd_month: float

    @property
    def expected_usd_month(self) -> float:
        """The expected hour, for a month."""
        return self.expected_usd_hour * HOURS_PER_MONTH

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.expected_usd_hour + other.expected_usd_hour,
            self.worst_usd_hour + other.worst_usd_hour,
            self.runaway_usd_hour + other.runaway_usd_hour,
            self.idle_usd_month + other.idle_usd_month,
        )


ZERO = Cost(0.0, 0.0, 0.0, 0.0)


def cost_of_fixed(fixed_usd_hour: float) -> Cost:
    """What the environment costs beside its replicas, in all figures."""
    return Cost(fixed_usd_hour, fixed_usd_hour, fixed_usd_hour, fixed_usd_hour * HOURS_PER_MONTH)


def hosted_usd_hour(max_usd_hour: float | None, max_usd_month: float | None) -> float | None:
    """What a hosted provider may be paid in an hour: its limit, or its share of the month's; None = it has none."""
    if max_usd_hour is not None:
        return max_usd_hour
    return None if max_usd_month is None else max_usd_month / HOURS_PER_MONTH


def cost_of_hosted(usd_hour: float) -> Cost:
    """What hosted providers may be paid at most; nothing is expected of them."""
    return Cost(0.0, usd_hour, usd_hour, 0.0)


def cost_of_service(scaling: Scaling, pools: Sequence[Pool]) -> Cost:
    """The figures of one service without fixed costs.

    Raises UnknownPrice when any pool has no price in its own market: a figure that leaves something out is
    worse than none.
    """
    if not pools:
        return ZERO
    prices = _instance_prices(pools)
    per_replica = {p.id: prices[p.id] / p.capacity_units for p in pools}
    return Cost(
        expected_usd_hour=_expected(scaling, pools, per_replica),
        worst_usd_hour=_most_replicas(scaling) * max(per_replica.values()),
        runaway_usd_hour=sum(p.max_size * prices[p.id] for p in pools),
        idle_usd_month=0.0,
    )


def _most_replicas(scaling: Scaling) -> int:
    return scaling.max_replicas + scaling.surge


def _instance_prices(pools: Sequence[Pool]) -> dict[str, float]:
    prices = {p.id: p.price_usd_hour for p in pools}
    unknown = [i for i, price in prices.items() if price is None]
    if unknown:
        raise UnknownPrice(unknown)
    return {i: price for i, price in prices.items() if price is not None}


def _expected(scaling: Scaling, pools: Sequence[Pool], per_replica: dict[str, float]) -> float:
    """Nothing is launched in a pool that retires, so its price is only that of a service which has no other."""
    staying = [p for p in pools if p.state is PoolState.ACTIVE] or pools
    most = _most_replicas(scaling)
    return sum(
        share * _usd_hour(scaling, staying, per_replica, min(needed + scaling.num_overprovision, most))
        for needed, share in shares(scaling)
    )


def _usd_hour(scaling: Scaling, pools: Sequence[Pool], per_replica: dict[str, float], wanted: int) -> float:
    """Of so many replicas. Reserved machines are used first. Of the others, those that must be on demand are priced there when
    a pool for them exists, the rest at the cheapest.
    """
    replicas, reserved_usd = float(wanted), 0.0
    for pool in sorted((p for p in pools if p.market is Market.RESERVED), key=lambda p: per_replica[p.id]):
        there = min(replicas, pool.max_size * pool.capacity_units)
        replicas -= there
        reserved_usd += there * per_replica[pool.id]
    cheapest = min(
        (per_replica[p.id] for p in pools if p.market is not Market.RESERVED),
        default=min(per_replica[p.id] for p in pools),
    )
    on_demand = [per_replica[p.id] for p in pools if p.market is Market.ON_DEMAND]
    base = min(scaling.base_ondemand_fallback_replicas, replicas) if on_demand else 0
    return reserved_usd + base * min(on_demand, default=0.0) + (replicas - base) * cheapest
