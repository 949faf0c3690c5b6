"""Google Cloud, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.audiences import gcp_provider
from components.cloud import Address, Foreign, HostArgs, Identity
from components.gcp import project
from components.hosts.gcp import GcpHosts, GcpHostsArgs, static_address
from components.identity.gcp import (
    GcpController,
    GcpControllerArgs,
    GcpEdge,
    GcpEdgeArgs,
    GcpReplica,
    GcpReplicaArgs,
)
from components.network.gcp import GcpNetwork
from components.parts import Parts, PartsArgs
from components.pools.gcp import GcpPools
from components.store.gcp import GcpStore, GcpStoreArgs
from spec.mounts import bucket, home


class GcpParts(Parts):
    """See `components.parts.Parts`."""

    _networks_are = GcpNetwork
    _pools_are = GcpPools

    def __init__(self, args: PartsArgs) -> None:
        super().__init__(args)
        self._provider = gcp_provider(args.scope.env, args.scope.config)
        self._controller: GcpController | None = None
        self._foreign_audience = ""
        self._store = GcpStore(
            "gcp-store",
            GcpStoreArgs(
                scope=args.scope,
                region=args.region,
                files=args.files,
                protect=args.protect and args.home,
            ),
            args.child,
        )
        self.store_place = project(args.scope).project

    @property
    def store(self) -> GcpStore:
        """See Parts."""
        return self._store

    def _address(self, name: str, region: str) -> Address:
        return static_address(
            f"{name}-address",
            scope=self._args.scope,
            region=region,
            opts=self._args.child,
        )

    def controller(self, foreign: Foreign | None, audiences: tuple[str, ...]) -> Identity | None:  # noqa: ARG002  Google signs for any audience
        """See Parts."""
        args = self._args
        self._foreign_audience = foreign.audience if foreign is not None else ""
        given = GcpControllerArgs(scope=args.scope, store=self.store, foreign=foreign)
        self._controller = GcpController("gcp-controller", given, args.child)
        return self._controller.identity if foreign is None else None

    def shown_to(self, audience: str) -> Foreign:
        """See Parts."""
        assert self._controller is not None, "the controller is declared first"
        return self._controller.shown_to(audience)

    def replicas(self, services: Mapping[str, Sequence[str]]) -> None:
        """See Parts."""
        for service, mounted in services.items():
            buckets = {bucket(source)[0] for source in mounted if home(source) == "gcp"}
            given = GcpReplicaArgs(
                scope=self._args.scope, store=self.store, service=service, mounted=tuple(sorted(buckets))
            )
            self._identities[service] = GcpReplica(f"gcp-{service}", given, self._args.child).identity

    def edge_identity(self) -> Identity:
        """See Parts."""
        given = GcpEdgeArgs(scope=self._args.scope, store=self.store)
        return GcpEdge("gcp-edge", given, self._args.child).identity

    def hosts(self, name: str, hosts: Sequence[HostArgs]) -> None:
        """See Parts."""
        given = GcpHostsArgs(hosts=tuple(hosts), balancer=self._balancers.get(name))
        GcpHosts(name, given, self._args.child)

    def driver(self) -> dict[str, Any]:
        """See Parts."""
        args, controller, of = self._args, self._controller, project(self._args.scope)
        assert controller is not None, "the controller is declared first"
        federation = {
            "provider": self._provider,
            "audience": self._foreign_audience,
            "service_account": controller.service_account,
        }
        return {
            "secrets": self.store_place,
            "regions": sorted({p.region for p in args.pools} or {args.region}),
            "private_in": list(args.layout.private_in("gcp")),
            "project": of.project,
            **({} if args.home else {"bucket": self.store.url, "federation": federation}),
        }
