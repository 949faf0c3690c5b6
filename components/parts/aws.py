"""AWS, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pulumi

from components.cloud import Address, Foreign, HostArgs, Identity, Network, NetworkArgs, Pools, PoolsArgs
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
from components.parts import PartsArgs
from components.pools.aws import AwsPools
from components.store.aws import AwsStore, AwsStoreArgs
from planner.layout import EdgePlace


class AwsParts:
    """See `components.parts.Parts`."""

    audience = "sts.amazonaws.com"

    def __init__(self, args: PartsArgs) -> None:
        self._args = args
        self._balancers: dict[str, dict[str, Address]] = {}
        self._networks: dict[str, Network] = {}
        self._identities: dict[str, Identity] = {}
        self._controller: AwsController | None = None
        self.store = AwsStore(
            "aws-store",
            AwsStoreArgs(scope=args.scope, region=args.region, protect=args.protect and args.home),
            args.child,
        )
        self.store_place = args.region

    def addresses(self) -> Mapping[str, Address]:
        """See Parts. A balancer has one in each zone of its hosts."""
        args = self._args
        found: dict[str, Address] = {}
        if args.home:
            found["controller"] = self._address("controller", args.layout.home[1])
        for edge in args.edges:
            found |= {host.name: self._address(host.name, edge.region) for host in edge.hosts}
            zones = {host.zone for host in edge.hosts if host.zone}
            if edge.balanced:
                self._balancers[edge.id] = {
                    zone: self._address(f"{edge.id}-{zone}", edge.region) for zone in sorted(zones)
                }
        return found

    def _address(self, name: str, region: str) -> Address:
        return static_address(f"{name}-address", scope=self._args.scope, region=region, opts=self._args.child)

    def networks(self, callers: Mapping[str, pulumi.Input[str]]) -> None:
        """See Parts."""
        args = self._args
        for region in (r for r in args.layout.regions if r.cloud == "aws"):
            given = NetworkArgs(
                scope=args.scope,
                region=region.region,
                zones=region.zones,
                cidr=region.cidr,
                callers=callers,
                roles=self._roles(region.region),
            )
            self._networks[region.region] = AwsNetwork(f"aws-{region.region}", given, args.child).network

    def _roles(self, region: str) -> frozenset[str]:
        """Of the machines that a region has."""
        args = self._args
        found = {
            "replicas": any(pool.region == region for pool in args.pools),
            "edges": any(edge.region == region for edge in args.edges),
            "controller": args.layout.home == ("aws", region),
        }
        return frozenset(role for role, there in found.items() if there)

    def network(self, region: str) -> Network:
        """See Parts."""
        return self._networks[region]

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
            buckets = {urlsplit(source).netloc for source in mounted if source.startswith("s3://")}
            given = AwsReplicaArgs(
                scope=self._args.scope, store=self.store, service=service, mounted=tuple(sorted(buckets))
            )
            self._identities[service] = AwsReplica(f"aws-{service}", given, self._args.child).identity

    def pools_with(
        self, user_data: Callable[[Any], pulumi.Input[str]], disk_gib: Callable[[Any], int]
    ) -> Pools:
        """See Parts."""
        return AwsPools(
            PoolsArgs(
                scope=self._args.scope,
                networks=self._networks,
                identities=self._identities,
                user_data=user_data,
                disk_gib=disk_gib,
            )
        )

    def edge_identity(self) -> Identity:
        """See Parts."""
        given = AwsEdgeArgs(scope=self._args.scope, store=self.store)
        return AwsEdge("aws-edge", given, self._args.child).identity

    def hosts(self, name: str, hosts: Sequence[HostArgs]) -> None:
        """See Parts."""
        AwsHosts(
            name, AwsHostsArgs(hosts=tuple(hosts), balancer=self._balancers.get(name, {})), self._args.child
        )

    def callers_of(self, edge: EdgePlace) -> tuple[pulumi.Input[str], ...]:
        """See Parts."""
        return tuple(address.ip for _, address in sorted(self._balancers.get(edge.id, {}).items()))

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
