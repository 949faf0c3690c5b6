"""The plan: what the planner computed, as values. Printed by the CLI, declared by the components."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.pricing import Cost
from spec.desired import Pool, Scaling
from spec.names import Market


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the optimizer table: an instance type in one place and one market.

    `price_usd_hour` is for the whole instance. `zone` is None where the cloud sells by region; `vcpus` and
    `memory_gib` are None where nobody publishes them (TPU slices).
    """

    cloud: str
    region: str
    zone: str | None
    instance_type: str
    accelerator: str
    accelerator_count: int
    vcpus: float | None
    memory_gib: float | None
    market: Market
    price_usd_hour: float
    as_of: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A place that was considered and not offered, and why."""

    cloud: str
    region: str
    zone: str | None
    instance_type: str
    accelerator: str
    accelerator_count: int
    market: Market
    price_usd_hour: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """One service's part of the plan. `rows` and `pools` are in rank order."""

    name: str
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    pools: tuple[Pool, ...]
    cost: Cost
    arithmetic: tuple[str, ...] = ()
    """How the memory need of the model was computed, line by line; empty when accelerators were named."""
    scaling: Scaling = field(default_factory=Scaling)
    notes: tuple[str, ...] = ()
    """What the user should know: known fields that nothing acts on yet, old prices, ..."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All services of an environment. `cost` includes the fixed costs."""

    env: str
    services: tuple[ServicePlan, ...]
    fixed_usd_hour: float
    cost: Cost
