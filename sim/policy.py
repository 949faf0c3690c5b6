"""The seam between the simulated clouds and whoever decides: what a policy sees, and what it may order.

Baselines and the product's own decisions stand behind the same protocol. A policy never sees a zone's capacity, only what
a real controller would: its replicas, prices, and what happened to its orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from spec.names import Market
from spec.report import EdgeReport


class Stage(StrEnum):
    """How far a replica is. `pending`: ordered; the cloud has neither given nor refused the machine yet."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"


class Kind(StrEnum):
    """What happened to a replica."""

    STARTED = "started"
    READY = "ready"
    NOTICED = "noticed"
    PREEMPTED = "preempted"
    REFUSED = "refused"


@dataclass(slots=True)
class Replica:
    """One machine, from the order until it is refused, preempted or ended. The world moves it; a policy only reads.

    Attributes:
        asked_at: when it was ordered, seconds since the trace began; it is paid for from then on unless refused.
        preempt_at: when it will end, once that was told; None = nothing was.

    """

    id: int
    zone: str
    market: Market
    asked_at: float
    stage: Stage = Stage.PENDING
    preempt_at: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to the replica `id` at `at`, seconds since the trace began.

    What one launch asked for and was refused before the policy could look at it again is one event: its `id` is None,
    because there never was such a replica to be seen, and `count` says how many.
    """

    kind: Kind
    id: int | None
    zone: str
    market: Market
    at: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Launch:
    """`count` more machines there, by one call to the cloud; each may be refused for itself."""

    zone: str
    market: Market
    count: int = 1


@dataclass(frozen=True, slots=True)
class Orders:
    """What a policy wants done now.

    Attributes:
        end: ids of replicas to end, each by one call; one that is gone already is left alone.
        wake_at: when to ask again although nothing happened; seconds since the trace began, None = never.

    """

    launch: Sequence[Launch] = ()
    end: Sequence[int] = ()
    wake_at: float | None = None


NOTHING = Orders()


@dataclass(frozen=True, slots=True)
class Busy:
    """What one replica's engine and GPU tell: requests that run and wait; shares of KV cache and of time in use, 0 to 1."""

    running: int
    waiting: int
    kv_cache: float
    gpu: float


@dataclass(frozen=True, slots=True)
class Cover:
    """A hosted provider behind the edge. USD per hour: what it would take for all that callers ask now; its limit, None = it has
    none.
    """

    usd_hour: float
    most_usd_hour: float | None


@dataclass(frozen=True, slots=True)
class Demand:
    """What callers ask of the service, as far as it is told.

    Attributes:
        reports: of the edge since the last step, each with its time, seconds since the trace began.
        engines: what the replicas that serve tell now, by id.
        arrived: requests of the last minute.
        cover: who answers while no replica is ready; None = nobody.

    """

    reports: Sequence[tuple[float, EdgeReport]]
    engines: Mapping[int, Busy]
    arrived: int
    cover: Cover | None = None


@dataclass(slots=True)
class View:
    """What a policy sees. The world keeps it up to date, so it is only good until the policy returns.

    Attributes:
        target: how many replicas should be ready. With requests the policy says it, and sets it here.
        demand: what callers ask; None = nothing is known of requests.
        zones: every zone, in the order of the trace.
        replicas: all that were ordered and are neither refused nor ended, by id, in the order of their orders.
        events: what happened since the last step, in order of time.
        spot_price: USD per hour by zone.
        on_demand_price: USD per hour by zone.
        held: by market and zone, how many of `replicas` are there.
        ready: by market, how many of them are ready; those with a notice still count.

    """

    target: int
    zones: tuple[str, ...]
    replicas: dict[int, Replica] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    spot_price: dict[str, float] = field(default_factory=dict)
    on_demand_price: dict[str, float] = field(default_factory=dict)
    held: dict[Market, dict[str, int]] = field(default_factory=dict)
    ready: dict[Market, int] = field(default_factory=dict)
    demand: Demand | None = None

    def count(self, market: Market) -> int:
        """How many replicas of that market were ordered and are not gone."""
        return sum(self.held[market].values())


class Policy(Protocol):
    """Decides. Called at a tick when something has happened since the last one, or when it asked to be woken."""

    def step(self, view: View, now: float) -> Orders:
        """What to do at `now`, seconds since the trace began."""
        ...


def cheapest(prices: Mapping[str, float]) -> str:
    """The zone with the lowest price; the first of them where several have it."""
    return min(prices, key=prices.__getitem__)
