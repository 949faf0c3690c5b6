"""Who leaves: replicas in retiring pools, replicas that are replaced by others, and those that are too many.

A replica that serves drains first, and leaves only while enough others are ready. The cloud never picks the victim:
machines are ended by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lb.decide import rollout, settings
from lb.decide.budget import price_usd_hour
from lb.decide.commands import Terminate
from lb.decide.lifecycle import Verdict, judge, move
from lb.decide.memory import Drain, ReplicaMemory
from lb.decide.placement import Placed, parts_of
from lb.decide.places import said, units_in
from lb.decide.sizes import withdraw
from lb.decide.soak import soaked
from lb.decide.spend import on_exhausted
from lb.decide.targets import most_replicas, needed_units
from lb.decide.tick import Tick, holds_place
from lb.decide.units import Units
from spec.desired import OnExhausted, PoolState, Service
from spec.status import ReplicaState as S

_LEAST_USEFUL_FIRST = {S.PENDING: 0, S.STARTING: 1, S.UNREADY: 2, S.READY: 3}


def outgoing(tick: Tick, service: Service) -> dict[str, str]:
    """Replicas that serve but don't count, because others are to take their place: id and why."""
    found: dict[str, str] = {}
    for rid, replica in tick.replicas_of(service):
        if not holds_place(replica):
            continue
        if tick.pools[replica.pool_id].state is PoolState.RETIRING:
            found[rid] = "its pool is retiring"
        elif _has_other_nodes(tick, service, replica):
            found[rid] = f"it has {replica.instance.nodes} nodes, and {service.num_nodes} are wanted"
        elif _failed_for_long(tick, service, replica):
            found[rid] = f"it fails for {service.probe.replace_after_s:g} s: {replica.reason}"
    return found


def shed(tick: Tick, service: Service, target: int, extra: int, leaving: dict[str, str]) -> list[Placed]:
    """Sends away whom others have replaced, and who is too many; returns where replicas are to be.

    `extra`: replicas beyond the target that an update holds for a while.
    """
    held = {i: r for i, r in tick.replicas_of(service) if holds_place(r)}
    counted = {i: r for i, r in held.items() if i not in leaving}
    parts = parts_of(tick, service, target, extra, counted)
    units = units_in(tick, service)
    needed, more = sum(needed_units(tick, service, target, units)), extra * units.most
    planned = max(needed, sum(part.worth(part.wanted) for part in parts) - more)
    reliable = [r for i, r in held.items() if soaked(tick, i, r)]
    spare = spare_of(tick, units, reliable, needed=needed, most=service.scaling.max_replicas)
    _replace(tick, service, {i: (held[i], why) for i, why in leaving.items()}, units, spare)
    _release_announced(tick, service, units, reliable, planned)
    spare = spare_of(tick, units, _ready(counted), needed=planned)
    for part in parts:
        if units.mixed:
            spare.beyond = len(_ready(part.replicas)) - part.most
        least = needed + more if len(parts) == 1 else 0
        excess = part.worth(part.have) - max(part.worth(part.wanted), least)
        if (excess > 0 and spare.units >= 0) or spare.beyond > 0:
            _shed_from(
                tick, service, part, excess=excess, spare=spare, why=f"{service.name} needs only {target}"
            )
    return parts


@dataclass(slots=True)
class Spare:
    """What serves and may leave: so many units in all; or replicas beyond the most that may stay, so that larger ones may come."""

    units: int
    beyond: int

    def gives(self, units: int) -> bool:
        """Whether a replica that is worth so much may leave."""
        return self.units >= units or self.beyond > 0

    def take(self, units: int) -> None:
        """It leaves."""
        self.units -= units
        self.beyond -= 1


def spare_of(
    tick: Tick, units: Units, replicas: Sequence[ReplicaMemory], *, needed: int, most: int | None = None
) -> Spare:
    """What may leave of those, where so many units are needed; and where shapes differ, all that are more than `most`."""
    worth = sum(units.of(tick.pools[r.pool_id]) for r in replicas)
    return Spare(worth - needed, len(replicas) - most if units.mixed and most is not None else 0)


def _ready(replicas: Mapping[str, ReplicaMemory]) -> list[ReplicaMemory]:
    return [r for r in replicas.values() if r.state is S.READY]


def _shed_from(tick: Tick, service: Service, part: Placed, *, excess: int, spare: Spare, why: str) -> None:
    """Ends replicas that are worth at most `excess` units, and of those that serve as many as are to spare.

    Only where there are too many, or with a bundle that is on its way out: what is launched elsewhere takes their place.
    """
    surplus = dict(part.surplus)
    for pool in reversed(part.pools):
        units = part.units[pool.id]
        number = min(tick.pool_memory[pool.id].awaiting, surplus.get(pool.id, 0), excess // units)
        if number > 0 and tick.open(pool.id):
            withdraw(tick, pool.id, number, why)
            surplus[pool.id] -= number
            excess -= number * units
    goal = rollout.goal(tick.service_memory[service.name])
    staying = {i: r for i, r in part.replicas.items() if r.state is not S.DRAINING}
    for rid, replica in _least_useful_first(tick, service, staying):
        outdated = tick.assigned(replica) not in (None, goal)
        serves, units = replica.state is S.READY, part.units[replica.pool_id]
        may_go = excess >= units or (serves and spare.beyond > 0)
        if (
            may_go
            and (surplus.get(replica.pool_id, 0) > 0 or outdated)
            and (not serves or spare.gives(units))
        ):
            surplus[replica.pool_id] = surplus.get(replica.pool_id, 0) - 1
            excess -= units
            if serves:
                spare.take(units)
            pool = tick.pools[replica.pool_id]
            _leave(tick, rid, replica, f"{why}: left {pool.zone or pool.region}: {said(tick, pool)}")


def end(tick: Tick, service: Service, target: int) -> None:
    """Ends the machines of replicas that failed, and of those that have drained."""
    known = tick.now - settings.DRAIN_SETTLE_S
    needed = target > 0 and not any(
        r.state is S.READY and r.since <= known for _, r in tick.replicas_of(service)
    )
    going = [(i, r) for i, r in tick.replicas_of(service) if r.state in (S.FAILED, S.DRAINING)]
    for rid, replica in going:
        if not tick.open(replica.pool_id) or not _may_end(tick, service, rid, replica, needed=needed):
            continue
        if replica.asked_at is None or tick.now > replica.asked_at + settings.RETRY_S:
            tick.put(rid, replace(replica, asked_at=tick.now))
            command = Terminate(replica.pool_id, replica.instance.instance_id, rid)
            tick.order(command, f"{rid}: ending its machine: {replica.reason}")


def _may_end(tick: Tick, service: Service, rid: str, replica: ReplicaMemory, *, needed: bool) -> bool:
    """`needed`: nobody else serves, or only since a moment ago, so that edges may still send requests to one that drains."""
    match replica.state, replica.drain:
        case (S.FAILED, _) | (S.DRAINING, Drain.IDLE):
            return True
        case S.DRAINING, Drain.LEAVE:
            last_resort = needed and _serves_to_the_kill(tick, service, rid, replica)
            return drained(tick, service, rid, replica) and not last_resort
    return False


def _serves_to_the_kill(tick: Tick, service: Service, rid: str, replica: ReplicaMemory) -> bool:
    announced = replica.preempt_at is not None and tick.now < replica.preempt_at
    return announced and not _is_dead(tick, service, rid)


def drained(tick: Tick, service: Service, rid: str, replica: ReplicaMemory) -> bool:
    """Whether nobody waits for an answer of this replica any more, or it has been waited for long enough."""
    since = tick.now - replica.since
    health = tick.health.get(rid)
    if since >= service.routing.drain_limit_s:
        return True
    if replica.preempt_at is not None and tick.now >= replica.preempt_at:
        return True
    if _is_dead(tick, service, rid):
        return True
    return health is not None and health.in_flight == 0 and since >= settings.DRAIN_SETTLE_S


def _is_dead(tick: Tick, service: Service, rid: str) -> bool:
    return judge(tick.health.get(rid), service.probe, None)[0] in (Verdict.OUT, Verdict.BROKEN)


def _failed_for_long(tick: Tick, service: Service, replica: ReplicaMemory) -> bool:
    since = replica.failing_since
    return since is not None and tick.now > since + service.probe.replace_after_s


def _has_other_nodes(tick: Tick, service: Service, replica: ReplicaMemory) -> bool:
    """Whether it has another number of machines than is wanted, and the bundle that goes with that is not given up."""
    if replica.instance.nodes == service.num_nodes:
        return False
    return rollout.goal(tick.service_memory[service.name]) == service.bundle.sha256


def _replace(
    tick: Tick, service: Service, leaving: dict[str, tuple[ReplicaMemory, str]], units: Units, spare: Spare
) -> None:
    """Those that don't serve leave at once; the others as others become ready, the oldest first."""
    one_first = _no_room_for_another(tick, service)
    for rid, (replica, why) in sorted(
        leaving.items(), key=lambda item: (item[1][0].instance.launched_at, item[0])
    ):
        worth = units.of(tick.pools[replica.pool_id])
        if replica.state is S.DRAINING:  # for an update, which it does not get any more
            tick.put(rid, replace(replica, drain=Drain.LEAVE, reason=why))
        elif replica.state is not S.READY:
            _leave(tick, rid, replica, why)
        elif spare.gives(worth) or (one_first and _can_not_stay(tick, service, replica)):
            spare.take(worth)
            one_first = False
            _leave(tick, rid, replica, why)


def _release_announced(
    tick: Tick, service: Service, units: Units, others: Sequence[ReplicaMemory], planned: int
) -> None:
    """Those whose preemption is announced need not serve until they must, once others can: the first to be killed goes first.

    They cost money until then, and some are told an hour before.
    """
    serving = sorted(
        (r.preempt_at, rid, r)
        for rid, r in tick.replicas_of(service)
        if r.state is S.READY and r.preempt_at is not None
    )
    spare = spare_of(tick, units, [*others, *(r for *_, r in serving)], needed=planned)
    for *_, rid, replica in serving:
        worth = units.of(tick.pools[replica.pool_id])
        if spare.gives(worth):
            spare.take(worth)
            _leave(tick, rid, replica, "its preemption is announced, and others serve")


def _no_room_for_another(tick: Tick, service: Service) -> bool:
    """Without surge a replica that can't stay can only go before its replacement, while all others can be relied on."""
    if service.scaling.surge:
        return False
    everyone = list(tick.replicas_of(service))
    return len(everyone) >= most_replicas(service) and all(soaked(tick, i, r) for i, r in everyone)


def _can_not_stay(tick: Tick, service: Service, replica: ReplicaMemory) -> bool:
    retiring = tick.pools[replica.pool_id].state is PoolState.RETIRING
    return retiring or _has_other_nodes(tick, service, replica)


def _least_useful_first(
    tick: Tick, service: Service, replicas: dict[str, ReplicaMemory]
) -> list[tuple[str, ReplicaMemory]]:
    """Those that don't serve, then those with another bundle, then those in zones that hold several, then the newest.

    Where only the cheapest may stay, the dearest go before all that serve.
    """
    goal = rollout.goal(tick.service_memory[service.name])
    at_the_floor = on_exhausted(tick.desired, tick.spend_memory, service) is OnExhausted.FLOOR
    oldest_first = sorted(replicas.items(), key=lambda item: (item[1].instance.launched_at, item[0]))
    in_zone: Counter[object] = Counter()
    ranked = []
    for age, (rid, replica) in enumerate(oldest_first):
        pool = tick.pools[replica.pool_id]
        zone = pool.cloud, pool.region, pool.zone
        state, current = _LEAST_USEFUL_FIRST[replica.state], tick.assigned(replica) in (None, goal)
        price = price_usd_hour(tick, pool) or 0.0 if at_the_floor else 0.0
        ranked.append(((state, -price, current, -in_zone[zone], -age), rid, replica))
        in_zone[zone] += replica.state is S.READY
    return [(rid, replica) for _, rid, replica in sorted(ranked, key=lambda item: item[0])]


def _leave(tick: Tick, rid: str, replica: ReplicaMemory, why: str) -> None:
    drain = Drain.LEAVE if replica.state is S.READY else Drain.IDLE
    tick.say(f"{rid}: draining: {why}")
    tick.put(rid, move(replica, S.DRAINING, now=tick.now, reason=why, drain=drain))
