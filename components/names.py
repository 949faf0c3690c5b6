"""The environment's name, by whichever owner keeps it, and the addresses that callers use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.cloud import Scope
from components.dns import DnsArgs, Site
from components.parts.opened import scope
from spec.secrets import CLOUDFLARE_TOKEN
from spec.stack import StackConfig

OWNERS = {"route53": "aws", "cloud_dns": "gcp", "azure_traffic_manager": "azure"}
"""Owners that are a cloud's own service."""


@dataclass(frozen=True)
class Names:
    """`endpoint`: what callers use. `cname`: a record that the user has to set; empty = none."""

    endpoint: pulumi.Input[str]
    by_edge: Mapping[str, pulumi.Input[str]]
    cname: str = ""

    def endpoint_of(self, edge_id: str) -> pulumi.Input[str]:
        """As the desired state has it: the environment's name, or the address that callers of this edge use.

        What callers see is issued for exactly this.
        """
        return self.endpoint if isinstance(self.endpoint, str) else self.by_edge[edge_id]

    @classmethod
    def of(
        cls,
        parent: pulumi.Resource,
        config: StackConfig,
        sites: Sequence[Site],
        scopes: Mapping[str, Scope],
        secrets: Mapping[str, pulumi.Output[str]],
    ) -> Names:
        """Declares the records."""
        by_edge = {site.id: pulumi.Output.concat("https://", site.address) for site in sites}
        if config.dns.owner == "none":
            return cls(f"https://{config.dns.name}" if config.dns.name else by_edge[sites[0].id], by_edge)
        env = next(iter(scopes.values())).env
        if (cloud := OWNERS.get(config.dns.owner)) is None:
            of = _cloudflare(env, config, secrets, parent)
        else:
            of = scopes.get(cloud) or scope(env, config, cloud, parent)
        cname = _declare(config.dns.owner, DnsArgs(scope=of, dns=config.dns, sites=tuple(sites)), parent)
        return cls(f"https://{config.dns.name}", by_edge, cname)


def _declare(owner: str, args: DnsArgs, parent: pulumi.Resource) -> str:
    opts = pulumi.ResourceOptions(parent=parent)
    if owner == "route53":
        from components.dns.route53 import Route53

        Route53("dns", args, opts)
        return ""
    if owner == "azure_traffic_manager":
        from components.dns.azure_traffic_manager import TrafficManager

        return TrafficManager("dns", args, opts).cname
    if owner == "cloud_dns":
        from components.dns.cloud_dns import CloudDns

        CloudDns("dns", args, opts)
        return ""
    from components.dns.cloudflare import Cloudflare

    Cloudflare("dns", args, opts)
    return ""


def _cloudflare(
    env: str, config: StackConfig, secrets: Mapping[str, pulumi.Output[str]], parent: pulumi.Resource
) -> Scope:
    """Of no cloud of ours. A preview may come before the token."""
    import pulumi_cloudflare

    token = secrets.get(CLOUDFLARE_TOKEN)
    opts = pulumi.ResourceOptions(parent=parent)
    provider = pulumi_cloudflare.Provider("cloudflare", api_token=token, opts=opts)
    return Scope(env=env, cloud="cloudflare", config=config, provider=provider)
