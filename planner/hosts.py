"""Where the controller's host and the edges' stand, and what they are: chosen once, and then held by the lock. Pure.

A host that moves is a new machine, at its worst with a new address that others have to learn. So the zones of a price
table and our own idea of a good size are asked only for a host that has no place yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from planner.constraints import ZONED_SUBNETS
from spec.clouds import CloudName
from spec.errors import Problem, SpecError, did_you_mean
from spec.lock import Lock, LockedHost, lock_name, renew_command
from spec.names import edge_id
from spec.stack import StackConfig

CONTROLLER = "controller"
CONTROLLER_TYPES = {"aws": "t3.small", "gcp": "e2-small", "azure": "Standard_B2s"}
"""2 to 4 GiB of memory: the controller takes 0.1 and its clouds' libraries as much again."""
EDGE_TYPES = {"aws": "c7i.large", "gcp": "e2-standard-2", "azure": "Standard_D2s_v5"}
"""Two cores: an edge takes about 0.2 ms of CPU a request (docs/benchmarks.md)."""

ZONED = ("aws", "gcp")
"""Clouds in which a host is in a zone that has to be named."""

Zones = Mapping[tuple[str, str], tuple[str, ...]]
"""Those that each region is known to have, by cloud and region."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A host that the settings ask for. `setting`: which. `chosen`: the type that it names, if any; else `default`.

    `only`: its zone has to be one of `zones`, because the user's own network has no other.
    """

    setting: str
    cloud: CloudName
    region: str
    chosen: str
    default: str
    zones: tuple[str, ...]
    only: bool

    def misfit(self, host: LockedHost) -> str | None:
        """Why the host can't stand where the lock has it, or None."""
        if (host.cloud, host.region) != (self.cloud, self.region):
            return f"is in {host.cloud}/{host.region}, and {self.setting} says {self.cloud}/{self.region}."
        if self.chosen and host.instance_type != self.chosen:
            return f"is a {host.instance_type}, and {self.setting} says {self.chosen}."
        if self.zones and host.zone is None:
            return "has no zone, and one has to be named there."
        if not self.zones and host.zone is not None:
            return f"has the zone {host.zone}, and {self.cloud}/{self.region} has none to choose."
        if self.only and host.zone not in self.zones:
            return f"is in {host.zone}, in which your network of {self.cloud}/{self.region} has no subnet."
        return None


def place_hosts(config: StackConfig, zones: Zones, before: Mapping[str, LockedHost]) -> dict[str, LockedHost]:
    """A place for each host that the settings ask for: the one `before` where it fits, else the emptiest of its zones."""
    wanted = _wanted(config, zones)
    placed = {
        name: before[name] for name, w in wanted.items() if name in before and not w.misfit(before[name])
    }
    for name, w in wanted.items():
        if name not in placed:
            near = Counter(h.zone for other, h in placed.items() if _site(other) == _site(name))
            zone = min(w.zones, key=lambda z, near=near: near[z], default=None)
            placed[name] = LockedHost(
                cloud=w.cloud, region=w.region, zone=zone, instance_type=w.chosen or w.default
            )
    return dict(sorted(placed.items()))


def check_hosts(
    lock: Lock, config: StackConfig, zones: Zones, prices: Mapping[tuple[str, str], float], *, env: str
) -> tuple[str, ...]:
    """Raises SpecError where hosts of the lock are not those of the settings, or of a type without a price.

    `prices`: as `catalog.fixed` reads them. Notes on zones that nobody knows any more.
    """
    wanted, renew = _wanted(config, zones), renew_command(env)
    problems = [
        Problem(lock_name(env), field, message, lock.line_of(field), hint=hint.format(renew=renew))
        for field, message, hint in (*_unfit(lock.hosts, wanted), *_without_price(lock.hosts, wanted, prices))
    ]
    if problems:
        raise SpecError(problems)
    return tuple(_unknown_zones(lock.hosts, wanted, env))


def host_changes(before: Mapping[str, LockedHost], after: Mapping[str, LockedHost]) -> Iterator[str]:
    """A line for each host that comes, goes or moves, and what that means for who runs it."""
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None and now is not None:
            yield f"+ {name}: {_shown(now)}"
        elif was is not None and now is None:
            yield f"- {name}: {_shown(was)}: its machine and its address go"
        elif was is not None and now is not None and was != now:
            yield f"~ {name}: {_shown(was)} => {_shown(now)}: {_means(was, now)}"


def _means(was: LockedHost, now: LockedHost) -> str:
    if (was.cloud, was.region) != (now.cloud, now.region):
        return "another machine with another address"
    return "another machine" if was.zone != now.zone else "its machine stops and changes its type"


def _shown(host: LockedHost) -> str:
    return f"{'/'.join(filter(None, (host.cloud, host.region, host.zone)))} {host.instance_type}"


def _unfit(hosts: Mapping[str, LockedHost], wanted: Mapping[str, _Wanted]) -> Iterator[tuple[str, str, str]]:
    for name, w in wanted.items():
        if name not in hosts:
            strangers = [other for other in hosts if other not in wanted]
            near = did_you_mean(name, strangers)
            hint = near.replace("Did you mean", "Is it") if near else f"{w.setting} asks for it."
            yield "hosts", f"has no place for the host `{name}`.", f"{hint} {{renew}} takes one."
        elif message := w.misfit(hosts[name]):
            yield (
                f"hosts.{name}",
                message,
                "Undo the one or the other, or {renew} moves it and says what that means.",
            )
    for name in sorted(set(hosts) - set(wanted)):
        near = did_you_mean(name, wanted) or "It is not in the settings."
        yield f"hosts.{name}", "is no host of this stack.", f"{near} {{renew}} drops it."


def _without_price(
    hosts: Mapping[str, LockedHost], wanted: Mapping[str, _Wanted], prices: Mapping[tuple[str, str], float]
) -> Iterator[tuple[str, str, str]]:
    """Of types that the lock names; of one that the settings name they say so (`planner.fixed`)."""
    for name, host in hosts.items():
        if name in wanted and not wanted[name].chosen and (host.cloud, host.instance_type) not in prices:
            near = did_you_mean(host.instance_type, [item for cloud, item in prices if cloud == host.cloud])
            hint = f"{near or 'Name another type.'} For a type of your own, add a row to catalog/fixed.csv."
            yield (
                f"hosts.{name}.instance_type",
                f"no price is known for {host.instance_type} on {host.cloud}.",
                hint,
            )


def _unknown_zones(hosts: Mapping[str, LockedHost], wanted: Mapping[str, _Wanted], env: str) -> Iterator[str]:
    for name, w in wanted.items():
        zone = hosts[name].zone
        if zone is not None and zone not in w.zones:
            near = did_you_mean(zone, w.zones) or f"It has {', '.join(w.zones)}."
            yield (
                f"{lock_name(env)}: hosts.{name}: the price table has no zone {zone} of {w.cloud}/{w.region}, and the host "
                f"stays there. {near}"
            )


def _wanted(config: StackConfig, zones: Zones) -> dict[str, _Wanted]:
    """By name, the controller first."""
    assert config.home is not None, "checked before"
    home = config.home
    found = {
        CONTROLLER: _Wanted(
            "tradewind:home",
            home.cloud,
            home.region,
            home.instance_type,
            CONTROLLER_TYPES[home.cloud],
            *_zones(home.cloud, home.region, config, zones),
        )
    }
    for edge in config.edges:
        place = _zones(edge.cloud, edge.region, config, zones)
        for name in edge_hosts(edge.cloud, edge.region, edge.hosts):
            found[name] = _Wanted(
                "tradewind:edges",
                edge.cloud,
                edge.region,
                edge.instance_type,
                EDGE_TYPES[edge.cloud],
                *place,
            )
    return found


def edge_hosts(cloud: str, region: str, count: int) -> tuple[str, ...]:
    """The names of an edge's hosts."""
    return tuple(f"{edge_id(cloud, region)}-{n}" for n in range(1, count + 1))


def _site(name: str) -> str:
    """What a host is one of: those of one edge stand in different zones."""
    return name.rpartition("-")[0] or name


def _zones(cloud: str, region: str, config: StackConfig, known: Zones) -> tuple[tuple[str, ...], bool]:
    """Of a host's region, and whether there are no others; empty where its cloud has none to choose."""
    place = (cloud, region)
    chosen = config.network.get("/".join(place))
    if chosen is not None and (cloud in ZONED_SUBNETS or not known.get(place)):
        return (tuple(sorted(chosen.subnets)), True) if cloud in ZONED else ((), False)
    return known.get(place, ()), False
