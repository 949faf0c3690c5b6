"""What an environment costs while no replica runs: hosts with their disks and addresses, balancers, secrets, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.layout import Layout, Secret
from spec.errors import InputError, did_you_mean
from spec.stack import StackConfig

HOST_DISK_GIB = {"aws": 30, "gcp": 30, "azure": 64}

Prices = Mapping[tuple[str, str], float]
"""USD per hour by cloud and item, as `catalog.fixed` reads them."""


@dataclass(frozen=True, slots=True)
class Item:
    """One kind of thing and how many of it; `usd_hour` of all together."""

    cloud: str
    what: str
    count: int
    usd_hour: float


def fixed_items(
    layout: Layout, secrets: Sequence[Secret], config: StackConfig, prices: Prices
) -> tuple[Item, ...]:
    """Everything that costs something by being there. Raises InputError for a host type without a price."""
    counted: dict[tuple[str, str], int] = {}

    def add(cloud: str, what: str, count: int = 1) -> None:
        counted[cloud, what] = counted.get((cloud, what), 0) + count

    def host(cloud: str, instance_type: str) -> None:
        add(cloud, instance_type)
        add(cloud, "address")
        add(cloud, "disk_gib", HOST_DISK_GIB[cloud])

    host(layout.home[0], layout.home_type)
    for edge in layout.edges:
        for machine in edge.hosts:
            host(edge.cloud, machine.instance_type)
        if edge.balanced:
            add(edge.cloud, "balancer")
            add(edge.cloud, "address", edge.addresses)
    for secret in secrets:
        add(secret.cloud, "secret")
    addresses = sum(edge.addresses for edge in layout.edges)
    owners = {"route53": "aws", "cloud_dns": "gcp", "azure_traffic_manager": "azure"}
    if owner := owners.get(config.dns.owner):
        add(owner, "health_check", addresses)
    if config.dns.owner == "cloudflare" and addresses > 1:
        add("cloudflare", "endpoint", addresses)
        if config.dns.policy == "latency":
            add("cloudflare", "steering")
    return tuple(
        Item(cloud, what, count, count * _price(prices, cloud, what))
        for (cloud, what), count in sorted(counted.items())
    )


def _price(prices: Prices, cloud: str, what: str) -> float:
    try:
        return prices[cloud, what]
    except KeyError:
        known = sorted(item for of, item in prices if of == cloud)
        hint = did_you_mean(what, known) or f"There are: {', '.join(known)}."
        raise InputError(
            f"no price is known for {what} on {cloud}: choose another instanceType of tradewind:home or "
            f"tradewind:edges, or add a row to catalog/fixed.csv. {hint}"
        ) from None
