"""`desired/<stack>.json`: what should run, as the stack program declares it and the controller reads it.

The controller freezes (keeps sizes, launches nothing) when this object is missing, unreadable or of a newer
schema; `parse` therefore raises one error type for all three.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, ValidationError

from spec.base import Port, Seconds, Sha256, Usd, Wire
from spec.names import Market, PoolKind
from spec.scaling import Scaling

__all__ = [
    "Budget",
    "Bundle",
    "Desired",
    "Edge",
    "External",
    "Hosted",
    "HostedModel",
    "OnExhausted",
    "Pool",
    "PoolState",
    "Prices",
    "Probe",
    "Routing",
    "Scaling",
    "Service",
    "UnusableDesired",
    "dump",
    "parse",
]

SCHEMA = 1


class Bundle(Wire):
    """What a replica runs, named by content. Values of environment variables are in the archive, not here."""

    sha256: Sha256
    image: str | None = None
    setup: str = ""
    run: str
    env_names: tuple[str, ...] = ()
    secret_names: tuple[str, ...] = ()
    port: Port
    model: str | None = None
    engine: str | None = None
    """Name of the preset in `engines/` whose metric names apply; None for an unknown HTTP server."""


class Probe(Wire):
    """Readiness probe of the engine."""

    method: Literal["GET", "POST"] = "GET"
    path: str = "/health"
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    """JSON value that is sent with POST."""
    initial_delay_s: Seconds = 1200
    """How long a replica may stay without its first success before it counts as failed."""
    timeout_s: Seconds = 15
    interval_s: Seconds = 10
    failure_threshold: int = Field(3, ge=1)
    replace_after_s: Seconds = 180


class Routing(Wire):
    """How the edges send requests to the replicas of a service."""

    policy: Literal["least_request", "round_robin"] = "least_request"
    models: tuple[str, ...] = ()
    """Values of the request's `model` that belong to this service; empty = every other one."""
    model: str = ""
    """What its engine calls its model: chooses this service too when it names no `models`; empty = not known."""
    stream_idle_timeout_s: Seconds = 600
    max_request_bytes: int = Field(8 * 1024 * 1024, ge=1)
    drain_limit_s: Seconds = 120
    hold_limit_s: Seconds = 300
    """How long a request may wait at an edge while a service that was scaled to zero comes back."""
    max_held: int = Field(1000, ge=0)
    """How many requests one edge may hold for the service at a time; others get 503 with an honest `retry-after`."""


class OnExhausted(StrEnum):
    """What happens when the budget of the month is used up."""

    HOLD = "hold"
    FLOOR = "floor"
    STOP = "stop"


class Budget(Wire):
    """Money that the controller must not exceed. USD."""

    worst_usd_hour: Usd | None = None
    usd_month: Usd | None = None
    on_exhausted: OnExhausted = OnExhausted.HOLD


class Prices(Wire):
    """USD per hour of one instance of the pool; None = unknown."""

    spot: Usd | None = None
    on_demand: Usd | None = None
    as_of: str = "unknown"
    """ISO date of the price, or `unknown`."""

    def of(self, market: Market) -> float | None:
        """The price in that market; reserved capacity is priced as on demand."""
        return self.spot if market is Market.SPOT else self.on_demand


class PoolState(StrEnum):
    """`retiring` pools are drained by the controller and may be deleted afterwards."""

    ACTIVE = "active"
    RETIRING = "retiring"


class Pool(Wire):
    """Capacity of one shape in one place for one service; the controller owns its size."""

    id: str
    service: str
    kind: PoolKind
    cloud: str
    region: str
    zone: str | None = None
    market: Market
    accelerator: str
    accelerator_count: int = Field(ge=1)
    instance_types: tuple[str, ...]
    resource: dict[str, str] = Field(default_factory=dict)
    """What the driver needs to find the group in its cloud."""
    capacity_units: float = Field(1.0, gt=0)
    max_size: int = Field(ge=0)
    cold_start_s: Seconds = 0
    launch_usd: Usd = 0
    prices: Prices
    state: PoolState = PoolState.ACTIVE
    held: bool = False
    """Whether nothing may be launched there now, because what declares it can't be read. The controller's own note."""

    @property
    def price_usd_hour(self) -> float | None:
        """USD per hour of one instance in the pool's own market; None = unknown."""
        return self.prices.of(self.market)


class Service(Wire):
    """One service as the controller runs it."""

    name: str
    num_nodes: int = Field(1, ge=1)
    """Machines of one replica: a gang, which starts and dies as one."""
    bundle: Bundle
    probe: Probe = Probe()
    scaling: Scaling = Scaling()
    routing: Routing = Routing()
    budget: Budget = Budget()


class Edge(Wire):
    """An Envoy that takes callers' requests, and the address callers use."""

    id: str
    endpoint: str
    cloud: str = "local"


class HostedModel(Wire):
    """A provider's model; USD per million tokens."""

    model: str
    usd_per_million_input: Usd
    usd_per_million_output: Usd
    usd_per_million_cached_input: Usd | None = None


class Hosted(Wire):
    """A hosted provider. `models`: by the name that callers use; `key`: name of a secret of the edges."""

    name: str
    kind: str
    url: str | None = None
    region: str = ""
    models: dict[str, HostedModel]
    key: str | None = None
    max_usd_hour: Usd | None = None
    max_usd_month: Usd | None = None


class External(Wire):
    """An endpoint of an AI cloud that serves one service, at a price per hour."""

    name: str
    service: str
    url: str
    usd_hour: Usd
    capacity_units: float = Field(1.0, gt=0)
    key: str | None = None
    health: str = "/v1/models"


class Desired(Wire):
    """The plan as the controller reads it."""

    schema_: Literal[1] = Field(SCHEMA, alias="schema")
    env: str
    generation: str
    """Hash of everything else in here: the same inputs give the same generation."""
    services: tuple[Service, ...]
    pools: tuple[Pool, ...]
    edges: tuple[Edge, ...] = ()
    providers: tuple[Hosted, ...] = ()
    external: tuple[External, ...] = ()
    budget: Budget = Budget()
    fixed_usd_hour: Usd = 0
    """What the environment costs beside its replicas: edges, controller, addresses."""

    def service(self, name: str) -> Service:
        """The service of that name; KeyError when there is none."""
        for s in self.services:
            if s.name == name:
                return s
        raise KeyError(name)

    def pools_of(self, service: str) -> tuple[Pool, ...]:
        """The pools of one service, in the planner's rank order."""
        return tuple(p for p in self.pools if p.service == service)


class UnusableDesired(ValueError):
    """The desired state can't be used: the controller freezes and says this reason."""


def parse(raw: bytes) -> Desired:
    """Reads `desired.json`; raises UnusableDesired for anything that is not a known schema."""
    try:
        return Desired.model_validate_json(raw)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        at = ".".join(str(x) for x in first["loc"])
        raise UnusableDesired(": ".join(filter(None, ("desired state", at, first["msg"])))) from e


def dump(desired: Desired) -> str:
    """The canonical JSON text: same desired state, same bytes."""
    return desired.model_dump_json(by_alias=True, indent=1)
