"""What the parts of an environment in real clouds know of each other: the contract of the modules named for a cloud.

`network/`, `identity/`, `store/`, `pools/`, `hosts/` and `dns/` each have one module per cloud. They take values of
this module and give back values of this module, so that the environment is composed in one place and no cloud's
module knows another's. Names of things are computed, never drawn, because the desired state names them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pulumi

from spec.desired import Pool
from spec.labels import ENV_TAG, POOL_TAG, SERVICE_TAG  # noqa: F401  a part of the contract
from spec.stack import StackConfig

REPLICA_PORT = 9443
"""The one open port of a replica's machine: its own Envoy, with mutual TLS."""

EDGE_PORT = 443
"""Of callers, at an edge."""

CONTROLLER_PORT = 9444
"""Of the controller's API, with TLS: edges ask it."""

PEER_PORTS = (1024, 65535)
"""Between machines of one service's gangs: Ray, torch and NCCL listen on ports of their own choice, all above the
system's own, so that no login is among them."""

ROLES = frozenset({"replicas", "edges", "controller"})
"""Of machines, as a network's firewalls know them."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One cloud of an environment. `provider` is explicit: default providers are off."""

    env: str
    cloud: str
    config: StackConfig
    provider: pulumi.ProviderResource

    @property
    def tags(self) -> dict[str, str]:
        """For everything that is declared."""
        return {**self.config.tags, ENV_TAG: self.env}

    def child(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options of a resource of this cloud below a component."""
        return pulumi.ResourceOptions(parent=parent, provider=self.provider)


@dataclass(frozen=True, kw_only=True)
class Network:
    """One region's network. Machines without a public inbound port but 9443; edges take 443.

    `subnets`: by zone; the key "" where the cloud's subnets span the region. `replicas`, `edges`, `controller`: what a
    machine of that role names to get its firewall rules: security group (AWS, Azure), network tag (GCP). Empty where the
    region has no such machine. `peers`: by service, what machines of its gangs name besides, so that they reach each other:
    security group (AWS), network tag (GCP), application security group (Azure).
    """

    cloud: str
    region: str
    id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    replicas: pulumi.Input[str]
    edges: pulumi.Input[str]
    controller: pulumi.Input[str]
    peers: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """`zones`: in which there are pools or hosts. `cidr`: the /16 of the region.

    `callers`: static addresses of edges and controller as `a.b.c.d/32`: from nowhere else replicas are reached.
    `roles`: of the machines that the region has; what only others need is left out where a cloud's module can.
    `gangs`: services of the region whose replicas are several machines.
    """

    scope: Scope
    region: str
    zones: tuple[str, ...]
    cidr: str
    callers: Mapping[str, pulumi.Input[str]]
    roles: frozenset[str] = ROLES
    gangs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a machine is to its cloud.

    `attach`: what a template or host names: instance profile name (AWS), service account email (GCP), resource id of a
    user-assigned identity (Azure). `principal`: what grants name: role ARN, `serviceAccount:...`, principal id.
    """

    attach: pulumi.Input[str]
    principal: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """The controller as other clouds see it: an OpenID Connect issuer, a subject, and the audience of its tokens.

    AWS: the account's own issuer (`iam.OutboundWebIdentityFederation`), the role's ARN. GCP: accounts.google.com, the
    service account's unique id. Azure: the tenant's issuer, the identity's principal id.
    """

    issuer: pulumi.Input[str]
    subject: pulumi.Input[str]
    audience: str


class Store(Protocol):
    """The environment's bucket and secrets in one cloud: what its machines may read."""

    url: str
    """`s3://bucket`, `gs://bucket`, `az://account/container`: known before the update."""

    def write(
        self,
        name: str,
        key: str,
        content: pulumi.Input[str] | bytes | pulumi.FileAsset,
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """Declares an object of the bucket."""
        ...

    def secret(
        self,
        name: str,
        *,
        owner: str,
        value: pulumi.Input[str],
        renewed: bool = False,
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """Declares the secret `spec.names.secret_name(cloud, env, owner, name)`.

        `renewed`: the controller writes later versions, so that the declared value is only the first.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class PoolsArgs:
    """What pools of one cloud share. `networks` by region, `identities` by service.

    `user_data`: the cloud-init text of a pool's machines. It is the same for all pools of a service that share a
    template, because a machine learns its pool from `POOL_TAG`.
    """

    scope: Scope
    networks: Mapping[str, Network]
    identities: Mapping[str, Identity]
    user_data: Callable[[Pool], pulumi.Input[str]]
    disk_gib: Callable[[Pool], int]


class Pools(Protocol):
    """The pools of one cloud."""

    def declare(self, pool: Pool, opts: pulumi.ResourceOptions) -> None:
        """Declares one planned pool and, once per service, region, shape and market, its template."""
        ...


@dataclass(frozen=True, kw_only=True)
class Address:
    """A static public address. `ip`: the address; `attach`: what a host or balancer names."""

    ip: pulumi.Input[str]
    attach: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """One controller or edge host: a machine of its own, because its outgoing address has to be static.

    `name`: `controller`, or `{edge_id}-{number}`. `role` chooses the firewall. `zone`: None where the region has none.
    """

    scope: Scope
    name: str
    role: str
    network: Network
    zone: str | None
    instance_type: str
    identity: Identity
    address: Address
    user_data: pulumi.Input[str]
