"""One cloud of an environment, put together: a class per cloud.

Each knows how its cloud's modules fit: what they must be declared after, and what they call the same things. The
environment above knows only this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pulumi

from components.cloud import (
    Address,
    Foreign,
    HostArgs,
    Identity,
    Network,
    NetworkArgs,
    Pools,
    PoolsArgs,
    Scope,
    Store,
)
from planner.layout import EdgePlace, Layout
from spec.desired import Pool


@dataclass(frozen=True, kw_only=True)
class PartsArgs:
    """`parent`: the environment. `region`: of what the cloud has once. `pools`: those of this cloud.

    `files`: a folder of this machine for what a provider uploads from files only. `protect`: whether Pulumi refuses to
    delete what can not be had back. `gangs`: services whose replicas are several machines.
    """

    scope: Scope
    parent: pulumi.Resource
    layout: Layout
    pools: Sequence[Pool]
    region: str
    files: Path
    protect: bool
    gangs: frozenset[str] = frozenset()

    @property
    def home(self) -> bool:
        """Whether the controller's host is in this cloud."""
        return self.layout.home[0] == self.scope.cloud

    @property
    def edges(self) -> tuple[EdgePlace, ...]:
        """Those in this cloud."""
        return tuple(e for e in self.layout.edges if e.cloud == self.scope.cloud)

    @property
    def child(self) -> pulumi.ResourceOptions:
        """Options of what is declared directly below the environment."""
        return pulumi.ResourceOptions(parent=self.parent)


class HasNetwork(Protocol):
    """A component that has declared a network."""

    @property
    def network(self) -> Network:
        """For machines of its region."""
        ...


class Parts(ABC):
    """One cloud's. The environment calls these in this order, each once.

    `store_place`: what machines need to find them, beside their names (see
    `components.boot.cloud_init`).
    """

    store_place: pulumi.Input[str]

    _networks_are: Callable[[str, NetworkArgs, pulumi.ResourceOptions], HasNetwork]
    _pools_are: Callable[[PoolsArgs], Pools]

    def __init__(self, args: PartsArgs) -> None:
        self._args = args
        self._networks: dict[str, Network] = {}
        self._identities: dict[str, Identity] = {}
        self._balancers: dict[str, Address] = {}

    # ------------------------------------------------------------ the same everywhere

    def addresses(self) -> Mapping[str, Address]:
        """Static addresses of this cloud's hosts, by the hosts' names; those of balancers are kept inside."""
        args = self._args
        found: dict[str, Address] = {}
        if args.home:
            found["controller"] = self._address("controller", args.layout.home[1])
        for edge in args.edges:
            found |= {host.name: self._address(host.name, edge.region) for host in edge.hosts}
            if edge.balanced:
                self._address_balancer(edge)
        return found

    def _address_balancer(self, edge: EdgePlace) -> None:
        """The static address of the balancer of an edge; clouds whose balancers have several keep them otherwise."""
        self._balancers[edge.id] = self._address(edge.id, edge.region)

    def callers_of(self, edge: EdgePlace) -> tuple[pulumi.Input[str], ...]:
        """The addresses of the balancer that callers of an edge use; none where there is no balancer."""
        return (self._balancers[edge.id].ip,) if edge.id in self._balancers else ()

    def networks(self, callers: Mapping[str, pulumi.Input[str]]) -> None:
        """Every region's network. `callers`: as of `NetworkArgs`."""
        args, cloud = self._args, self._args.scope.cloud
        for region in (r for r in args.layout.regions if r.cloud == cloud):
            given = NetworkArgs(
                scope=args.scope,
                region=region.region,
                zones=region.zones,
                cidr=region.cidr,
                callers=callers,
                roles=self._roles(region.region),
                gangs=self._gangs(region.region),
            )
            made = type(self)._networks_are(f"{cloud}-{region.region}", given, args.child)  # noqa: SLF001  its own
            self._networks[region.region] = made.network

    def _roles(self, region: str) -> frozenset[str]:
        """Of the machines that a region has."""
        args = self._args
        found = {
            "replicas": any(pool.region == region for pool in args.pools),
            "edges": any(edge.region == region for edge in args.edges),
            "controller": args.layout.home == (args.scope.cloud, region),
        }
        return frozenset(role for role, there in found.items() if there)

    def _gangs(self, region: str) -> tuple[str, ...]:
        """The services of a region whose machines have to reach each other."""
        here = {pool.service for pool in self._args.pools if pool.region == region}
        return tuple(sorted(here & self._args.gangs))

    def network(self, region: str) -> Network:
        """One region's."""
        return self._networks[region]

    def pools_with(
        self, user_data: Callable[[Pool], pulumi.Input[str]], disk_gib: Callable[[Pool], int]
    ) -> Pools:
        """The pools, which are declared one by one below their services."""
        return type(self)._pools_are(  # noqa: SLF001  its own
            PoolsArgs(
                scope=self._args.scope,
                networks=self._networks,
                identities=self._identities,
                user_data=user_data,
                disk_gib=disk_gib,
            )
        )

    # ------------------------------------------------------------ each cloud's own

    @property
    @abstractmethod
    def store(self) -> Store:
        """Bucket and secrets."""

    @abstractmethod
    def _address(self, name: str, region: str) -> Address:
        """A static address."""

    @abstractmethod
    def controller(self, foreign: Foreign | None, audiences: tuple[str, ...]) -> Identity | None:
        """Who the controller is here; secrets are declared before. The identity of its host at home, else None."""

    @abstractmethod
    def shown_to(self, audience: str) -> Foreign:
        """At home: the controller as other clouds see it."""

    @abstractmethod
    def replicas(self, services: Mapping[str, Sequence[str]]) -> None:
        """Who the replicas of each service are; with the sources of its mounts."""

    @abstractmethod
    def edge_identity(self) -> Identity:
        """Who edge hosts are."""

    @abstractmethod
    def hosts(self, name: str, hosts: Sequence[HostArgs]) -> None:
        """The controller, or the edges of one region."""

    @abstractmethod
    def driver(self) -> dict[str, Any]:
        """The controller's settings for this cloud, as `lb.config` knows them; values may be unknown in a preview."""
