"""Everything of one environment in the clouds, in the order in which its parts need each other.

An environment may be several stacks, each with the whole plan: then this declares the clouds of one, and asks the others for
what it needs (`components.elsewhere`).

Addresses come first, because every network lets in only these; secrets before identities, because rights name them;
pools and hosts last. The update ends when all of it is declared: it never waits for machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pulumi
import pulumi_tls as tls

from components.audiences import audience
from components.boot import cloud_init, pointers
from components.certificates import Certificates, CertificatesArgs
from components.cloud import CONTROLLER_PORT, Address, HostArgs, Identity, Scope
from components.dns import Site
from components.elsewhere import Elsewhere
from components.names import Names
from components.parts import Parts, PartsArgs
from components.parts.opened import open_parts, scopes
from components.releases import Releases
from components.service import Service, ServiceArgs
from components.state import write_bundles, write_desired, write_keys
from planner.environment import Planned
from planner.layout import EdgePlace, Layout
from spec import certificates
from spec.bundle import build
from spec.desired import Pool
from spec.errors import InputError
from spec.secrets import CALLER_KEY
from spec.service import ServiceSpec
from spec.stack import StackConfig

DISK_GIB = 100
"""Of a replica's machine, unless the service asks for more."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentArgs:
    """`planned` and `specs` are about the same services. `secrets`: values by name; those without one may be missing in
    a preview only. `files`: a folder for what has to be uploaded from a file. `stack`: names its fragment of the desired
    state; the environment's own, but for a part.
    """

    files: Path
    env: str
    stack: str
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
        self._child = pulumi.ResourceOptions(parent=self)
        self._elsewhere = Elsewhere(args.env, args.config, self._layout, self._child)
        here = [cloud for cloud in self._layout.clouds if args.config.declares(cloud)]
        pools = chain.from_iterable(s.pools for s in args.planned.plan.services)
        self._pools = [p for p in pools if p.cloud in here]
        self._edge_places = [e for e in self._layout.edges if e.cloud in here]

        if not here:
            raise InputError(
                f"nothing of {args.env} is in the cloud of the stack {args.stack}; remove its part"
            )
        self._scopes = scopes(args.env, args.config, here, self)
        self._parts = {cloud: self._open(scope) for cloud, scope in self._scopes.items()}
        addresses = self._addresses()
        self._networks(addresses)
        made = self._secrets()
        self._identities()
        stores = {cloud: parts.store for cloud, parts in self._parts.items()}
        self._releases = Releases(stores, self._roles(), self._child)
        self._pool_resources()
        if self._home is not None:
            self._controller(self._home, addresses["controller"])
        self._edges(addresses)
        for cloud in sorted({p.cloud for p in self._pools}):
            self._releases.point(cloud, "node", pointers.node_settings())
        write_bundles(self._bundles, self._pools, stores, self)
        self.outputs: dict[str, Any] = {
            "pools": [pool.id for pool in self._pools],
            **(self._at_home(self._home, addresses, made) if self._home else self._as_part()),
            **(self._shared(addresses) if self._elsewhere.clouds else {}),
        }
        judged = {"hosts": True, "tls": args.config.tls.mode, **_bought(args.config, home=bool(self._home))}
        self.register_outputs({**self.outputs, **judged})

    def _at_home(self, home: Parts, addresses: Mapping[str, Address], made: Certificates) -> dict[str, Any]:
        """What an environment has once: its name and its state."""
        args, sites = self._args, self._sites(addresses)
        names = Names.of(self, args.config, sites, self._scopes, args.secrets)
        retiring = self._write_desired(home, names)
        if (key := args.secrets.get(CALLER_KEY)) is not None:
            write_keys(key, home.store, self._child)
        return {
            "retiring": retiring,
            "endpoint": names.endpoint,
            "edges": {site.id: site.address for site in sites},
            "state_url": home.store.url,
            "authority": made.authority,
            **({"cname": names.cname} if names.cname else {}),
        }

    def _as_part(self) -> dict[str, Any]:
        [parts] = self._parts.values()
        return {"retiring": self._write_desired(parts)}

    # ------------------------------------------------------------ each cloud

    @property
    def _home(self) -> Parts | None:
        """None where another stack declares the controller's cloud."""
        return self._parts.get(self._layout.home[0])

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
                gangs=frozenset(spec.name for spec in args.specs if spec.num_nodes > 1),
            )
        )

    def _addresses(self) -> dict[str, Address]:
        found: dict[str, Address] = {}
        for parts in self._parts.values():
            found |= parts.addresses()
        return {**self._elsewhere.addresses(), **found}

    def _networks(self, addresses: Mapping[str, Address]) -> None:
        callers = {name: _only(address.ip) for name, address in sorted(addresses.items())}
        for parts in self._parts.values():
            parts.networks(callers)

    def _identities(self) -> None:
        """The controller's at home first: the other clouds are told who it is."""
        home, env, config = self._layout.home[0], self._args.env, self._args.config
        audiences = {c: audience(c, env, config) for c in self._layout.clouds if c != home}
        if self._home is not None:
            self._host_identity = self._home.controller(None, tuple(audiences.values()))
            self._shown = {of: self._home.shown_to(of) for of in audiences.values()}
        for cloud, parts in self._parts.items():
            if cloud != home:
                of = audiences[cloud]
                parts.controller(self._shown[of] if self._home else self._elsewhere.foreign(of), ())
        mounted = {spec.name: [m.source for m in spec.file_mounts] for spec in self._args.specs}
        for cloud, parts in self._parts.items():
            here = sorted({p.service for p in self._pools if p.cloud == cloud})
            parts.replicas({service: mounted[service] for service in here})

    # ------------------------------------------------------------ secrets

    def _secrets(self) -> Certificates:
        """Certificates, tokens and what services and edges are given."""
        args, config, home = self._args, self._args.config, self._layout.home[0]
        edge_clouds = sorted({e.cloud for e in self._edge_places})
        made = Certificates(
            "certificates",
            CertificatesArgs(
                env=args.env,
                home=home if self._home else None,
                stores={cloud: parts.store for cloud, parts in self._parts.items()},
                edges=edge_clouds,
                pools=self._pools,
                public=config.tls.mode != "files",
                protect=args.protect,
                provider=tls.Provider("tls", opts=self._child),
            ),
            self._child,
        )
        below = pulumi.ResourceOptions(parent=made)
        key = made.authority_key
        self._token = self._elsewhere.token() if key is None else key.apply(_token)
        owners = [*([(home, "controller")] if self._home else []), *((c, "edge") for c in edge_clouds)]
        for cloud, owner in owners:
            store = self._parts[cloud].store
            store.secret(certificates.TOKEN, owner=owner, value=self._token, opts=below)
        for secret in args.planned.secrets:
            if secret.given and secret.name in args.secrets and secret.cloud in self._parts:
                store, value = self._parts[secret.cloud].store, args.secrets[secret.name]
                store.secret(secret.name, owner=secret.owner, value=value, opts=below)
        return made

    # ------------------------------------------------------------ pools

    def _roles(self) -> list[tuple[str, str]]:
        """Clouds, and the roles of the machines that they have."""
        nodes = {(p.cloud, "node") for p in self._pools}
        edges = {(e.cloud, "edge") for e in self._edge_places}
        home = {(self._layout.home[0], "controller")} if self._home else set()
        return sorted({*nodes, *edges, *home})

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
            here = tuple(p for p in plan.pools if p.cloud in pools)
            if not here:
                continue
            Service(
                plan.name,
                ServiceArgs(
                    plan=replace(plan, pools=here),
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

    def _controller(self, home: Parts, address: Address) -> None:
        args, (cloud, region) = self._args, self._layout.home
        own = {of: parts.driver() for of, parts in self._parts.items()}
        assert self._host_identity is not None, "the controller's host has an identity at home"
        settings = pointers.controller_settings(
            args.config,
            env=args.env,
            home=self._layout.home,
            bucket=home.store.url,
            clouds=self._elsewhere.drivers(own) if self._elsewhere.clouds else own,
            edges={e.cloud for e in self._layout.edges},
            apart=self._elsewhere.apart() if self._elsewhere.clouds else None,
        )
        self._releases.point(cloud, "controller", settings)
        data = _text(cloud_init.controller, home, cloud=cloud, env=args.env, region=region)
        host = HostArgs(
            scope=self._scopes[cloud],
            name="controller",
            role="controller",
            network=home.network(region),
            zone=self._layout.home_zone,
            instance_type=self._layout.home_type,
            identity=self._host_identity,
            address=address,
            user_data=data,
        )
        home.hosts("controller-host", [host])

    def _edges(self, addresses: Mapping[str, Address]) -> None:
        controller = addresses["controller"].ip
        for cloud in sorted({e.cloud for e in self._edge_places}):
            url = pulumi.Output.concat("https://", controller, f":{CONTROLLER_PORT}")
            settings = pointers.edge_settings(self._args.config, cloud=cloud, controller_url=url)
            self._releases.point(cloud, "edge", settings)
            identity = self._parts[cloud].edge_identity()
            for edge in (e for e in self._edge_places if e.cloud == cloud):
                hosts = [self._edge_host(edge, n, addresses, identity) for n in range(len(edge.hosts))]
                self._parts[cloud].hosts(edge.id, hosts)

    def _sites(self, addresses: Mapping[str, Address]) -> list[Site]:
        """The edges as the environment's name leads to them, also those of other stacks."""
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
            instance_type=host.instance_type,
            identity=identity,
            address=addresses[host.name],
            user_data=data,
        )

    def _site(self, edge: EdgePlace, addresses: Mapping[str, Address]) -> Site:
        first, *more = self._callers_of(edge, addresses)
        return Site(id=edge.id, cloud=edge.cloud, region=edge.region, address=first, more=tuple(more))

    def _callers_of(self, edge: EdgePlace, addresses: Mapping[str, Address]) -> Sequence[pulumi.Input[str]]:
        if edge.cloud not in self._parts:
            return self._elsewhere.callers_of(edge)
        return self._parts[edge.cloud].callers_of(edge) or (addresses[edge.hosts[0].name].ip,)

    def _shared(self, addresses: Mapping[str, Address]) -> dict[str, Any]:
        """For the other stacks: see `components.elsewhere`."""
        own = {host.name for edge in self._edge_places for host in edge.hosts}
        own |= {"controller"} if self._home else set()
        shared: dict[str, Any] = {
            "addresses": {name: addresses[name].ip for name in sorted(own)},
            "edges": {e.id: list(self._callers_of(e, addresses)) for e in self._edge_places},
        }
        if self._home is None:
            [parts] = self._parts.values()
            return {"shared": {**shared, "driver": parts.driver()}}
        shown = {of: {"issuer": f.issuer, "subject": f.subject} for of, f in self._shown.items()}
        return {"shared": {**shared, "shown": shown}, "token": pulumi.Output.secret(self._token)}

    def _write_desired(self, parts: Parts, names: Names | None = None) -> pulumi.Output[list[str]]:
        """Of a part, its fragment in its own cloud's bucket. `names`: of home, which knows all edges."""
        args = self._args
        return write_desired(
            args.stack,
            args.planned.plan,
            self._bundles,
            {e.id: e for e in self._layout.edges} if names else {},
            here=self._parts.keys(),
            specs=args.specs,
            config=args.config,
            endpoint_of=names.endpoint_of if names else str,
            store=parts.store,
            opts=self._child,
        )


def _bought(config: StackConfig, *, home: bool) -> dict[str, Any]:
    """Capacity of others, for policies; counted once, at home."""
    providers, external = (config.providers, config.external) if home else ((), ())
    return {
        "providers": [
            {"name": p.name, "maxUsdHour": p.max_usd_hour, "maxUsdMonth": p.max_usd_month} for p in providers
        ],
        "external": [{"name": e.name, "usdHour": e.usd_hour} for e in external],
    }


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
