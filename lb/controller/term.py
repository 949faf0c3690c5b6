"""One term of leadership: from winning the lease to losing it, tick by tick.

A tick has three phases: observe, decide, act. What it starts from is recovered from the journal when the term begins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx
import structlog

from lb.act.assignments import Assignments
from lb.act.bundles import BundleKeeper, needed
from lb.act.executor import Executor
from lb.bucket import Bucket, BucketError
from lb.clock import Clock
from lb.clouds.protocol import Driver, PoolObservation
from lb.controller.measure import count_events
from lb.controller.outlook import Situation, Starts, outlooks
from lb.controller.reasons import Reasons
from lb.controller.view import (
    all_asked,
    endpoints_of,
    leaves,
    serves,
    services_status,
    targets_of,
    usd_hour_of_all,
)
from lb.decide import Decision, Memory, Observed, decide
from lb.decide.observed import Assignment, Load
from lb.decide.spend import spend_status
from lb.journal import Entry, Journal
from lb.lease import Lease
from lb.metrics import Metrics
from lb.observe.clouds import CloudObserver
from lb.observe.desired import DesiredReader, DesiredReading
from lb.observe.fragments import FragmentsReader
from lb.observe.keys import KeysReader
from lb.observe.replicas import Watcher
from lb.observe.traffic import Traffic
from lb.observe.wishes import WishReader
from lb.replay import code_version
from lb.snapshots import Publisher, services_of
from spec.desired import Desired
from spec.snapshot import Key
from spec.status import ServiceStatus, SpendStatus

log = structlog.get_logger(__name__)

PUBLISH_EVERY_S = 0.05
"""Between two snapshots that a change of health asks for: a thousand replicas that fail together are told in a few."""
FIRST_LOOK_S = 10.0
"""At the start of a term the edges keep what they have until every replica has been asked, or for this long."""


@dataclass(frozen=True)
class Parts:
    """What a term works with; all of it outlives the term."""

    stack: str
    bucket: Bucket
    lease: Lease
    clock: Clock
    drivers: Mapping[str, Driver]
    client: httpx.AsyncClient
    publisher: Publisher
    metrics: Metrics
    traffic: Traffic
    wake: Callable[[], None]
    machine_buckets: Mapping[str, Bucket] = field(default_factory=dict)
    """Of clouds whose machines read another bucket than the state bucket."""
    apart: Mapping[str, str] = field(default_factory=dict)
    """Clouds that a stack of their own declares, and its name."""


class Term:
    """The leader's work in one epoch."""

    def __init__(self, parts: Parts, epoch: int) -> None:
        self._parts = parts
        self._epoch = epoch
        self._journal = Journal(parts.bucket)
        self._assignments = Assignments(parts.bucket, parts.machine_buckets)
        self._clouds = CloudObserver(parts.drivers, parts.metrics)
        self._watcher = Watcher(parts.client, self._on_health)
        self._executor = Executor(
            drivers=parts.drivers,
            lease=parts.lease,
            assignments=self._assignments,
            clock=parts.clock,
            metrics=parts.metrics,
            on_done=parts.wake,
        )
        self._desired = self._reader(None)
        self._keys = KeysReader(parts.bucket)
        self._wishes = WishReader(parts.bucket, parts.clock)
        self._bundles = BundleKeeper((parts.bucket, *parts.machine_buckets.values()), parts.clock)
        self._began = parts.clock.monotonic()
        self._began_at = parts.clock.now()
        self._reading = DesiredReading(None, "the desired state was not read yet")
        self._decision = Decision((), Memory())
        self._assigned: dict[str, Assignment] = {}
        self._pools: dict[str, PoolObservation] = {}
        self._edge_keys: tuple[Key, ...] | None = None
        self._starts = Starts()
        self._looked = False
        self._routed: frozenset[str] = frozenset()
        self._published_at = 0.0
        self._publishing: asyncio.TimerHandle | None = None
        self._lost_since: float | None = None
        self.reasons = Reasons()

    # ------------------------------------------------------------ its course

    async def begin(self) -> None:
        """Recovers the memory, and starts to publish under the new epoch. Raises BucketError."""
        recovered = await self._journal.begin(self._epoch)
        self._desired = self._reader(recovered.desired)
        if recovered.at is not None:
            memory = recovered.memory.resumed(written_at=recovered.at, now=self._now())
            self._decision = Decision((), memory)
        else:
            self._lost_since = await self._unremembered_since()
        self._parts.publisher.begin(self._epoch)
        log.info("term begins", epoch=self._epoch, replicas=len(self._decision.memory.replicas))

    def _reader(self, last: Desired | None) -> FragmentsReader:
        parts = self._parts
        fragments = {c: DesiredReader(parts.machine_buckets[c], stack) for c, stack in parts.apart.items()}
        return FragmentsReader(DesiredReader(parts.bucket, parts.stack, last), fragments, last)

    async def _unremembered_since(self) -> float | None:
        """Since when earlier leaders spent money that no journal tells of; None when this leader is the first."""
        first = await self._parts.lease.first_epoch()
        if first is None:
            return 0.0 if self._epoch > 1 else None
        return float(first) if self._epoch > first else None

    async def tick(self) -> None:
        """Observes, decides, acts. Raises BucketError when the assignments can't be read, and JournalTaken."""
        with self._timed("observe"):
            reading = await self._desired.read()
            observed = await self._observe(reading)
        desired = reading.desired
        if desired is None:
            self._reading = reading
            return
        with self._timed("decide"):
            now = self._now()
            decision = decide(desired, observed, self._decision.memory, now)
        self._watcher.follow(targets_of(desired, decision.memory))
        with self._timed("act"):
            written = await self._write_down(desired, observed, decision, now)
            if desired is not self._reading.desired:
                pools, services = [p.id for p in desired.pools], [s.name for s in desired.services]
                self._parts.metrics.keep(pools=pools, services=services)
            count_events(self._parts.metrics, desired, observed, self._decision.memory, decision)
            self._starts.learn(desired, self._decision.memory, decision.memory)
            self._reading, self._decision = reading, decision  # what is told must fit together
            told = replace(decision, reasons=(*decision.reasons, *reading.waits))
            self.reasons.say(told, tick=self._journal.tick, at=now)
            self._publish()
            if written:
                await self._wishes.remove(decision.memory.wishes)
            await self._executor.carry_out(decision.commands, {p.id: p for p in desired.pools})
            await self._write_snapshots()
            if self._bundles.due and written and observed.frozen is None:
                used = needed(desired, decision.memory, observed.assignments)
                await self._bundles.prune(used | reading.coming)
        self._parts.metrics.frozen.set(observed.frozen is not None)
        self._parts.metrics.journal_bytes.set(self._journal.bytes)

    async def close(self) -> None:
        """Waits for calls that were made, and ends every task."""
        await self._executor.close()
        await self._watcher.close()
        if self._publishing is not None:
            self._publishing.cancel()
        await self._clouds.close()

    def _now(self) -> float:
        """Epoch seconds that no setting of the clock can move during a term."""
        return self._began_at + self._parts.clock.monotonic() - self._began

    # ------------------------------------------------------------ the phases

    async def _observe(self, reading: DesiredReading) -> Observed:
        self._edge_keys = await self._keys.read()
        outcomes, busy = (
            self._executor.collect(),
            self._executor.busy(),
        )  # before the clouds: they then show them
        pools = reading.desired.pools if reading.desired else ()
        seen = await self._clouds.observe(pools)
        assignments = await self._assignments.of([p.id for p in pools])
        readable = {a.pool_id for a in assignments}
        observations = tuple(o if o.pool_id in readable else _unassigned(o.pool_id) for o in seen)
        self._pools = {o.pool_id: o for o in observations}
        self._assigned = {a.pool_id: a for a in assignments}
        return Observed(
            frozen=reading.frozen,
            pools=observations,
            health=self._parts.traffic.with_lies(self._watcher.health()),
            assignments=assignments,
            outcomes=outcomes,
            busy=busy,
            refills=self._clouds.refills(),
            load=() if reading.desired is None else self._load(reading.desired),
            engines=self._watcher.engines(),
            lost_since=self._lost_since if self._decision.memory.spend is None else None,
            wishes=await self._wishes.read(),
        )

    def _load(self, desired: Desired) -> tuple[Load, ...]:
        services = [s.name for s in desired.services]
        self._parts.traffic.keep(edges=[e.id for e in desired.edges], services=services)
        return self._parts.traffic.load(services)

    async def _write_down(self, desired: Desired, observed: Observed, decision: Decision, now: float) -> bool:
        """Whether the journal holds the decision; without it the term goes on too."""
        entry = Entry(
            at=now,
            generation=desired.generation,
            observed=observed,
            commands=decision.commands,
            reasons=decision.reasons,
            memory=decision.memory,
            desired=desired,
            because=decision.because,
            targets=decision.targets,
            code=code_version(),
        )
        try:
            await self._journal.append(entry, before=self._decision.memory)
        except BucketError as e:
            self._parts.metrics.bucket_failures.labels("journal").inc()
            log.warning("cannot write the journal; it is tried again", error=str(e))
            return False
        return True

    async def _write_snapshots(self) -> None:
        try:
            await self._parts.publisher.write()
        except BucketError as e:
            self._parts.metrics.bucket_failures.labels("snapshot").inc()
            log.warning("cannot write the snapshots; it is tried again", error=str(e))

    # ------------------------------------------------------------ the edges

    def _on_health(self, replica_id: str) -> None:
        """A replica that must leave the edges does so now; the rest is for the next tick, which comes at once."""
        desired, replica = self._reading.desired, self._decision.memory.replicas.get(replica_id)
        if desired is not None and replica is not None and replica_id in self._routed:
            assignment = self._assigned.get(replica.pool_id)
            assigned = assignment.of(replica.instance.instance_id) if assignment else None
            health = self._watcher.health_of(replica_id)
            gone = not serves(desired, replica, health, assigned)
            if gone or leaves(desired, replica, health, self._now()):
                self._publish_soon()
        self._parts.wake()

    def _publish_soon(self) -> None:
        """At once, or a moment after the time before."""
        if self._publishing is None:
            loop = asyncio.get_running_loop()
            due = max(loop.time(), self._published_at + PUBLISH_EVERY_S)
            self._publishing = loop.call_at(due, self._publish)

    def _publish(self) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
            self._publishing = None
        self._published_at = asyncio.get_running_loop().time()
        desired = self._reading.desired
        if desired is None or self._edge_keys is None or not self._has_looked():
            return
        endpoints = endpoints_of(
            desired,
            self._decision.memory,
            self._assigned,
            self._watcher.health_of,
            self._decision.targets,
            now=self._now(),
        )
        self._routed = frozenset(e.replica_id for found in endpoints.values() for e in found)
        situation = Situation(
            desired, self._decision.memory, self._decision.targets, self._reading.frozen, self._now()
        )
        services = services_of(desired, endpoints, outlooks(situation, endpoints, self._starts))
        changed = self._parts.publisher.publish([e.id for e in desired.edges], services, self._edge_keys)
        if changed:
            self._parts.metrics.snapshots.inc()
            log.info("snapshot", endpoints={name: len(found) for name, found in endpoints.items()})

    def _has_looked(self) -> bool:
        """Whether enough is known to tell the edges something better than what they have."""
        if not self._looked:
            waited = self._parts.clock.monotonic() >= self._began + FIRST_LOOK_S
            self._looked = waited or (
                self._all_seen() and all_asked(self._decision.memory, self._watcher.health())
            )
        return self._looked

    def _all_seen(self) -> bool:
        return all(o.error is None for o in self._pools.values())

    # ------------------------------------------------------------ what is told

    @property
    def reading(self) -> DesiredReading:
        """The desired state that the last decision was made from, and why it is frozen."""
        return self._reading

    def services(self) -> tuple[ServiceStatus, ...]:
        """The services with their replicas."""
        desired = self._reading.desired
        if desired is None:
            return ()
        return services_status(
            desired,
            self._decision.memory,
            targets=self._decision.targets,
            pools=self._pools,
            assignments=self._assigned,
            health_of=self._watcher.health_of,
            traffic_of=self._parts.traffic.status,
            now=self._now(),
        )

    def spend(self) -> SpendStatus | None:
        """The money of the month so far."""
        desired = self._reading.desired
        return None if desired is None else spend_status(desired, self._decision.memory.spend, self._now())

    def usd_hour(self) -> float:
        """What runs costs now, with the fixed costs; machines without a known price are left out."""
        desired = self._reading.desired
        return 0.0 if desired is None else usd_hour_of_all(desired, self._decision.memory, self._pools)

    @contextmanager
    def _timed(self, phase: str) -> Generator[None]:
        started = time.perf_counter()
        yield
        self._parts.metrics.tick_s.labels(phase).observe(time.perf_counter() - started)


def _unassigned(pool_id: str) -> PoolObservation:
    """Without its assignments nobody can tell what its machines should run."""
    return PoolObservation(pool_id, 0, error="the bucket of its cloud can't be read")
