"""The picture of the last day, bounded: fine for an hour, coarse before. It lies in the bucket, so a restart keeps it."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter, deque

import structlog

from lb.bucket import Bucket, BucketError, ObjectNotFound
from spec.history import Group, History, Point, ServicePoint
from spec.status import ServiceStatus, Status

log = structlog.get_logger(__name__)

FINE_S, FINE_KEPT = 5.0, 720
COARSE_S, COARSE_KEPT = 60.0, 1440
SAVE_EVERY_S = 60.0
PATH = "history.json.gz"


class Recorder:
    """Takes a point of the status every few seconds."""

    def __init__(self) -> None:
        self._fine: deque[Point] = deque(maxlen=FINE_KEPT)
        self._coarse: deque[Point] = deque(maxlen=COARSE_KEPT)
        self._reasons: tuple[str, ...] = ()
        self._saved_at: float | None = None

    def take(self, status: Status) -> None:
        """Takes a point when one is due."""
        self._reasons = status.reasons
        self._drop_after(status.written_at)
        if self._fine and status.written_at < self._fine[-1].at + FINE_S:
            return
        self._add(point_of(status))

    def history(self, *, since: float | None = None) -> History:
        """The points after that moment, oldest first; coarse ones only where no fine ones are left."""
        begins = self._fine[0].at if self._fine else float("inf")
        points = [p for p in self._coarse if p.at < begins] + list(self._fine)
        return History(
            points=tuple(p for p in points if since is None or p.at > since), reasons=self._reasons
        )

    async def load(self, bucket: Bucket) -> History:
        """Goes on from what the bucket holds, and returns that; with nothing where there is nothing readable."""
        try:
            found = decode(await bucket.get(PATH))
        except ObjectNotFound:
            return History()
        except (BucketError, ValueError) as e:
            log.warning("the history is unreadable and begins anew", error=str(e).splitlines()[0])
            return History()
        if not self._fine or (found.points and found.points[-1].at > self._fine[-1].at):
            self._fine.clear()
            self._coarse.clear()
            for point in found.points:
                self._add(point)
        return found

    async def save_if_due(self, bucket: Bucket, *, now: float) -> None:
        """Writes it once a minute, by a steady clock. Raises BucketError, after which a minute passes too."""
        if self._saved_at is not None and now < self._saved_at + SAVE_EVERY_S:
            return
        first, self._saved_at = self._saved_at is None, now
        if not first:
            await self.save(bucket)

    async def save(self, bucket: Bucket) -> None:
        """Writes it now. Raises BucketError."""
        await bucket.put(PATH, encode(self.history()))

    def _add(self, point: Point) -> None:
        self._fine.append(point)
        if not self._coarse or point.at >= self._coarse[-1].at + COARSE_S:
            self._coarse.append(point)

    def _drop_after(self, now: float) -> None:
        """A clock that was set back: what seems to come later would stand in the way for as long."""
        for points in (self._fine, self._coarse):
            while points and points[-1].at > now:
                points.pop()


def point_of(status: Status) -> Point:
    """What of a status is kept."""
    return Point(
        at=status.written_at,
        usd_hour=status.usd_hour,
        services=tuple(_service(s) for s in status.services),
    )


def _service(service: ServiceStatus) -> ServicePoint:
    counts = Counter((r.zone or r.region, r.market, r.state) for r in service.replicas)
    traffic = service.traffic
    return ServicePoint(
        name=service.name,
        desired=service.desired,
        groups=tuple(
            Group(place=place, market=market, state=state, count=count)
            for (place, market, state), count in sorted(counts.items())
        ),
        qps=traffic.qps if traffic else None,
        failed_per_s=traffic.failed_per_s if traffic else None,
        ttft_p50_ms=traffic.ttft_p50_ms if traffic else None,
        ttft_p95_ms=traffic.ttft_p95_ms if traffic else None,
    )


def encode(history: History) -> bytes:
    """The file: compressed JSON."""
    return gzip.compress(history.model_dump_json(exclude_none=True).encode(), 1, mtime=0)


def decode(raw: bytes) -> History:
    """The history of that file; raises ValueError for anything else."""
    try:
        return History.model_validate_json(gzip.decompress(raw))
    except (OSError, EOFError, zlib.error) as e:
        raise ValueError(f"torn: {e}") from e
