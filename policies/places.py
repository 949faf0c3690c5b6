"""Where a stack may be, what it may consist of, and how much of it may be bought how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime

from pulumi_policy import PolicyResource

from catalog.load import UNKNOWN, load
from planner.pricing import cost_of_service
from policies.cost import Stack, usd
from policies.rules import Config, JudgeAll, Rule
from spec.desired import Pool
from spec.names import Market

Resources = Sequence[PolicyResource]


def _pools(stack: Stack) -> list[Pool]:
    return [pool for service in stack.services for pool in service.pools]


def _allowed(what: str, of: Callable[[Pool], Sequence[str]], setting: str) -> JudgeAll:
    def judge(stack: Stack, _resources: Resources, config: Config) -> Iterator[str]:
        allowed = config.get("allowed")
        if allowed is None:
            return
        folded = {str(a).casefold() for a in allowed}
        for pool in _pools(stack):
            for value in of(pool):
                if value.casefold() not in folded:
                    yield f"{pool.id}: the {what} {value} is not allowed (allowed: {', '.join(allowed) or 'none'}). {setting}"

    return judge


def _spot_share(stack: Stack, _resources: Resources, config: Config) -> Iterator[str]:
    least, pools = config.get("min"), _pools(stack)
    if least is None or not pools:
        return
    share = sum(p.max_size for p in pools if p.market is Market.SPOT) / max(sum(p.max_size for p in pools), 1)
    if share < least:
        yield (
            f"{share:.0%} of the machines that the pools may have are spot, at least {least:.0%} must be. "
            "Set `use_spot`, or allow more spot pools."
        )


def _on_demand(stack: Stack, _resources: Resources, config: Config) -> Iterator[str]:
    limit = config.get("usdHour")
    if limit is None:
        return
    most = 0.0
    for service in stack.services:
        dear = [p for p in service.pools if p.market is not Market.SPOT]
        most += cost_of_service(service.scaling, dear).worst_usd_hour if dear else 0.0
    if most > limit:
        yield (
            f"all replicas on demand would cost {usd(most)} USD/hour, limit {usd(limit)}. Lower max_replicas, or choose "
            "cheaper on-demand places."
        )


def _accelerator_price(stack: Stack, _resources: Resources, config: Config) -> Iterator[str]:
    limit = config.get("usdHour")
    if limit is None:
        return
    for pool in _pools(stack):
        price = pool.price_usd_hour
        if price is not None and price / pool.accelerator_count > limit:
            yield (
                f"{pool.id}: an {pool.accelerator} costs {usd(price / pool.accelerator_count)} USD/hour, limit {usd(limit)}. "
                "Leave its place out, or raise the limit."
            )


def _service_cost(stack: Stack, _resources: Resources, config: Config) -> Iterator[str]:
    limit = config.get("usdHour")
    if limit is None:
        return
    for service in stack.services:
        if service.cost.worst_usd_hour > limit:
            yield (
                f"service {service.name}: its worst case is {usd(service.cost.worst_usd_hour)} USD/hour, limit {usd(limit)}. "
                "Lower max_replicas or raise the limit."
            )


def _cloud_cost(stack: Stack, _resources: Resources, config: Config) -> Iterator[str]:
    limit = config.get("usdHour")
    if limit is None:
        return
    for cloud in sorted({p.cloud for p in _pools(stack)}):
        runaway = sum(p.max_size * (p.price_usd_hour or 0.0) for p in _pools(stack) if p.cloud == cloud)
        if runaway > limit:
            yield (
                f"{cloud}: all its pools at their maximum would cost {usd(runaway)} USD/hour, limit {usd(limit)}. "
                "Lower max_replicas or maxPoolsPerService, or raise the limit."
            )


def _max_replicas(stack: Stack, _resources: Resources, config: Config) -> Iterator[str]:
    most = config.get("max")
    if most is None:
        return
    for service in stack.services:
        if service.scaling.max_replicas > most:
            yield f"service {service.name}: max_replicas is {service.scaling.max_replicas}, at most {most} are allowed."


def _fresh(stack: Stack, _resources: Resources, config: Config) -> Iterator[str]:
    days = config.get("days")
    if days is None:
        return
    today, clouds = datetime.now(UTC).date(), sorted({p.cloud for p in _pools(stack)} - {"local"})
    for cloud in clouds:
        dates = {o.as_of for o in load().offers if o.cloud == cloud}
        if UNKNOWN in dates:
            yield f"{cloud}: prices without a date are in the table, and they may not be older than {days:g} days. ./tw catalog refresh"
            continue
        age = max((today - _earliest(text)).days for text in dates)
        if age > days:
            yield f"{cloud}: its oldest prices are {age} days old, at most {days:g} are allowed. ./tw catalog refresh"


def _earliest(text: str) -> date:
    """The first day that `2024`, `2024-05` or `2024-05-06` can mean: prices are as old as they may be."""
    year, month, day = ([*map(int, text.split("-")), 1, 1])[:3]
    return date(year, month, day)


RULES = (
    Rule(
        "service-cost",
        "The worst case of each service stays within the limit.",
        "docs/policies.md",
        whole=_service_cost,
    ),
    Rule(
        "cloud-cost",
        "The runaway cost in each cloud stays within the limit.",
        "docs/policies.md",
        whole=_cloud_cost,
    ),
    Rule("spot-share", "Enough of the machines are spot.", "docs/policies.md", whole=_spot_share),
    Rule(
        "on-demand-cap",
        "What on demand may cost stays within the limit.",
        "docs/policies.md",
        whole=_on_demand,
    ),
    Rule(
        "accelerator-price",
        "No accelerator costs more an hour than the limit.",
        "docs/policies.md",
        whole=_accelerator_price,
    ),
    Rule(
        "allowed-clouds",
        "Pools are in allowed clouds.",
        "docs/policies.md",
        whole=_allowed("cloud", lambda p: (p.cloud,), "Leave it out of tradewind:clouds."),
    ),
    Rule(
        "allowed-regions",
        "Pools are in allowed regions: where requests are worked on.",
        "data residency; docs/policies.md",
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
        whole=_max_replicas,
    ),
    Rule("prices-fresh", "Prices are not older than allowed.", "docs/planning.md", whole=_fresh),
)
