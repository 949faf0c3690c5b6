"""Everything of an environment on this computer: state, services, controller and edge, in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.desired import desired_state
from components.local.controller import Controller, ControllerArgs
from components.local.edge import Edge, EdgeArgs
from components.local.resources import Host
from components.local.state import State, StateArgs
from components.pools.local import LocalPool
from components.service import Service, ServiceArgs
from planner.plan import Plan
from spec import desired
from spec.bundle import build
from spec.service import ServiceSpec
from spec.snapshot import Keys
from spec.stack import StackConfig


@dataclass(frozen=True, kw_only=True)
class EnvironmentArgs:
    """`plan` and `specs` are about the same services."""

    host: Host
    config: StackConfig
    specs: Sequence[ServiceSpec]
    plan: Plan
    keys: Keys


class Environment(pulumi.ComponentResource):
    """The update ends when controller and edge answer their own health; it never waits for replicas."""

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:environment:Environment", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        edge = desired.Edge(id=f"edge-{args.plan.env}", endpoint=args.config.local.endpoint)
        built = {spec.name: build(spec) for spec in args.specs}
        wanted = desired_state(
            args.plan,
            specs=args.specs,
            bundles={service: b.bundle for service, b in built.items()},
            edges=[edge],
            config=args.config,
        )

        def declare(pool: desired.Pool, opts: pulumi.ResourceOptions) -> LocalPool:
            return LocalPool(pool, host=args.host, weather=args.config.local, opts=opts)

        nodes = {spec.name: spec.num_nodes for spec in args.specs}
        services = [
            Service(
                plan.name,
                ServiceArgs(plan=plan, num_nodes=nodes[plan.name], declare=declare),
                child,
            )
            for plan in args.plan.services
        ]
        state = State(
            "state",
            StateArgs(host=args.host, desired=wanted, bundles=list(built.values()), keys=args.keys),
            pulumi.ResourceOptions(parent=self, depends_on=services),
        )
        controller = Controller(
            "controller", ControllerArgs(host=args.host, env=args.plan.env, config=args.config), child
        )
        Edge(
            "edge",
            EdgeArgs(
                host=args.host,
                edge_id=edge.id,
                controller=controller.process,
                controller_url=controller.url,
                config=args.config,
            ),
            child,
        )
        self.outputs = {
            "endpoint": edge.endpoint,
            "edges": [edge.model_dump()],
            "pools": [pool.id for pool in wanted.pools],
            "state_url": state.url,
        }
        self.register_outputs(self.outputs)
