"""One cloud of an environment, put together: a class per cloud with the same methods.

Each knows how its cloud's modules fit: what they must be declared after, and what they call the same things. The
environment above knows only this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pulumi

from components.cloud import Address, Foreign, HostArgs, Identity, Network, Pools, Scope, Store
from planner.layout import EdgePlace, Layout
from spec.desired import Pool


@dataclass(frozen=True, kw_only=True)
class PartsArgs:
    """`parent`: the environment. `region`: of what the cloud has once. `pools`: those of this cloud.

    `files`: a folder of this machine for what a provider uploads from files only. `protect`: whether Pulumi refuses to
    delete what can not be had back.
    """

    scope: Scope
    parent: pulumi.Resource
    layout: Layout
    pools: Sequence[Pool]
    region: str
    files: Path
    protect: bool

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


class Parts(Protocol):
    """Called by the environment in this order, each once."""

    audience: str
    """Of the tokens that this cloud takes from the controller of another one."""

    @property
    def store(self) -> Store:
        """Bucket and secrets."""
        ...

    @property
    def store_place(self) -> pulumi.Input[str]:
        """What machines need to find bucket and secrets, beside their names: see `components.boot.cloud_init`."""
        ...

    def addresses(self) -> Mapping[str, Address]:
        """Static addresses of this cloud's hosts, by the hosts' names; those of balancers are kept inside."""
        ...

    def networks(self, callers: Mapping[str, pulumi.Input[str]]) -> None:
        """Every region's network. `callers`: as of `NetworkArgs`."""
        ...

    def controller(self, foreign: Foreign | None, audiences: tuple[str, ...]) -> Identity | None:
        """Who the controller is here; secrets are declared before. The identity of its host at home, else None."""
        ...

    def shown_to(self, audience: str) -> Foreign:
        """At home: the controller as other clouds see it."""
        ...

    def replicas(self, services: Mapping[str, Sequence[str]]) -> None:
        """Who the replicas of each service are. `services`: by name, the sources of what each mounts."""
        ...

    def pools_with(
        self, user_data: Callable[[Pool], pulumi.Input[str]], disk_gib: Callable[[Pool], int]
    ) -> Pools:
        """The pools, which are declared one by one below their services."""
        ...

    def edge_identity(self) -> Identity:
        """Who edge hosts are."""
        ...

    def network(self, region: str) -> Network:
        """One region's."""
        ...

    def hosts(self, name: str, hosts: Sequence[HostArgs]) -> None:
        """The controller, or the edges of one region."""
        ...

    def callers_of(self, edge: EdgePlace) -> tuple[pulumi.Input[str], ...]:
        """The addresses that callers of an edge use."""
        ...

    def driver(self) -> dict[str, Any]:
        """The controller's settings for this cloud, as `lb.config` knows them; values may be unknown in a preview."""
        ...
