"""`status.json`, what the controller tells the world, and `tw status --json`.

The controller writes it every few seconds and at every change; the CLI reads it from the state bucket with the
user's own login. Field names are a public interface.
"""

from __future__ import annotations

from enum import StrEnum

from spec.base import Wire
from spec.names import Market


class ReplicaState(StrEnum):
    """The life of a replica: `pending -> starting -> ready <-> unready -> draining -> gone`, plus `failed`."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    DRAINING = "draining"
    FAILED = "failed"
    GONE = "gone"


class ReplicaStatus(Wire):
    """One replica. `since`: epoch seconds at which it entered its state. `bundle`: hash of what it runs."""

    id: str
    pool: str
    cloud: str
    region: str
    zone: str | None
    market: Market
    accelerator: str
    state: ReplicaState
    since: float
    bundle: str
    usd_hour: float | None
    reason: str = ""
    """Why it is in this state, in plain words; empty when there is nothing to say."""


class ServiceStatus(Wire):
    """One service. `failures`: replicas in a row that failed by themselves on its present bundle."""

    name: str
    endpoint: str
    ready: int
    desired: int
    replicas: tuple[ReplicaStatus, ...] = ()
    failures: int = 0


class ControllerStatus(Wire):
    """`leader`: this process holds the journal's lease. `frozen`: why nothing is changed; None = not frozen."""

    alive: bool
    leader: bool
    last_tick_age_s: float | None
    frozen: str | None = None


class Status(Wire):
    """The whole status. `written_at`: epoch seconds; `generation`: of the desired state it answers to."""

    services: tuple[ServiceStatus, ...] = ()
    usd_hour: float
    controller: ControllerStatus
    written_at: float
    generation: str | None = None
    reasons: tuple[str, ...] = ()
    """What the last decisions were, newest first, in plain words."""
