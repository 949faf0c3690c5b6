"""The local cloud's driver: number one of the protocol, and the one that everything is tried with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from lb.clouds.protocol import (
    DriverError,
    Instance,
    InstancePhase,
    InsufficientCapacity,
    NotFound,
    PoolObservation,
    QuotaExceeded,
    Refusal,
    Unreachable,
)
from local.cloud import LocalCloud
from local.errors import CloudError, NoCapacity, OverMaximum, PoolNotFound
from local.processes import ProcessError
from local.trace import TraceError
from local.views import PoolView
from spec.desired import Pool, Prices

P = ParamSpec("P")
T = TypeVar("T")


class LocalDriver:
    """Drives the emulated cloud of one stack's home."""

    refills = False

    def __init__(self, home: Path) -> None:
        self._cloud = LocalCloud(home)

    async def observe(self, pools: Sequence[Pool]) -> list[PoolObservation]:
        """One observation per pool; one that nobody has declared yet carries an error."""
        views = {v.pool_id: v for v in await _call(self._cloud.observe)}
        return [_observation(pool.id, views.get(pool.id)) for pool in pools]

    async def set_size(self, pool: Pool, size: int) -> None:
        """Grows the pool, as far as its zone has capacity."""
        await _call(self._cloud.set_size, pool.id, size)

    async def terminate(self, pool: Pool, instance_id: str) -> None:
        """Ends the machine and waits until its processes are gone."""
        await _call(self._cloud.terminate, pool.id, instance_id)

    async def prices(self, pools: Sequence[Pool]) -> dict[str, Prices]:
        """The trace's prices of now."""
        found = await self.observe(pools)
        return {o.pool_id: o.prices for o in found if o.prices is not None}

    async def quotas(self) -> dict[str, float]:
        """None: the local cloud limits capacity only."""
        return {}


async def _call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The call in a thread, its errors as the protocol's."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except (CloudError, ProcessError, TraceError, OSError) as e:
        raise _translated(e) from e


def _translated(error: Exception) -> DriverError:
    kinds = {NoCapacity: InsufficientCapacity, PoolNotFound: NotFound, OverMaximum: QuotaExceeded}
    kind = next((k for known, k in kinds.items() if isinstance(error, known)), Unreachable)
    return kind(str(error))


def _observation(pool_id: str, view: PoolView | None) -> PoolObservation:
    if view is None:
        return PoolObservation(pool_id, 0, error=f"{NotFound.kind}: nobody has declared it")
    return PoolObservation(
        pool_id,
        view.size,
        instances=tuple(
            Instance(
                m.instance_id,
                InstancePhase.STOPPING if m.ending else InstancePhase.RUNNING,
                m.address,
                m.port,
                m.agent_port,
                m.launched_at,
                m.preempt_at,
            )
            for m in view.machines
        ),
        refusals=tuple(Refusal(r.kind, r.message, r.at) for r in view.refusals),
        prices=Prices(spot=view.spot, on_demand=view.on_demand),
    )
