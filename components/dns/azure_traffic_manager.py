"""The environment's name in Azure: a Traffic Manager profile that leads each caller to an edge that is ready.

Traffic Manager owns `<something>.trafficmanager.net`. The user's own name is a CNAME to that, which they set at whoever
keeps their zone: the output `cname` says what it must be.
"""

from __future__ import annotations

import hashlib

import pulumi
from pulumi_azure_native import resources, trafficmanager

from components.azure import resource_group, subscription
from components.cloud import EDGE_PORT
from components.dns import DnsArgs
from components.dns.azure_places import nearest
from lb.envoy.names import READY_PATH
from spec.names import cloud_name

PLACE = "names"
_ANYWHERE = "eastus"
"""Where the record of a resource group is kept that holds nothing of a region."""
_LONGEST_LABEL = 63
_PROBE_S, _TIMEOUT_S, _FAILURES = 10, 5, 2
"""An edge that is gone is out after about 35 seconds, and a resolver's memory more."""


class TrafficManager(pulumi.ComponentResource):
    """`endpoint`: what the environment's name must be an alias of. `cname`: the record, as one types it."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:dns:TrafficManager", name, {}, opts)
        scope, own = args.scope, args.scope.child(self)
        by_latency = args.dns.policy == "latency"
        group = resources.ResourceGroup(
            f"{name}-group",
            resource_group_name=resource_group(scope.env, PLACE),
            location=_ANYWHERE,
            tags=scope.tags,
            opts=own,
        )
        label = _label(scope.env, subscription(scope).subscription_id)
        profile = trafficmanager.Profile(
            name,
            profile_name=cloud_name(scope.env, PLACE),
            resource_group_name=group.name,
            location="global",
            traffic_routing_method="Performance" if by_latency else "Priority",
            dns_config=trafficmanager.DnsConfigArgs(relative_name=label, ttl=args.dns.ttl_s),
            monitor_config=trafficmanager.MonitorConfigArgs(
                protocol="HTTPS",
                port=EDGE_PORT,
                path=READY_PATH,
                interval_in_seconds=_PROBE_S,
                timeout_in_seconds=_TIMEOUT_S,
                tolerated_number_of_failures=_FAILURES,
            ),
            tags=scope.tags,
            opts=own,
        )
        targets = [(n, s, a) for s in args.sites for n, a in enumerate((s.address, *s.more), start=1)]
        for order, (number, site, address) in enumerate(targets, start=1):
            named = site.id if number == 1 else f"{site.id}-{number}"
            trafficmanager.Endpoint(
                f"{name}-{named}",
                endpoint_name=named,
                endpoint_type="ExternalEndpoints",
                profile_name=profile.name,
                resource_group_name=group.name,
                target=address,
                endpoint_status="Enabled",
                endpoint_location=nearest(site.cloud, site.region) if by_latency else None,
                priority=order,
                opts=own,
            )
        self.endpoint = f"{label}.trafficmanager.net"
        self.cname = f"{args.dns.name}. {args.dns.ttl_s} IN CNAME {self.endpoint}."
        self.register_outputs({"endpoint": self.endpoint, "cname": self.cname})


def _label(env: str, subscription_id: str) -> str:
    """Nobody else's in the world."""
    digest = hashlib.sha256(f"{env}/{subscription_id}".encode()).hexdigest()[:8]
    return cloud_name(env, f"{PLACE}-{digest}", limit=_LONGEST_LABEL)
