"""Pools of capacity: one module per cloud, and the one place that chooses among them."""

from __future__ import annotations

import pulumi

from components.local import Host
from components.pools import local
from spec.desired import Pool
from spec.errors import InputError
from spec.stack import LocalCloud


def declare(pool: Pool, *, host: Host, weather: LocalCloud, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """Declares one planned pool in its cloud. Its size stays the controller's."""
    if pool.cloud == "local":
        return local.LocalPool(pool, host=host, weather=weather, opts=opts)
    raise InputError(f"pool {pool.id}: nothing declares pools in the cloud `{pool.cloud}` yet")
