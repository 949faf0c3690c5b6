"""Requests that wait for a service which was scaled to zero: they go on when Envoy has an endpoint for them.

Envoy keeps the requests; here is only who waits, how many may, and for how long. It says go a moment after Envoy has
taken over the file with the first endpoint, so that each of its workers knows it. Then those who wait go in the order in
which they came, and no faster than the replicas answer: an engine with a short queue would refuse a whole crowd.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lb.envoy import names
from lb.envoy.clusters import usable_endpoints
from spec.snapshot import Snapshot, SnapshotService


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request that asked. `retry_after_s` and `why` are for those that may not go."""

    go: bool
    retry_after_s: int = 0
    why: str = ""


AT_ONCE = 128
"""Running requests per replica up to which those who waited are let go: what an engine with limits takes by default."""
_LET_GO_EVERY_S = 0.1

_GO = Verdict(go=True)
_UNKNOWN = Verdict(go=False, retry_after_s=10, why="There is no such service.")


@dataclass
class _Room:
    """Those who wait for one service, in the order of arrival.

    `opening`: an endpoint has come; Envoy is taking it over, or those who wait are being let go.
    """

    service: SnapshotService
    serves: bool = False
    waiting: dict[asyncio.Future[Verdict], None] = field(default_factory=dict)
    opening: asyncio.Task[None] | None = None

    @property
    def ready(self) -> int:
        """Endpoints that take new requests."""
        return sum(not e.draining for e in usable_endpoints(self.service))

    def end(self, verdict: Verdict, *, most: int | None = None) -> None:
        """Those who have waited longest hear the verdict; everybody without `most`."""
        for future in list(self.waiting)[:most]:
            if not future.done():
                future.set_result(verdict)

    def stop_opening(self) -> None:
        """The endpoint is gone again."""
        if self.opening is not None:
            self.opening.cancel()
            self.opening = None


class Holds:
    """All rooms of an edge.

    `taken_over(service)` returns when Envoy has an endpoint of the service; `active(service)` is how many requests of it
    run, None when Envoy doesn't tell; `began()` is called when requests begin to wait where none did.
    """

    def __init__(
        self,
        *,
        taken_over: Callable[[str], Awaitable[None]],
        active: Callable[[str], Awaitable[int | None]],
        began: Callable[[], None] = lambda: None,
    ) -> None:
        self._taken_over = taken_over
        self._active = active
        self._began = began
        self._rooms: dict[str, _Room] = {}

    def follow(self, snapshot: Snapshot | None) -> None:
        """The files of this snapshot were written."""
        if snapshot is None:
            return
        services = {names.stem(s.name): s for s in snapshot.services}
        for stem in self._rooms.keys() - services.keys():
            room = self._rooms.pop(stem)
            room.stop_opening()
            room.end(_UNKNOWN)
        for stem, service in services.items():
            room = self._rooms.setdefault(stem, _Room(service))
            room.service = service
            if not room.ready:
                room.stop_opening()
                room.serves = False
            elif not room.serves and room.opening is None:
                room.opening = asyncio.create_task(self._open(room))

    async def wait(self, stem: str) -> Verdict:
        """Returns when the request may go on, or may not wait any longer."""
        room = self._rooms.get(stem)
        if room is None:
            return _UNKNOWN
        if room.serves:
            return _GO
        routing = room.service.routing
        if not room.service.hold and room.opening is None:
            return _refused(room.service, "it is not ready")
        if len(room.waiting) >= routing.max_held:
            return _refused(room.service, "too many requests wait for it")
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        room.waiting[future] = None
        try:
            if len(room.waiting) == 1:
                self._began()
            async with asyncio.timeout(routing.hold_limit_s):
                return await future
        except TimeoutError:
            return _refused(room.service, f"it did not come up within {routing.hold_limit_s:g} s")
        finally:
            room.waiting.pop(future, None)

    def held(self) -> dict[str, int]:
        """How many wait, by service."""
        return {room.service.name: len(room.waiting) for room in self._rooms.values() if room.waiting}

    async def close(self) -> None:
        """Nobody waits any longer."""
        openings = [room.opening for room in self._rooms.values() if room.opening is not None]
        for room in self._rooms.values():
            room.stop_opening()
            room.end(_refused(room.service, "this edge is being restarted"))
        for task in openings:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _open(self, room: _Room) -> None:
        await self._taken_over(room.service.name)
        room.serves = True
        while room.waiting:
            active = await self._active(room.service.name)
            room.end(_GO, most=None if active is None else max(0, AT_ONCE * room.ready - active))
            await asyncio.sleep(_LET_GO_EVERY_S)
        room.opening = None


def _refused(service: SnapshotService, why: str) -> Verdict:
    seconds = max(1, math.ceil(service.retry_after_s))
    return Verdict(
        go=False,
        retry_after_s=seconds,
        why=f"No replica of {service.name} is ready: {why}; try again in {seconds} s.",
    )
