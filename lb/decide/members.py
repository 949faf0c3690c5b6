"""Which machines are one replica together: gangs as they begin, fill up, break and end.

A gang begins with the first machine that belongs to none, and takes those that come next until it is whole. From the
first loss on it is over: its machines are ended, never given to another one. After a loss of memory the gangs that were
told to their machines are known again from the assignments, so that nothing that runs is torn apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lb.clouds.protocol import Instance, PoolObservation
from lb.decide import settings
from lb.decide.memory import GangMemory, Memory, PoolMemory
from lb.decide.observed import Gang, Outcome
from lb.decide.tick import is_there
from spec.desired import Pool
from spec.names import replica_id
from spec.status import ReplicaState as S

Gangs = dict[str, GangMemory]
"""By replica id."""


@dataclass(frozen=True, slots=True)
class Place:
    """A pool whose replicas are gangs of `size` machines, and the memory of the decision before."""

    pool: Pool
    size: int
    memory: Memory
    now: float

    def rid(self, instance_id: str) -> str:
        """The id of the replica that has this machine at its head."""
        return replica_id(cloud=self.pool.cloud, region=self.pool.region, instance=instance_id)

    @property
    def asked_at(self) -> float:
        """When the cloud was asked for the machines that come now."""
        asked_at = self.memory.pools.get(self.pool.id, PoolMemory()).asked_at
        return self.now if asked_at is None else asked_at

    def age_s(self, rid: str) -> float:
        """How long the replica has been in its state; 0 for one that is new."""
        replica = self.memory.replicas.get(rid)
        return 0.0 if replica is None else self.now - replica.since


def forming(gang: GangMemory, state: S | None) -> bool:
    """Whether it waits for more machines; `state`: of its replica, None when there is none yet."""
    return not gang.complete and not gang.broken and state in (None, S.PENDING)


def owed(gang: GangMemory) -> int:
    """How many machines it lacks."""
    return gang.size - len(gang.members)


def staying(gang: GangMemory) -> list[Instance]:
    """Its machines that are still there, without those whose end is confirmed."""
    return [n for n in gang.nodes if n.instance_id not in gang.ended]


def take_endings(gangs: Mapping[str, GangMemory], outcomes: Iterable[Outcome], memory: Memory) -> Gangs:
    """The gangs with the ends that clouds have confirmed; a gang that shall be ended once more starts anew."""
    done = {(o.pool_id, o.instance_id) for o in outcomes if o.call == "terminate" and o.error is None}
    found = {}
    for rid, gang in gangs.items():
        replica = memory.replicas.get(rid)
        again = not staying(gang) and not (replica and replica.ended)
        ended = set() if again else set(gang.ended)
        ended |= {m for m in gang.members if (gang.pool_id, m) in done}
        found[rid] = replace(gang, ended=tuple(sorted(ended)))
    return found


def update_members(
    place: Place, known: Gangs, observation: PoolObservation, assigned: Iterable[Gang]
) -> Gangs:
    """The gangs of an observed pool as they are now; a gang of which nothing is there any more is gone."""
    there = {i.instance_id: i for i in observation.instances if is_there(i.phase)}
    gangs = _recognised(place, known, there, assigned)
    gangs = {rid: _refreshed(gang, there) for rid, gang in gangs.items()}
    gangs = {rid: gang for rid, gang in gangs.items() if gang.nodes}
    _take_in(place, gangs, there)
    _give_up(place, gangs, observation)
    return gangs


def _recognised(place: Place, known: Gangs, there: Mapping[str, Instance], assigned: Iterable[Gang]) -> Gangs:
    """With those that nobody remembers, but that their machines were told of."""
    taken = {m for gang in known.values() for m in gang.members}
    found = dict(known)
    for gang in assigned:
        if taken.isdisjoint(gang.nodes) and any(n in there for n in gang.nodes):
            found[place.rid(gang.nodes[0])] = GangMemory(
                place.pool.id, len(gang.nodes), gang.nodes, (), place.now
            )
            taken.update(gang.nodes)
    return found


def _refreshed(gang: GangMemory, there: Mapping[str, Instance]) -> GangMemory:
    nodes = tuple(there[m] for m in gang.members if m in there)
    lost = [(rank, m) for rank, m in enumerate(gang.members) if m not in there]
    broken = gang.broken
    if lost and not broken:
        broken = f"its node {lost[0][0]}, {lost[0][1]}, is gone"
    if nodes == gang.nodes and broken == gang.broken:
        return gang
    return replace(gang, nodes=nodes, broken=broken)


def _take_in(place: Place, gangs: Gangs, there: Mapping[str, Instance]) -> None:
    """Gives machines that are new to gangs; one that was a replica by itself before stays one."""
    taken = {m for gang in gangs.values() for m in gang.members}
    new = sorted(
        (i for i in there.values() if i.instance_id not in taken),
        key=lambda i: (i.launched_at, i.instance_id),
    )
    waiting = [rid for rid in _forming(place, gangs) if gangs[rid].size == place.size]
    for instance in new:
        rid = place.rid(instance.instance_id)
        if rid in place.memory.replicas:
            gangs[rid] = GangMemory(
                place.pool.id, 1, (instance.instance_id,), (instance,), instance.launched_at
            )
            continue
        if not waiting:
            waiting.append(rid)
            gangs[rid] = GangMemory(place.pool.id, place.size, (), (), place.asked_at)
        gang = gangs[waiting[0]]
        gang = replace(gang, members=(*gang.members, instance.instance_id), nodes=(*gang.nodes, instance))
        gangs[waiting[0]] = gang
        if gang.complete:
            waiting.pop(0)


def _give_up(place: Place, gangs: Gangs, observation: PoolObservation) -> None:
    """Breaks the gangs whose missing machines will not come; the oldest have the first claim on those that may."""
    left = unfilled(place.memory, gangs, observation.size)
    for rid in _forming(place, gangs):
        gang = gangs[rid]
        refusal = next((r for r in observation.refusals if r.at >= gang.asked_at), None)
        if refusal is None and owed(gang) <= left:
            left -= owed(gang)
        elif refusal is not None or place.age_s(rid) > settings.SETTLE_S:
            why = f"only {len(gang.members)} of its {gang.size} nodes came"
            gangs[rid] = replace(gang, broken=why + (f": {refusal.message}" if refusal else ""))


def _forming(place: Place, gangs: Gangs) -> list[str]:
    """Those that wait for machines, the oldest first."""
    replicas = place.memory.replicas
    found = [rid for rid, g in gangs.items() if forming(g, replicas[rid].state if rid in replicas else None)]
    return sorted(found, key=lambda rid: (gangs[rid].nodes[0].launched_at, rid))


def unfilled(memory: Memory, gangs: Gangs, size: int) -> int:
    """How many machines a cloud still owes by the size that it holds."""
    held = sum(len(staying(gang)) for rid, gang in gangs.items() if not is_ended(memory, rid))
    return max(0, size - held)


def is_ended(memory: Memory, rid: str) -> bool:
    """Whether the replica's end is confirmed."""
    replica = memory.replicas.get(rid)
    return replica is not None and replica.ended
