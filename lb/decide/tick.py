"""One decision in the making: the inputs by name, and what the steps have changed so far.

Mutable, but it never leaves `decide`: what goes in and what comes out are frozen values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from lb.clouds.protocol import InstancePhase, PoolObservation
from lb.decide import rollout, settings
from lb.decide.commands import Command, Decision
from lb.decide.lifecycle import Verdict, judge
from lb.decide.memory import Drain, Memory, PoolMemory, ReplicaMemory, ServiceMemory
from lb.decide.observed import AgentState, Assignment, EngineLoad, Health, Load, Observed
from lb.decide.units import units_of
from spec.desired import Desired, Pool, Service
from spec.status import ReplicaState as S

_LATEST = 253_402_300_799
"""The last second that has a date: an agent may tell any number."""
_ALIVE = frozenset({S.PENDING, S.STARTING, S.READY, S.UNREADY})


class Tick:
    """The inputs of a decision, indexed, and its results so far."""

    def __init__(self, desired: Desired, observed: Observed, memory: Memory, now: float) -> None:
        self.now = now
        self.desired = desired
        self.services: dict[str, Service] = {
            s.name: s for s in sorted(desired.services, key=lambda s: s.name)
        }
        self.pools: dict[str, Pool] = {p.id: p for p in desired.pools if p.service in self.services}
        self._pools_of: dict[str, list[Pool]] = {name: [] for name in self.services}
        for pool in self.pools.values():
            self._pools_of[pool.service].append(pool)
        self.units = {n: units_of(s.scaling, self._pools_of[n]) for n, s in self.services.items()}
        self.seen: dict[str, PoolObservation] = {
            o.pool_id: o for o in observed.pools if o.error is None and o.pool_id in self.pools
        }
        self.health: dict[str, Health] = {h.replica_id: h for h in observed.health}
        self.load: dict[str, Load] = {x.service: x for x in observed.load}
        self.engines: dict[str, EngineLoad] = {e.replica_id: e for e in observed.engines}
        self.outcomes = observed.outcomes
        self.frozen = observed.frozen
        told = {a.pool_id: a for a in observed.assignments}
        self._assignments = {i: told.get(i) or Assignment(i) for i in self.pools}
        self._busy = frozenset(observed.busy)
        self._refills = frozenset(observed.refills)

        self.pool_memory = {i: memory.pools.get(i) or PoolMemory() for i in self.pools}
        self.service_memory = {s.name: _record(memory, s, now) for s in self.services.values()}
        self.scaling_memory = {s: m for s, m in memory.scaling.items() if s in self.services}
        self.forgotten = frozenset(self.services.keys() - memory.services.keys())
        self.wishes = memory.wishes
        self.spend_memory = memory.spend
        self.spent: dict[str, float] = {}
        self.by_pool: dict[str, dict[str, ReplicaMemory]] = {
            i: {} for i in self.pools
        }  # sorted by replica id
        for replica_id, replica in sorted(memory.replicas.items()):
            if replica.pool_id in self.by_pool:
                self.by_pool[replica.pool_id][replica_id] = replica
        self.prices: dict[str, float | None] | None = None  # of the pools, as money counts them (budget.py)
        self._verdicts: dict[str, tuple[Verdict, str]] = {}
        self._machines: dict[str, int] = {}  # of the pools that were counted since they changed
        self.needed: dict[str, int] = {}  # units, by service, without the spares that it asks for
        self.appeared: dict[str, int] = {}
        self.returning: set[str] = set()  # replicas that failed on trial and get the good bundle again
        self.commands: list[Command] = []
        self.because: list[str] = []
        self.reasons: dict[str, None] = {}

    # ------------------------------------------------------------ reading

    def pools_of(self, service: Service) -> list[Pool]:
        """The pools of a service, in the planner's rank order."""
        return self._pools_of[service.name]

    def replicas_of(self, service: Service) -> Iterator[tuple[str, ReplicaMemory]]:
        """Replica ids and replicas of a service that still hold a machine, in a stable order."""
        for pool in self.pools_of(service):
            for replica_id, replica in self.by_pool[pool.id].items():
                if not replica.ended:
                    yield replica_id, replica

    def machines(self, pool_id: str) -> int:
        """How many machines the pool has, whatever their state; those whose end is confirmed don't count."""
        number = self._machines.get(pool_id)
        if number is None:
            number = sum(not r.ended for r in self.by_pool[pool_id].values())
            self._machines[pool_id] = number
        return number

    def replicas_in(self, pool: Pool) -> float:
        """The same in replicas of the size that is wanted; one that has more nodes counts as more than one."""
        wanted = self.services[pool.service].num_nodes
        return sum(r.instance.nodes / wanted for r in self.by_pool[pool.id].values() if not r.ended)

    def unfilled(self, pool_id: str) -> int:
        """Machines that the cloud still owes by the size it holds; 0 while the pool can't be observed."""
        observation = self.seen.get(pool_id)
        return 0 if observation is None else max(0, observation.size - self.machines(pool_id))

    def open(self, pool_id: str) -> bool:
        """Whether it was observed and takes commands now."""
        return pool_id in self.seen and pool_id not in self._busy

    def refills(self, pool_id: str) -> bool:
        """Whether its cloud replaces lost machines by itself."""
        return self.pools[pool_id].cloud in self._refills

    def assignment(self, pool_id: str) -> Assignment:
        """What the pool's machines were told to run."""
        return self._assignments[pool_id]

    def assigned(self, replica: ReplicaMemory) -> str | None:
        """The bundle that this replica was told to run."""
        return self._assignments[replica.pool_id].of(replica.instance.instance_id)

    def on_trial(self, replica: ReplicaMemory) -> bool:
        """Whether it was told to run a bundle that still has to prove itself."""
        record = self.service_memory[replica.service]
        return record.rollout is not None and rollout.tries(record, self.assigned(replica))

    def verdict(self, replica_id: str, replica: ReplicaMemory) -> tuple[Verdict, str]:
        """What its health says of it, as the machine that should run its bundle, and why; judged once in a decision."""
        known = self._verdicts.get(replica_id)
        if known is None:
            probe = self.services[replica.service].probe
            known = judge(self.health.get(replica_id), probe, self.assigned(replica))
            self._verdicts[replica_id] = known
        return known

    def was_asked(self, replica_id: str) -> bool:
        """Whether it is known how it fares: right after a controller began, nobody has asked yet."""
        health = self.health.get(replica_id)
        return health is not None and health.agent is not AgentState.UNKNOWN

    # ------------------------------------------------------------ writing

    def put(self, replica_id: str, replica: ReplicaMemory) -> None:
        """Remembers the replica in its new form."""
        self.by_pool[replica.pool_id][replica_id] = replica
        self._machines.pop(replica.pool_id, None)

    def remove(self, replica_id: str, pool_id: str) -> ReplicaMemory:
        """Forgets the replica, and returns what was remembered."""
        self._machines.pop(pool_id, None)
        return self.by_pool[pool_id].pop(replica_id)

    def say(self, reason: str) -> None:
        """Adds a reason, once."""
        self.reasons[reason] = None

    def order(self, command: Command, reason: str) -> None:
        """Adds a command and its reason."""
        self.commands.append(command)
        self.because.append(reason)
        self.say(reason)

    def strike(self, pool_id: str, reason: str, *, lost: bool = False) -> None:
        """A refusal or a loss: the pool is left alone for a while, the longer the longer it has been so.

        `lost`: machines were, or will be, taken away, so how long it has been up begins anew. While the pool is left alone,
        nothing else is learned: what arrives then belongs to the same event.
        """
        memory = self.pool_memory[pool_id]
        self.say(f"{pool_id}: {reason}")
        if lost and memory.up_since is not None:
            memory = replace(memory, up_since=None, left_at=None)
        if self.now >= memory.not_before:
            since = self.now if memory.struck_since is None else memory.struck_since
            wait = settings.cool_down_s(self.now - since)
            memory = replace(memory, struck_since=since, struck_at=self.now, not_before=self.now + wait)
        self.pool_memory[pool_id] = memory

    def count_failure(self, service: str) -> None:
        """A replica failed by itself: the next launches wait, longer each time."""
        memory = self.service_memory[service]
        failures = memory.failures + 1
        self.service_memory[service] = replace(
            memory,
            failures=failures,
            failed_at=self.now,
            not_before=self.now + settings.back_off_s(failures),
        )

    def fail_on_trial(self, service: str, reason: str) -> None:
        """A replica failed on a bundle that has not proved itself: that is held against the rollout only."""
        before = self.service_memory[service]
        after = self.service_memory[service] = rollout.fail(before, reason)
        if after.rollout and before.rollout and after.rollout.phase is not before.rollout.phase:
            self.say(f"{service}: the rollout of {after.rollout.to[:12]} goes back: {reason}")

    def decision(self, targets: dict[str, int]) -> Decision:
        """The result as values."""
        replicas = {i: r for of_pool in self.by_pool.values() for i, r in of_pool.items()}
        memory = Memory(
            replicas,
            self.pool_memory,
            self.service_memory,
            self.scaling_memory,
            spend=self.spend_memory,
            wishes=self.wishes,
        )
        return Decision(
            tuple(self.commands), memory, tuple(self.reasons), targets, because=tuple(self.because)
        )


def holds_place(replica: ReplicaMemory) -> bool:
    """Whether it counts toward the target: it serves, will serve, or comes back from an update, and is not announced to go."""
    return replica.preempt_at is None and (replica.state in _ALIVE or replica.drain is Drain.UPDATE)


def clock(at: float) -> str:
    """The time of day in words, `14:03:20Z`."""
    return f"{datetime.fromtimestamp(min(math.floor(at), _LATEST), UTC):%H:%M:%SZ}"


def is_there(phase: InstancePhase) -> bool:
    """Whether a machine in that phase is still one of its pool's."""
    return phase is not InstancePhase.STOPPING


def _record(memory: Memory, service: Service, now: float) -> ServiceMemory:
    """What is remembered of a service, with the bundle that is desired now."""
    known = memory.services.get(service.name)
    sha256 = service.bundle.sha256
    return ServiceMemory(sha256) if known is None else rollout.desire(known, sha256, now)
