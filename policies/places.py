"""Where a stack may be, what it may consist of, and how much of it may be bought how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pulumi_policy import PolicyResource

from catalog.age import earliest
from catalog.cells import UNKNOWN
from planner.pricing import cost_of_service
from policies.cost import Stack, usd
from policies.pools import POOLS, price_table
from policies.resources import SERVICE
from policies.rules import Config, JudgeAll, Rule, at, type_of
from spec.desired import Pool
from spec.names import Market

READ = frozenset({SERVICE, *POOLS})
"""Types that services and pools are read from."""

_WHERE = {
    "aws:ec2/instance:Instance": "region",
    "aws:s3/bucket:Bucket": "region",
    "azure-native:compute:VirtualMachine": "location",
    "azure-native:storage:StorageAccount": "location",
    "gcp:compute/instance:Instance": "zone",
    "gcp:storage/bucket:Bucket": "location",
}
"""Hosts, which see what callers send, and buckets: the property that says where they are."""

Against = Callable[[Stack, Any], Iterator[str]]
"""From a stack and what it is held to, to what is wrong with it."""


def _pools(stack: Stack) -> list[Pool]:
    return [pool for service in stack.services for pool in service.pools]


def _held(parameter: str, against: Against) -> JudgeAll:
    """Judges when the parameter is given. A pool or service that can't be read can't be within anything."""

    def judge(stack: Stack, _resources: Sequence[PolicyResource], config: Config) -> Iterator[str]:
        limit = config.get(parameter)
        if limit is None:
            return
        for unread in stack.unpriced:
            if type_of(unread.urn) in READ:
                yield f"{unread.resource}: it can't be read, so nobody knows whether it is within {parameter} (see prices-known)."
        yield from against(stack, limit)

    return judge


def _allowed(what: str, of: Callable[[Pool], Sequence[str]], setting: str) -> JudgeAll:
    def against(stack: Stack, allowed: Sequence[str]) -> Iterator[str]:
        for pool in _pools(stack):
            for value in of(pool):
                if not _among(value, allowed):
                    yield f"{pool.id}: {_refusal(what, value, allowed)} {setting}"

    return _held("allowed", against)


def _cloud_of_others(resource: PolicyResource, config: Config) -> Iterator[str]:
    allowed = config.get("allowed")
    if allowed is None or resource.resource_type not in _WHERE:
        return
    cloud = resource.resource_type.partition(":")[0].removesuffix("-native")
    if not _among(cloud, allowed):
        yield f"{_refusal('cloud', cloud, allowed)} Move tradewind:home or the edge."


def _region_of_others(resource: PolicyResource, config: Config) -> Iterator[str]:
    allowed, where = config.get("allowed"), _WHERE.get(resource.resource_type)
    if allowed is None or where is None:
        return
    region = at(resource.props, where)
    if region is None:
        yield f"it has no {where}, so nobody knows whether it is in an allowed region. Name it."
        return
    region = region.rpartition("-")[0] if where == "zone" else region
    if not _among(region, allowed):
        yield f"{_refusal('region', region, allowed)} Move tradewind:home, the edge or the account's region."


def _among(value: str, allowed: Sequence[str]) -> bool:
    return value.casefold() in {str(a).casefold() for a in allowed}


def _refusal(what: str, value: str, allowed: Sequence[str]) -> str:
    return f"the {what} {value} is not allowed (allowed: {', '.join(allowed) or 'none'})."


def _spot_share(stack: Stack, least: float) -> Iterator[str]:
    pools = _pools(stack)
    if not pools:
        return
    share = sum(p.max_size for p in pools if p.market is Market.SPOT) / max(sum(p.max_size for p in pools), 1)
    if share < least:
        yield (
            f"{share:.0%} of the machines that the pools may have are spot, at least {least:.0%} must be. "
            "Set `use_spot`, or allow more spot pools."
        )


def _on_demand(stack: Stack, limit: float) -> Iterator[str]:
    most = 0.0
    for service in stack.services:
        dear = [p for p in service.pools if p.market is not Market.SPOT]
        most += cost_of_service(service.scaling, dear).worst_usd_hour if dear else 0.0
    if most > limit:
        yield (
            f"all replicas on demand would cost {usd(most)} USD/hour, limit {usd(limit)}. Lower max_replicas, or choose "
            "cheaper on-demand places."
        )


def _accelerator_price(stack: Stack, limit: float) -> Iterator[str]:
    for pool in _pools(stack):
        price = pool.price_usd_hour
        if price is not None and price / pool.accelerator_count > limit:
            yield (
                f"{pool.id}: an {pool.accelerator} costs {usd(price / pool.accelerator_count)} USD/hour, limit {usd(limit)}. "
                "Leave its place out, or raise the limit."
            )


def _service_cost(stack: Stack, limit: float) -> Iterator[str]:
    for service in stack.services:
        if service.cost.worst_usd_hour > limit:
            yield (
                f"service {service.name}: its worst case is {usd(service.cost.worst_usd_hour)} USD/hour, limit {usd(limit)}. "
                "Lower max_replicas or raise the limit."
            )


def _cloud_cost(stack: Stack, limit: float) -> Iterator[str]:
    for cloud in sorted({p.cloud for p in _pools(stack)}):
        runaway = sum(p.max_size * (p.price_usd_hour or 0.0) for p in _pools(stack) if p.cloud == cloud)
        if runaway > limit:
            yield (
                f"{cloud}: all its pools at their maximum would cost {usd(runaway)} USD/hour, limit {usd(limit)}. "
                "Lower max_replicas or maxPoolsPerService, or raise the limit."
            )


def _max_replicas(stack: Stack, most: float) -> Iterator[str]:
    for service in stack.services:
        if service.scaling.max_replicas > most:
            yield (
                f"service {service.name}: max_replicas is {service.scaling.max_replicas}, "
                f"at most {most:g} are allowed. Lower it, or raise the limit."
            )


def _fresh(stack: Stack, days: float) -> Iterator[str]:
    today = datetime.now(UTC).date()
    for cloud in sorted({p.cloud for p in _pools(stack)} - {"local"}):
        dates = {o.as_of for o in price_table().offers if o.cloud == cloud}
        if UNKNOWN in dates:
            yield f"{cloud}: prices without a date are in the table, and they may not be older than {days:g} days. ./tw catalog refresh"
            continue
        age = max((today - earliest(text)).days for text in dates)
        if age > days:
            yield f"{cloud}: its oldest prices are {age} days old, at most {days:g} are allowed. ./tw catalog refresh"


RULES = (
    Rule(
        "service-cost",
        "The worst case of each service stays within the limit.",
        "docs/policies.md",
        whole=_held("usdHour", _service_cost),
    ),
    Rule(
        "cloud-cost",
        "The runaway cost in each cloud stays within the limit.",
        "docs/policies.md",
        whole=_held("usdHour", _cloud_cost),
    ),
    Rule(
        "spot-share", "Enough of the machines are spot.", "docs/policies.md", whole=_held("min", _spot_share)
    ),
    Rule(
        "on-demand-cap",
        "What on demand may cost stays within the limit.",
        "docs/policies.md",
        whole=_held("usdHour", _on_demand),
    ),
    Rule(
        "accelerator-price",
        "No accelerator costs more an hour than the limit.",
        "docs/policies.md",
        whole=_held("usdHour", _accelerator_price),
    ),
    Rule(
        "allowed-clouds",
        "Pools, hosts and buckets are in allowed clouds.",
        "docs/policies.md",
        each=_cloud_of_others,
        whole=_allowed("cloud", lambda p: (p.cloud,), "Leave it out of tradewind:clouds."),
    ),
    Rule(
        "allowed-regions",
        "Pools, hosts and buckets are in allowed regions: where requests are worked on and things are kept.",
        "data residency; docs/policies.md",
        each=_region_of_others,
        whole=_allowed("region", lambda p: (p.region,), "Name the regions in tradewind:regions."),
    ),
    Rule(
        "allowed-accelerators",
        "Pools have allowed accelerators.",
        "docs/policies.md",
        whole=_allowed(
            "accelerator", lambda p: (p.accelerator,), "Name others in the service's `resources`."
        ),
    ),
    Rule(
        "allowed-instance-types",
        "Pools have allowed instance types.",
        "docs/policies.md",
        whole=_allowed(
            "instance type", lambda p: p.instance_types, "Name others in the service's `resources`."
        ),
    ),
    Rule(
        "max-replicas",
        "No service may have more replicas than allowed.",
        "docs/policies.md",
        whole=_held("max", _max_replicas),
    ),
    Rule(
        "prices-fresh", "Prices are not older than allowed.", "docs/planning.md", whole=_held("days", _fresh)
    ),
)
