"""The environment's name in Cloud DNS: one record that answers with addresses of edges that are ready.

With `latency` a caller gets the edges of the place that is nearest by Google's map, and of the next one when none of
these is ready. With `failover` callers get the first edge of the settings while it is ready, and else the nearest of
the others: Cloud DNS knows no third in line. Google asks from three regions, every 30 seconds at the fastest.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_gcp import compute, dns

from components.cloud import EDGE_PORT
from components.dns import DnsArgs, Site
from components.dns.gcp_places import nearest
from lb.envoy.names import READY_PATH
from spec.names import cloud_name

_ASKED_FROM = ("us-central1", "europe-west1", "asia-southeast1")
"""Exactly three, as Google wants them; far from each other, so that one region's trouble is not taken for an edge's."""
_PROBE_S = 30
_TIMEOUT_S = 5
_FAILURES = 2


class CloudDns(pulumi.ComponentResource):
    """The record of the environment's name, in the user's own zone."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:dns:CloudDns", name, {}, opts)
        own = args.scope.child(self)
        check = compute.HealthCheck(
            f"{name}-ready",
            name=cloud_name(args.scope.env, "ready"),
            description=f"Tradewind {args.scope.env}: edges that are ready",
            source_regions=list(_ASKED_FROM),
            check_interval_sec=_PROBE_S,
            timeout_sec=_TIMEOUT_S,
            healthy_threshold=1,
            unhealthy_threshold=_FAILURES,
            https_health_check=compute.HealthCheckHttpsHealthCheckArgs(
                host=args.dns.name, port=EDGE_PORT, request_path=READY_PATH
            ),
            opts=own,
        )
        # A failover needs somebody to fail over to: one edge alone is the nearest.
        in_turn = args.dns.policy == "failover" and len(args.sites) > 1
        dns.RecordSet(
            name,
            managed_zone=args.dns.zone,
            name=f"{args.dns.name}.",
            type="A",
            ttl=args.dns.ttl_s,
            routing_policy=_first_or_else(args.sites, check.id)
            if in_turn
            else _nearest(args.sites, check.id),
            opts=own,
        )
        self.register_outputs({"name": args.dns.name})


def _nearest(sites: Sequence[Site], check: pulumi.Input[str]) -> dns.RecordSetRoutingPolicyArgs:
    return dns.RecordSetRoutingPolicyArgs(
        health_check=check,
        geos=[
            dns.RecordSetRoutingPolicyGeoArgs(
                location=place,
                health_checked_targets=dns.RecordSetRoutingPolicyGeoHealthCheckedTargetsArgs(
                    external_endpoints=addresses
                ),
            )
            for place, addresses in _by_place(sites).items()
        ],
    )


def _first_or_else(sites: Sequence[Site], check: pulumi.Input[str]) -> dns.RecordSetRoutingPolicyArgs:
    first, *others = sites
    return dns.RecordSetRoutingPolicyArgs(
        health_check=check,
        primary_backup=dns.RecordSetRoutingPolicyPrimaryBackupArgs(
            primary=dns.RecordSetRoutingPolicyPrimaryBackupPrimaryArgs(external_endpoints=_addresses(first)),
            backup_geos=[
                dns.RecordSetRoutingPolicyPrimaryBackupBackupGeoArgs(
                    location=place,
                    health_checked_targets=dns.RecordSetRoutingPolicyPrimaryBackupBackupGeoHealthCheckedTargetsArgs(
                        external_endpoints=addresses
                    ),
                )
                for place, addresses in _by_place(others).items()
            ],
        ),
    )


def _by_place(sites: Sequence[Site]) -> dict[str, list[pulumi.Input[str]]]:
    """Addresses by region of Google Cloud: Cloud DNS takes each place once."""
    places: dict[str, list[pulumi.Input[str]]] = {}
    for site in sites:
        places.setdefault(nearest(site.cloud, site.region), []).extend(_addresses(site))
    return places


def _addresses(site: Site) -> list[pulumi.Input[str]]:
    return [site.address, *site.more]
