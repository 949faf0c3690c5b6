"""Step one: which replicas there are, and the state that each is in now.

The cloud says which machines exist, agents and probes say how they fare, and memory says where each was before. A cloud
that could not be observed takes nothing away: its replicas live on with what agents and probes say.
"""

from __future__ import annotations

from dataclasses import replace

from lb.clouds.protocol import Instance, InstancePhase, PoolObservation
from lb.decide import rollout, settings
from lb.decide.lifecycle import Verdict, move, serves_until
from lb.decide.memory import Drain, ReplicaMemory
from lb.decide.observed import AgentState
from lb.decide.soak import failed_while_it_soaked
from lb.decide.tick import Tick, clock, is_there
from spec.desired import Pool, Service
from spec.names import replica_id
from spec.status import ReplicaState as S

_ASK_AGAIN_AFTER = 10 * settings.RETRY_S


def update_replicas(tick: Tick) -> None:
    """Brings every replica to its present state."""
    _take_endings(tick)
    for pool in tick.pools.values():
        observation = tick.seen.get(pool.id)
        if observation is not None and (observation.instances or tick.by_pool[pool.id]):
            _take_machines(tick, pool, observation)
        service = tick.services[pool.service]
        for rid, replica in list(tick.by_pool[pool.id].items()):
            if replica.ended:
                continue
            after = _advance(tick, pool, service, rid, _take_notice(tick, rid, replica))
            if after is not replica:
                tick.put(rid, after)
    for service in tick.services.values():
        _take_out_doubtful(tick, service)
    _clear_records(tick)


# ---------------------------------------------------------------- which there are


def _take_endings(tick: Tick) -> None:
    """A confirmed end counts at once, however long the cloud still shows the machine."""
    for outcome in tick.outcomes:
        pool = tick.pools.get(outcome.pool_id)
        if outcome.call != "terminate" or outcome.instance_id is None or pool is None:
            continue
        rid = replica_id(cloud=pool.cloud, region=pool.region, instance=outcome.instance_id)
        replica = tick.by_pool[pool.id].get(rid)
        if replica is not None and outcome.error is None:
            tick.put(rid, replace(replica, ended=True))
        elif replica is not None:
            tick.say(f"{rid}: could not be ended: {outcome.message}")


def _take_machines(tick: Tick, pool: Pool, observation: PoolObservation) -> None:
    there = {
        replica_id(cloud=pool.cloud, region=pool.region, instance=i.instance_id): i
        for i in observation.instances
    }
    known = tick.by_pool[pool.id]
    for rid in list(known):
        if rid not in there or not is_there(there[rid].phase):
            _lose(tick, rid, tick.remove(rid, pool.id))
    for rid in sorted(there):
        instance = there[rid]
        if rid in known:
            after = _refresh(tick, known[rid], instance)
            if after is not known[rid]:
                tick.put(rid, after)
        elif is_there(instance.phase):
            tick.put(rid, ReplicaMemory(pool.service, pool.id, instance, S.PENDING, tick.now))
            tick.appeared[pool.id] = tick.appeared.get(pool.id, 0) + 1
    if pool.id in tick.appeared:
        tick.by_pool[pool.id] = dict(sorted(known.items()))


def _lose(tick: Tick, rid: str, replica: ReplicaMemory) -> None:
    gone = move(replica, S.GONE, now=tick.now, reason="its machine is gone")
    asked = replica.asked_at is not None or replica.state is S.FAILED
    announced = replica.preempt_at is not None
    if not replica.ended:
        tick.say(f"{rid}: {gone.reason}" + (", as asked" if asked else ", as announced" if announced else ""))
    if not asked and not announced:
        tick.strike(replica.pool_id, f"lost {replica.instance.instance_id} without being asked to", lost=True)


def _take_notice(tick: Tick, rid: str, replica: ReplicaMemory) -> ReplicaMemory:
    """The earliest moment of a preemption that the cloud or the machine's agent tells counts; the first word of it makes the pool suspect."""
    health = tick.health.get(rid)
    told = (replica.instance.preempt_at, health.preempt_at if health else None)
    if told == (None, None):
        return replica
    earliest = min(at for at in (replica.preempt_at, *told) if at is not None)
    if earliest == replica.preempt_at:
        return replica
    if replica.preempt_at is None:
        why = f"announces the preemption of {replica.instance.instance_id}"
        tick.strike(replica.pool_id, why, lost=True)
    return replace(replica, preempt_at=earliest)


def _refresh(tick: Tick, replica: ReplicaMemory, instance: Instance) -> ReplicaMemory:
    """What the cloud says of a known machine; one that should long be over has to be ended again."""
    overdue = (
        replica.ended and replica.asked_at is not None and tick.now > replica.asked_at + _ASK_AGAIN_AFTER
    )
    same = replica.instance is instance or replica.instance == instance
    if same and not overdue:
        return replica
    return replace(replica, instance=instance, ended=replica.ended and not overdue)


# ---------------------------------------------------------------- how each fares


def _advance(tick: Tick, pool: Pool, service: Service, rid: str, replica: ReplicaMemory) -> ReplicaMemory:
    """The replica one step, or several, further; doubts about ready ones are left to `_take_out_doubtful`."""
    if replica.instance.broken:
        return _give_up(tick, rid, replica)
    if replica.preempt_at is not None:
        return _leave_before_the_kill(tick, service, rid, replica)
    if replica.state in (S.DRAINING, S.FAILED):
        return replica
    verdict, why = tick.verdict(rid, replica)
    if verdict is Verdict.BROKEN:
        return _fail(tick, rid, replica, why)
    if replica.state is S.READY and verdict is Verdict.OK and replica.failing_since is None:
        return replica
    if replica.state is S.PENDING:
        replica = _advance_pending(tick, pool, rid, replica)
    match replica.state, verdict:
        case ((S.STARTING | S.UNREADY), Verdict.OK) if not replica.lied:
            return _to(tick, rid, replica, S.READY, "")
        case S.STARTING, _:
            return _advance_starting(tick, service, rid, replica, why)
        case S.READY, Verdict.OUT:
            return _take_out(tick, rid, replica, why)
        case S.READY, _ if failed_while_it_soaked(tick, replica, service.probe):
            return _fail(
                tick, rid, replica, f"it fails for {service.probe.replace_after_s:g} s: {replica.reason}"
            )
        case S.UNREADY, _ if tick.now > replica.since + service.probe.replace_after_s:
            return _fail(
                tick, rid, replica, f"not ready for {service.probe.replace_after_s:g} s: {replica.reason}"
            )
    return replica


def _give_up(tick: Tick, rid: str, replica: ReplicaMemory) -> ReplicaMemory:
    """It can't serve any more although its machine is still there: that is a loss, but its end is ours to ask for."""
    why = replica.instance.broken
    if replica.state is S.FAILED or replica.drain is Drain.IDLE:
        return replica
    if replica.state is S.DRAINING:
        tick.say(f"{rid}: {S.DRAINING}: {why}")
        return replace(replica, reason=why, drain=Drain.IDLE)
    if replica.preempt_at is None:
        tick.strike(replica.pool_id, f"{replica.instance.instance_id}: {why}")
    return _to(tick, rid, replica, S.FAILED, why)


def _leave_before_the_kill(tick: Tick, service: Service, rid: str, replica: ReplicaMemory) -> ReplicaMemory:
    """Its preemption is announced: it serves until it has to drain, and what does not serve leaves at once.

    One that was drained for an update does not come back.
    """
    if replica.state is S.FAILED or replica.drain in (Drain.LEAVE, Drain.IDLE):
        return replica
    why = "its preemption is announced"
    if replica.state is S.DRAINING:
        tick.say(f"{rid}: {S.DRAINING}: {why}")
        return replace(replica, reason=why, drain=Drain.LEAVE)
    if replica.state is not S.READY:
        return _to(tick, rid, replica, S.DRAINING, why, drain=Drain.IDLE)
    verdict, trouble = tick.verdict(rid, replica)
    if verdict in (Verdict.OUT, Verdict.BROKEN):
        return _to(tick, rid, replica, S.DRAINING, f"{why}, and {trouble}", drain=Drain.IDLE)
    until = serves_until(replica.preempt_at, tick.health.get(rid), service.routing.drain_limit_s)
    if until is None or tick.now >= until:
        return _to(tick, rid, replica, S.DRAINING, why, drain=Drain.LEAVE)
    why += f"; serves until {clock(until)}"
    if replica.failing_since is not None or replica.reason == why:
        return replica
    tick.say(f"{rid}: {why}")
    return replace(replica, reason=why)


def _advance_pending(tick: Tick, pool: Pool, rid: str, replica: ReplicaMemory) -> ReplicaMemory:
    health = tick.health.get(rid)
    up = replica.instance.phase is InstancePhase.RUNNING and health is not None
    if up and health.agent in (AgentState.ANSWERS, AgentState.NONE):
        return _to(tick, rid, replica, S.STARTING, "its machine is up")
    limit = max(settings.LAUNCH_DEADLINE_S, pool.cold_start_s)
    if tick.now > replica.since + limit:
        tick.strike(pool.id, f"{replica.instance.instance_id} did not come up within {limit:g} s")
        return _to(tick, rid, replica, S.FAILED, f"its machine did not come up within {limit:g} s")
    return replica


def _advance_starting(
    tick: Tick, service: Service, rid: str, replica: ReplicaMemory, why: str
) -> ReplicaMemory:
    limit = service.probe.initial_delay_s
    if tick.now > replica.since + limit:
        return _fail(tick, rid, replica, f"not ready within {limit:g} s" + (f": {why}" if why else ""))
    return replica if not why or why == replica.reason else replace(replica, reason=why)


def _take_out_doubtful(tick: Tick, service: Service) -> None:
    """Doubtful replicas go out of the edges, but never more than half of the service by doubts alone.

    If most of a service fails its probe at the same time then the probe, or the way to the replicas, is the likelier
    culprit. Those that are kept although they fail are remembered, and replaced one by one.
    """
    ready = out = 0
    doubtful: list[tuple[float, str, str]] = []
    replicas = dict(tick.replicas_of(service))
    for rid, replica in replicas.items():
        if replica.state not in (S.READY, S.UNREADY):
            continue
        verdict, why = tick.verdict(rid, replica)
        if replica.state is S.UNREADY:
            out += verdict is Verdict.DOUBTFUL or replica.lied
            continue
        ready += 1
        if verdict is Verdict.DOUBTFUL:
            doubtful.append((replica.failing_since or tick.now, rid, why))
        elif verdict is Verdict.OK and replica.failing_since is not None:
            tick.put(rid, replace(replica, failing_since=None, reason=""))
    room = (ready + out) // 2 - out
    for place, (since, rid, why) in enumerate(sorted(doubtful)):
        replica = replicas[rid]
        if place < room:
            lies = bool(tick.health[rid].lies)
            tick.put(rid, replace(_take_out(tick, rid, replica, why), lied=lies))
        elif replica.failing_since is None:
            tick.say(f"{rid}: {why}; it stays in the edges because half of {service.name} is out already")
            tick.put(rid, replace(replica, failing_since=since, reason=why))


def _take_out(tick: Tick, rid: str, replica: ReplicaMemory, why: str) -> ReplicaMemory:
    """Out of the edges. On trial it may come back and soak anew once: one that comes and goes for ever has failed.

    One whose preemption is announced does not come back.
    """
    if replica.preempt_at is not None:
        why = f"its preemption is announced, and {why}"
        return _to(tick, rid, replica, S.DRAINING, why, drain=Drain.LEAVE)
    soaking = tick.on_trial(replica) and tick.now < replica.since + settings.SOAK_S
    if soaking and replica.relapsed:
        return _fail(tick, rid, replica, f"it was ready and out again twice: {why}")
    return replace(_to(tick, rid, replica, S.UNREADY, why), relapsed=soaking)


def _clear_records(tick: Tick) -> None:
    """A replica that has proved itself clears what was held against its pool and its bundle before it came."""
    for pool_id, replicas in tick.by_pool.items():
        service = tick.service_memory[tick.pools[pool_id].service]
        if tick.pool_memory[pool_id].struck_at is None and service.failed_at is None:
            continue  # nothing is held against it
        for replica in replicas.values():
            proven = replica.state is S.READY and tick.now >= replica.since + settings.PROVEN_AFTER_S
            if not proven or replica.preempt_at is not None:
                continue
            pool = tick.pool_memory[pool_id]
            if pool.struck_at is not None and replica.since > pool.struck_at:
                tick.pool_memory[pool_id] = replace(pool, struck_since=None, struck_at=None, not_before=0.0)
            service = tick.service_memory[replica.service]
            if service.failed_at is None or replica.since <= service.failed_at:
                continue
            if tick.assigned(replica) == rollout.goal(service):
                cleared = replace(service, failures=0, failed_at=None, not_before=0.0)
                tick.service_memory[replica.service] = cleared


# ---------------------------------------------------------------- words


def _fail(tick: Tick, rid: str, replica: ReplicaMemory, why: str) -> ReplicaMemory:
    """It failed by itself: its machine is ended, and launches of its service wait.

    On trial it is the bundle that failed: a machine that served before the rollout keeps its place and goes back to the
    good bundle. While frozen it waits for that, because nothing may be assigned.
    """
    record = tick.service_memory[replica.service]
    if not rollout.tries(record, tick.assigned(replica)):
        tick.count_failure(replica.service)
        return _to(tick, rid, replica, S.FAILED, why)
    assert record.rollout is not None
    served_before = replica.instance.launched_at < record.rollout.started_at
    if not served_before:
        tick.fail_on_trial(replica.service, f"{rid}: {why}")
        return _to(tick, rid, replica, S.FAILED, why)
    if tick.frozen is None:
        tick.fail_on_trial(replica.service, f"{rid}: {why}")
        tick.returning.add(rid)
    return _to(tick, rid, replica, S.UNREADY, why) if replica.state is S.READY else replica


def _to(
    tick: Tick, rid: str, replica: ReplicaMemory, state: S, reason: str, *, drain: Drain | None = None
) -> ReplicaMemory:
    tick.say(f"{rid}: {state}" + (f": {reason}" if reason else ""))
    return move(replica, state, now=tick.now, reason=reason, drain=drain)
