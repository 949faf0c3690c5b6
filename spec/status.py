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
    nodes: int = 1
    """Machines that it consists of; `usd_hour` is what all of them cost."""
    reason: str = ""
    """Why it is in this state, in plain words; empty when there is nothing to say."""


class RolloutPhase(StrEnum):
    """Where the change to another bundle is. `back`: it failed or was aborted, and replicas return to the one before."""

    ROLLING = "rolling"
    PAUSED = "paused"
    BACK = "back"
    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"


class RolloutStatus(Wire):
    """A service's last change of bundle. `updated` of `total` replicas run what they should end up with.

    `failed` and `aborted` are ends: every replica is back on `from_bundle`, and stays there until another bundle is
    desired.
    """

    phase: RolloutPhase
    from_bundle: str
    to_bundle: str
    started_at: float
    updated: int
    total: int
    reason: str = ""


class TrafficStatus(Wire):
    """What callers asked of a service lately: the last minute at all edges. None = no edge has told."""

    qps: float | None = None
    active: int | None = None
    held: int = 0
    failed_per_s: float | None = None
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None


class ServiceStatus(Wire):
    """One service. `failures`: replicas in a row that failed by themselves on its present bundle."""

    name: str
    endpoint: str
    ready: int
    desired: int
    replicas: tuple[ReplicaStatus, ...] = ()
    failures: int = 0
    min_replicas: int | None = None
    max_replicas: int | None = None
    traffic: TrafficStatus | None = None
    rollout: RolloutStatus | None = None
    usd_month: float | None = None
    """What it has cost since the month (UTC) began."""


class SpendStatus(Wire):
    """Money of the month so far, of the whole environment. `month`: `2026-11`, UTC. USD.

    `exhausted`: why nothing more may be spent; None = there is money left. `assumed`: the part that is not counted but
    assumed at the highest rate, because the journal was lost.
    """

    month: str
    usd: float
    budget_usd: float | None = None
    assumed_usd: float = 0.0
    exhausted: str | None = None


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
    spend: SpendStatus | None = None
    controller: ControllerStatus
    written_at: float
    generation: str | None = None
    reasons: tuple[str, ...] = ()
    """What the last decisions were, newest first, in plain words."""
