"""Azure, put together. Its rights name single secrets, so identities come after all secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components import audiences
from components.azure import subscription
from components.cloud import Address, Foreign, HostArgs, Identity
from components.hosts.azure import AzureHosts, AzureHostsArgs, static_address
from components.identity.azure import (
    AzureController,
    AzureControllerArgs,
    AzureEdge,
    AzureEdgeArgs,
    AzureReplica,
    AzureReplicaArgs,
)
from components.network.azure import AzureNetwork
from components.parts import Parts, PartsArgs
from components.pools.azure import AzurePools
from components.store.azure import AzureStore, AzureStoreArgs
from spec.mounts import bucket, home


class AzureParts(Parts):
    """See `components.parts.Parts`."""

    _networks_are = AzureNetwork
    _pools_are = AzurePools

    def __init__(self, args: PartsArgs) -> None:
        super().__init__(args)
        self._controller: AzureController | None = None
        self._store = AzureStore(
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

    @property
    def store(self) -> AzureStore:
        """See Parts."""
        return self._store

    def _address(self, name: str, region: str) -> Address:
        return static_address(
            f"{name}-address",
            scope=self._args.scope,
            region=region,
            group=self.store.group,
            opts=self._args.child,
        )

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
        return self._controller.shown_to(audiences.AZURE if audience else audience)

    def replicas(self, services: Mapping[str, Sequence[str]]) -> None:
        """See Parts."""
        for service, mounted in services.items():
            containers = {bucket(source)[0] for source in mounted if home(source) == "azure"}
            given = AzureReplicaArgs(
                scope=self._args.scope, store=self.store, service=service, mounted=tuple(sorted(containers))
            )
            self._identities[service] = AzureReplica(f"azure-{service}", given, self._args.child).identity

    def edge_identity(self) -> Identity:
        """See Parts."""
        given = AzureEdgeArgs(scope=self._args.scope, store=self.store)
        return AzureEdge("azure-edge", given, self._args.child).identity

    def hosts(self, name: str, hosts: Sequence[HostArgs]) -> None:
        """See Parts."""
        given = AzureHostsArgs(hosts=tuple(hosts), balancer=self._balancers.get(name))
        AzureHosts(name, given, self._args.child)

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
