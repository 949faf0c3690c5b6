"""What a stack's resources spend: one reader per type that costs money, and the list of types that do not.

It fails closed. A type that is in neither list, a property that the preview does not know yet, a value that makes
no sense and a pool without its service are each an `Unpriced`, never a zero. Reasons name properties, not values:
policies see secrets in clear. Pulumi hands stack policies a resource's *outputs*: a component must register what
the policies read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pulumi_policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError
from pydantic import BaseModel, ValidationError

from policies.cost import Service, Stack, Unpriced
from spec.desired import Pool, Prices, Scaling
from spec.names import Market, PoolKind

Props = Mapping[str, Any]
Model = TypeVar("Model", bound=BaseModel)


class _Unpriceable(ValueError):
    """Why a resource's cost can't be told."""


# ---------------------------------------------------------------- readers, one per type


def _service(props: Props) -> tuple[str, Scaling]:
    scaling = _given(props, "scaling")
    if not isinstance(scaling, dict):
        raise _Unpriceable("its scaling is not an object.")
    needed = [name for name, field in Scaling.model_fields.items() if field.default is not None]
    if missing := [name for name in needed if scaling.get(name) is None]:
        raise _Unpriceable(
            f"its scaling lacks {', '.join(missing)}."
        )  # a default here would be a guess at a limit
    return str(_given(props, "service")), _checked(Scaling, scaling)


def _local_pool(props: Props) -> Pool:
    market = _given(props, "market")
    price = _given(
        props, "priceUsdHour", "no price is known for it. Leave its place out, or give it a price."
    )
    return _checked(
        Pool,
        {
            "id": _given(props, "poolId"),
            "service": _given(props, "service"),
            "kind": PoolKind.PROCESS,
            "cloud": _given(props, "cloud"),
            "region": _given(props, "region"),
            "zone": _given(props, "zone"),
            "market": market,
            "accelerator": _given(props, "accelerator"),
            "accelerator_count": _given(props, "acceleratorCount"),
            "instance_types": _given(props, "instanceTypes"),
            "capacity_units": _given(props, "capacityUnits"),
            "max_size": _given(props, "maxSize"),
            "prices": _checked(Prices, {"spot" if market == Market.SPOT else "on_demand": price}),
        },
    )


SERVICE = "tradewind:service:Service"

POOLS: Mapping[str, Callable[[Props], Pool]] = {"tradewind:local:Pool": _local_pool}
"""Type -> its reader. A reader raises UnknownValueError or _Unpriceable, and nothing else."""

FREE = frozenset(
    {
        "tradewind:controller:Controller",
        "tradewind:edge:Edge",
        "tradewind:environment:Environment",
        "tradewind:local:File",
        "tradewind:local:Process",
        "tradewind:state:State",
    }
)
"""Types of ours that buy nothing by themselves: groupings, and what runs on the user's own machine."""


def _is_free(resource: PolicyResource) -> bool:
    """Of other people's types only groupings buy nothing: they have no provider, and their children are judged."""
    name = resource.resource_type
    if name.startswith("tradewind:"):
        return name in FREE
    return name.startswith("pulumi:") or resource.provider is None


# ---------------------------------------------------------------- the whole stack


def read(resources: Iterable[PolicyResource]) -> Stack:
    """Everything that the resources spend money on, and everything whose cost can't be told."""
    scalings: dict[str, Scaling] = {}
    pools: dict[str, tuple[PolicyResource, Pool]] = {}
    unpriced: list[Unpriced] = []
    for resource in sorted(resources, key=lambda r: r.urn):  # Pulumi's order changes from run to run
        try:
            _take(resource, scalings, pools)
        except _Unpriceable as e:
            unpriced.append(Unpriced(resource.name, str(e), resource.urn))
        except UnknownValueError as e:
            reason = f"price unknown at preview: its {e.props[0]} is known only after the update."
            unpriced.append(Unpriced(resource.name, reason, resource.urn))
    by_service: dict[str, list[Pool]] = defaultdict(list)
    for resource, pool in pools.values():
        by_service[pool.service].append(pool)
        if pool.service not in scalings:
            reason = f"no usable {SERVICE} says how many replicas its service {pool.service} may have."
            unpriced.append(Unpriced(resource.name, reason, resource.urn))
    return Stack(
        tuple(Service(name, scaling, tuple(by_service[name])) for name, scaling in scalings.items()),
        tuple(unpriced),
    )


def _take(
    resource: PolicyResource, scalings: dict[str, Scaling], pools: dict[str, tuple[PolicyResource, Pool]]
) -> None:
    if resource.resource_type == SERVICE:
        name, scaling = _service(resource.props)
        if name in scalings:
            raise _Unpriceable(f"another resource declares the service {name} too.")
        scalings[name] = scaling
    elif reader := POOLS.get(resource.resource_type):
        pool = reader(resource.props)
        if pool.id in pools:
            raise _Unpriceable(f"another resource declares the pool {pool.id} too.")
        pools[pool.id] = (resource, pool)
    elif not _is_free(resource):
        raise _Unpriceable(
            f"the policies don't know what a {resource.resource_type} costs. "
            "Leave it out of this stack, or add its type to policies/resources.py."
        )


# ---------------------------------------------------------------- properties


def _given(props: Props, key: str, otherwise: str | None = None) -> Any:
    """The plain value of a property that must be there; Pulumi drops nulls."""
    value = _plain(props[key]) if key in props else None
    if value is None:
        raise _Unpriceable(otherwise or f"it has no {key}.")
    return value


def _plain(value: Any) -> Any:
    """Without the wrappers that raise UnknownValueError: raises it here, for any unknown part."""
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _checked(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False, include_context=False)[0]
        raise _Unpriceable(f"its {'.'.join(map(str, first['loc']))} is unusable: {first['msg']}.") from None
