"""What callers of a service without a ready replica may expect: whether they are held, and when one should be there.

An estimate, but an honest one: from what the places' last starts took, and before there was any from what was planned.
It moves in steps, so that the edges are not told something new every second.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lb.decide import settings
from lb.decide.memory import Drain, Memory, ReplicaMemory
from lb.decide.spend import closed_until
from lb.decide.spend import retry_after_s as until_money_s
from lb.snapshots import Outlook
from spec.desired import Desired, Pool, PoolState, Service
from spec.snapshot import Endpoint
from spec.status import ReplicaState as S

BLOCKED_S = 60.0
"""Nothing can be launched for another reason than time: limits, money, a cloud that does not answer, no place."""
FROZEN_S = 300.0
"""A person has to do something first."""
SOONEST_S, LATEST_S = 5.0, 900.0
_STEPS = ((60.0, 5.0), (300.0, 15.0), (math.inf, 60.0))
_STARTS_KEPT = 5


class Starts:
    """What the last starts took in each pool, from the machine's launch to ready. Not kept across restarts."""

    def __init__(self) -> None:
        self._took: dict[str, deque[float]] = {}

    def learn(self, desired: Desired, before: Memory, after: Memory) -> None:
        """Two memories that follow each other."""
        pools = {p.id: p for p in desired.pools}
        self._took = {i: took for i, took in self._took.items() if i in pools}
        for rid, replica in after.replicas.items():
            known = before.replicas.get(rid)
            if replica.state is S.READY and known is not None and known.state in (S.PENDING, S.STARTING):
                took = replica.since - replica.instance.launched_at
                pool = pools.get(replica.pool_id)
                if pool is not None and _first_start(known, pool) and took > 0:
                    self._took.setdefault(replica.pool_id, deque(maxlen=_STARTS_KEPT)).append(took)

    def usual_s(self, pool: Pool) -> float:
        """What a start there takes: the median of the last ones, or what was planned."""
        took = self._took.get(pool.id)
        return statistics.median(took) if took else pool.cold_start_s


@dataclass(frozen=True, slots=True)
class Situation:
    """What is to be told follows from this.

    Attributes:
        memory: of the last decision.
        targets: replicas that should be ready, by service.
        frozen: why nothing is launched; None = not frozen.
        now: epoch seconds.

    """

    desired: Desired
    memory: Memory
    targets: Mapping[str, int]
    frozen: str | None
    now: float


def outlooks(
    at: Situation, endpoints: Mapping[str, Iterable[Endpoint]], starts: Starts
) -> dict[str, Outlook]:
    """The outlook of each service; `endpoints` by service, those that drain included."""
    closed = closed_until(at.desired, at.memory.spend)
    found = {}
    for service in at.desired.services:
        if any(not e.draining for e in endpoints.get(service.name, ())):
            found[service.name] = Outlook()
        elif service.name in closed:
            found[service.name] = Outlook(retry_after_s=until_money_s(closed[service.name], at.now))
        else:
            coming = _coming(at, service, starts)
            if coming or service.scaling.max_replicas > 0:
                expected = min(coming) if coming else _next_start(at, service, starts)
            else:
                expected = LATEST_S  # declared to have none: somebody has to change that first
            hold = _sleeps(service) and (at.frozen is None or bool(coming))
            found[service.name] = Outlook(hold, _in_steps(expected))
    return found


def _sleeps(service: Service) -> bool:
    """Whether it goes to zero, and comes back for a request."""
    scaling = service.scaling
    return scaling.follows_load and scaling.max_replicas > 0 and scaling.min_replicas == 0


def _coming(at: Situation, service: Service, starts: Starts) -> list[float]:
    """Seconds until each replica that is on its way should be ready."""
    pools = {p.id: p for p in at.desired.pools_of(service.name)}
    found = []
    for replica in at.memory.replicas.values():
        if replica.service != service.name or replica.ended or replica.pool_id not in pools:
            continue
        pool = pools[replica.pool_id]
        usual = starts.usual_s(pool)
        if replica.state in (S.PENDING, S.STARTING):
            began = replica.instance.launched_at if _first_start(replica, pool) else replica.since
            found.append(_left(usual, at.now - began))
        elif replica.state is S.UNREADY and not replica.lied:
            found.append(SOONEST_S)  # it may recover at any moment
        elif replica.drain is Drain.UPDATE:
            found.append(usual)
    for pool in pools.values():
        asked = at.memory.pools.get(pool.id)
        if asked is not None and asked.awaiting and asked.asked_at is not None:
            found.append(_left(starts.usual_s(pool), at.now - asked.asked_at))
    return found


def _next_start(at: Situation, service: Service, starts: Starts) -> float:
    """Seconds until a replica is ready when none is on its way."""
    if at.frozen is not None:
        return FROZEN_S
    record = at.memory.services.get(service.name)
    held_back = record.not_before if record else 0.0
    ways = []
    for pool in at.desired.pools_of(service.name):
        if pool.state is PoolState.ACTIVE:
            known = at.memory.pools.get(pool.id)
            free_at = max(held_back, known.not_before if known else 0.0)
            ways.append((max(0.0, free_at - at.now), starts.usual_s(pool)))
    if not ways:
        return BLOCKED_S
    wait, usual = min(ways)
    wanted_now = at.targets.get(service.name, 0) > 0 and wait == 0  # and yet nothing was launched
    return (BLOCKED_S if wanted_now else wait) + usual


def _left(usual: float, elapsed: float) -> float:
    """What is left of a start; one that is late may well take as long again as it is late."""
    elapsed = max(0.0, elapsed)  # the cloud's clock may be ahead
    return usual - elapsed if elapsed < usual else max(SOONEST_S, elapsed - usual)


def _first_start(replica: ReplicaMemory, pool: Pool) -> bool:
    """Whether its machine is new, too; a machine that only gets another bundle began when it got it."""
    deadline = max(settings.LAUNCH_DEADLINE_S, pool.cold_start_s)
    return replica.state is S.PENDING or replica.since <= replica.instance.launched_at + deadline


def _in_steps(seconds: float) -> float:
    """Rounded up, coarser the longer it is."""
    bounded = min(max(seconds, SOONEST_S), LATEST_S)
    step = next(step for below, step in _STEPS if bounded <= below)
    return math.ceil(bounded / step) * step
