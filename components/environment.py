"""Everything of one environment in the clouds, in the order in which its parts need each other.

Addresses come first, because every network lets in only these; secrets before identities, because rights name them;
pools and hosts last. The update ends when all of it is declared: it never waits for machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pulumi
import pulumi_tls as tls

from components.boot import cloud_init, pointers
from components.certificates import Certificates, CertificatesArgs
from components.cloud import CONTROLLER_PORT, Address, HostArgs, Identity, Scope
from components.desired import desired_state
from components.dns import Site
from components.names import Names
from components.parts import Parts, PartsArgs
from components.parts.opened import open_parts, scopes
from components.releases import Releases
from components.service import Service, ServiceArgs
from planner.environment import Planned
from planner.fixed import EDGE_TYPES, controller_type
from planner.layout import EdgePlace, Layout
from spec import certificates, desired
from spec.bundle import BuiltBundle, build
from spec.desired import Pool
from spec.keys import hashed
from spec.secrets import CALLER_KEY
from spec.service import ServiceSpec
from spec.snapshot import Keys
from spec.stack import StackConfig

DISK_GIB = 100
"""Of a replica's machine, unless the service asks for more."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentArgs:
    """`planned` and `specs` are about the same services. `secrets`: values by name; those without one may be missing in
    a preview only. `files`: a folder for what has to be uploaded from a file.
    """

    files: Path
    env: str
    config: StackConfig
    specs: Sequence[ServiceSpec]
    planned: Planned
    secrets: Mapping[str, pulumi.Output[str]]
    protect: bool


class Environment(pulumi.ComponentResource):
    """`outputs`: of the stack."""

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:environment:Environment", name, {}, opts)
        assert args.planned.layout is not None, "an environment in the clouds has a layout"
        self._args, self._layout = args, args.planned.layout
        self._bundles = {spec.name: build(spec) for spec in args.specs}
        self._pools = list(chain.from_iterable(s.pools for s in args.planned.plan.services))
        self._child = pulumi.ResourceOptions(parent=self)

        self._scopes = scopes(args.env, args.config, self._layout.clouds, self)
        self._parts = {cloud: self._open(scope) for cloud, scope in self._scopes.items()}
        addresses = self._addresses()
        self._networks(addresses)
        authority = self._secrets()
        self._identities()
        stores = {cloud: parts.store for cloud, parts in self._parts.items()}
        self._releases = Releases(stores, self._roles(), self._child)
        self._pool_resources()
        self._controller(addresses["controller"])
        sites = self._edges(addresses)
        names = Names.of(self, args.config, sites, self._scopes, args.secrets)
        self._state(names)
        self.outputs = {
            "endpoint": names.endpoint,
            "edges": {site.id: site.address for site in sites},
            "pools": [pool.id for pool in self._pools],
            "state_url": self._home.store.url,
            "authority": authority,
            **({"cname": names.cname} if names.cname else {}),
        }
        # What policies judge of it.
        self.register_outputs(
            {
                **self.outputs,
                "hosts": True,
                "tls": args.config.tls.mode,
                "providers": [
                    {"name": p.name, "maxUsdHour": p.max_usd_hour, "maxUsdMonth": p.max_usd_month}
                    for p in args.config.providers
                ],
                "external": [{"name": e.name, "usdHour": e.usd_hour} for e in args.config.external],
            }
        )

    # ------------------------------------------------------------ each cloud

    @property
    def _home(self) -> Parts:
        return self._parts[self._layout.home[0]]

    def _open(self, scope: Scope) -> Parts:
        args = self._args
        pools = [p for p in self._pools if p.cloud == scope.cloud]
        return open_parts(
            PartsArgs(
                scope=scope,
                parent=self,
                layout=self._layout,
                pools=pools,
                region=_region_of(scope.cloud, self._layout, args.config),
                files=args.files,
                protect=args.protect,
            )
        )

    def _addresses(self) -> dict[str, Address]:
        found: dict[str, Address] = {}
        for parts in self._parts.values():
            found |= parts.addresses()
        return found

    def _networks(self, addresses: Mapping[str, Address]) -> None:
        callers = {name: _only(address.ip) for name, address in sorted(addresses.items())}
        for parts in self._parts.values():
            parts.networks(callers)

    def _identities(self) -> None:
        """The controller's at home first: the other clouds are told who it is."""
        home = self._layout.home[0]
        others = [cloud for cloud in self._parts if cloud != home]
        self._host_identity = self._home.controller(None, tuple(self._parts[c].audience for c in others))
        for cloud in others:
            self._parts[cloud].controller(self._home.shown_to(self._parts[cloud].audience), ())
        mounted = {spec.name: [m.source for m in spec.file_mounts] for spec in self._args.specs}
        for cloud, parts in self._parts.items():
            here = sorted({p.service for p in self._pools if p.cloud == cloud})
            parts.replicas({service: mounted[service] for service in here})

    # ------------------------------------------------------------ secrets

    def _secrets(self) -> pulumi.Output[str]:
        """Certificates, tokens and what services and edges are given. The authority's certificate, which is no secret."""
        args, config = self._args, self._args.config
        edge_clouds = sorted({e.cloud for e in self._layout.edges})
        made = Certificates(
            "certificates",
            CertificatesArgs(
                env=args.env,
                home=self._layout.home[0],
                stores={cloud: parts.store for cloud, parts in self._parts.items()},
                edges=edge_clouds,
                pools=self._pools,
                public=config.tls.mode != "files",
                protect=args.protect,
                provider=tls.Provider("tls", opts=self._child),
            ),
            self._child,
        )
        token = made.authority_key.apply(_token)
        for cloud, owner in ((self._layout.home[0], "controller"), *((c, "edge") for c in edge_clouds)):
            self._parts[cloud].store.secret(
                certificates.TOKEN, owner=owner, value=token, opts=pulumi.ResourceOptions(parent=made)
            )
        for secret in args.planned.secrets:
            if secret.given and secret.name in args.secrets:
                store, value = self._parts[secret.cloud].store, args.secrets[secret.name]
                store.secret(
                    secret.name, owner=secret.owner, value=value, opts=pulumi.ResourceOptions(parent=made)
                )
        return made.authority

    # ------------------------------------------------------------ pools

    def _roles(self) -> list[tuple[str, str]]:
        """Clouds, and the roles of the machines that they have."""
        nodes = {(p.cloud, "node") for p in self._pools}
        edges = {(e.cloud, "edge") for e in self._layout.edges}
        return sorted({*nodes, *edges, (self._layout.home[0], "controller")})

    def _pool_resources(self) -> None:
        """Below their services, so that the services' limits can be judged with them."""
        args = self._args
        disks = {spec.name: spec.disk_size_gib or DISK_GIB for spec in args.specs}
        pools = {
            cloud: parts.pools_with(self._node_data, lambda pool: disks[pool.service])
            for cloud, parts in self._parts.items()
        }
        nodes = {spec.name: spec.num_nodes for spec in args.specs}
        for plan in args.planned.plan.services:
            Service(
                plan.name,
                ServiceArgs(
                    plan=plan,
                    num_nodes=nodes[plan.name],
                    declare=lambda pool, opts: pools[pool.cloud].declare(pool, opts),
                ),
                self._child,
            )

    def _node_data(self, pool: Pool) -> pulumi.Input[str]:
        parts = self._parts[pool.cloud]
        return _text(
            cloud_init.node,
            parts,
            cloud=pool.cloud,
            env=self._args.env,
            region=pool.region,
            service=pool.service,
            pool=pool.id if pool.cloud == "azure" else "",  # the only cloud whose pools share no template
        )

    # ------------------------------------------------------------ hosts

    def _controller(self, address: Address) -> None:
        args, (cloud, region) = self._args, self._layout.home
        assert self._host_identity is not None, "the controller's host has an identity at home"
        settings = pointers.controller_settings(
            args.config,
            env=args.env,
            home=self._layout.home,
            bucket=self._home.store.url,
            clouds={of: parts.driver() for of, parts in self._parts.items()},
            edges={e.cloud for e in self._layout.edges},
        )
        self._releases.point(cloud, "controller", settings)
        data = _text(cloud_init.controller, self._home, cloud=cloud, env=args.env, region=region)
        host = HostArgs(
            scope=self._scopes[cloud],
            name="controller",
            role="controller",
            network=self._home.network(region),
            zone=self._layout.home_zone,
            instance_type=controller_type(args.config, cloud),
            identity=self._host_identity,
            address=address,
            user_data=data,
        )
        self._home.hosts("controller-host", [host])

    def _edges(self, addresses: Mapping[str, Address]) -> list[Site]:
        """The edges as the environment's name leads to them."""
        controller = addresses["controller"].ip
        for cloud in sorted({e.cloud for e in self._layout.edges}):
            url = pulumi.Output.concat("https://", controller, f":{CONTROLLER_PORT}")
            settings = pointers.edge_settings(self._args.config, cloud=cloud, controller_url=url)
            self._releases.point(cloud, "edge", settings)
            identity = self._parts[cloud].edge_identity()
            for edge in (e for e in self._layout.edges if e.cloud == cloud):
                hosts = [self._edge_host(edge, n, addresses, identity) for n in range(len(edge.hosts))]
                self._parts[cloud].hosts(edge.id, hosts)
        return [self._site(edge, addresses) for edge in self._layout.edges]

    def _edge_host(
        self, edge: EdgePlace, number: int, addresses: Mapping[str, Address], identity: Identity
    ) -> HostArgs:
        host, parts = edge.hosts[number], self._parts[edge.cloud]
        data = _text(
            cloud_init.edge,
            parts,
            cloud=edge.cloud,
            env=self._args.env,
            region=edge.region,
            edge_id=edge.id,
            number=host.number,
        )
        return HostArgs(
            scope=self._scopes[edge.cloud],
            name=host.name,
            role="edge",
            network=parts.network(edge.region),
            zone=host.zone,
            instance_type=edge.instance_type or EDGE_TYPES[edge.cloud],
            identity=identity,
            address=addresses[host.name],
            user_data=data,
        )

    def _site(self, edge: EdgePlace, addresses: Mapping[str, Address]) -> Site:
        first, *more = self._parts[edge.cloud].callers_of(edge) or (addresses[edge.hosts[0].name].ip,)
        return Site(id=edge.id, cloud=edge.cloud, region=edge.region, address=first, more=tuple(more))

    # ------------------------------------------------------------ the state

    def _state(self, names: Names) -> None:
        """Bundles before the desired state that names them, in the bucket of every cloud that runs them."""
        args = self._args
        for cloud in sorted({p.cloud for p in self._pools}):
            self._releases.point(cloud, "node", {})
        for cloud, built in self._bundles_by_cloud():
            # A changed bundle may have to go back: the controller removes the one before when nothing needs it.
            kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
            sha256 = built.bundle.sha256
            name = f"bundle-{sha256[:12]}-{cloud}"
            self._parts[cloud].store.write(name, f"bundles/{sha256}.tar.gz", built.archive, kept)
        wanted = desired_state(
            args.planned.plan,
            specs=args.specs,
            bundles={service: b.bundle for service, b in self._bundles.items()},
            edges=[
                desired.Edge(id=e.id, endpoint=names.endpoint_of(e.id), cloud=e.cloud)
                for e in self._layout.edges
            ],
            config=args.config,
        )
        store = self._home.store
        store.write("desired", f"desired/{args.env}.json", desired.dump(wanted), self._child)
        if (key := args.secrets.get(CALLER_KEY)) is not None:
            keys = key.apply(lambda k: Keys(keys=(hashed(k, key_id="default"),)).model_dump_json())
            store.write("keys", "keys.json", pulumi.Output.unsecret(keys), self._child)

    def _bundles_by_cloud(self) -> list[tuple[str, BuiltBundle]]:
        """Once per cloud and bundle, also where two services run the same."""
        wanted = {
            (p.cloud, self._bundles[p.service].bundle.sha256): self._bundles[p.service] for p in self._pools
        }
        return [(cloud, built) for (cloud, _), built in sorted(wanted.items(), key=lambda item: item[0])]


def _text(render: Any, parts: Parts, **facts: Any) -> pulumi.Input[str]:
    """User data: known at once where the place of the store is."""
    if isinstance(parts.store_place, str):
        return render(bucket=parts.store.url, store=parts.store_place, **facts)
    place = pulumi.Output.from_input(parts.store_place)
    return place.apply(lambda known: render(bucket=parts.store.url, store=known, **facts))


def _only(ip: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.concat(ip, "/32")


def _token(authority_key: str) -> str:
    """What edges show to the controller: as secret as the authority's key, and new when that is."""
    return hashlib.sha256(f"token {authority_key}".encode()).hexdigest()


def _region_of(cloud: str, layout: Layout, config: StackConfig) -> str:
    """Of what a cloud has once: the controller's, else as the settings say, else the first by name."""
    if cloud == layout.home[0]:
        return layout.home[1]
    account = getattr(config, cloud, None)
    return getattr(account, "region", "") or min(r.region for r in layout.regions if r.cloud == cloud)
