"""The picture of the last day, bounded: fine for an hour, coarse before. It lies in the bucket, so a restart keeps it.

Points are kept as the JSON that is told of them: a day of a thousand replicas in fifty places is a few megabytes so, and
neither writing it down nor telling it makes the loop wait.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter, deque
from dataclasses import dataclass

import structlog

from lb.bucket import Bucket, BucketError, ObjectNotFound
from spec.history import Group, Point, ServicePoint
from spec.status import ServiceStatus, Status

log = structlog.get_logger(__name__)

FINE_S, FINE_KEPT = 5.0, 720
COARSE_S, COARSE_KEPT = 60.0, 1440
SAVE_EVERY_S = 60.0
PATH = "history.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Kept:
    """A point as `line`, JSON of spec.history.Point. `at`: epoch seconds."""

    at: float
    line: bytes


class Recorder:
    """Takes a point of the status every few seconds."""

    def __init__(self) -> None:
        self._fine: deque[Kept] = deque(maxlen=FINE_KEPT)
        self._coarse: deque[Kept] = deque(maxlen=COARSE_KEPT)
        self._saved_at: float | None = None
        self._reasons: tuple[str, ...] = ()

    def take(self, status: Status) -> None:
        """Takes a point when one is due."""
        self._reasons = status.reasons
        self._drop_after(status.written_at)
        if self._fine and status.written_at < self._fine[-1].at + FINE_S:
            return
        self._add(Kept(status.written_at, point_of(status).model_dump_json(exclude_none=True).encode()))

    def told(self, *, since: float | None = None) -> bytes:
        """JSON of spec.history.History: the points after that moment."""
        points = (p.line for p in self._points() if since is None or p.at > since)
        return b'{"points":[' + b",".join(points) + b"]}"

    async def load(self, bucket: Bucket) -> tuple[str, ...]:
        """Goes on from what the bucket holds, unless more is known here; returns the reasons that were last told then."""
        try:
            reasons, points = decode(await bucket.get(PATH))
        except ObjectNotFound:
            return ()
        except (BucketError, ValueError) as e:
            log.warning("the history is unreadable and begins anew", error=str(e).splitlines()[0])
            return ()
        if not self._fine or (points and points[-1].at > self._fine[-1].at):
            self._fine.clear()
            self._coarse.clear()
            for point in points:
                self._add(point)
        return reasons

    async def save_if_due(self, bucket: Bucket, *, now: float) -> None:
        """Writes it once a minute, by a steady clock. Raises BucketError, after which a minute passes too."""
        if self._saved_at is None:
            self._saved_at = now
        elif now >= self._saved_at + SAVE_EVERY_S:
            self._saved_at = now
            await self.save(bucket)

    async def save(self, bucket: Bucket) -> None:
        """Writes it now. Raises BucketError."""
        await bucket.put(PATH, encode(self._reasons, self._points()))

    def _points(self) -> list[Kept]:
        """Oldest first; coarse ones only where no fine ones are left."""
        begins = self._fine[0].at if self._fine else float("inf")
        return [p for p in self._coarse if p.at < begins] + list(self._fine)

    def _add(self, point: Kept) -> None:
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


def encode(reasons: tuple[str, ...], points: list[Kept]) -> bytes:
    """The file: a line with the reasons, then one per point, compressed."""
    lines = [json.dumps({"reasons": reasons}).encode(), *(p.line for p in points)]
    return gzip.compress(b"\n".join(lines) + b"\n", 1, mtime=0)


def decode(raw: bytes) -> tuple[tuple[str, ...], list[Kept]]:
    """The reasons and points of that file; raises ValueError for anything else."""
    try:
        first, *lines = gzip.decompress(raw).splitlines()
        points = [Kept(float(json.loads(line)["at"]), line) for line in lines]
        return tuple(str(reason) for reason in json.loads(first)["reasons"]), points
    except (OSError, EOFError, zlib.error, KeyError, TypeError) as e:
        raise ValueError(f"torn: {e}") from e
