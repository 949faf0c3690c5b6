"""Replicas of several machines, at the border of a decision: machines come in, gangs go through, machines go out.

The steps of a decision see one instance, one health and one price for each gang, and sizes in gangs, so that none of
them knows of gangs. `fold` makes these of what is observed; `unfold` turns what was decided back into machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lb.clouds.protocol import Instance, InstancePhase, PoolObservation
from lb.decide.commands import Assign, AssignGangs, Command, Decision, SetSize, Terminate
from lb.decide.members import (
    Gangs,
    Place,
    forming,
    is_ended,
    owed,
    staying,
    take_endings,
    unfilled,
    update_members,
)
from lb.decide.memory import GangMemory, Memory
from lb.decide.observed import AgentState, Assignment, Gang, Health, Observed, Outcome
from spec.desired import Desired, Pool, Prices
from spec.names import replica_id

_WORST_FIRST = (
    AgentState.REFUSED,
    AgentState.SILENT,
    AgentState.UNKNOWN,
    AgentState.ANSWERS,
    AgentState.NONE,
)


@dataclass(frozen=True, slots=True)
class Folded:
    """What a decision is made from, in gangs.

    Attributes:
        desired: prices and limits of pools are of gangs.
        observed: so are instances, sizes, health and ends.
        sizes: of the pools that were folded: machines of one gang.
        gangs: of each of these pools, in which single machines count as gangs of one.
        assignments: of these pools, as far as they were observed.

    """

    desired: Desired
    observed: Observed
    sizes: Mapping[str, int]
    gangs: Mapping[str, Gangs]
    assignments: Mapping[str, Assignment]


# ---------------------------------------------------------------- machines come in


def fold(desired: Desired, observed: Observed, memory: Memory, now: float) -> Folded | None:
    """The world in gangs; None when no pool has, or had, replicas of more than one machine."""
    sizes = _sizes(desired, observed, memory)
    if not sizes:
        return None
    assignments = {i: Assignment(i) for i in sizes} | {
        a.pool_id: a for a in observed.assignments if a.pool_id in sizes
    }
    gangs: dict[str, Gangs] = {i: {} for i in sizes}
    for rid, gang in take_endings(memory.gangs, observed.outcomes, memory).items():
        if gang.pool_id in gangs:
            gangs[gang.pool_id][rid] = gang
    pools = {p.id: p for p in desired.pools}
    seen = {o.pool_id: o for o in observed.pools if o.pool_id in sizes and o.error is None}
    folded = {}
    for pool_id, observation in seen.items():
        place = Place(pools[pool_id], sizes[pool_id], memory, now)
        now_there = update_members(place, gangs[pool_id], observation, assignments[pool_id].gangs)
        gangs[pool_id] = now_there
        refills = place.pool.cloud in observed.refills
        folded[pool_id] = _folded_pool(memory, now_there, observation, place.size, refills=refills)
    all_gangs = _flat(gangs)
    return Folded(
        desired=_in_gangs(desired, sizes),
        observed=replace(
            observed,
            pools=tuple(folded.get(o.pool_id, o) for o in observed.pools),
            health=_healths(observed.health, all_gangs, pools, assignments),
            outcomes=_endings(observed.outcomes, all_gangs),
        ),
        sizes=sizes,
        gangs=gangs,
        assignments={i: a for i, a in assignments.items() if i in seen},
    )


def _flat(gangs: Mapping[str, Gangs]) -> Gangs:
    return {rid: gang for of_pool in gangs.values() for rid, gang in of_pool.items()}


def _sizes(desired: Desired, observed: Observed, memory: Memory) -> dict[str, int]:
    """Machines of one replica, for each pool that has gangs, shall have them, or had them."""
    wanted = {s.name: s.num_nodes for s in desired.services}
    left = {g.pool_id for g in memory.gangs.values() if g.size > 1}
    left |= {a.pool_id for a in observed.assignments if a.gangs}
    return {
        p.id: wanted[p.service]
        for p in desired.pools
        if p.service in wanted and (wanted[p.service] > 1 or p.id in left)
    }


def _in_gangs(desired: Desired, sizes: Mapping[str, int]) -> Desired:
    pools = (
        p
        if sizes.get(p.id, 1) == 1
        else p.model_copy(
            update={
                "capacity_units": 1.0,
                "max_size": p.max_size // sizes[p.id],
                "prices": _times(p.prices, sizes[p.id]),
            }
        )
        for p in desired.pools
    )
    return desired.model_copy(update={"pools": tuple(pools)})


def _times(prices: Prices, number: int) -> Prices:
    spot, on_demand = prices.spot, prices.on_demand
    return prices.model_copy(
        update={
            "spot": None if spot is None else spot * number,
            "on_demand": None if on_demand is None else on_demand * number,
        }
    )


def _folded_pool(
    memory: Memory, gangs: Gangs, observation: PoolObservation, size: int, *, refills: bool
) -> PoolObservation:
    """The pool with one instance per gang.

    Its size counts them, and the gangs that the cloud still owes: of a cloud that refills nothing, a remainder too,
    so that it is withdrawn; a cloud that does sends the remainder by itself, and half a gang is none.
    """
    replicas = memory.replicas
    there = sum(bool(staying(g)) and not is_ended(memory, rid) for rid, g in gangs.items())
    for_others = unfilled(memory, gangs, observation.size) - sum(
        owed(g) for rid, g in gangs.items() if forming(g, replicas[rid].state if rid in replicas else None)
    )
    to_come = max(0, for_others if refills else for_others + size - 1) // size
    return replace(
        observation,
        size=there + to_come,
        instances=tuple(_as_one(g) for g in gangs.values()),
        prices=None if observation.prices is None else _times(observation.prices, size),
    )


def _as_one(gang: GangMemory) -> Instance:
    """The gang as one instance, reached at its head: as far as its slowest machine, announced to end with its first."""
    head = next((n for n in gang.nodes if n.instance_id == gang.members[0]), None)
    up = gang.complete and all(_is_up(n) for n in gang.nodes)
    announced = [n.preempt_at for n in gang.nodes if n.preempt_at is not None]
    return Instance(
        instance_id=gang.members[0],
        phase=InstancePhase.RUNNING if up else InstancePhase.PENDING,
        address=head.address if head else None,
        port=head.port if head else None,
        agent_port=head.agent_port if head else None,
        launched_at=min(n.launched_at for n in gang.nodes),
        preempt_at=min(announced, default=None),
        nodes=gang.size,
        broken=gang.broken,
    )


def _is_up(node: Instance) -> bool:
    return node.phase is InstancePhase.RUNNING and node.address is not None


def _for_peers(node: Instance) -> str:
    """Where the other machines of its gang reach it: they share its network, and only its card's own address can be bound."""
    return node.private or node.address or ""


def _healths(
    healths: Sequence[Health],
    gangs: Gangs,
    pools: Mapping[str, Pool],
    assignments: Mapping[str, Assignment],
) -> tuple[Health, ...]:
    by_id = {h.replica_id: h for h in healths}
    found = []
    for rid, gang in gangs.items():
        if gang.size == 1:
            continue
        pool = pools[gang.pool_id]
        ids = [replica_id(cloud=pool.cloud, region=pool.region, instance=m) for m in gang.members]
        of_nodes = [by_id.pop(i, Health(i)) for i in ids]
        found.append(_health(rid, of_nodes, assignments[gang.pool_id].of(gang.members[0])))
    return (*by_id.values(), *found)


def _health(rid: str, of_nodes: Sequence[Health], assigned: str | None) -> Health:
    """The worst of what the agents say, and what the head's engine says."""
    agent = min((h.agent for h in of_nodes), key=_WORST_FIRST.index)
    announced = [h.preempt_at for h in of_nodes if h.preempt_at is not None]
    rank, worst = min(enumerate(of_nodes), key=lambda x: (_progress(x[1], assigned), x[0]))
    message = (
        worst.message if rank == 0 else f"node {rank}: {worst.message or worst.phase or 'no answer yet'}"
    )
    return replace(
        of_nodes[0],
        replica_id=rid,
        agent=agent,
        phase=worst.phase,
        bundle=worst.bundle,
        message=message,
        preempt_at=min(announced, default=None),
        leaving=any(h.leaving for h in of_nodes),
    )


def _progress(health: Health, assigned: str | None) -> int:
    """How far a node is with its bundle; one that failed on it is behind all others."""
    if health.agent is AgentState.NONE:
        return 3
    if health.bundle != assigned:
        return 1
    return {"failed": 0, "running": 3}.get(health.phase or "", 2)


def _endings(outcomes: Sequence[Outcome], gangs: Gangs) -> tuple[Outcome, ...]:
    """A gang has ended when all of its machines have; that one of them could not be ended is told of the gang."""
    of = {(g.pool_id, m): g for g in gangs.values() for m in g.members}
    found = []
    for outcome in outcomes:
        gang = of.get((outcome.pool_id, outcome.instance_id or ""))
        if gang is None or outcome.call != "terminate":
            found.append(outcome)
        elif outcome.error is not None or not staying(gang):
            found.append(replace(outcome, instance_id=gang.members[0]))
    return tuple(found)


# ---------------------------------------------------------------- machines go out


def unfold(folded: Folded, decision: Decision) -> Decision:
    """The decision in machines, and what has to be said to the machines of gangs."""
    memory = replace(decision.memory, gangs=_flat(folded.gangs))
    found: list[tuple[Command, str]] = []
    reworded: dict[str, str] = {}
    for command, why in zip(decision.commands, decision.because, strict=True):
        match command:
            case SetSize(pool_id, size) if pool_id in folded.sizes:
                machines = _machines(folded, memory, pool_id, size)
                reworded[why] = f"{why} ({machines} machines)"
                found.append((SetSize(pool_id, machines), reworded[why]))
            case Terminate(pool_id, _, rid) if rid in memory.gangs:
                gang = memory.gangs[rid]
                ending = staying(gang) or gang.nodes
                found += [(Terminate(pool_id, n.instance_id, rid), why) for n in ending]
            case _:
                found.append((command, why))
    if folded.observed.frozen is None:
        for pool_id in folded.assignments:
            found += _same_bundles(folded, memory, pool_id, decision.commands)
            found += _tell(folded, pool_id)
    because = tuple(why for _, why in found)
    return replace(
        decision,
        commands=tuple(command for command, _ in found),
        memory=memory,
        reasons=tuple(dict.fromkeys((*(reworded.get(r, r) for r in decision.reasons), *because))),
        because=because,
    )


def _machines(folded: Folded, memory: Memory, pool_id: str, size: int) -> int:
    """How many machines `size` gangs of the pool are: those that are there, what these lack, and whole new ones."""
    machines = 0
    for rid, gang in folded.gangs[pool_id].items():
        if not is_ended(memory, rid):
            size -= 1
            machines += len(staying(gang))
            machines += owed(gang) if forming(gang, memory.replicas[rid].state) else 0
    return machines + size * folded.sizes[pool_id]


def _same_bundles(
    folded: Folded, memory: Memory, pool_id: str, commands: Sequence[Command]
) -> list[tuple[Command, str]]:
    """Brings the bundle that the head of a gang gets, or keeps, to its other machines."""
    assignment = folded.assignments[pool_id]
    named, default = dict(assignment.instances), assignment.default
    of_pool = [c for c in commands if isinstance(c, Assign) and c.pool_id == pool_id]
    for command in of_pool:
        if command.instance_id is None:
            named, default = {}, command.sha256  # a new default makes all be named anew
    named |= {c.instance_id: c.sha256 for c in of_pool if c.instance_id is not None}
    found: list[tuple[Command, str]] = []
    for rid, gang in folded.gangs[pool_id].items():
        if gang.size == 1 or is_ended(memory, rid):
            continue
        wanted = named.get(gang.members[0], default)
        found += [
            (Assign(pool_id, n.instance_id, wanted), f"{rid}: all of its nodes run bundle {wanted[:12]}")
            for n in gang.nodes
            if wanted is not None and named.get(n.instance_id, default) != wanted
        ]
    return found


def _tell(folded: Folded, pool_id: str) -> list[tuple[Command, str]]:
    """Tells the gangs of the pool that are whole; a broken one stays told until all of its machines are gone."""
    told = {g.nodes: g for g in folded.assignments[pool_id].gangs}
    wanted = {}
    for gang in folded.gangs[pool_id].values():
        if gang.size == 1:
            continue
        if gang.complete and len(gang.nodes) == gang.size and all(_is_up(n) for n in gang.nodes):
            wanted[gang.members] = Gang(gang.members, tuple(_for_peers(n) for n in gang.nodes))
        elif gang.members in told:
            wanted[gang.members] = told[gang.members]
    if wanted == told:
        return []
    gangs = tuple(wanted[nodes] for nodes in sorted(wanted))
    together = "; ".join(", ".join(g.nodes) for g in gangs if told.get(g.nodes) != g)
    why = f"{pool_id}: one replica together: {together}" if together else f"{pool_id}: a replica less"
    return [(AssignGangs(pool_id, gangs), why)]
