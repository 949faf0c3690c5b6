"""What each edge should route to, published at once when it changes.

A snapshot is numbered `(epoch, seq)`: the epoch of the lease, and a count that grows only when the content changed.
Edges take it from a long poll; the same bytes lie in the bucket for the time when no controller answers. The publisher
says nothing before the controller knows something: an edge that keeps its last snapshot serves, one that is told an
empty snapshot doesn't.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lb.bucket import Bucket, for_each
from spec.desired import Desired
from spec.names import cloud_of_edge
from spec.snapshot import Endpoint, Key, Snapshot, SnapshotService


@dataclass(frozen=True, slots=True)
class Published:
    """A snapshot and the bytes that every reader gets."""

    snapshot: Snapshot
    body: bytes


def snapshot_path(edge_id: str) -> str:
    """Where the bucket holds an edge's last snapshot."""
    return f"edges/{edge_id}/snapshot.json"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What callers of a service without a usable endpoint are told; see SnapshotService."""

    hold: bool = False
    retry_after_s: float = 10.0


def services_of(
    desired: Desired, endpoints: Mapping[str, Iterable[Endpoint]], outlooks: Mapping[str, Outlook]
) -> tuple[SnapshotService, ...]:
    """One entry per service, with its endpoints in a stable order.

    Args:
        desired: where names and routing come from.
        endpoints: by service name; a service that is not in here has none.
        outlooks: by service name.

    """
    return tuple(
        SnapshotService(
            name=service.name,
            routing=service.routing,
            endpoints=tuple(sorted(endpoints.get(service.name, ()), key=lambda e: e.replica_id)),
            hold=outlook.hold,
            retry_after_s=outlook.retry_after_s,
        )
        for service in sorted(desired.services, key=lambda s: s.name)
        for outlook in (outlooks.get(service.name, Outlook()),)
    )


class Publisher:
    """Holds the newest snapshot of every edge, and wakes those who wait for a newer one."""

    def __init__(self, bucket: Bucket, of_clouds: Mapping[str, Bucket] | None = None) -> None:
        """`bucket`: the state bucket; `of_clouds`: those of clouds whose edges read another one."""
        self._bucket = bucket
        self._of_clouds = of_clouds or {}
        self._epoch = 0
        self._seq = 0
        self._content: tuple[tuple[SnapshotService, ...], tuple[Key, ...]] | None = None
        self._current: dict[str, Published] = {}
        self._unwritten: set[str] = set()
        self._changed = asyncio.Event()
        self._closed = False

    def begin(self, epoch: int) -> None:
        """Starts an epoch of leadership; what an earlier one published is no longer told."""
        if epoch == self._epoch:
            return  # begun anew within the same one: its numbers must go on
        self._epoch = epoch
        self._seq = 0
        self._current.clear()
        self._unwritten.clear()

    def publish(
        self, edge_ids: Sequence[str], services: tuple[SnapshotService, ...], keys: tuple[Key, ...]
    ) -> bool:
        """Makes this the content of those edges' snapshots; True when it differs from the last one."""
        changed = self._content != (services, keys)
        self._content = services, keys
        stale = [e for e in edge_ids if changed or e not in self._current]
        gone = self._current.keys() - set(edge_ids)
        for edge_id in gone:
            del self._current[edge_id]
        if not stale:
            return False
        self._seq += 1
        for edge_id in stale:
            snapshot = Snapshot(
                epoch=self._epoch, seq=self._seq, edge_id=edge_id, services=services, keys=keys
            )
            self._current[edge_id] = Published(snapshot, snapshot.model_dump_json().encode())
        self._unwritten.update(stale)
        self._wake()
        return True

    async def write(self) -> None:
        """Brings the bucket up to date. Raises BucketError; what failed is tried again at the next call."""
        await for_each(self._write, sorted(self._unwritten))

    def newest(self, edge_id: str) -> Published | None:
        """The snapshot of that edge; None while nothing was published for it."""
        return self._current.get(edge_id)

    async def newer_than(self, edge_id: str, after: tuple[int, int], timeout_s: float) -> Published | None:
        """Waits until that edge has a snapshot later than `after`; None when none came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._closed:
                    published = self._current.get(edge_id)
                    if published is not None and published.snapshot.version > after:
                        return published
                    await self._changed.wait()
        except TimeoutError:
            return None
        return None

    def close(self) -> None:
        """Ends every wait: the process is about to stop."""
        self._closed = True
        self._wake()

    async def _write(self, edge_id: str) -> None:
        published = self._current.get(edge_id)
        if published is not None:
            bucket = self._of_clouds.get(cloud_of_edge(edge_id), self._bucket)
            await bucket.put(snapshot_path(edge_id), published.body)
        if self._current.get(edge_id) is published:  # else it changed meanwhile: the newer one is still to do
            self._unwritten.discard(edge_id)

    def _wake(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()
