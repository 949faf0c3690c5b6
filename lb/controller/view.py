"""What follows from the memory of a decision without another decision: whom to watch, where to route, what to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from lb.clouds.protocol import PoolObservation
from lb.decide.lifecycle import Verdict, judge, serves_until
from lb.decide.memory import Drain, Memory, ReplicaMemory
from lb.decide.observed import AgentState, Assignment, Health, ProbeState
from lb.decide.rollout import goal as rollout_goal
from lb.decide.spend import service_usd
from lb.observe.replicas import Target
from spec.certificates import pool_name
from spec.desired import Desired, Pool
from spec.names import PoolKind, replica_id
from spec.snapshot import Endpoint
from spec.status import ReplicaState, ReplicaStatus, RolloutStatus, ServiceStatus, TrafficStatus

_SERVING = frozenset({ReplicaState.READY, ReplicaState.DRAINING})


def targets_of(desired: Desired, memory: Memory) -> dict[str, Target]:
    """Every replica that has an address and is not over, by replica id; and the other machines of gangs, in the same way."""
    services = {s.name: s for s in desired.services}
    peers = _peers(desired)
    heads = {
        rid: Target(
            instance_id=r.instance.instance_id,
            address=r.instance.address,
            port=r.instance.port,
            agent_port=r.instance.agent_port,
            probe=services[r.service].probe,
            engine=services[r.service].bundle.engine,
            draining=r.state is ReplicaState.DRAINING,
            needed=r.state is ReplicaState.READY,
            peer=peers.get(r.pool_id),
            loaded=services[r.service].scaling.asks_engines,
            gpus=services[r.service].scaling.asks_gpus,
        )
        for rid, r in memory.replicas.items()
        if r.service in services
        and not r.ended
        and r.state is not ReplicaState.FAILED
        and r.instance.address is not None
        and r.instance.port is not None
    }
    return heads | _others_of_gangs(desired, memory, heads)


def _peers(desired: Desired) -> dict[str, str]:
    """The names in the certificates of machines of clouds, by pool; others show none."""
    return {p.id: pool_name(p.id) for p in desired.pools if p.kind is PoolKind.VM}


def _others_of_gangs(desired: Desired, memory: Memory, heads: Mapping[str, Target]) -> dict[str, Target]:
    pools = {p.id: p for p in desired.pools} if memory.gangs else {}
    found = {}
    for rid, gang in memory.gangs.items():
        for node in gang.nodes if rid in heads else ():
            if node.instance_id == gang.members[0] or node.address is None or node.port is None:
                continue
            pool = pools[gang.pool_id]
            own = replica_id(cloud=pool.cloud, region=pool.region, instance=node.instance_id)
            found[own] = replace(
                heads[rid],
                instance_id=node.instance_id,
                address=node.address,
                port=node.port,
                agent_port=node.agent_port,
                probed=False,
                loaded=False,
                gpus=False,
            )
    return found


def serves(desired: Desired, replica: ReplicaMemory, health: Health | None, assigned: str | None) -> bool:
    """Whether the edges may send requests to it at this moment; what is newer than its state counts too."""
    if replica.state not in _SERVING or replica.drain is Drain.IDLE or replica.ended:
        return False
    verdict, _ = judge(health, desired.service(replica.service).probe, assigned)
    return verdict not in (Verdict.OUT, Verdict.BROKEN)


def leaves(desired: Desired, replica: ReplicaMemory, health: Health | None, now: float) -> bool:
    """Whether its preemption is announced, perhaps only since a moment ago, and so near that it gets nothing new."""
    until = _serves_until(desired, replica, health)
    return until is not None and now >= until


def _serves_until(desired: Desired, replica: ReplicaMemory, health: Health | None) -> float | None:
    limit_s = desired.service(replica.service).routing.drain_limit_s
    return serves_until(replica.preempt_at, health, limit_s)


def endpoints_of(
    desired: Desired,
    memory: Memory,
    assignments: Mapping[str, Assignment],
    health_of: Callable[[str], Health | None],
    targets: Mapping[str, int],
    *,
    now: float,
) -> dict[str, list[Endpoint]]:
    """The endpoints of each service.

    A replica whose preemption is near drains, unless the service is wanted and has nobody else: then it serves until
    somebody does.
    """
    found: dict[str, list[Endpoint]] = {s.name: [] for s in desired.services}
    doomed: set[str] = set()
    peers = _peers(desired)
    for rid, replica in memory.replicas.items():
        if replica.service not in found or replica.instance.address is None or replica.instance.port is None:
            continue
        health, assignment = health_of(rid), assignments.get(replica.pool_id)
        assigned = assignment.of(replica.instance.instance_id) if assignment else None
        if serves(desired, replica, health, assigned):
            until = _serves_until(desired, replica, health)
            doomed |= {rid} if until is not None else set()
            drains = replica.state is ReplicaState.DRAINING or (until is not None and now >= until)
            found[replica.service].append(
                Endpoint(
                    replica_id=rid,
                    address=replica.instance.address,
                    port=replica.instance.port,
                    draining=drains,
                    tls=replica.pool_id in peers,
                )
            )
    return {
        name: endpoints if targets.get(name) == 0 else _somebody_serves(endpoints, doomed)
        for name, endpoints in found.items()
    }


def _somebody_serves(endpoints: list[Endpoint], doomed: set[str]) -> list[Endpoint]:
    if any(not e.draining for e in endpoints):
        return endpoints
    return [e.model_copy(update={"draining": e.replica_id not in doomed}) for e in endpoints]


def services_status(
    desired: Desired,
    memory: Memory,
    *,
    targets: Mapping[str, int],
    pools: Mapping[str, PoolObservation],
    assignments: Mapping[str, Assignment],
    health_of: Callable[[str], Health | None],
    now: float,
    traffic_of: Callable[[str], TrafficStatus | None] = lambda _service: None,
) -> tuple[ServiceStatus, ...]:
    """Every service with its replicas, in the order of the desired state."""
    endpoint = desired.edges[0].endpoint if desired.edges else ""
    declared = {p.id: p for p in desired.pools}
    of_service: dict[str, list[ReplicaStatus]] = {s.name: [] for s in desired.services}
    for rid, replica in sorted(memory.replicas.items()):
        pool = declared.get(replica.pool_id)
        if pool is None or replica.ended:
            continue
        health, assignment = health_of(rid), assignments.get(pool.id)
        assigned = assignment.of(replica.instance.instance_id) if assignment else None
        of_service[replica.service].append(
            ReplicaStatus(
                id=rid,
                pool=pool.id,
                cloud=pool.cloud,
                region=pool.region,
                zone=pool.zone,
                market=pool.market,
                accelerator=pool.accelerator,
                state=replica.state,
                since=replica.since,
                bundle=(health.bundle if health else None) or assigned or "",
                nodes=replica.instance.nodes,
                usd_hour=usd_hour_of(replica, pool, pools.get(pool.id)),
                reason=replica.reason,
            )
        )
    return tuple(
        ServiceStatus(
            name=s.name,
            endpoint=endpoint,
            ready=sum(r.state is ReplicaState.READY for r in of_service[s.name]),
            desired=targets.get(s.name, 0),
            replicas=tuple(of_service[s.name]),
            failures=memory.services[s.name].failures if s.name in memory.services else 0,
            min_replicas=s.scaling.min_replicas,
            max_replicas=s.scaling.max_replicas,
            usd_month=service_usd(memory.spend, s.name, now),
            rollout=rollout_status(s.name, memory, assignments, total=targets.get(s.name, 0)),
            traffic=traffic_of(s.name),
        )
        for s in desired.services
    )


def rollout_status(
    service: str, memory: Memory, assignments: Mapping[str, Assignment], *, total: int
) -> RolloutStatus | None:
    """The service's last change of bundle; None when there was none. `total`: how many replicas it should have."""
    record = memory.services.get(service)
    if record is None or record.rollout is None:
        return None
    goal, rollout = rollout_goal(record), record.rollout
    ready = [
        r
        for r in memory.replicas.values()
        if r.service == service and not r.ended and r.state is ReplicaState.READY and r.preempt_at is None
    ]
    updated = sum(
        r.pool_id in assignments and assignments[r.pool_id].of(r.instance.instance_id) == goal for r in ready
    )
    return RolloutStatus(
        phase=rollout.phase,
        from_bundle=rollout.before,
        to_bundle=rollout.to,
        started_at=rollout.started_at,
        updated=min(updated, total),
        total=total,
        reason=rollout.reason,
    )


def all_asked(memory: Memory, health: Iterable[Health]) -> bool:
    """Whether every replica's agent and engine have been asked, and nothing healthy waits for the next tick."""
    known = {h.replica_id: h for h in health}
    return all(
        _is_asked(replica, known.get(replica_id))
        for replica_id, replica in memory.replicas.items()
        if not replica.ended
        and replica.instance.address is not None
        and replica.state is not ReplicaState.FAILED
    )


def _is_asked(replica: ReplicaMemory, health: Health | None) -> bool:
    if health is None or health.agent is AgentState.UNKNOWN:
        return False
    if health.phase in (None, "running") and health.probe is ProbeState.UNKNOWN:
        return health.agent not in (AgentState.ANSWERS, AgentState.NONE)
    comes_up = replica.state in (ReplicaState.PENDING, ReplicaState.STARTING)
    return not (health.probe is ProbeState.OK and comes_up)


def usd_hour_of_all(desired: Desired, memory: Memory, observed: Mapping[str, PoolObservation]) -> float:
    """USD per hour of what runs, with the fixed costs; machines without a known price are left out."""
    pools = {p.id: p for p in desired.pools}
    running = [r for r in memory.replicas.values() if not r.ended and r.pool_id in pools]
    prices = [usd_hour_of(r, pools[r.pool_id], observed.get(r.pool_id)) for r in running]
    return round(desired.fixed_usd_hour + sum(p for p in prices if p is not None), 6)


def usd_hour_of(replica: ReplicaMemory, pool: Pool, observation: PoolObservation | None) -> float | None:
    """USD per hour of all machines of a replica; None when no price is known."""
    price = price_of(pool, observation)
    return None if price is None else price * replica.instance.nodes


def price_of(pool: Pool, observation: PoolObservation | None) -> float | None:
    """USD per hour of one machine: the cloud's price of now, or the one that was planned with."""
    live = observation.prices.of(pool.market) if observation and observation.prices else None
    return pool.price_usd_hour if live is None else live
