"""What an edge needs to route: the answer of `GET /v1/edges/{edge_id}/snapshot?after={epoch}.{seq}`.

The controller writes the same bytes to `edges/<edge_id>/snapshot.json` in the state bucket, where an edge agent
finds them while no controller answers. An agent refuses a snapshot of a lower epoch than the one it has.
"""

from __future__ import annotations

from pydantic import Field

from spec.base import Port, Seconds, Sha256, Wire
from spec.desired import Routing


class Endpoint(Wire):
    """A ready (or draining) replica, as an edge reaches it."""

    replica_id: str
    address: str
    port: Port
    priority: int = Field(0, ge=0)
    """0 is tried first; the next one only while no endpoint of a lower number is usable."""
    draining: bool = False
    tls: bool = False
    """Whether it is reached with mutual TLS: its certificate is of the environment's authority and names the service."""


class SnapshotService(Wire):
    """One service's routing and its endpoints."""

    name: str
    routing: Routing
    endpoints: tuple[Endpoint, ...] = ()
    retry_after_s: Seconds = 10
    """Told to callers with the 503 while there is no endpoint: when the controller expects one."""
    hold: bool = False
    """Whether requests wait at the edge until there is an endpoint, because the service was scaled to zero."""


class Key(Wire):
    """A caller's API key, by hash only."""

    id: str
    """Public name of the key, shown in logs and metrics."""
    sha256: Sha256


class Snapshot(Wire):
    """Everything that one edge serves, at one moment."""

    epoch: int = Field(ge=0)
    seq: int = Field(ge=0)
    edge_id: str
    services: tuple[SnapshotService, ...] = ()
    keys: tuple[Key, ...] = ()

    @property
    def version(self) -> tuple[int, int]:
        """Compares snapshots: a later epoch always wins."""
        return (self.epoch, self.seq)


class Keys(Wire):
    """`keys.json` in the state bucket."""

    keys: tuple[Key, ...] = ()
