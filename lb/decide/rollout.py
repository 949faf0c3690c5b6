"""Which bundle each machine runs: a changed one goes to new machines at once, and to running ones one at a time.

A replica that serves is drained, gets the new bundle on the same machine, and must be ready before the next one's turn.
So a bundle that never becomes ready takes one replica and no more. Machines that are running are named in the assignment
before its default changes, because the default holds for all that are not named.
"""

from __future__ import annotations

from dataclasses import replace

from lb.decide.commands import Assign
from lb.decide.lifecycle import move
from lb.decide.memory import Drain, ReplicaMemory
from lb.decide.tick import Tick, holds_place
from lb.decide.turnover import drained
from spec.desired import Pool, Service
from spec.status import ReplicaState as S


def roll_out(tick: Tick, service: Service, target: int, leaving: dict[str, str]) -> None:
    """Brings assignments nearer to the desired bundle.

    Args:
        tick: the decision in the making.
        service: whose replicas are meant.
        target: how many of them should be ready.
        leaving: replicas that others replace; they keep their bundle to the end.

    """
    counted = {i: r for i, r in tick.replicas_of(service) if holds_place(r) and i not in leaving}
    moved = _not_serving(tick, service, counted) | _drained_for_update(tick, service, counted)
    if not any(r.drain is Drain.UPDATE for i, r in counted.items() if i not in moved):
        moved |= _next_in_turn(tick, service, target, counted)
    for pool in tick.pools_of(service):
        _assign(tick, pool, service.bundle.sha256, moved)


def _not_serving(tick: Tick, service: Service, counted: dict[str, ReplicaMemory]) -> set[str]:
    """Replicas that are still coming up lose nothing by another bundle; a starting one gets its time again."""
    found = set()
    for rid, replica in counted.items():
        if replica.state in (S.PENDING, S.STARTING) and _is_old(tick, service, replica):
            found.add(rid)
            if replica.state is S.STARTING:
                tick.put(rid, replace(replica, since=tick.now, reason="it gets a new bundle"))
    return found


def _drained_for_update(tick: Tick, service: Service, counted: dict[str, ReplicaMemory]) -> set[str]:
    found = set()
    for rid, replica in counted.items():
        if replica.drain is Drain.UPDATE and drained(tick, service, rid, replica):
            found.add(rid)
            tick.put(rid, move(replica, S.STARTING, now=tick.now, reason="it gets a new bundle"))
    return found


def _next_in_turn(tick: Tick, service: Service, target: int, counted: dict[str, ReplicaMemory]) -> set[str]:
    """The one whose turn it is, while all others are ready: a serving one starts to drain, another moves now."""
    old = [
        (i, r) for i, r in counted.items() if r.state in (S.READY, S.UNREADY) and _is_old(tick, service, r)
    ]
    if not old:
        return set()
    rid, replica = min(old, key=lambda x: (x[1].state is S.READY, x[1].instance.launched_at, x[0]))
    others_ready = all(r.state is S.READY for i, r in counted.items() if i != rid)
    if not others_ready or (replica.state is S.READY and len(counted) < target):
        tick.say(f"{service.name}: the next update waits until all others are ready; {len(old)} to go")
        return set()
    tick.say(f"{rid}: its turn to be updated to {service.bundle.sha256[:12]}")
    if replica.state is S.READY:
        why = "it is about to be updated"
        tick.put(rid, move(replica, S.DRAINING, now=tick.now, reason=why, drain=Drain.UPDATE))
        return set()
    tick.put(rid, move(replica, S.STARTING, now=tick.now, reason="it gets a new bundle"))
    return {rid}


def _assign(tick: Tick, pool: Pool, sha256: str, moved: set[str]) -> None:
    assignment = tick.assignment(pool.id)
    new_default = assignment.default != sha256
    for rid, replica in tick.by_pool[pool.id].items():
        if replica.ended:
            continue
        instance_id = replica.instance.instance_id
        current = assignment.of(instance_id)
        wanted = sha256 if rid in moved or current is None else current
        if wanted != current or (new_default and wanted != sha256):
            verb = "keeps" if wanted == current else "gets"
            tick.order(Assign(pool.id, instance_id, wanted), f"{rid}: {verb} bundle {wanted[:12]}")
    if new_default:
        tick.order(Assign(pool.id, None, sha256), f"{pool.id}: new machines run bundle {sha256[:12]}")


def _is_old(tick: Tick, service: Service, replica: ReplicaMemory) -> bool:
    return tick.assigned(replica) not in (None, service.bundle.sha256)
