"""The loop: hold the lease, then observe, decide, act; for ever, and whatever else fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import httpx
import structlog

from lb.bucket import Bucket, BucketError
from lb.clock import Clock
from lb.clouds.protocol import Driver
from lb.controller.history import Recorder
from lb.controller.measure import measure_state
from lb.controller.term import Parts, Term
from lb.journal import JournalTaken
from lb.lease import Lease, LeaseLost
from lb.metrics import Metrics
from lb.observe.traffic import Traffic
from lb.observe.traffic_metrics import TrafficCollector
from lb.snapshots import Publisher
from spec.desired import Desired
from spec.report import EdgeReport
from spec.status import ControllerStatus, Status

log = structlog.get_logger(__name__)

STUCK_AFTER_S = 40.0
TURN_LIMIT_S = 30.0
"""A turn that takes longer is broken off: something hangs that should have timed out by itself."""
STATUS_EVERY_S = 5.0
BREATH_S = 0.05
"""Between what wakes the loop and its turn, so that things that happen together are decided together."""


class Controller:
    """One controller process; leader or follower."""

    def __init__(
        self,
        *,
        stack: str,
        bucket: Bucket,
        lease: Lease,
        clock: Clock,
        drivers: Mapping[str, Driver],
        client: httpx.AsyncClient,
        publisher: Publisher,
        metrics: Metrics,
        tick_s: float,
        machine_buckets: Mapping[str, Bucket] | None = None,
        apart: Mapping[str, str] | None = None,
    ) -> None:
        self._bucket = bucket
        self._lease = lease
        self._clock = clock
        self._metrics = metrics
        self._tick_s = tick_s
        self._wake = asyncio.Event()
        self._traffic = Traffic(clock.monotonic)
        metrics.registry.register(TrafficCollector(self._traffic))
        self._parts = Parts(
            stack,
            bucket,
            lease,
            clock,
            drivers,
            client,
            publisher,
            metrics,
            traffic=self._traffic,
            wake=self._wake.set,
            machine_buckets=machine_buckets or {},
            apart=apart or {},
        )
        self._term: Term | None = None
        self._stopping = False
        self._turned_at = clock.monotonic()
        self._ticked_at: float | None = None
        self._status_at: float | None = None
        self._written: Status | None = None
        self._recorder = Recorder()

    def stop(self) -> None:
        """Ends `run` after the present turn."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Turns until `stop`; then gives the lease back. Replicas keep running."""
        while not self._stopping:
            self._turned_at = self._clock.monotonic()
            try:
                async with asyncio.timeout(TURN_LIMIT_S):
                    await self.turn()
            except (BucketError, TimeoutError) as e:
                log.warning("a turn failed", error=str(e) or "it took too long")
            except Exception:  # the outermost loop: nothing may end the controller
                log.exception("a turn failed")
            await self._pause()
        await self._end_term()
        with contextlib.suppress(BucketError):
            await self._write_last_status()
            if self._lease.epoch is not None:
                await self._recorder.save(self._bucket)
            await self._lease.release()

    # ------------------------------------------------------------ one turn

    async def turn(self) -> None:
        """Renews the lease; as the leader also ticks and tells what became of it. Raises BucketError."""
        try:
            await self._lead()
            if self._term is None:
                return
            await self._term.tick()
            self._ticked_at = self._clock.monotonic()
            self._metrics.last_tick.set(self._clock.now())
            await self._tell()
        except (LeaseLost, JournalTaken) as e:
            log.warning("not the leader any more", reason=str(e))
            await self._end_term()

    async def _lead(self) -> None:
        """Renews the lease or tries to win one; a term begins and ends with its epoch.

        While nobody else leads and only the bucket fails, the term goes on: replicas are watched and the edges told, but
        the executor sends nothing, because it can't confirm the lease.
        """
        epoch = self._lease.epoch
        try:
            if epoch is None or self._lease.expired:
                await self._lease.acquire()
            else:
                await self._lease.renew_if_due()
        except BucketError as e:
            log.warning("the lease can't be renewed", error=str(e))
        if self._lease.epoch is None:
            await self._end_term()
        elif self._term is None or self._lease.epoch != epoch:
            await self._end_term()
            term = Term(self._parts, self._lease.epoch)
            await term.begin()
            term.reasons.remember(await self._recorder.load(self._bucket))
            self._term = term
        self._metrics.leader.set(self._term is not None)
        self._metrics.epoch.set(self._lease.epoch or 0)

    async def _end_term(self) -> None:
        term, self._term = self._term, None
        if term is not None:
            await term.close()

    async def _pause(self) -> None:
        """Until the next tick is due, or something has happened that can't wait for it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._tick_s):
                await self._wake.wait()
                if not self._stopping:
                    await asyncio.sleep(BREATH_S)
        self._wake.clear()

    # ------------------------------------------------------------ what is told

    async def _tell(self) -> None:
        """Sets the gauges, and writes status and history where they are due."""
        status = self.status()
        measure_state(self._metrics, status.services, usd_hour=status.usd_hour, spend=status.spend)
        self._recorder.take(status)
        try:
            await self._recorder.save_if_due(self._bucket, now=self._clock.monotonic())
        except BucketError as e:
            self._metrics.bucket_failures.labels("history").inc()
            log.warning("cannot write the history; it is tried again", error=str(e))
        await self._write_status_if_due(status)

    async def _write_status_if_due(self, status: Status) -> None:
        changed = self._written is None or _gist(status) != _gist(self._written)
        due = self._status_at is None or self._clock.monotonic() >= self._status_at + STATUS_EVERY_S
        if changed or due:
            try:
                await self._write_status(status)
            except BucketError as e:
                self._metrics.bucket_failures.labels("status").inc()
                log.warning("cannot write the status; it is tried again", error=str(e))

    async def _write_last_status(self) -> None:
        """Says that no controller watches any more; the rest stays as it was told last."""
        now = self.status()
        controller = now.controller.model_copy(update={"alive": False, "leader": False})
        changes = {"controller": controller, "written_at": now.written_at}
        await self._write_status((self._written or now).model_copy(update=changes))

    async def _write_status(self, status: Status) -> None:
        if self._lease.epoch is None:
            return
        await self._bucket.put("status.json", status.model_dump_json(indent=1).encode())
        self._written, self._status_at = status, self._clock.monotonic()

    def status(self) -> Status:
        """The status of this moment."""
        term = self._term
        desired = term.reading.desired if term else None
        age = None if self._ticked_at is None else max(0.0, self._clock.monotonic() - self._ticked_at)
        return Status(
            services=term.services() if term else (),
            usd_hour=term.usd_hour() if term else 0.0,
            spend=term.spend() if term else None,
            controller=ControllerStatus(
                alive=True,
                leader=term is not None,
                last_tick_age_s=age,
                frozen=term.reading.frozen if term else None,
            ),
            written_at=self._clock.now(),
            generation=desired.generation if desired else None,
            reasons=tuple(term.reasons) if term else (),
        )

    def history(self, since: float | None) -> bytes:
        """The picture of the last day, or of the time after a moment; JSON of spec.history.History."""
        return self._recorder.told(since=since)

    def leader(self) -> bool:
        """Whether this process leads."""
        return self._term is not None

    def stuck(self) -> bool:
        """Whether the loop stands still."""
        return self._clock.monotonic() > self._turned_at + STUCK_AFTER_S

    def desired(self) -> Desired | None:
        """The desired state, as the leader; None otherwise, and while there is none."""
        return self._term.reading.desired if self._term else None

    def edge_ids(self) -> tuple[str, ...] | None:
        """The edges of the desired state; None while there is none."""
        desired = self.desired()
        return None if desired is None else tuple(e.id for e in desired.edges)

    def take_report(self, report: EdgeReport) -> None:
        """Takes in what an edge tells; requests that wait for a service are acted on at once."""
        if self._traffic.take(report):
            self._wake.set()


def _gist(status: Status) -> tuple[object, ...]:
    """What of a status is worth writing it at once; traffic and money change all the time."""
    services = tuple(s.model_copy(update={"traffic": None, "usd_month": None}) for s in status.services)
    return services, status.controller.frozen, status.generation, status.reasons
