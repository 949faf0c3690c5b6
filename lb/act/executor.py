"""Carries commands out: the only thing here that makes a cloud change something, and that waits for it.

Every call is preceded by a look at the lease, which must outlast it. Pools are served at the same time and in the
background; one whose commands still run is `busy` and is given no others. How each command ended is part of the next
observation, so that memory changes in one place only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import structlog

from lb.act.assignments import Assignments
from lb.bucket import BucketError
from lb.clock import Clock
from lb.clouds.protocol import Driver, DriverError
from lb.decide import Assign, AssignGangs, Command, Outcome, SetSize, Terminate
from lb.lease import Lease, LeaseLost, LeaseUnsure
from lb.metrics import Metrics
from spec.desired import Pool

log = structlog.get_logger(__name__)

CALL_TIMEOUT_S = 10.0
"""A call that takes longer counts as unanswered; well below the length of the lease."""
CALLS_AT_ONCE = 8
"""Per cloud: their interfaces limit the rate of calls."""
NOT_SENT = "not_sent"


class Executor:
    """Takes the commands of a decision; `collect` tells later how they ended."""

    def __init__(
        self,
        *,
        drivers: Mapping[str, Driver],
        lease: Lease,
        assignments: Assignments,
        clock: Clock,
        metrics: Metrics,
        on_done: Callable[[], None],
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._drivers = drivers
        self._lease = lease
        self._assignments = assignments
        self._clock = clock
        self._metrics = metrics
        self._on_done = on_done
        self._timeout_s = timeout_s
        self._slots = {cloud: asyncio.Semaphore(CALLS_AT_ONCE) for cloud in drivers}
        self._working: dict[str, asyncio.Task[None]] = {}
        self._outcomes: list[Outcome] = []

    def busy(self) -> tuple[str, ...]:
        """Pools whose earlier commands still run."""
        return tuple(sorted(self._working))

    def collect(self) -> tuple[Outcome, ...]:
        """How the commands ended that have ended since the last call."""
        outcomes, self._outcomes = tuple(self._outcomes), []
        return outcomes

    async def carry_out(self, commands: Sequence[Command], pools: Mapping[str, Pool]) -> None:
        """Writes the assignments, then starts the rest; never raises for what a cloud or the bucket does."""
        assigns = [c for c in commands if isinstance(c, Assign | AssignGangs)]
        if assigns:
            await self._assign(assigns)
        calls = (c for c in commands if not isinstance(c, Assign | AssignGangs))
        rest = sorted(calls, key=lambda c: c.pool_id)
        for pool_id, of_pool in groupby(rest, key=lambda c: c.pool_id):  # in each pool the order stays
            assert pool_id not in self._working, "a busy pool is given no commands"
            task = asyncio.create_task(self._serve(pools[pool_id], list(of_pool)), name=f"act on {pool_id}")
            self._working[pool_id] = task

    async def close(self) -> None:
        """Waits for the calls that were made: the lease must not be given up before."""
        if self._working:
            await asyncio.wait(list(self._working.values()), timeout=self._timeout_s + 1)

    async def _assign(self, commands: list[Assign | AssignGangs]) -> None:
        try:
            await self._lease.confirm(outlast_s=self._timeout_s)
            await self._assignments.apply(commands)
        except (BucketError, LeaseLost, LeaseUnsure) as e:
            log.warning("assignments not written; they are decided again", error=str(e))
            self._metrics.bucket_failures.labels("assignment").inc()

    async def _serve(self, pool: Pool, commands: list[SetSize | Terminate]) -> None:
        try:
            async with self._slots[pool.cloud]:
                for command in commands:
                    self._outcomes.append(await self._do(self._drivers[pool.cloud], command, pool))
        finally:
            del self._working[pool.id]
            self._on_done()

    async def _do(self, driver: Driver, command: SetSize | Terminate, pool: Pool) -> Outcome:
        error, message = await self._call(driver, command, pool)
        self._metrics.cloud_calls.labels(pool.cloud, command.call, error or "ok").inc()
        if error is not None:
            log.warning("a command failed", call=command.call, pool_id=pool.id, error=error, message=message)
        instance_id = command.instance_id if isinstance(command, Terminate) else None
        return Outcome(command.call, pool.id, instance_id, error, message, self._clock.now())

    async def _call(self, driver: Driver, command: SetSize | Terminate, pool: Pool) -> tuple[str | None, str]:
        """The kind of the error, None when it worked, and a message."""
        try:
            await self._lease.confirm(outlast_s=self._timeout_s)
            async with asyncio.timeout(self._timeout_s):
                if isinstance(command, SetSize):
                    await driver.set_size(pool, command.size)
                else:
                    await driver.terminate(pool, command.instance_id)
        except (LeaseLost, LeaseUnsure, BucketError) as e:
            return NOT_SENT, str(e)
        except DriverError as e:
            return e.kind, str(e) or e.kind
        except TimeoutError:
            return "unreachable", f"no answer within {self._timeout_s:g} s"
        except Exception as e:  # a defect of one driver must not end the controller
            log.exception("a driver failed", cloud=pool.cloud)
            return "error", f"defect in the driver: {e}"
        return None, ""
