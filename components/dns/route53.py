"""The environment's name in Route 53: it leads each caller to an edge that is ready.

Each address of an edge has a record and a health check of its own, below the name of its place
(`us-east-1.llm.example.com`); `latency.llm.example.com` or `failover.llm.example.com` chooses between places, and the
name itself is an alias of one of these. So a place may have several edges and addresses, which Route 53 allows for
neither latency records nor failover ones, and another policy, which can't stand beside the one before, is there before
the name moves to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import route53

from components.cloud import EDGE_PORT
from components.dns import DnsArgs, Site
from components.dns.aws_places import nearest
from lb.envoy.names import READY_PATH

_PROBE_S = 10
_FAILURES = 2
"""An edge that is gone is out after about 30 seconds, and a resolver's memory more."""


class Route53(pulumi.ComponentResource):
    """Records of the environment's name, in the user's own zone."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:dns:Route53", name, {}, opts)
        self._name, self._args, self._opts = name, args, args.scope.child(self)
        name = f"{args.dns.policy}.{args.dns.name}"
        if args.dns.policy == "latency":
            chosen = self._latency(name, _by_place(args.sites))
        else:
            chosen = self._failover(name, args.sites)
        self._alias(args.dns.policy, args.dns.name, chosen)
        self.register_outputs({"name": args.dns.name})

    def _latency(self, name: str, places: Mapping[str, Sequence[Site]]) -> _Target:
        return _Target(
            name,
            [
                self._alias(
                    place, name, self._edges(place, sites), latency_routing_policies=[{"region": place}]
                )
                for place, sites in places.items()
            ],
        )

    def _failover(self, name: str, sites: Sequence[Site]) -> _Target:
        """First or else second, which is all that Route 53 has: so second is again first or else second."""
        first, *others = sites
        edges = self._edges(first.id, [first])
        records = [self._alias(first.id, name, edges, failover_routing_policies=[{"type": "PRIMARY"}])]
        if others:
            later = self._failover(f"after-{first.id}.{self._args.dns.name}", others)
            down = f"{first.id}-down"
            records.append(self._alias(down, name, later, failover_routing_policies=[{"type": "SECONDARY"}]))
        return _Target(name, records)

    def _edges(self, place: str, sites: Sequence[Site]) -> _Target:
        """The name of a place; answers with one of its addresses that are ready."""
        name = f"{place}.{self._args.dns.name}"
        addresses = [
            (f"{site.id}-{number}", address)
            for site in sites
            for number, address in enumerate((site.address, *site.more), start=1)
        ]
        return _Target(name, [self._record(name, identifier, address) for identifier, address in addresses])

    def _record(self, name: str, identifier: str, address: pulumi.Input[str]) -> route53.Record:
        """One address, while it is ready."""
        args = self._args
        check = route53.HealthCheck(
            f"{self._name}-{identifier}",
            type="HTTPS",
            ip_address=address,
            fqdn=args.dns.name,
            enable_sni=True,
            port=EDGE_PORT,
            resource_path=READY_PATH,
            request_interval=_PROBE_S,
            failure_threshold=_FAILURES,
            tags={**args.scope.tags, "Name": f"tradewind {args.scope.env} {identifier}"},
            opts=self._opts,
        )
        return route53.Record(
            f"{self._name}-{identifier}",
            zone_id=args.dns.zone,
            name=name,
            type="A",
            ttl=args.dns.ttl_s,
            records=[address],
            set_identifier=identifier,
            weighted_routing_policies=[{"weight": 1}],
            health_check_id=check.id,
            opts=self._opts,
        )

    def _alias(self, identifier: str, name: str, target: _Target, **policy: Any) -> route53.Record:
        """`policy`: one of Route 53's; without one it is the only record of its name."""
        zone = self._args.dns.zone
        # Route 53 refuses an alias of a name that has no records yet.
        after = pulumi.ResourceOptions(depends_on=target.records)
        return route53.Record(
            f"{self._name}-{identifier}" if policy else self._name,
            zone_id=zone,
            name=name,
            type="A",
            aliases=[{"name": target.name, "zone_id": zone, "evaluate_target_health": True}],
            set_identifier=identifier if policy else None,
            **policy,
            opts=pulumi.ResourceOptions.merge(self._opts, after),
        )


@dataclass(frozen=True)
class _Target:
    """A name that others are aliases of, and the records that it has."""

    name: str
    records: Sequence[pulumi.Resource]


def _by_place(sites: Sequence[Site]) -> dict[str, list[Site]]:
    places: dict[str, list[Site]] = {}
    for site in sites:
        places.setdefault(nearest(site.cloud, site.region), []).append(site)
    return places
