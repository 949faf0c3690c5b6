"""Step two: what became of the machines that were asked for, and sizes that have to be withdrawn.

A size that nothing fills would be filled some day, unexpectedly. So what a cloud refused, what did not come in time,
and what a cloud that refills nothing still counts after a loss, is taken back.
"""

from __future__ import annotations

from dataclasses import replace

from lb.decide import settings
from lb.decide.commands import SetSize
from lb.decide.memory import PoolMemory
from lb.decide.tick import Tick


def update_pools(tick: Tick) -> None:
    """Counts the machines that each pool is still waiting for, and takes refusals into account."""
    refused = {o.pool_id: o for o in tick.outcomes if o.call == "set_size" and o.error is not None}
    for pool_id in tick.pools:
        memory = tick.pool_memory[pool_id]
        if pool_id in refused:
            memory = replace(memory, awaiting=0, asked_at=None)
        tick.pool_memory[pool_id] = _counted(tick, pool_id, memory)
        if pool_id in refused and refused[pool_id].error != "not_sent":
            tick.strike(pool_id, f"launch refused: {refused[pool_id].message}")
        _take_late_refusals(tick, pool_id)


def withdraw_unfilled(tick: Tick) -> None:
    """Takes back sizes that will not, or shall not, be filled."""
    for pool_id, memory in tick.pool_memory.items():
        if not tick.open(pool_id):
            continue
        if memory.awaiting and _overdue(tick, pool_id, memory):
            tick.strike(pool_id, f"{memory.awaiting} machines did not come")
            withdraw(tick, pool_id, memory.awaiting, "the others did not come")
        elif tick.unfilled(pool_id) > memory.awaiting and _settled(tick, memory):
            withdraw(tick, pool_id, 0, "the cloud counts machines that are no more")


def withdraw(tick: Tick, pool_id: str, number: int, why: str) -> None:
    """Lowers the pool's size by that many of the awaited machines, and by all that nobody awaits."""
    memory = tick.pool_memory[pool_id]
    left = memory.awaiting - number
    tick.pool_memory[pool_id] = replace(memory, awaiting=left, asked_at=tick.now)
    size = tick.machines(pool_id) + left
    tick.order(SetSize(pool_id, size), f"{pool_id}: size back to {size}: {why}")


def _counted(tick: Tick, pool_id: str, memory: PoolMemory) -> PoolMemory:
    """The machines that are still to come; one that appeared is no longer awaited."""
    if not memory.awaiting and not tick.refills(pool_id):
        return memory
    awaiting = max(0, memory.awaiting - tick.appeared.get(pool_id, 0))
    if pool_id in tick.seen and _settled(tick, memory):
        unfilled = tick.unfilled(pool_id)
        awaiting = unfilled if tick.refills(pool_id) else min(awaiting, unfilled)
    if not awaiting:
        return replace(memory, awaiting=0, asked_at=None) if memory.awaiting else memory
    return replace(
        memory, awaiting=awaiting, asked_at=tick.now if memory.asked_at is None else memory.asked_at
    )


def _take_late_refusals(tick: Tick, pool_id: str) -> None:
    observation = tick.seen.get(pool_id)
    if observation is None or not observation.refusals:
        return
    memory = tick.pool_memory[pool_id]
    new = [r for r in observation.refusals if r.at > memory.refusal_seen]
    if not new:
        return
    latest = max(new, key=lambda r: r.at)
    tick.pool_memory[pool_id] = replace(memory, refusal_seen=latest.at)
    tick.strike(pool_id, f"launch refused: {latest.message}")


def _overdue(tick: Tick, pool_id: str, memory: PoolMemory) -> bool:
    if memory.asked_at is None:
        return False
    refused = memory.refusal_seen >= memory.asked_at
    return refused or tick.now > memory.asked_at + max(
        settings.LAUNCH_DEADLINE_S, tick.pools[pool_id].cold_start_s
    )


def _settled(tick: Tick, memory: PoolMemory) -> bool:
    """Whether what the cloud says now must include the last size that it was given."""
    return memory.asked_at is None or tick.now > memory.asked_at + settings.SETTLE_S
