"""AWS, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.cloud import Address, Foreign, HostArgs, Identity
from components.hosts.aws import AwsHosts, AwsHostsArgs, static_address
from components.identity.aws import (
    AwsController,
    AwsControllerArgs,
    AwsEdge,
    AwsEdgeArgs,
    AwsReplica,
    AwsReplicaArgs,
)
from components.network.aws import AwsNetwork
from components.parts import Parts, PartsArgs
from components.pools.aws import AwsPools
from components.store.aws import AwsStore, AwsStoreArgs
from planner.layout import EdgePlace
from spec.mounts import bucket, home


class AwsParts(Parts):
    """See `components.parts.Parts`."""

    _networks_are = AwsNetwork
    _pools_are = AwsPools

    def __init__(self, args: PartsArgs) -> None:
        super().__init__(args)
        self._zonal_balancers: dict[str, dict[str, Address]] = {}
        self._controller: AwsController | None = None
        self._store = AwsStore(
            "aws-store",
            AwsStoreArgs(scope=args.scope, region=args.region, protect=args.protect and args.home),
            args.child,
        )
        self.store_place = args.region

    @property
    def store(self) -> AwsStore:
        """See Parts."""
        return self._store

    def _address(self, name: str, region: str) -> Address:
        return static_address(f"{name}-address", scope=self._args.scope, region=region, opts=self._args.child)

    def _address_balancer(self, edge: EdgePlace) -> None:
        """See Parts. One in each zone of its hosts."""
        zones = sorted({host.zone for host in edge.hosts if host.zone})
        self._zonal_balancers[edge.id] = {
            zone: self._address(f"{edge.id}-{zone}", edge.region) for zone in zones
        }

    def controller(self, foreign: Foreign | None, audiences: tuple[str, ...]) -> Identity | None:
        """See Parts."""
        args = self._args
        given = AwsControllerArgs(scope=args.scope, store=self.store, foreign=foreign, audiences=audiences)
        self._controller = AwsController("aws-controller", given, args.child)
        return self._controller.identity

    def shown_to(self, audience: str) -> Foreign:
        """See Parts."""
        assert self._controller is not None, "the controller is declared first"
        return self._controller.shown_to(audience)

    def replicas(self, services: Mapping[str, Sequence[str]]) -> None:
        """See Parts."""
        for service, mounted in services.items():
            buckets = tuple(sorted({bucket(source) for source in mounted if home(source) == "aws"}))
            given = AwsReplicaArgs(scope=self._args.scope, store=self.store, service=service, mounted=buckets)
            self._identities[service] = AwsReplica(f"aws-{service}", given, self._args.child).identity

    def edge_identity(self) -> Identity:
        """See Parts."""
        given = AwsEdgeArgs(scope=self._args.scope, store=self.store)
        return AwsEdge("aws-edge", given, self._args.child).identity

    def hosts(self, name: str, hosts: Sequence[HostArgs]) -> None:
        """See Parts."""
        AwsHosts(
            name,
            AwsHostsArgs(hosts=tuple(hosts), balancer=self._zonal_balancers.get(name, {})),
            self._args.child,
        )

    def callers_of(self, edge: EdgePlace) -> tuple[pulumi.Input[str], ...]:
        """See Parts."""
        return tuple(address.ip for _, address in sorted(self._zonal_balancers.get(edge.id, {}).items()))

    def driver(self) -> dict[str, Any]:
        """See Parts."""
        args = self._args
        assert self._controller is not None, "the controller is declared first"
        away = {"bucket": self.store.url, "bucket_region": args.region, "role_arn": self._controller.role_arn}
        return {
            "secrets": self.store_place,
            "regions": sorted({p.region for p in args.pools} or {args.region}),
            "private_in": list(args.layout.private_in("aws")),
            **({} if args.home else away),
        }
