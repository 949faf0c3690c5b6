"""On demand for spot: how many replicas a service has on demand, and where the missing ones are launched.

`base_ondemand_fallback_replicas` are on demand in any case. With `dynamic_ondemand_fallback` on-demand replicas cover for the
spot replicas that are not ready, SkyServe's `O(t) = min(N, N + spares - ready spot)`: launched in the very decision that
learns of a loss, a notice or a refusal, and kept until spot replicas are ready in their place. Spot is tried all the while,
as far as `max_replicas + surge` leaves room beside those that cover.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lb.decide import settings
from lb.decide.memory import ReplicaMemory
from lb.decide.spend import on_exhausted
from lb.decide.tick import Tick, holds_place
from spec.desired import OnExhausted, Pool, PoolState, Service
from spec.names import Market
from spec.status import ReplicaState as S


class Where(StrEnum):
    """In which pools a missing replica may be launched."""

    ANY = "any"
    ON_DEMAND_FIRST = "on_demand_first"
    ON_DEMAND = "on_demand"
    NOT_ON_DEMAND = "not_on_demand"

    def takes(self, pool: Pool) -> bool:
        """Whether it may be that pool."""
        match self:
            case Where.ON_DEMAND:
                return pool.market is Market.ON_DEMAND
            case Where.NOT_ON_DEMAND:
                return pool.market is not Market.ON_DEMAND
        return True


@dataclass(frozen=True, slots=True)
class Part:
    """Replicas that count together.

    Attributes:
        on_demand: its pools: only on demand, all but those, or all (None).
        wanted: as many are launched.
        kept: more than that many are ended; never below `wanted`.
        surplus: why they are, in words.

    """

    on_demand: bool | None
    wanted: int
    kept: int
    surplus: str

    def holds(self, pool: Pool) -> bool:
        """Whether replicas of that pool count here."""
        return self.on_demand is None or self.on_demand is (pool.market is Market.ON_DEMAND)


def parts_of(
    tick: Tick, service: Service, target: int, extra: int, counted: Mapping[str, ReplicaMemory]
) -> tuple[Part, ...]:
    """How the target is divided: in two where the policy tells on demand from the rest, on demand first; else not.

    `extra`: replicas beyond the target that an update holds for a while; covered on demand like the others.
    """
    surplus, whole = f"{service.name} needs only {target}", target + extra
    if not tells_markets_apart(tick, service):
        return (Part(None, whole, whole, surplus),)
    on_demand = [r for r in counted.values() if _is_on_demand(tick, r)]
    others = [r for r in counted.values() if not _is_on_demand(tick, r)]
    base = min(service.scaling.base_ondemand_fallback_replicas, target)
    launched = kept = 0
    if service.scaling.dynamic_ondemand_fallback:
        most = max(0, _needed(tick, service, target) + extra - base)
        here = sum(holds_place(r) for r in others)
        ready = sum(r.state is S.READY for r in others)
        kept = min(most, max(0, whole - base - ready))
        launched = min(most, max(0, whole - base - here)) if _in_trouble(tick, service) else 0
    based = min(base, sum(r.state is S.READY for r in on_demand))
    return (
        Part(True, base + launched, base + kept, f"{service.name} has its other replicas back"),
        Part(False, whole - base, whole - based, surplus),
    )


def missing(parts: tuple[Part, ...], have: tuple[int, ...], target: int) -> dict[Where, int]:
    """What is missing, by where it may be launched, the most urgent first.

    Args:
        parts: as `parts_of` divides the target.
        have: replicas of each part, with those that are awaited.
        target: of all parts together.

    """
    if len(parts) == 1:
        return {Where.ANY: max(0, target - have[0])}
    on_demand, others = (max(0, part.wanted - n) for part, n in zip(parts, have, strict=True))
    flexible = min(on_demand, max(0, target - sum(have) - others))
    return {
        Where.ON_DEMAND_FIRST: flexible,
        Where.ON_DEMAND: on_demand - flexible,
        Where.NOT_ON_DEMAND: others,
    }


def tells_markets_apart(tick: Tick, service: Service) -> bool:
    """Whether replicas on demand and the others are counted apart."""
    scaling = service.scaling
    if not scaling.base_ondemand_fallback_replicas and not scaling.dynamic_ondemand_fallback:
        return False
    if on_exhausted(tick.desired, tick.spend_memory, service) is OnExhausted.FLOOR:
        return False  # the cheapest pools, whichever they are
    markets = {p.market is Market.ON_DEMAND for p in tick.pools_of(service) if p.state is PoolState.ACTIVE}
    return len(markets) > 1


def _is_on_demand(tick: Tick, replica: ReplicaMemory) -> bool:
    return tick.pools[replica.pool_id].market is Market.ON_DEMAND


def _needed(tick: Tick, service: Service, target: int) -> int:
    """The target without spares: those are worth a spot machine, not one on demand."""
    memory = tick.scaling_memory.get(service.name)
    return target if memory is None else min(target, memory.target)


def _in_trouble(tick: Tick, service: Service) -> bool:
    """Whether spot capacity lately refused, was lost or announced to go, or can't be seen: then nothing is waited for."""
    for pool in tick.pools_of(service):
        if pool.market is not Market.SPOT or pool.state is not PoolState.ACTIVE:
            continue
        memory = tick.pool_memory[pool.id]
        struck = memory.struck_at is not None and tick.now < memory.struck_at + settings.SPOT_TROUBLE_S
        if struck or tick.now < memory.not_before or pool.id not in tick.seen:
            return True
    return False
