"""Turns a plan into the desired state that the controller reads. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from planner.plan import Plan
from spec.desired import Budget, Bundle, Desired, Edge, External, Hosted, Service, dump
from spec.service import ServiceSpec
from spec.stack import StackConfig


def desired_state(
    plan: Plan,
    *,
    specs: Sequence[ServiceSpec],
    bundles: Mapping[str, Bundle],
    edges: Sequence[Edge],
    config: StackConfig,
) -> Desired:
    """`bundles`: by service name. A service that leaves holds no requests: nobody will come to answer them. The generation is the hash of everything else."""
    scaling = {service.name: service.scaling for service in plan.services}
    desired = Desired(
        schema=1,
        env=plan.env,
        generation="",
        services=tuple(
            Service(
                name=spec.name,
                num_nodes=spec.num_nodes,
                bundle=bundles[spec.name],
                probe=spec.probe,
                scaling=scaling[spec.name],
                routing=spec.routing.model_copy(update={"max_held": 0}) if spec.leaving else spec.routing,
                budget=spec.budget,
            )
            for spec in specs
        ),
        pools=tuple(pool for service in plan.services for pool in service.pools),
        edges=tuple(edges),
        providers=tuple(Hosted.model_validate(p.model_dump() | {"url": p.url}) for p in config.providers),
        external=tuple(External.model_validate(e.model_dump()) for e in config.external),
        budget=Budget(
            worst_usd_hour=config.limits.worst_usd_hour,
            usd_month=config.budget.usd_month,
            on_exhausted=config.budget.on_exhausted,
        ),
        fixed_usd_hour=plan.fixed_usd_hour,
    )
    generation = hashlib.sha256(dump(desired).encode()).hexdigest()[:16]
    return desired.model_copy(update={"generation": generation})
