"""What an edge agent tells the controller of its traffic: `POST /v1/edges/{edge_id}/report`.

All counters are cumulative since `boot`, so a lost report loses nothing and a repeated one counts nothing twice; an agent
that starts anew counts from zero under another `boot`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spec.base import Wire

TTFT_BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000)
"""Upper bounds of the buckets of time to first byte, in milliseconds; one more bucket has the rest."""

Count = Annotated[int, Field(ge=0)]


class ServiceTraffic(Wire):
    """One service at one edge.

    Attributes:
        arrived: requests that came for it, those that are held or were refused for want of a replica included.
        finished: answers by class of status code ("2xx", "4xx", "5xx"), as callers saw them; "none" = the caller hung up
            before there was one.
        retried: requests that were tried on more than one replica.
        broken: answers that began and did not end as they should: the replica went away in the middle.
        active: requests that are being answered now.
        held: requests that wait now for the service to come back from zero.
        ttft: good answers (2xx) by time to first byte, per bucket of TTFT_BOUNDS_MS (not cumulative over buckets).
        ttft_sum_ms: the times of all of those, added up.

    """

    name: str
    arrived: Count = 0
    finished: dict[str, Count] = Field(default_factory=dict)
    retried: Count = 0
    broken: Count = 0
    active: Count = 0
    held: Count = 0
    ttft: tuple[Count, ...] = (0,) * (len(TTFT_BOUNDS_MS) + 1)
    ttft_sum_ms: Count = 0


class ReplicaTraffic(Wire):
    """One replica at one edge: requests that it answered (`ok`), and that it failed: a 5xx of its own
    but 503 (a full queue), an answer broken off, none at all.

    A request that was tried on several replicas counts at each of them.
    """

    replica_id: str
    ok: Count = 0
    failed: Count = 0
    active: Count = 0


class EdgeReport(Wire):
    """One edge at one moment.

    `boot`: names this run of the agent; `seq`: grows with each report of it; `age_s`: how long it has run. A report may lie
    around on its way, so what it counted came in the agent's seconds, not in those between two arrivals. None = an older agent.
    """

    edge_id: str
    boot: str
    seq: int = Field(ge=0)
    age_s: float | None = Field(default=None, ge=0)
    services: tuple[ServiceTraffic, ...] = ()
    replicas: tuple[ReplicaTraffic, ...] = ()
