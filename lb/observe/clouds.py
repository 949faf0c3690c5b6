"""Looking at every cloud at the same time, none of which can hold up the others.

A cloud that does not answer within the patience of a tick is reported as not observed, and its answer is used by the
tick that finds it. Nothing is ever concluded from what was not observed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import groupby

import structlog

from lb.clouds.protocol import Driver, DriverError, PoolObservation
from lb.metrics import Metrics
from spec.desired import Pool

log = structlog.get_logger(__name__)

PATIENCE_S = 2.0
GIVE_UP_S = 60.0


class CloudObserver:
    """Asks the drivers what their clouds hold."""

    def __init__(
        self, drivers: Mapping[str, Driver], metrics: Metrics, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._drivers = drivers
        self._metrics = metrics
        self._patience_s = patience_s
        self._asked: dict[str, asyncio.Task[list[PoolObservation]]] = {}
        self._failing: set[str] = set()

    async def observe(self, pools: Sequence[Pool]) -> tuple[PoolObservation, ...]:
        """One observation per pool, in their order; those of a cloud that fails carry its error."""
        by_cloud = {
            c: list(g) for c, g in groupby(sorted(pools, key=lambda p: p.cloud), key=lambda p: p.cloud)
        }
        fresh = [self._ask(cloud, of_cloud) for cloud, of_cloud in by_cloud.items() if self._free(cloud)]
        if fresh:
            await asyncio.wait(fresh, timeout=self._patience_s)
        answers = {cloud: self._answer(cloud) for cloud in by_cloud}
        return tuple(_of_pool(pool, answers[pool.cloud]) for pool in pools)

    def refills(self) -> tuple[str, ...]:
        """Clouds whose groups replace lost machines by themselves."""
        return tuple(sorted(c for c, driver in self._drivers.items() if driver.refills))

    async def close(self) -> None:
        """Stops asking."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    def _free(self, cloud: str) -> bool:
        return cloud in self._drivers and cloud not in self._asked

    def _ask(self, cloud: str, pools: list[Pool]) -> asyncio.Task[list[PoolObservation]]:
        call = asyncio.wait_for(self._drivers[cloud].observe(pools), GIVE_UP_S)
        self._asked[cloud] = asyncio.create_task(call, name=f"observe {cloud}")
        return self._asked[cloud]

    def _answer(self, cloud: str) -> dict[str, PoolObservation] | str:
        """The observations by pool id, or why there are none."""
        task = self._asked.get(cloud)
        if task is None:
            return f"there is no driver for cloud {cloud!r}"
        if not task.done():
            return self._failed(cloud, "it has not answered yet")
        del self._asked[cloud]
        try:
            found = task.result()
        except TimeoutError:
            return self._failed(cloud, f"no answer within {GIVE_UP_S:g} s")
        except DriverError as e:
            return self._failed(cloud, f"{e.kind}: {e}")
        except Exception as e:  # a defect of one driver must not blind the others
            log.exception("a driver failed", cloud=cloud)
            return self._failed(cloud, f"defect in its driver: {e}")
        self._failing.discard(cloud)
        return {o.pool_id: o for o in found}

    def _failed(self, cloud: str, why: str) -> str:
        self._metrics.observe_failures.labels(cloud).inc()
        if cloud not in self._failing:
            self._failing.add(cloud)
            log.warning("a cloud can't be observed", cloud=cloud, error=why)
        return why


def _of_pool(pool: Pool, answer: dict[str, PoolObservation] | str) -> PoolObservation:
    if isinstance(answer, str):
        return PoolObservation(pool.id, 0, error=answer)
    return answer.get(pool.id) or PoolObservation(pool.id, 0, error="its cloud said nothing of it")
