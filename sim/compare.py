"""Several policies on the same clouds, one after another, each from nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sim.conditions import Conditions
from sim.fleet import Fleet, Workload
from sim.metrics import Result
from sim.omniscient import omniscient
from sim.policies import OMNISCIENT, make
from sim.trace import Trace
from sim.world import Sample, World
from spec.scaling import Scaling

DEFAULT_SLO = 0.999
TICK_WITH_REQUESTS_S = 10.0
"""A load moves faster than capacity, and so does the controller: it is asked three times as often."""


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


def run_requests(
    name: str,
    trace: Trace,
    conditions: Conditions,
    scaling: Scaling,
    workload: Workload,
    *,
    slo: float = DEFAULT_SLO,
    samples: list[Sample] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Result:
    """One policy whose number of replicas follows requests, until the first of both traces ends. Raises InputError."""
    conditions = replace(conditions, tick_s=min(TICK_WITH_REQUESTS_S, conditions.tick_s))
    end = math.nextafter(min(trace.end_s, workload.requests.end_s), math.inf)  # the last request is in it
    first = conditions.cold_start.total_s
    fleet = Fleet(workload, counts_from=first if first < end else 0.0, end_s=end, seed=conditions.seed)
    world = World(trace, conditions, scaling.min_replicas, samples=samples, fleet=fleet)
    tally = world.run(make(name, conditions, slo=slo, scaling=scaling), progress=progress)
    return replace(tally.result(name), requests=fleet.met())


def notes(trace: Trace, conditions: Conditions) -> list[str]:
    """What one has to know of the figures: what the trace left open, and when no policy can have anything ready."""
    found = list(trace.notes)
    if conditions.cold_start.total_s >= trace.end_s:
        found.append("a cold start takes longer than the trace, so nothing can ever be ready")
    return found


def as_dict(
    trace: Trace, conditions: Conditions, target: int | None, results: Iterable[Result]
) -> dict[str, Any]:
    """What `tw sim --json` prints; the names are stable, shares are from 0 to 1. `target`: None = it follows requests."""
    return {
        "trace": trace.name,
        "target": target,
        "cold_start_s": conditions.cold_start.total_s,
        "ratio": conditions.ratio,
        "days": trace.days,
        "seed": conditions.seed,
        "notes": notes(trace, conditions),
        "policies": [r.as_dict() for r in results],
    }
