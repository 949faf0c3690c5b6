"""A service: its pools in all clouds. Its limits are properties, so that policies can judge them."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import pools
from components.local import Host
from planner.plan import ServicePlan
from spec.desired import Scaling
from spec.stack import LocalCloud


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """What the plan says of one service, and the stack of the local cloud's weather."""

    host: Host
    plan: ServicePlan
    scaling: Scaling
    weather: LocalCloud


class Service(pulumi.ComponentResource):
    """One resource per pool; what replicas run is not here but in the desired state."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {"service": args.plan.name, "scaling": args.scaling.model_dump(mode="json")}
        super().__init__("tradewind:service:Service", name, props, opts)
        self.pools = [
            pools.declare(
                pool, host=args.host, weather=args.weather, opts=pulumi.ResourceOptions(parent=self)
            )
            for pool in args.plan.pools
        ]
        # Stack policies see outputs only.
        self.register_outputs({**props, "pools": [pool.id for pool in args.plan.pools]})
