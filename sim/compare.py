"""Several policies on the same clouds, one after another, each from nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sim.conditions import Conditions
from sim.metrics import Result
from sim.omniscient import omniscient
from sim.policies import OMNISCIENT, make
from sim.trace import Trace
from sim.world import Sample, World

DEFAULT_SLO = 0.999


def run(
    name: str,
    trace: Trace,
    conditions: Conditions,
    target: int | Sequence[tuple[float, int]],
    *,
    slo: float = DEFAULT_SLO,
    on_demand: Trace | None = None,
    samples: list[Sample] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Result:
    """One policy. Raises InputError for an unknown one; `samples` and `progress` are of no use for the optimum."""
    if name == OMNISCIENT:
        return omniscient(trace, conditions, target, on_demand=on_demand)
    world = World(trace, conditions, target, on_demand=on_demand, samples=samples)
    return world.run(make(name, conditions, slo=slo), progress=progress).result(name)


def as_dict(trace: Trace, conditions: Conditions, target: int, results: Iterable[Result]) -> dict[str, Any]:
    """What `tw sim --json` prints; the names are stable, shares are from 0 to 1."""
    return {
        "trace": trace.name,
        "target": target,
        "cold_start_s": conditions.cold_start.total_s,
        "ratio": conditions.ratio,
        "days": trace.days,
        "seed": conditions.seed,
        "notes": list(trace.notes),
        "policies": [r.as_dict() for r in results],
    }
