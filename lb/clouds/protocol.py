"""The whole contract between the controller and a cloud.

A driver observes pools and changes their sizes; it decides nothing, keeps no memory of its own and never picks a
victim. Whatever goes wrong in a cloud reaches the controller as one of the six errors below. Values are plain
frozen dataclasses, so that an observation can be journaled and replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from spec.desired import Pool, Prices

REPLICA_PORT = 9443
"""Of every replica's machine in a cloud: its own Envoy, which leads to its engine and to its agent."""

# ---------------------------------------------------------------- errors


class DriverError(Exception):
    """Base of everything a driver raises."""

    kind = "error"


class InsufficientCapacity(DriverError):
    """The place has no machine of that kind now; another place may have one."""

    kind = "insufficient_capacity"


class QuotaExceeded(DriverError):
    """The account may not have more; waiting does not help, other places may."""

    kind = "quota_exceeded"


class NotFound(DriverError):
    """The pool or the instance is not there (any more)."""

    kind = "not_found"


class Throttled(DriverError):
    """Too many calls; the same call may succeed later."""

    kind = "throttled"


class Denied(DriverError):
    """The identity of the controller may not do this."""

    kind = "denied"


class Unreachable(DriverError):
    """The cloud did not answer; nothing is known about its pools."""

    kind = "unreachable"


# ---------------------------------------------------------------- values


class InstancePhase(StrEnum):
    """What the cloud says of a machine; whether the engine on it works is not the cloud's to say."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Instance:
    """One machine of a pool.

    Attributes:
        instance_id: the cloud's own name of it, never used again for another machine.
        address: where the edges reach it; None while it has none.
        port: the port on which the edges reach the engine.
        agent_port: the port of its node agent.
        launched_at: epoch seconds; billing starts here.
        preempt_at: epoch seconds of an announced preemption; None when none is announced.
        nodes: machines that it stands for; more than one only inside a decision, where a gang is one instance.
        broken: why it can't serve any more although it is still there, in words; empty while it can.
        private: where machines of its own network reach it; None = at `address`, as everybody does.

    """

    instance_id: str
    phase: InstancePhase
    address: str | None
    port: int | None
    agent_port: int | None
    launched_at: float
    preempt_at: float | None = None
    nodes: int = 1
    broken: str = ""
    private: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A launch that the cloud refused, perhaps long after the call. `at`: epoch seconds."""

    kind: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class PoolObservation:
    """What one cloud says of one pool.

    `size` is the target that the cloud holds. `prices` are those of now where the cloud tells them.
    `error` is set, and the rest empty, when the pool could not be observed: nothing is known then, and nothing
    must be concluded from the missing instances.
    """

    pool_id: str
    size: int
    instances: tuple[Instance, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    prices: Prices | None = None
    error: str | None = None


class Driver(Protocol):
    """One cloud. Every method may raise any DriverError."""

    @property
    def refills(self) -> bool:
        """Whether a group replaces lost machines by itself up to its size."""
        ...

    async def observe(self, pools: Sequence[Pool]) -> list[PoolObservation]:
        """One observation per pool, in the given order."""
        ...

    async def set_size(self, pool: Pool, size: int) -> None:
        """Grows the pool to `size` instances (absolute, idempotent). Never used to shrink below the running ones."""
        ...

    async def terminate(self, pool: Pool, instance_id: str) -> None:
        """Ends that instance and lowers the size by one; done already is success."""
        ...

    async def prices(self, pools: Sequence[Pool]) -> dict[str, Prices]:
        """Prices of now by pool id; pools without a known price are left out."""
        ...

    async def quotas(self) -> dict[str, float]:
        """Limits of the account by the cloud's own names; empty where the cloud has none."""
        ...
