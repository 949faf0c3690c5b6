"""The conditions that a place must meet, each with its own words for why a place does not.

One list serves three purposes, so they can't drift apart: it filters, its first failing condition is the reason
why a place was left out, and when nothing is left it tells which condition emptied the set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catalog.accelerators import kind_of
from catalog.load import Offer
from planner.constraints import Constraints
from planner.fit import Fit, Need, fit
from spec.mounts import homes
from spec.names import Market, PoolKind
from spec.service import Amount, Mount, ResourceOption

LOCAL = "local"

POOL_KINDS = {
    LOCAL: PoolKind.PROCESS,
    "aws": PoolKind.VM,
    "gcp": PoolKind.VM,
    "azure": PoolKind.VM,
}
"""Clouds in which the stack can declare a pool."""

NOT_DRIVEN = {
    *(("aws", name) for name in ("K80", "M60", "V100", "V100-32GB")),
    *(("gcp", name) for name in ("P100", "P4", "V100")),
}
"""Accelerators that the driver of the cloud's current images no longer knows."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition.

    Attributes:
        name: what a user would change to drop it; empty where that is not the user's to change.
        passes: how the places that meet it are described: "are on aws".
        why_not: why an offer does not meet it, or None when it does.
        distance: how far an offer is from meeting it, where that is a matter of degree.

    """

    name: str
    passes: str
    why_not: Callable[[Offer], str | None]
    distance: Callable[[Offer], float] | None = None


def place_filters(
    option: ResourceOption,
    constraints: Constraints,
    need: Need | None,
    nodes: int,
    mounts: tuple[Mount, ...] = (),
) -> tuple[Filter, ...]:
    """Conditions on the machine and where it is, in the order in which they are reported."""
    found: list[Filter] = []
    if need is not None:
        found.append(_holds_model(need, nodes, named=bool(option.accelerators)))
    if option.instance_type:
        found.append(_one_of("the instance type", "are", (option.instance_type,), lambda o: o.instance_type))
    if option.cpus:
        found.append(_amount("`cpus`", "vCPUs", option.cpus, lambda o: o.vcpus))
    if option.memory_gib:
        found.append(_amount("`memory`", "GiB of memory", option.memory_gib, lambda o: o.memory_gib))
    if option.cloud:
        found.append(_one_of("the file's `cloud`", "are on", (option.cloud,), lambda o: o.cloud))
    if constraints.clouds:
        found.append(_one_of("the clouds", "are on", constraints.clouds, lambda o: o.cloud))
    if option.region:
        found.append(_one_of("the file's `region`", "are in", (option.region,), lambda o: o.region))
    if constraints.regions:
        found.append(_one_of("the regions", "are in", constraints.regions, lambda o: o.region))
    if option.zone:
        found.append(_one_of("the file's `zone`", "are in", (option.zone,), lambda o: o.zone))
    if constraints.zones:
        found.append(_one_of("the zones", "are in", constraints.zones, lambda o: o.zone))
    found += [_reads(cloud, source) for cloud, source in homes(mounts).items()]
    if constraints.subnets:
        found.append(_has_subnet(constraints))
    found.append(
        Filter(
            "",
            "are where pools can be declared",
            lambda o: None if o.cloud in POOL_KINDS else f"nothing deploys to {o.cloud} yet",
        )
    )
    found.append(Filter("", "are machines of a group", _no_machine))
    found.append(Filter("", "have a current image with their driver", _undriven))
    return tuple(found)


def _no_machine(offer: Offer) -> str | None:
    if offer.cloud == "gcp" and offer.instance_type.startswith("tpu-"):
        return "TPU slices are no machines of Compute Engine, so no group can hold them"
    return None


def _undriven(offer: Offer) -> str | None:
    if (offer.cloud, offer.accelerator) in NOT_DRIVEN:
        return f"no current image of {offer.cloud} has a driver for {offer.accelerator}"
    return None


def _has_subnet(constraints: Constraints) -> Filter:
    def why_not(offer: Offer) -> str | None:
        zones = constraints.subnets.get((offer.cloud, offer.region))
        if zones is None or offer.zone in zones:
            return None
        return f"the network of tradewind:network.{offer.cloud}/{offer.region} has no subnet in {offer.zone}"

    return Filter("the networks that are there", "are in a zone with a subnet", why_not)


def _reads(cloud: str, source: str) -> Filter:
    """The local cloud mounts nothing, and so may run what would."""

    def why_not(offer: Offer) -> str | None:
        if offer.cloud in (cloud, LOCAL):
            return None
        return f"`file_mounts` has {source}, which only machines of {cloud} can read"

    return Filter("`file_mounts`", f"can read {source}", why_not)


def market_filters(market: Market, constraints: Constraints, nodes: int) -> tuple[Filter, ...]:
    """Conditions on what a market asks and gives."""
    quotas = constraints.quotas
    allowed = Filter(
        "the quotas",
        "are within the quotas",
        lambda offer: quotas.why_not(offer, market, nodes),
        lambda offer: float(offer.accelerator_count),
    )
    return (*_price_filters(market, constraints), *([allowed] if quotas.by_key else []))


def _price_filters(market: Market, constraints: Constraints) -> tuple[Filter, ...]:
    words = market.replace("_", " ")
    known = Filter(
        "",
        f"have a known {words} price",
        lambda o: None if o.price(market) is not None else f"its {words} price is not known",
    )
    limit = constraints.max_price_usd_hour
    if limit is None:
        return (known,)

    def why_not(offer: Offer) -> str | None:
        price = offer.price(market)
        if price is not None and price > limit:
            return f"costs {price:g} USD/hour, more than the maximum of {limit:g}"
        return None

    return known, Filter(
        "the maximum price",
        f"cost at most {limit:g} USD/hour ({words})",
        why_not,
        lambda o: o.price(market) or 0.0,
    )


def first_obstacle(filters: Sequence[Filter], offer: Offer) -> str | None:
    """The reason why an offer is left out, or None when it meets all conditions."""
    for f in filters:
        reason = f.why_not(offer)
        if reason is not None:
            return reason
    return None


def _one_of(name: str, verb: str, wanted: Sequence[str], of: Callable[[Offer], str | None]) -> Filter:
    folded = {w.casefold() for w in wanted}
    words = " or ".join(wanted)
    return Filter(
        name,
        f"{verb} {words}",
        lambda o: None if (of(o) or "").casefold() in folded else f"{of(o) or 'no zone'} is not {words}",
    )


def _amount(name: str, unit: str, wanted: Amount, of: Callable[[Offer], float | None]) -> Filter:
    words = f"{wanted.value:g}{'+' if wanted.at_least else ''} {unit}"

    def why_not(offer: Offer) -> str | None:
        have = of(offer)
        if have is None:
            return f"wanted: {words}; this type's are not published"
        return None if wanted.allows(have) else f"has {have:g}, wanted: {words}"

    return Filter(name, f"have {words}", why_not, lambda o: abs((of(o) or 0.0) - wanted.value))


def _holds_model(need: Need, nodes: int, *, named: bool) -> Filter:
    """`named`: the user named accelerators, and so vouches for an engine that runs on other vendors' ones."""
    known: dict[tuple[str, int], Fit] = {}

    def why_not(offer: Offer) -> str | None:
        shape = (offer.accelerator, offer.accelerator_count)
        if named and kind_of(offer.accelerator).vendor != "nvidia":
            return None
        if shape not in known:
            known[shape] = fit(need, accelerator=shape[0], count=shape[1], nodes=nodes)
        return None if known[shape].holds else known[shape].line

    def distance(offer: Offer) -> float:
        return -offer.accelerator_count * offer.accelerator_memory_gib

    return Filter("", "can hold the model", why_not, distance)
