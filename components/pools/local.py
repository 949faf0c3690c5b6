"""A pool of the local cloud: machines are process groups, capacity and prices follow a trace."""

from __future__ import annotations

import pulumi

from components.local.resources import Host
from spec.desired import Pool
from spec.stack import LocalCloud


class LocalPool(pulumi.CustomResource):
    """One zone's machines of one shape for one service.

    `argv` and `env` are the launch template: they say how a machine's node agent starts, and nothing about what
    it will run. The size is not an input, so no update can carry one.
    """

    def __init__(
        self, pool: Pool, *, host: Host, weather: LocalCloud, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {
            "home": str(host.home),
            "poolId": pool.id,
            "service": pool.service,
            "cloud": pool.cloud,
            "region": pool.region,
            "zone": pool.zone,
            "market": pool.market.value,
            "accelerator": pool.accelerator,
            "acceleratorCount": pool.accelerator_count,
            "instanceTypes": list(pool.instance_types),
            "capacityUnits": pool.capacity_units,
            "maxSize": pool.max_size,
            "priceUsdHour": pool.price_usd_hour,
            "argv": [host.python, "-m", "lb", "node"],
            "env": host.environment,
            "bucket": host.bucket,
            "trace": str(host.root / weather.trace),
            "noticeS": weather.notice_s,
            "traceSpeed": weather.trace_speed,
        }
        super().__init__("tradewind:local:Pool", pool.id, props, opts)
