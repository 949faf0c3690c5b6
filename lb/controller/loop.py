"""The loop: hold the lease, then observe, decide, act; for ever, and whatever else fails."""

from __future__ import annotations

import asyncio

import structlog

from lb.bucket import Bucket, BucketError
from lb.clock import Clock
from lb.lease import Lease, LeaseLost
from lb.metrics import Metrics
from lb.observe.desired import DesiredReader, DesiredReading
from lb.snapshots import Publisher
from spec.status import ControllerStatus, Status

log = structlog.get_logger(__name__)

STUCK_AFTER_S = 30.0
STATUS_EVERY_S = 5.0


class Controller:
    """One controller process; leader or follower."""

    def __init__(
        self,
        *,
        stack: str,
        bucket: Bucket,
        lease: Lease,
        clock: Clock,
        publisher: Publisher,
        metrics: Metrics,
        tick_s: float,
    ) -> None:
        self._bucket = bucket
        self._lease = lease
        self._clock = clock
        self._publisher = publisher
        self._metrics = metrics
        self._tick_s = tick_s
        self._desired = DesiredReader(bucket, stack)
        self._reading = DesiredReading(None, "the desired state was not read yet")
        self._stopping = asyncio.Event()
        self._turned_at = clock.monotonic()
        self._ticked_at: float | None = None
        self._status_at = 0.0

    def stop(self) -> None:
        """Ends `run` after the present tick."""
        self._stopping.set()

    async def run(self) -> None:
        """Turns until `stop`."""
        while not self._stopping.is_set():
            self._turned_at = self._clock.monotonic()
            try:
                await self._turn()
            except Exception:  # the outermost loop: nothing may end the controller
                log.exception("a turn failed")
            try:
                async with asyncio.timeout(self._tick_s):
                    await self._stopping.wait()
            except TimeoutError:
                continue
        await self._lease.release()

    async def _turn(self) -> None:
        if self._lease.epoch is None or self._lease.expired:
            if not await self._lease.acquire():
                return
            assert self._lease.epoch is not None
            self._publisher.begin(self._lease.epoch)
        try:
            await self._lease.renew_if_due()
        except LeaseLost as e:
            log.warning("not the leader any more", reason=str(e))
            return
        self._reading = await self._desired.read()
        self._ticked_at = self._clock.monotonic()
        if self._clock.monotonic() >= self._status_at + STATUS_EVERY_S:
            self._status_at = self._clock.monotonic()
            try:
                await self._bucket.put("status.json", self.status().model_dump_json(indent=1).encode())
            except BucketError as e:
                log.warning("cannot write the status", error=str(e))

    # ------------------------------------------------------------ what the API shows

    def status(self) -> Status:
        """The status of this moment."""
        age = None if self._ticked_at is None else max(0.0, self._clock.monotonic() - self._ticked_at)
        return Status(
            usd_hour=0.0,
            controller=ControllerStatus(
                alive=True,
                leader=self._lease.epoch is not None,
                last_tick_age_s=age,
                frozen=self._reading.frozen,
            ),
            written_at=self._clock.now(),
            generation=self._reading.desired.generation if self._reading.desired else None,
        )

    def stuck(self) -> bool:
        """Whether the loop stands still."""
        return self._clock.monotonic() > self._turned_at + STUCK_AFTER_S

    def edge_ids(self) -> tuple[str, ...] | None:
        """The edges of the desired state; None while there is none."""
        desired = self._reading.desired
        return None if desired is None else tuple(e.id for e in desired.edges)
