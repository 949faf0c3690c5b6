"""The agent's loop: ask the controller, else the bucket; take over what is newer; look whether Envoy took it.

Failures never end the loop and never touch what is served. Between attempts it waits a random time that grows up to
some seconds, so that many edges don't fall on a restarted controller at the same moment.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from lb.edge.admin import Admin
from lb.edge.edge import Edge, Refused
from lb.edge.metrics import Metrics
from lb.edge.sources import Source, Unavailable
from spec.snapshot import Snapshot

_log = structlog.get_logger()

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
_PAUSE_S = 0.1
"""After an empty answer: a controller that answers at once instead of holding the poll can't make us spin."""


class Follower:
    """Keeps one edge in step. `taken_over` hears of each snapshot whose files were written.

    `sleep` and `rng` are arguments for tests.
    """

    def __init__(
        self,
        *,
        edge: Edge,
        controller: Source,
        bucket: Source,
        admin: Admin,
        metrics: Metrics,
        taken_over: Callable[[Snapshot], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._edge = edge
        self._controller = controller
        self._bucket = bucket
        self._admin = admin
        self._metrics = metrics
        self._taken_over = taken_over
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._failures = 0
        self._last_said: str | None = None

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.step()
            except Exception:  # noqa: BLE001 - the outermost loop: the edge must go on following
                _log.exception("follow_failed")
                await self._wait()

    async def step(self) -> None:
        """One round: at most one long poll, and a wait when something failed."""
        try:
            snapshot = await self._controller.newer_than(self._edge.version)
            self._metrics.controller_up.set(1)
            if snapshot is None:
                self._recovered()
                await self._admin.look()
                await self._sleep(_PAUSE_S)
                return
            self._take_over(snapshot, source="controller")
            self._recovered()
            await self._admin.look_after_change()
        except Unavailable as e:
            self._metrics.controller_up.set(0)
            self._say(str(e))
            await self._from_bucket()
            await self._wait()
        except Refused as e:
            self._say(f"refused the controller's snapshot: {e}")
            await self._wait()

    async def _from_bucket(self) -> None:
        try:
            snapshot = await self._bucket.newer_than(self._edge.version)
            if snapshot is None:
                await self._admin.look()
                return
            self._take_over(snapshot, source="bucket")
            await self._admin.look_after_change()
        except Unavailable as e:
            _log.warning("bucket_unavailable", reason=str(e))
        except Refused as e:
            _log.warning("bucket_refused", reason=str(e))

    def _take_over(self, snapshot: Snapshot, *, source: str) -> None:
        self._edge.take_over(snapshot, source=source)
        self._taken_over(snapshot)

    async def _wait(self) -> None:
        longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        self._failures += 1
        await self._sleep(self._rng.uniform(longest / 2, longest))

    def _say(self, reason: str) -> None:
        """Once per reason, not once per attempt."""
        if reason != self._last_said:
            _log.warning("controller_unavailable", reason=reason)
            self._last_said = reason

    def _recovered(self) -> None:
        if self._last_said is not None:
            _log.info("controller_available")
        self._failures, self._last_said = 0, None
