"""What a stack's resources spend: one reader per type that costs money, and the list of types that do not.

It fails closed. A type that is in neither list, a property that the preview does not know yet, a value that makes
no sense and a pool without its service are each an `Unpriced`, never a zero. Reasons name properties, not values:
policies see secrets in clear. Pulumi hands stack policies a resource's *outputs*: a component must register what
the policies read.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from pulumi_policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError
from pydantic import BaseModel, ValidationError

from planner.pricing import hosted_usd_hour
from policies.cost import Service, Stack, Unpriced
from policies.fixed import PRICED, free_of_charge
from policies.pools import POOLS
from policies.rules import at
from policies.values import Unpriceable, given
from spec.desired import Pool, PoolState, Scaling
from spec.names import PoolKind

Props = Mapping[str, Any]
Model = TypeVar("Model", bound=BaseModel)


# ---------------------------------------------------------------- readers, one per type


class _Declared(NamedTuple):
    """What a service's resource says. `nodes`: machines of one replica; `retiring`: ids of pools that nothing is launched in."""

    scaling: Scaling
    nodes: float
    retiring: frozenset[str]


def _service(props: Props) -> tuple[str, _Declared]:
    scaling = given(props, "scaling")
    if not isinstance(scaling, dict):
        raise Unpriceable("its scaling is not an object.")
    needed = [name for name, field in Scaling.model_fields.items() if field.default is not None]
    if missing := [name for name in needed if scaling.get(name) is None]:
        raise Unpriceable(
            f"its scaling lacks {', '.join(missing)}."
        )  # a default here would be a guess at a limit
    retiring = at(props, "retiring", default=[])
    if not isinstance(retiring, list):
        raise Unpriceable("its retiring is not a list.")
    nodes = float(given(props, "numNodes"))
    return str(given(props, "service")), _Declared(_checked(Scaling, scaling), nodes, frozenset(retiring))


def _environment(props: Props) -> tuple[float, float]:
    """USD per hour: of endpoints that are rented, and of hosted providers at their limits."""
    if not at(props, "hosts", default=False):
        return 0.0, 0.0
    rented = sum(_usd(given(endpoint, "usdHour"), "external") for endpoint in given(props, "external"))
    hosted = 0.0
    for provider in given(props, "providers"):
        limits = (provider.get("maxUsdHour"), provider.get("maxUsdMonth"))
        hour, month = (None if limit is None else _usd(limit, "providers") for limit in limits)
        cap = hosted_usd_hour(hour, month)
        hosted += math.inf if cap is None else cap
    return rented, hosted


def _usd(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise Unpriceable(f"a figure of its {what} is no amount of USD.")
    return float(value)


SERVICE = "tradewind:service:Service"
ENVIRONMENT = "tradewind:environment:Environment"

FREE = frozenset(
    {
        "tradewind:certificates:Certificates",
        "tradewind:controller:Controller",
        "tradewind:dns:CloudDns",
        "tradewind:dns:Cloudflare",
        "tradewind:dns:Route53",
        "tradewind:dns:TrafficManager",
        "tradewind:edge:Edge",
        "tradewind:local:File",
        "tradewind:local:Process",
        "tradewind:state:State",
        *(f"tradewind:hosts:{cloud}Hosts" for cloud in ("Aws", "Azure", "Gcp")),
        *(f"tradewind:network:{cloud}Network" for cloud in ("Aws", "Azure", "Gcp")),
        *(f"tradewind:store:{cloud}Store" for cloud in ("Aws", "Azure", "Gcp")),
        *(
            f"tradewind:identity:{cloud}{role}"
            for cloud in ("Aws", "Azure", "Gcp")
            for role in ("Controller", "Edge", "Replica")
        ),
    }
)
"""Types of ours that buy nothing by themselves: groupings, and what runs on the user's own machine."""


def _is_free(resource: PolicyResource) -> bool:
    """Of other people's types only groupings buy nothing: they have no provider, and their children are judged."""
    name = resource.resource_type
    if name.startswith("tradewind:"):
        return name in FREE
    if name.startswith("pulumi:") or resource.provider is None:
        return True
    return free_of_charge(resource.props, name)


# ---------------------------------------------------------------- the whole stack


def read(resources: Iterable[PolicyResource]) -> Stack:
    """Everything that the resources spend money on, and everything whose cost can't be told."""
    found = _Found()
    for resource in sorted(resources, key=lambda r: r.urn):  # Pulumi's order changes from run to run
        try:
            found.take(resource)
        except Unpriceable as e:
            found.unpriced.append(Unpriced(resource.name, str(e), resource.urn))
        except UnknownValueError as e:
            reason = f"price unknown at preview: its {e.props[0]} is known only after the update."
            found.unpriced.append(Unpriced(resource.name, reason, resource.urn))
    return found.stack()


class _Found:
    """What was read so far."""

    def __init__(self) -> None:
        self.services: dict[str, _Declared] = {}
        self.pools: dict[str, tuple[PolicyResource, Pool]] = {}
        self.fixed: dict[str, float] = {}
        self.hosted: dict[str, float] = {}
        self.unpriced: list[Unpriced] = []

    def take(self, resource: PolicyResource) -> None:
        """Raises Unpriceable or UnknownValueError."""
        kind = resource.resource_type
        if kind == SERVICE:
            name, declared = _service(resource.props)
            if name in self.services:
                raise Unpriceable(f"another resource declares the service {name} too.")
            self.services[name] = declared
        elif reader := POOLS.get(kind):
            pool = _checked(Pool, reader(resource))
            if pool.id in self.pools:
                raise Unpriceable(f"another resource declares the pool {pool.id} too.")
            self.pools[pool.id] = (resource, pool)
        elif kind == ENVIRONMENT:
            self.fixed[resource.urn], self.hosted[resource.urn] = _environment(resource.props)
        elif price := PRICED.get(kind):
            self.fixed[resource.urn] = price(resource.props)
        elif not _is_free(resource):
            raise Unpriceable(
                f"the policies don't know what a {kind} costs. "
                "Leave it out of this stack, or add its type to policies/fixed.py."
            )

    def stack(self) -> Stack:
        """With the pools below their services."""
        by_service: dict[str, list[Pool]] = defaultdict(list)
        for resource, pool in self.pools.values():
            declared = self.services.get(pool.service)
            if declared:
                units = pool.capacity_units if pool.kind is PoolKind.PROCESS else 1 / declared.nodes
                state = PoolState.RETIRING if pool.id in declared.retiring else PoolState.ACTIVE
                stated = pool.model_copy(update={"capacity_units": units, "state": state})
                by_service[pool.service].append(stated)
            else:
                reason = f"no usable {SERVICE} says how many replicas its service {pool.service} may have."
                self.unpriced.append(Unpriced(resource.name, reason, resource.urn))
        return Stack(
            tuple(Service(name, s.scaling, tuple(by_service[name])) for name, s in self.services.items()),
            tuple(self.unpriced),
            sum(self.fixed.values()),
            sum(self.hosted.values()),
        )


def _checked(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False, include_context=False)[0]
        raise Unpriceable(f"its {'.'.join(map(str, first['loc']))} is unusable: {first['msg']}.") from None
