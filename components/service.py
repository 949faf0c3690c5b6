"""A service: its pools in all clouds. Its limits are properties, so that policies can judge them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pulumi

from planner.plan import ServicePlan
from spec.desired import Pool, PoolState

Declare = Callable[[Pool, pulumi.ResourceOptions], object]
"""Declares one planned pool in its cloud. Its size stays the controller's."""


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """What the plan says of one service, machines of one replica, and how its pools are declared."""

    plan: ServicePlan
    num_nodes: int
    declare: Declare


class Service(pulumi.ComponentResource):
    """One resource per pool; what replicas run is not here but in the desired state."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {
            "service": args.plan.name,
            "scaling": args.plan.scaling.model_dump(mode="json"),
            "numNodes": args.num_nodes,
            "retiring": [pool.id for pool in args.plan.pools if pool.state is PoolState.RETIRING],
        }
        super().__init__("tradewind:service:Service", name, props, opts)
        for pool in args.plan.pools:
            args.declare(pool, pulumi.ResourceOptions(parent=self))
        # Stack policies see outputs only.
        self.register_outputs({**props, "pools": [pool.id for pool in args.plan.pools]})
