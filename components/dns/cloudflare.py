"""The environment's name at Cloudflare, which answers with addresses only: callers' requests never pass through it.

One address is a plain record, which costs nothing. Several are a load balancer, which is an add-on of the zone that
Cloudflare bills for, with a monitor that asks each address whether it is ready. Callers are led by Cloudflare's own
measurements (`latency`), or to the first edge of the settings that is ready (`failover`).
"""

from __future__ import annotations

import pulumi
import pulumi_cloudflare as cloudflare

from components.cloud import EDGE_PORT
from components.dns import DnsArgs, Site
from lb.envoy.names import READY_PATH
from spec.names import cloud_name

_PROBE_S = 60
"""The fastest that every plan has."""
_TIMEOUT_S = 5
_RETRIES = 2
_SHORTEST_TTL_S = 60
"""Of a plain record; load balancers take less."""
_STEERING = {"latency": "dynamic_latency", "failover": "off"}
"""`off`: the first pool that is healthy."""


class Cloudflare(pulumi.ComponentResource):
    """Records of the environment's name, in the user's own zone. The scope's provider holds the API token."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:dns:Cloudflare", name, {}, opts)
        self._name, self._args, self._opts = name, args, args.scope.child(self)
        if len(args.sites) == 1 and not args.sites[0].more:
            self._record(args.sites[0].address)
        else:
            self._balancer()
        self.register_outputs({"name": args.dns.name})

    def _record(self, address: pulumi.Input[str]) -> None:
        args = self._args
        cloudflare.DnsRecord(
            self._name,
            zone_id=args.dns.zone,
            name=args.dns.name,
            type="A",
            content=address,
            ttl=max(args.dns.ttl_s, _SHORTEST_TTL_S),
            proxied=False,
            comment=f"Tradewind {args.scope.env}",
            opts=self._opts,
        )

    def _balancer(self) -> None:
        args = self._args
        asked = pulumi.InvokeOptions(parent=self, provider=args.scope.provider)
        account = cloudflare.get_zone_output(zone_id=args.dns.zone, opts=asked).apply(
            lambda zone: str(zone.account["id"])
        )
        monitor = cloudflare.LoadBalancerMonitor(
            f"{self._name}-ready",
            account_id=account,
            description=f"Tradewind {args.scope.env}: edges that are ready",
            type="https",
            method="GET",
            port=EDGE_PORT,
            path=READY_PATH,
            header={"Host": [args.dns.name]},
            expected_codes="200",
            # An edge may show a certificate of the environment's own authority: it is asked whether it is ready, not who it is.
            allow_insecure=True,
            follow_redirects=False,
            interval=_PROBE_S,
            timeout=_TIMEOUT_S,
            retries=_RETRIES,
            opts=self._opts,
        )
        pools = [self._pool(site, account, monitor.id) for site in args.sites]
        cloudflare.LoadBalancer(
            self._name,
            zone_id=args.dns.zone,
            name=args.dns.name,
            description=f"Tradewind {args.scope.env}",
            proxied=False,
            ttl=args.dns.ttl_s,
            steering_policy=_STEERING[args.dns.policy],
            default_pools=[pool.id for pool in pools],
            fallback_pool=pools[-1].id,
            opts=self._opts,
        )

    def _pool(
        self, site: Site, account: pulumi.Input[str], monitor: pulumi.Input[str]
    ) -> cloudflare.LoadBalancerPool:
        """The addresses of one edge."""
        return cloudflare.LoadBalancerPool(
            f"{self._name}-{site.id}",
            account_id=account,
            name=cloud_name(self._args.scope.env, site.id),
            description=f"Tradewind {self._args.scope.env}: {site.id}",
            monitor=monitor,
            minimum_origins=1,
            origins=[
                cloudflare.LoadBalancerPoolOriginArgs(name=f"{site.id}-{number}", address=address)
                for number, address in enumerate((site.address, *site.more), start=1)
            ],
            opts=self._opts,
        )
