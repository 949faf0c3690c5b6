"""Which bundle each machine runs: replicas move to their service's goal step by step, and never below what is needed.

With `surge` machines more than the target give the slack: first one, which tries the goal, then as many as surge says. The
others move in place while these serve, as many at a time, and the last old ones leave instead of moving. Without surge
replicas move in place one at a time, so that one is missing for a while. Machines that are running are named in the assignment before its default changes, because the default holds for all
that are not named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from lb.decide import rollout
from lb.decide.commands import Assign
from lb.decide.lifecycle import move
from lb.decide.memory import Drain, ReplicaMemory, ServiceMemory
from lb.decide.places import has_a_base, units_in
from lb.decide.soak import soaked
from lb.decide.targets import needed_units
from lb.decide.tick import Tick, holds_place
from lb.decide.turnover import drained, spare_of
from spec.desired import Pool, PoolState, Service
from spec.status import ReplicaState as S

Replicas = dict[str, ReplicaMemory]

_COMING = (S.PENDING, S.STARTING, S.UNREADY)


def learn(tick: Tick, service: Service) -> None:
    """What the replicas' states say of the bundles: which one is good, and whether the new one has proved itself."""
    record = tick.service_memory[service.name]
    if record.good is None:
        found = _running_bundle(tick, service)
        if found is not None:
            record = rollout.adopt(record, found, tick.now)
    ready = [(i, r) for i, r in tick.replicas_of(service) if r.state is S.READY]
    if rollout.is_hopeless(record) and not ready and not tick.returning:  # who returns needs the one before
        tick.say(f"{service.name}: the bundle before fails too; {record.bundle[:12]} is tried without it")
        record = rollout.give_up(record)
    tick.service_memory[service.name] = record
    if record.rollout is not None and any(tick.on_trial(r) and soaked(tick, i, r) for i, r in ready):
        tick.service_memory[service.name] = rollout.prove(record)


def update(tick: Tick, service: Service, target: int, leaving: dict[str, str]) -> None:
    """Brings assignments nearer to the goal.

    Args:
        tick: the decision in the making.
        service: whose replicas are meant.
        target: how many of them should be ready.
        leaving: replicas that others replace; they keep their bundle to the end.

    """
    counted = _counted(tick, service, leaving)
    before = tick.service_memory[service.name]
    if rollout.moves(before) and _arrived(tick, service, counted, target):
        after = tick.service_memory[service.name] = rollout.arrive(before)
        if after.rollout is not None and after != before:
            tick.say(f"{service.name}: the rollout of {after.rollout.to[:12]}: {after.rollout.phase}")
    record = tick.service_memory[service.name]
    goal = rollout.goal(record)
    moved: dict[str, str] = {}
    for rid in sorted(tick.returning & counted.keys()):
        assert record.rollout is not None, "only a rollout puts a bundle on trial"
        moved[rid] = record.rollout.before
        _restart(tick, rid, counted[rid], f"back to the bundle before: {counted[rid].reason}")
    for rid in _drained_for_update(tick, service, counted) | _free(tick, service, counted, moved):
        moved[rid] = goal
    if not rollout.paused(record):
        moved |= dict.fromkeys(_next_in_turn(tick, service, target, counted, moved), goal)
    for pool in tick.pools_of(service):
        _assign(tick, pool, rollout.default(record), moved)


def extra_machines(tick: Tick, service: Service, target: int, leaving: dict[str, str]) -> int:
    """How many replicas beyond the target an update holds, until enough are ready on the goal; 0 without surge.

    As many as may move at a time, and no more than are left to move: so the last old ones leave in their place. Not where
    replicas on demand are counted apart, or shapes differ: the last may be one that has to be kept, so all of them move.
    """
    record = tick.service_memory[service.name]
    if not rollout.moves(record) or not service.scaling.surge or not target:
        return 0
    counted = _counted(tick, service, leaving)
    at_a_time = _at_a_time(record, service)
    if rollout.paused(record):
        return min(at_a_time, max(0, len(counted) + _awaiting(tick, service) - target))
    goal, arrived = rollout.goal(record), _arrived_on(tick, service, counted)
    if _all_move(tick, service):
        return min(at_a_time, len(counted) - arrived)
    if arrived >= target:
        return 0
    to_go = sum(_is_old(tick, r, goal) for r in counted.values() if r.state is S.READY)
    return min(at_a_time, to_go)


# ---------------------------------------------------------------- what there is


def _counted(tick: Tick, service: Service, leaving: dict[str, str]) -> Replicas:
    return {i: r for i, r in tick.replicas_of(service) if holds_place(r) and i not in leaving}


def _all_move(tick: Tick, service: Service) -> bool:
    return has_a_base(tick, service) or units_in(tick, service).mixed


def _running_bundle(tick: Tick, service: Service) -> str | None:
    """What most replicas serve with when nothing is remembered; one that is not the desired one, if there is any.

    After the memory was lost nobody has asked the replicas yet: then what they were told to run counts.
    """
    replicas = [r for _, r in tick.replicas_of(service)]
    if service.name not in tick.forgotten:
        replicas = [r for r in replicas if r.state is S.READY]
    found = Counter(b for r in replicas if (b := tick.assigned(r)) is not None)
    others = Counter({b: n for b, n in found.items() if b != service.bundle.sha256})
    if others:
        return min(others, key=lambda b: (-others[b], b))
    return service.bundle.sha256 if any(r.state is S.READY for r in replicas) and found else None


def _arrived(tick: Tick, service: Service, counted: Replicas, target: int) -> bool:
    """Whether all run the goal and can be relied on; on the way back it is enough that all were told to."""
    record = tick.service_memory[service.name]
    goal = rollout.goal(record)
    if any(tick.assigned(r) not in (None, goal) for r in counted.values()):
        return False
    if goal != service.bundle.sha256:
        return True
    nobody_needed = not target and not rollout.paused(record)
    return all(soaked(tick, i, r) for i, r in counted.items()) and (bool(counted) or nobody_needed)


def _arrived_on(tick: Tick, service: Service, counted: Replicas) -> int:
    """How many run the goal and can be relied on."""
    goal = rollout.goal(tick.service_memory[service.name])
    return sum(tick.assigned(r) == goal and soaked(tick, i, r) for i, r in counted.items())


def _is_old(tick: Tick, replica: ReplicaMemory, goal: str) -> bool:
    return tick.assigned(replica) not in (None, goal)


def _awaiting(tick: Tick, service: Service) -> int:
    """Machines that were asked for and have not appeared."""
    return sum(tick.pool_memory[p.id].awaiting for p in tick.pools_of(service) if p.state is PoolState.ACTIVE)


# ---------------------------------------------------------------- who moves


def _at_a_time(record: ServiceMemory, service: Service) -> int:
    """How many may be on their way to the goal together: one, until it is known that the goal works."""
    known = rollout.default(record) == rollout.goal(record)
    return max(1, service.scaling.surge) if known else 1


def _drained_for_update(tick: Tick, service: Service, counted: Replicas) -> set[str]:
    """Those that have drained; and those that run the goal already, because it has changed meanwhile."""
    goal = rollout.goal(tick.service_memory[service.name])
    found = set()
    for rid, replica in counted.items():
        if replica.drain is not Drain.UPDATE:
            continue
        if not _is_old(tick, replica, goal) or drained(tick, service, rid, replica):
            found.add(rid)
            starting = move(replica, S.STARTING, now=tick.now, reason="it gets another bundle")
            tick.put(rid, replace(starting, relapsed=False))
    return found


def _free(tick: Tick, service: Service, counted: Replicas, moved: dict[str, str]) -> set[str]:
    """Those that serve nobody move at once, as soon as it is known that the goal works."""
    record = tick.service_memory[service.name]
    if rollout.paused(record) or rollout.default(record) != rollout.goal(record):
        return set()
    found = set(_not_serving(tick, counted, moved, rollout.goal(record)))
    for rid in found:
        _restart(tick, rid, counted[rid], "it gets another bundle")
    return found


def _not_serving(tick: Tick, counted: Replicas, moved: dict[str, str], goal: str) -> list[str]:
    """One that was not asked yet may well serve: it stays as it is until it has been."""
    return [
        i
        for i, r in counted.items()
        if r.state in _COMING
        and i not in moved
        and _is_old(tick, r, goal)
        and (r.state is not S.PENDING or tick.was_asked(i))
    ]


def _next_in_turn(
    tick: Tick, service: Service, target: int, counted: Replicas, moved: dict[str, str]
) -> set[str]:
    """Those whose turn it is, while few enough are on their way: serving ones start to drain, others move now."""
    record = tick.service_memory[service.name]
    goal = rollout.goal(record)
    old = [i for i, r in counted.items() if _is_old(tick, r, goal) and i not in moved]
    if not old:
        return set()
    on_the_way = _on_the_way(tick, service, counted, moved)
    places = _at_a_time(record, service) - on_the_way
    if places <= 0:
        tick.say(
            f"{service.name}: the next update waits until {on_the_way} on the way have arrived; {len(old)} to go"
        )
        return set()
    ready = [(i, r) for i, r in tick.replicas_of(service) if r.state is S.READY and r.preempt_at is None]
    floor = target if service.scaling.surge else target - 1
    units = units_in(tick, service)
    needed = sum(needed_units(tick, service, target, units)) - (0 if service.scaling.surge else units.most)
    most = service.scaling.max_replicas
    spare = spare_of(tick, units, [r for i, r in ready if soaked(tick, i, r)], needed=needed, most=most)
    coming = _not_serving(tick, counted, moved, goal)
    # machines of another number than the bundle before wants can't serve with it
    unfit = any(r.instance.nodes != service.num_nodes for _, r in ready)
    if coming and (spare.units >= 0 or not ready or unfit):
        rid = min(coming, key=lambda i: (-counted[i].instance.launched_at, i))
        tick.say(f"{rid}: its turn to get bundle {goal[:12]}")
        _restart(tick, rid, counted[rid], "it gets another bundle")
        return {rid}
    places = min(places, _lacking(tick, service, target, counted, moved))
    serving = [(soaked(tick, i, r), r.since, i) for i in old if (r := counted[i]).state is S.READY]
    going = 0
    for reliable, _, rid in sorted(serving):  # first those of a rollout that another one has overtaken
        worth = units.of(tick.pools[counted[rid].pool_id]) if reliable else 0
        if going < places and spare.gives(worth):
            going += 1
            spare.take(worth)
            tick.say(f"{rid}: its turn to get bundle {goal[:12]}")
            why = "it is about to be updated"
            tick.put(rid, move(counted[rid], S.DRAINING, now=tick.now, reason=why, drain=Drain.UPDATE))
    if not serving or places > 0 >= going:
        tick.say(f"{service.name}: the next update waits until more than {floor} are ready; {len(old)} to go")
    return set()


def _on_the_way(tick: Tick, service: Service, counted: Replicas, moved: dict[str, str]) -> int:
    """How many move now, or have come with the goal and can't be relied on yet."""
    record = tick.service_memory[service.name]
    goal = rollout.goal(record)
    going = {
        i
        for i, r in counted.items()
        if r.drain is Drain.UPDATE or not (_is_old(tick, r, goal) or soaked(tick, i, r))
    }
    awaiting = _awaiting(tick, service) if rollout.default(record) == goal else 0
    return len(going | moved.keys()) + awaiting


def _lacking(tick: Tick, service: Service, target: int, counted: Replicas, moved: dict[str, str]) -> int:
    """How many more have to move; the others leave when these have arrived, where they may (see extra_machines)."""
    goal = rollout.goal(tick.service_memory[service.name])
    old = sum(_is_old(tick, r, goal) and r.drain is None and i not in moved for i, r in counted.items())
    if not service.scaling.surge or _all_move(tick, service):
        return old
    return min(old, target - (len(counted) - old) - _awaiting(tick, service))


def _restart(tick: Tick, rid: str, replica: ReplicaMemory, why: str) -> None:
    """Another bundle gives a replica its time anew."""
    if replica.state is S.UNREADY:
        replica = move(replica, S.STARTING, now=tick.now, reason=why)
    tick.put(rid, replace(replica, since=tick.now, reason=why, lied=False, relapsed=False))


# ---------------------------------------------------------------- what they are told


def _assign(tick: Tick, pool: Pool, default: str, moved: dict[str, str]) -> None:
    assignment = tick.assignment(pool.id)
    new_default = assignment.default != default
    for rid, replica in tick.by_pool[pool.id].items():
        if replica.ended:
            continue
        instance_id = replica.instance.instance_id
        current = assignment.of(instance_id)
        wanted = moved.get(rid) or current or default
        if wanted != current or (new_default and wanted != default):
            verb = "keeps" if wanted == current else "gets"
            tick.order(Assign(pool.id, instance_id, wanted), f"{rid}: {verb} bundle {wanted[:12]}")
    if new_default:
        tick.order(Assign(pool.id, None, default), f"{pool.id}: new machines run bundle {default[:12]}")
