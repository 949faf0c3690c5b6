"""Pools as the resources of each cloud tell them: what may run, where, how it is bought, and how many.

Prices come from the price table, never from the program: a stack that says of itself that it is cheap is not believed.
Where a group says of itself which pool it is, that is checked against what it would launch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from pulumi_policy import PolicyResource

from catalog.load import Catalog, load
from policies.values import Unpriceable, given
from spec.labels import MAX_SIZE_TAG, POOL_TAG, SERVICE_TAG
from spec.names import Market, PoolKind

Props = Mapping[str, Any]
Shape = tuple[str, str]
"""Accelerator and count."""
Reader = Callable[[PolicyResource], dict[str, Any]]
"""From a resource to the fields of its `Pool`. Raises UnknownValueError or Unpriceable, and nothing else."""


@cache
def price_table() -> Catalog:
    """The project's own, read once: a pack judges one preview."""
    return load()


def _local(resource: PolicyResource) -> dict[str, Any]:
    props = resource.props
    market = given(props, "market")
    price = given(props, "priceUsdHour", "no price is known for it. Leave its place out, or give it a price.")
    return {
        "id": given(props, "poolId"),
        "service": given(props, "service"),
        "kind": PoolKind.PROCESS,
        "cloud": given(props, "cloud"),
        "region": given(props, "region"),
        "zone": given(props, "zone"),
        "market": market,
        "accelerator": given(props, "accelerator"),
        "accelerator_count": given(props, "acceleratorCount"),
        "instance_types": given(props, "instanceTypes"),
        "capacity_units": given(props, "capacityUnits"),
        "max_size": given(props, "maxSize"),
        "prices": {"spot" if market == Market.SPOT else "on_demand": price},
    }


def _aws(resource: PolicyResource) -> dict[str, Any]:
    props = resource.props
    tags = {tag.get("key"): tag.get("value") for tag in given(props, "tags") if isinstance(tag, Mapping)}
    overrides = given(props, "mixedInstancesPolicy.launchTemplate.overrides")
    types = [o.get("instanceType") for o in overrides if isinstance(o, Mapping)]
    share = given(props, "mixedInstancesPolicy.instancesDistribution.onDemandPercentageAboveBaseCapacity")
    if share not in (0, 100):
        raise Unpriceable("its instancesDistribution is neither all spot nor all on demand.")
    return _of_cloud("aws", tags, types, spot=share == 0, max_size=given(props, "maxSize"))


def _azure(resource: PolicyResource) -> dict[str, Any]:
    props = resource.props
    tags = _map(given(props, "tags"), "tags")
    spot = given(props, "virtualMachineProfile.priority") == "Spot"
    return _of_cloud("azure", tags, [given(props, "sku.name")], spot=spot, max_size=tags.get(MAX_SIZE_TAG))


def _gcp(resource: PolicyResource) -> dict[str, Any]:
    props = resource.props
    tags = _map(given(props, "allInstancesConfig.metadata"), "allInstancesConfig.metadata")
    templates = [t for deps in resource.property_dependencies.values() for t in deps if _is_template(t)]
    if len({t.urn for t in templates}) != 1:
        raise Unpriceable("its versions do not lead to one instance template of this stack.")
    template = templates[0].props
    spot = given(template, "scheduling.provisioningModel") == "SPOT"
    types = [given(template, "machineType")]
    attached = _attached(template)
    return _of_cloud("gcp", tags, types, attached, spot=spot, max_size=tags.get(MAX_SIZE_TAG))


POOLS: Mapping[str, Reader] = {
    "tradewind:local:Pool": _local,
    "aws:autoscaling/group:Group": _aws,
    "azure-native:compute:VirtualMachineScaleSet": _azure,
    "gcp:compute/instanceGroupManager:InstanceGroupManager": _gcp,
}
"""Type -> its reader."""


# ---------------------------------------------------------------- clouds


def _of_cloud(
    cloud: str,
    tags: Mapping[str, Any],
    types: Iterable[Any],
    attached: Shape | None = None,
    *,
    spot: bool,
    max_size: Any,
) -> dict[str, Any]:
    pool_id, service = tags.get(POOL_TAG), tags.get(SERVICE_TAG)
    if not isinstance(pool_id, str) or not isinstance(service, str):
        raise Unpriceable(f"it has no tags {POOL_TAG} and {SERVICE_TAG}, so nobody knows which pool it is.")
    parts = pool_id.split(".")
    if len(parts) != 5 or parts[0] != service or parts[1] != cloud:  # noqa: PLR2004  as `spec.names.pool_id`
        raise Unpriceable(f"its tag {POOL_TAG} is no id of a pool of that service in {cloud}.")
    _, _, place, shape, market_name = parts
    market = Market.RESERVED if market_name == Market.RESERVED else Market.ON_DEMAND
    market = Market.SPOT if spot else market
    if (market_name == Market.SPOT) != spot:
        raise Unpriceable(f"its tag {POOL_TAG} says {market_name}, and it would launch {market}.")
    named = [t for t in types if isinstance(t, str)]
    if not named:
        raise Unpriceable("it names no instance type.")
    accelerator, _, count = shape.rpartition("x")
    region, zone, price = _priced(cloud, place, named, ((accelerator, count), attached), market)
    try:
        most = float(max_size)
    except (TypeError, ValueError):
        raise Unpriceable(
            f"nothing says how many machines it may have; its tag {MAX_SIZE_TAG} should."
        ) from None
    return {
        "id": pool_id,
        "service": service,
        "kind": PoolKind.VM,
        "cloud": cloud,
        "region": region,
        "zone": zone,
        "market": market,
        "accelerator": accelerator,
        "accelerator_count": count,
        "instance_types": named,
        "max_size": most,
        "prices": {"spot" if spot else "on_demand": price},
    }


def _priced(
    cloud: str, place: str, types: list[str], shapes: tuple[Shape, Shape | None], market: Market
) -> tuple[str, str | None, float]:
    """Region, zone, and the dearest type's price there by the price table. `shapes`: as tagged, and as attached."""
    shape, attached = shapes
    dearest, where = 0.0, None
    for name in types:
        offers = [
            o
            for o in price_table().by_instance_type.get(name, ())
            if o.cloud == cloud
            and place in (o.zone, o.region)
            and attached in (None, (o.accelerator, str(o.accelerator_count)))
        ]
        prices = [(p, o) for o in offers if (p := o.price(market)) is not None]
        if not prices:
            raise Unpriceable(f"no {market.replace('_', ' ')} price is known for {name} in {place}.")
        price, offer = max(prices, key=lambda found: found[0])
        if (offer.accelerator, str(offer.accelerator_count)) != shape:
            raise Unpriceable(
                f"{name} has {offer.accelerator_count} {offer.accelerator}, and its tag {POOL_TAG} says {shape[1]} {shape[0]}."
            )
        dearest, where = max(dearest, price), offer
    assert where is not None
    return where.region, where.zone, dearest


def _attached(template: Props) -> Shape | None:
    """What a machine type that brings no accelerators is given; several shapes of such a type have several prices."""
    if not str(given(template, "machineType")).startswith("n1-"):
        return None
    found = given(template, "guestAccelerators")
    if len(found) != 1:
        raise Unpriceable("its template attaches no accelerator, or several kinds.")
    kind, count = given(found[0], "type"), given(found[0], "count")
    return str(kind).rpartition("/")[2].removeprefix("nvidia-tesla-").upper(), f"{count:g}"


def _is_template(resource: PolicyResource) -> bool:
    return resource.resource_type in (
        "gcp:compute/instanceTemplate:InstanceTemplate",
        "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate",
    )


def _map(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unpriceable(f"its {name} is not an object.")
    return value
