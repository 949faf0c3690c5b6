"""What a stack has been doing lately: `GET /v1/history`, and `history.jsonl.gz` in the state bucket.

Points of a few seconds for the last hour, of a minute for the last day. Field names are a public interface.
"""

from __future__ import annotations

from spec.base import Wire
from spec.names import Market
from spec.status import ReplicaState


class Group(Wire):
    """`count` replicas of one place in one state. `place`: the zone, or the region where there is no zone."""

    place: str
    market: Market
    state: ReplicaState
    count: int


class ServicePoint(Wire):
    """One service at one moment; traffic as in `spec.status.TrafficStatus`, over the minute before."""

    name: str
    desired: int
    groups: tuple[Group, ...] = ()
    qps: float | None = None
    failed_per_s: float | None = None
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None


class Point(Wire):
    """One moment. `at`: epoch seconds."""

    at: float
    usd_hour: float
    services: tuple[ServicePoint, ...] = ()


class History(Wire):
    """Points in the order of their times."""

    points: tuple[Point, ...] = ()
