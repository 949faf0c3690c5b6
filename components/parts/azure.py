"""Azure, put together. Its rights name single secrets, so identities come after all secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi

from components.azure import subscription
from components.cloud import Address, Foreign, HostArgs, Identity, Network, NetworkArgs, Pools, PoolsArgs
from components.hosts.azure import AzureHosts, AzureHostsArgs, static_address
from components.identity.azure import (
    AUDIENCE,
    AzureController,
    AzureControllerArgs,
    AzureEdge,
    AzureEdgeArgs,
    AzureReplica,
    AzureReplicaArgs,
)
from components.network.azure import AzureNetwork
from components.parts import PartsArgs
from components.pools.azure import AzurePools
from components.store.azure import AzureStore, AzureStoreArgs
from planner.layout import EdgePlace


class AzureParts:
    """See `components.parts.Parts`."""

    audience = AUDIENCE

    def __init__(self, args: PartsArgs) -> None:
        self._args = args
        self._balancers: dict[str, Address] = {}
        self._networks: dict[str, Network] = {}
        self._identities: dict[str, Identity] = {}
        self._controller: AzureController | None = None
        self.store = AzureStore(
            "azure-store",
            AzureStoreArgs(
                scope=args.scope,
                region=args.region,
                files=args.files,
                protect=args.protect and args.home,
            ),
            args.child,
        )
        self.store_place = self.store.vault_url

    def addresses(self) -> Mapping[str, Address]:
        """See Parts."""
        args = self._args
        found: dict[str, Address] = {}
        if args.home:
            found["controller"] = self._address("controller", args.layout.home[1])
        for edge in args.edges:
            found |= {host.name: self._address(host.name, edge.region) for host in edge.hosts}
            if edge.balanced:
                self._balancers[edge.id] = self._address(edge.id, edge.region)
        return found

    def _address(self, name: str, region: str) -> Address:
        return static_address(
            f"{name}-address",
            scope=self._args.scope,
            region=region,
            group=self.store.group,
            opts=self._args.child,
        )

    def networks(self, callers: Mapping[str, pulumi.Input[str]]) -> None:
        """See Parts."""
        args = self._args
        for region in (r for r in args.layout.regions if r.cloud == "azure"):
            given = NetworkArgs(
                scope=args.scope, region=region.region, zones=region.zones, cidr=region.cidr, callers=callers
            )
            self._networks[region.region] = AzureNetwork(f"azure-{region.region}", given, args.child).network

    def network(self, region: str) -> Network:
        """See Parts."""
        return self._networks[region]

    def controller(self, foreign: Foreign | None, audiences: tuple[str, ...]) -> Identity | None:  # noqa: ARG002  Azure signs for one audience
        """See Parts."""
        args = self._args
        with_pools = {p.region: self._networks[p.region] for p in args.pools}
        given = AzureControllerArgs(scope=args.scope, store=self.store, networks=with_pools, foreign=foreign)
        self._controller = AzureController("azure-controller", given, args.child)
        return self._controller.identity if foreign is None else None

    def shown_to(self, audience: str) -> Foreign:
        """See Parts. Whatever another cloud would like to be shown, Azure signs for one audience only."""
        assert self._controller is not None, "the controller is declared first"
        return self._controller.shown_to(AUDIENCE if audience else audience)

    def replicas(self, services: Mapping[str, Sequence[str]]) -> None:
        """See Parts."""
        for service in services:
            given = AzureReplicaArgs(scope=self._args.scope, store=self.store, service=service)
            self._identities[service] = AzureReplica(f"azure-{service}", given, self._args.child).identity

    def pools_with(
        self, user_data: Callable[[Any], pulumi.Input[str]], disk_gib: Callable[[Any], int]
    ) -> Pools:
        """See Parts."""
        return AzurePools(
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
        given = AzureEdgeArgs(scope=self._args.scope, store=self.store)
        return AzureEdge("azure-edge", given, self._args.child).identity

    def hosts(self, name: str, hosts: Sequence[HostArgs]) -> None:
        """See Parts."""
        given = AzureHostsArgs(hosts=tuple(hosts), balancer=self._balancers.get(name))
        AzureHosts(name, given, self._args.child)

    def callers_of(self, edge: EdgePlace) -> tuple[pulumi.Input[str], ...]:
        """See Parts."""
        return (self._balancers[edge.id].ip,) if edge.id in self._balancers else ()

    def driver(self) -> dict[str, Any]:
        """See Parts."""
        args, of = self._args, subscription(self._args.scope)
        assert self._controller is not None, "the controller is declared first"
        return {
            "secrets": self.store_place,
            "regions": sorted({p.region for p in args.pools} or {args.region}),
            "private_in": list(args.layout.private_in("azure")),
            "subscription": of.subscription_id,
            "tenant": of.tenant_id,
            "client_id": self._controller.client_id,
            **({} if args.home else {"bucket": self.store.url, "federated": True}),
        }
