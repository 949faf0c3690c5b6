"""Where the parts of an environment in the clouds stand: regions with their zones and addresses, edges, hosts.

Pure and deterministic, as the plan is: the components declare it, the policies and the fixed costs count it.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.hosts import CONTROLLER, edge_hosts
from planner.plan import Plan
from spec import certificates
from spec.clouds import EdgeSite
from spec.desired import Pool
from spec.errors import InputError
from spec.lock import LockedHost
from spec.names import cloud_name, edge_id, secret_name
from spec.service import ServiceSpec
from spec.stack import StackConfig

Place = tuple[str, str]
"""Cloud and region."""

REGION_PREFIX = 16

_LONGEST_SCALE_SET = 54
_LONGEST_GROUP = 58
"""GCP names a machine for its group and five letters more, and takes 63 of them."""


@dataclass(frozen=True, slots=True)
class Region:
    """One region with machines or hosts. `zones`: of those, in order; empty where the cloud sells by region only."""

    cloud: str
    region: str
    zones: tuple[str, ...]
    cidr: str


@dataclass(frozen=True, slots=True)
class EdgeHost:
    """One machine of an edge. `zone`: None where the region has none."""

    name: str
    number: int
    zone: str | None
    instance_type: str


@dataclass(frozen=True, slots=True)
class EdgePlace:
    """The edge of one region: its hosts, behind the cloud's balancer when there are several."""

    id: str
    cloud: str
    region: str
    hosts: tuple[EdgeHost, ...]

    @property
    def balanced(self) -> bool:
        """Whether a balancer stands before the hosts."""
        return len(self.hosts) > 1

    @property
    def addresses(self) -> int:
        """How many addresses callers of it are given: a balancer of AWS has one in each zone of its hosts."""
        return len({host.zone for host in self.hosts}) if self.balanced and self.cloud == "aws" else 1


@dataclass(frozen=True, slots=True)
class Layout:
    """An environment in the clouds. `home_zone`, `home_type`: of the controller's host."""

    home: Place
    home_zone: str | None
    home_type: str
    regions: tuple[Region, ...]
    edges: tuple[EdgePlace, ...]

    @property
    def clouds(self) -> tuple[str, ...]:
        """With anything in them, by name."""
        return tuple(sorted({r.cloud for r in self.regions}))

    def private_in(self, cloud: str) -> tuple[str, ...]:
        """The region of that cloud, if any, which holds every edge and the controller: replicas there are reached privately."""
        callers = {self.home, *((e.cloud, e.region) for e in self.edges)}
        return tuple(region for of, region in callers if len(callers) == 1 and of == cloud)


def layout(plan: Plan, config: StackConfig, hosts: Mapping[str, LockedHost]) -> Layout:
    """`hosts`: the places of all, by name. `config` has passed `planner.check`. Raises InputError."""
    controller = hosts[CONTROLLER]
    home = (controller.cloud, controller.region)
    edges = tuple(_edge(site, hosts) for site in config.edges)
    used: defaultdict[Place, set[str]] = defaultdict(set)
    pools = (p for s in plan.services for p in s.pools)
    for place in (*pools, *hosts.values()):
        used[place.cloud, place.region] |= {place.zone} if place.zone else set()
    cidrs = _cidrs(config.addresses.cidr, sorted(used))
    regions = tuple(Region(*place, tuple(sorted(used[place])), cidrs[place]) for place in sorted(used))
    return Layout(home, controller.zone, controller.instance_type, regions, edges)


def _edge(site: EdgeSite, hosts: Mapping[str, LockedHost]) -> EdgePlace:
    names = edge_hosts(site.cloud, site.region, site.hosts)
    placed = tuple(
        EdgeHost(name, number, hosts[name].zone, hosts[name].instance_type)
        for number, name in enumerate(names, start=1)
    )
    return EdgePlace(edge_id(site.cloud, site.region), site.cloud, site.region, placed)


def _cidrs(whole: str, places: list[Place]) -> dict[Place, str]:
    """A /16 for each region, chosen by its name, so that another region hardly ever moves it."""
    slots = list(ipaddress.IPv4Network(whole).subnets(new_prefix=REGION_PREFIX))
    if len(places) > len(slots):
        room = "one region" if len(slots) == 1 else f"{len(slots)} regions"
        raise InputError(
            f"tradewind:addresses.cidr: {whole} has room for {room}, and there are {len(places)}. "
            "Give a larger range, or fewer regions."
        )
    taken: dict[int, Place] = {}
    for place in places:
        slot = zlib.crc32("/".join(place).encode()) % len(slots)
        while slot in taken:
            slot = (slot + 1) % len(slots)
        taken[slot] = place
    return {place: str(slots[slot]) for slot, place in taken.items()}


def located(pool: Pool, env: str) -> Pool:
    """The pool with what its driver needs to find it: names that the components give to the same things."""
    resource = {"group": cloud_name(env, pool.id)}
    if pool.cloud == "gcp":
        resource = {"group": cloud_name(env, pool.id, limit=_LONGEST_GROUP)}
    if pool.cloud == "azure":
        # Azure names a machine for its scale set and nine letters more, and takes 64 of them.
        group = cloud_name(env, pool.id, limit=_LONGEST_SCALE_SET)
        resource = {"scale_set": group, "resource_group": cloud_name(env, pool.region)}
    return pool.model_copy(update={"resource": resource})


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret in one cloud's store. `given`: whether the user gives its value, under the same name."""

    cloud: str
    owner: str
    name: str
    given: bool = False

    def stored_as(self, env: str) -> str:
        """Its name in the store."""
        return secret_name(self.cloud, env, self.owner, self.name)


def secrets_of(
    placed: Layout, pools: Sequence[Pool], config: StackConfig, specs: Sequence[ServiceSpec]
) -> tuple[Secret, ...]:
    """Every secret of the environment, each where a machine reads it and nowhere else."""
    home = placed.home[0]
    found = {
        Secret(home, certificates.CONTROLLER_OWNER, name)
        for name in (certificates.AUTHORITY_KEY, certificates.AUTHORITY, certificates.TOKEN)
    }
    files = config.tls.mode == "files"
    keys = [p.key for p in config.providers if p.key] + [e.key for e in config.external if e.key]
    for cloud in {e.cloud for e in placed.edges}:
        own = [certificates.LEAF, certificates.TOKEN, *([] if files else [certificates.PUBLIC])]
        found |= {Secret(cloud, certificates.EDGE_OWNER, name) for name in own}
        brought = [*keys, *([config.tls.cert, config.tls.key] if files else [])]
        found |= {Secret(cloud, certificates.EDGE_OWNER, name, given=True) for name in brought}
    found |= {Secret(p.cloud, certificates.pool_owner(p.id), certificates.LEAF) for p in pools}
    for spec in specs:
        clouds = {p.cloud for p in pools if p.service == spec.name}
        found |= {
            Secret(c, f"service-{spec.name}", name, given=True) for c in clouds for name in spec.secrets
        }
    return tuple(sorted(found, key=lambda s: (s.cloud, s.owner, s.name)))
