"""The environment's name in Route 53: it leads each caller to an edge that is ready.

Each address of an edge has a record and a health check of its own, below the name of its place
(`us-east-1.llm.example.com`), and the name itself is an alias of those. So a place may have several edges and
addresses, which Route 53 allows for neither latency records nor failover ones, and a place counts as healthy while one
of its addresses is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import route53

from components.cloud import EDGE_PORT
from components.dns import DnsArgs, Site
from components.dns.aws_places import nearest

READY_PATH = "/edge/ready"
_PROBE_S = 10
_FAILURES = 2
"""An edge that is gone is out after about 30 seconds, and a resolver's memory more."""


class Route53(pulumi.ComponentResource):
    """Records of the environment's name, in the user's own zone."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:dns:Route53", name, {}, opts)
        self._name, self._args, self._opts = name, args, args.scope.child(self)
        if args.dns.policy == "latency":
            self._latency(_by_place(args.sites))
        else:
            self._failover(args.sites)
        self.register_outputs({"name": args.dns.name})

    def _latency(self, places: Mapping[str, Sequence[Site]]) -> None:
        for place, sites in places.items():
            self._alias(place, self._args.dns.name, self._edges(place, sites), region=place)

    def _failover(self, sites: Sequence[Site]) -> None:
        """First or else second, which is all that Route 53 has: so second is again first or else second.

        The last is a first without a second, because a record without a policy could not make room for one with.
        """
        name = self._args.dns.name
        names = [name, *(f"after-{order}.{name}" for order in range(1, len(sites)))]
        later: _Target | None = None
        for site, called in reversed(list(zip(sites, names, strict=True))):
            edges = self._edges(site.id, [site])
            first = self._alias(site.id, called, edges, failover="PRIMARY")
            second = [self._alias(f"{site.id}-down", called, later, failover="SECONDARY")] if later else []
            later = _Target(called, [first, *second])

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

    def _alias(
        self,
        identifier: str,
        name: str,
        target: _Target,
        *,
        region: str | None = None,
        failover: str | None = None,
    ) -> route53.Record:
        zone = self._args.dns.zone
        # Route 53 refuses an alias of a name that has no records yet.
        after = pulumi.ResourceOptions(depends_on=target.records)
        return route53.Record(
            f"{self._name}-{identifier}",
            zone_id=zone,
            name=name,
            type="A",
            aliases=[{"name": target.name, "zone_id": zone, "evaluate_target_health": True}],
            set_identifier=identifier,
            latency_routing_policies=[{"region": region}] if region else None,
            failover_routing_policies=[{"type": failover}] if failover else None,
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
