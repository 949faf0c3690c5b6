"""What a cloud would do, done on this computer: pools, sizes, machines that come, are refused, preempted and die.

A machine is a process group with a node agent; its capacity and price follow a trace from the moment when the first
pool was declared. State is in `<home>/cloud/`, changed under one lock, so the plugin that declares pools and the
controller that sizes them need not know of each other. Nothing here decides: who asks for what, and why, is above.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from local.conditions import FASTEST, LONGEST_NOTICE_S, NOTICE_S, SPEED, Conditions, Weather
from local.errors import CloudError, MachineNotFound, NoCapacity, OverMaximum, PoolNotFound, ZoneNotFound
from local.files import locked
from local.machines import Machines
from local.pools import MARKETS, POOL_ID, Declaration, Machine, PoolFiles, PoolRecord, Refusal
from local.preemption import expired, too_many
from local.processes import ProcessError, Registry
from local.trace import Quote, Trace, region_of
from local.views import CloudView, MachineView, PoolView, cloud_view, machine_view, pool_view

INSUFFICIENT_CAPACITY = "insufficient_capacity"

_TERMINATE_GRACE_S = 7.0
"""A little more than a node agent takes to stop its engine."""


class LocalCloud:
    """The emulated cloud of one home; any number of threads and programs may use it at once.

    Capacity limits spot machines only; on demand there are always as many as a pool may have.
    """

    def __init__(self, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.home = Path(home).resolve()
        self.registry = Registry(self.home)
        self._clock = clock
        self._folder = self.home / "cloud"
        self._pools = PoolFiles(self._folder / "pools")
        self._machines = Machines(self.home, self.registry)
        self._conditions = Conditions(self._folder, self.home, clock)

    # ------------------------------------------------------------ declared by the stack

    def declare_pool(
        self,
        pool_id: str,
        *,
        region: str,
        zone: str,
        market: str,
        max_size: int,
        argv: Iterable[str],
        env: dict[str, str],
        bucket: str,
        trace: Path,
        notice_s: float = NOTICE_S,
        trace_speed: float = SPEED,
    ) -> None:
        """Makes the pool with size 0, or changes it and keeps its size and machines.

        The last three are the whole cloud's, see `Weather`: another trace than before starts its time anew.
        Raises CloudError, TraceError.
        """
        declaration = Declaration(pool_id, region, zone, market, max_size, tuple(argv), dict(env), bucket)
        _require(declaration, Trace.current(trace))
        if not (0 <= notice_s <= LONGEST_NOTICE_S and 0 < trace_speed <= FASTEST):
            raise CloudError(
                f"{pool_id}: notice_s {notice_s:g} or trace_speed {trace_speed:g} is out of range, "
                f"0 to {LONGEST_NOTICE_S:g} and above 0 to {FASTEST:g}"
            )
        with self._locked():
            self._conditions.follow(Weather(trace, notice_s, trace_speed))
            record = self._pools.get(pool_id)
            if record is None:
                record = PoolRecord(declaration, machines=self._machines.found(pool_id))
                record.size = len(record.machines)
            record.declaration, record.closing = declaration, False
            self._pools.save(record)

    def delete_pool(self, pool_id: str) -> None:
        """Ends the pool's machines and forgets it; gone already is fine. Raises ProcessError."""
        with self._locked():
            record = self._pools.get(pool_id)
            if record is None:
                self._pools.delete(pool_id)
                return
            record.closing = True
            for instance_id in record.staying():
                record.end(instance_id, self._clock())
            self._pools.save(record)
        if record.machines:
            self._end(record.machines, _TERMINATE_GRACE_S)
        with self._locked():
            self._pools.delete(pool_id)

    def pools(self) -> list[Declaration]:
        """What is declared, by pool id."""
        return [record.declaration for record in self._pools.all().values() if not record.closing]

    def declared(self, pool_id: str) -> Declaration | None:
        """What is declared of that pool; None when nobody did, or when it is being deleted."""
        record = self._pools.get(pool_id)
        return None if record is None or record.closing else record.declaration

    def weather(self) -> Weather | None:
        """What was declared of the whole cloud; None before the first pool."""
        return self._conditions.weather()

    # ------------------------------------------------------------ sized by the controller

    def set_size(self, pool_id: str, size: int) -> None:
        """Launches machines until the pool has `size` of them; absolute, idempotent, never ends one.

        When the zone can't give even one more, NoCapacity is raised and the size stays what it was. When it can
        give some, the size is as asked, and the next `observe` has a refusal for the rest. Raises PoolNotFound,
        OverMaximum, NoCapacity, CloudError.
        """
        with self._locked():
            records = self._pools.all()
            record = _open(records, pool_id)
            have, most = len(record.staying()), record.declaration.max_size
            if not 0 <= size <= most:
                raise OverMaximum(f"{pool_id} can't have size {size}, only 0 to {most}")
            if size > have and self._free_capacity(record, records) == 0:
                raise NoCapacity(_short_of(record, size - have))
            record.size = max(size, have)
            self._pools.save(record)
        while self._launch_next(pool_id):
            pass

    def terminate(self, pool_id: str, instance_id: str) -> None:
        """Ends that machine and takes it from the size; gone already is fine.

        It gets no more time than an announced preemption leaves it. Raises PoolNotFound, ProcessError.
        """
        with self._locked():
            record, now = _open(self._pools.all(), pool_id), self._clock()
            if instance_id not in record.machines:
                return
            record.end(instance_id, now)
            self._pools.save(record)
        preempt_at = record.machines[instance_id].preempt_at
        left_s = _TERMINATE_GRACE_S if preempt_at is None else max(0.0, preempt_at - now)
        self._end([instance_id], min(left_s, _TERMINATE_GRACE_S))

    def observe(self) -> list[PoolView]:
        """Lets happen what the trace and the machines' own deaths say, and shows what is left, by pool id.

        Spot machines above a zone's capacity are told of their preemption, newest first, and killed when the notice
        is over. A lost machine is not replaced, and the size goes down with it. Raises CloudError, TraceError,
        ProcessError, OSError.
        """
        with self._locked():
            records = self._pools.all()
            quotes = self._conditions.quotes(r.declaration.zone for r in records.values())
            lost = self._let_happen(records, quotes)
        if lost:
            self._end(lost, 0)
            for record in records.values():
                record.machines = {i: m for i, m in record.machines.items() if i not in lost}
        return [pool_view(r, quotes[r.declaration.zone]) for r in records.values() if not r.closing]

    # ------------------------------------------------------------ looked at and disturbed by people

    def look(self) -> CloudView:
        """Everything as it is, and nothing happens. Raises CloudError, TraceError."""
        with self._locked():
            records, state = self._pools.all(), self._conditions.state()
            zones = {r.declaration.zone for r in records.values()} | set(self._zones())
            return cloud_view(state, records, self._conditions.quotes(zones), self._clock())

    def preempt(self, instance_id: str, *, notice_s: float | None = None) -> MachineView:
        """Announces the preemption of a spot machine; one that knows already keeps its time.

        `notice_s`: seconds until the kill, which the first observation after it does; None = as declared. Raises
        MachineNotFound (one on demand is none that a cloud takes back), CloudError.
        """
        with self._locked():
            for record in self._pools.all().values():
                if instance_id in record.staying() and record.spot:
                    return self._preempt([(record, instance_id)], notice_s)[0]
        raise MachineNotFound(f"the local cloud runs no spot machine {instance_id}")

    def preempt_zone(self, zone: str, *, notice_s: float | None = None) -> list[MachineView]:
        """The same for every spot machine of a zone; its capacity is not touched. Raises ZoneNotFound, CloudError."""
        with self._locked():
            self._require_zone(zone)
            spot = [r for r in self._pools.all().values() if r.spot and r.declaration.zone == zone]
            return self._preempt([(r, i) for r in spot for i in r.staying()], notice_s)

    def set_capacity(self, zone: str, capacity: int) -> None:
        """The zone has that many spot machines until `reset_capacity`. Raises ZoneNotFound, CloudError."""
        if capacity < 0:
            raise CloudError(f"zone {zone} can't have {capacity} machines")
        with self._locked():
            self._require_zone(zone)
            self._conditions.set_capacity(zone, capacity)

    def reset_capacity(self, zone: str | None = None) -> None:
        """The zone, or every one, has what the trace says again. Raises ZoneNotFound, CloudError."""
        with self._locked():
            if zone is not None:
                self._require_zone(zone)
            self._conditions.reset_capacity(zone)

    def _preempt(self, victims: list[tuple[PoolRecord, str]], notice_s: float | None) -> list[MachineView]:
        if notice_s is not None and not 0 <= notice_s <= LONGEST_NOTICE_S:
            raise CloudError(f"a notice can't be {notice_s:g} s long, only {LONGEST_NOTICE_S:g} s at most")
        self._announce(victims, self._clock(), notice_s)
        for record, instance_id in victims:
            self._machines.tell(instance_id, record.machines[instance_id])
        return [machine_view(i, record.machines[i]) for record, i in victims]

    # ------------------------------------------------------------ what happens

    def _let_happen(self, records: dict[str, PoolRecord], quotes: dict[str, Quote]) -> set[str]:
        """Announces preemptions; marks and returns the machines that died, were preempted or are overdue to end."""
        now = self._clock()
        lost = self._mark_ending(records, lambda record: self._machines.gone(record.machines, now), now)
        self._announce(too_many(records, quotes), now)
        lost |= self._mark_ending(records, lambda record: expired(record, now), now)
        for record in records.values():
            for instance_id in record.told() - lost:
                self._machines.tell(instance_id, record.machines[instance_id])
        return lost

    def _mark_ending(
        self, records: dict[str, PoolRecord], which: Callable[[PoolRecord], list[str]], now: float
    ) -> set[str]:
        marked = set()
        for record in records.values():
            if ids := which(record):
                for instance_id in ids:
                    record.end(instance_id, now)
                self._pools.save(record)
                marked.update(ids)
        return marked

    def _announce(
        self, victims: Iterable[tuple[PoolRecord, str]], now: float, notice_s: float | None = None
    ) -> None:
        """Remembers when each will be killed; those that know already keep their time."""
        changed: dict[str, PoolRecord] = {}
        for record, instance_id in victims:
            machine = record.machines[instance_id]
            if machine.preempt_at is None:
                after_s = self._conditions.state().notice_s if notice_s is None else notice_s
                machine.preempt_at = now + after_s
                changed[record.declaration.pool_id] = record
        for record in changed.values():
            self._pools.save(record)

    def _launch_next(self, pool_id: str) -> bool:
        """Launches one machine if one is missing; one at a time, so that nobody waits long for the lock."""
        with self._locked():
            records = self._pools.all()
            record = _open(records, pool_id)
            missing = record.size - len(record.staying())
            if missing <= 0:
                return False
            if self._free_capacity(record, records) == 0:
                record.refuse(Refusal(INSUFFICIENT_CAPACITY, _short_of(record, missing), self._clock()))
                self._pools.save(record)
                return False
            taken = {m.port for r in records.values() for m in r.machines.values()}
            self._launch(record, self._conditions.take_port(taken))
            return True

    def _launch(self, record: PoolRecord, port: int) -> None:
        """Writes the machine down before it is started: a killed launch is found by the next observation."""
        instance_id = f"i-{secrets.token_hex(5)}"
        machine = Machine(port=port, agent_port=port + 1, launched_at=self._clock())
        record.machines[instance_id] = machine
        self._pools.save(record)
        try:
            self._machines.start(record.declaration, instance_id, machine)
        except (ProcessError, OSError) as e:
            del record.machines[instance_id]
            record.size = len(record.staying())
            self._pools.save(record)
            raise CloudError(f"{record.declaration.pool_id}: a machine can't be launched: {e}") from e
        self._pools.save(record)

    def _end(self, instance_ids: Iterable[str], grace_s: float) -> None:
        """Ends the machines' processes and forgets them; their logs stay for a while."""
        ids = set(instance_ids)
        self.registry.end_all(ids, grace_s)
        with self._locked():
            for record in self._pools.all().values():
                if ids & record.machines.keys():
                    record.machines = {i: m for i, m in record.machines.items() if i not in ids}
                    self._pools.save(record)
            known = {i for record in self._pools.all().values() for i in record.machines}
        self._machines.clear(ids, known)

    # ------------------------------------------------------------ what is known

    def _free_capacity(self, record: PoolRecord, records: dict[str, PoolRecord]) -> float:
        """How many more machines of the pool's market the zone has now."""
        if not record.spot:
            return float("inf")
        zone = record.declaration.zone
        used = sum(len(r.staying()) for r in records.values() if r.spot and r.declaration.zone == zone)
        return max(0, self._conditions.quotes({zone})[zone].capacity - used)

    def _require_zone(self, zone: str) -> None:
        known = self._zones()
        if zone not in known:
            raise ZoneNotFound(f"the local cloud has no zone {zone}, only {', '.join(known)}")

    def _zones(self) -> tuple[str, ...]:
        """The trace's."""
        return Trace.current(self._conditions.state().weather.trace).zones()

    def _locked(self) -> AbstractContextManager[int]:
        return locked(self._folder / ".lock")


def _open(records: dict[str, PoolRecord], pool_id: str) -> PoolRecord:
    record = records.get(pool_id)
    if record is None or record.closing:
        raise PoolNotFound(f"the local cloud has no pool {pool_id}")
    return record


def _require(declared: Declaration, trace: Trace) -> None:
    """Raises CloudError for a declaration that nothing could be launched from."""
    if not POOL_ID.fullmatch(declared.pool_id):
        raise CloudError(f"{declared.pool_id!r} can't be a pool's id: it is a file name too")
    if declared.market not in MARKETS:
        raise CloudError(f"{declared.pool_id}: market {declared.market!r} is none of {', '.join(MARKETS)}")
    if declared.zone not in trace.zones():
        known = ", ".join(trace.zones())
        raise CloudError(f"{declared.pool_id}: the trace has no zone {declared.zone}, only {known}")
    if declared.region != region_of(declared.zone):
        raise CloudError(f"{declared.pool_id}: zone {declared.zone} is not in region {declared.region}")
    if declared.max_size < 0 or not declared.argv:
        raise CloudError(f"{declared.pool_id}: needs a max_size of 0 or more, and an argv")


def _short_of(record: PoolRecord, missing: int) -> str:
    return f"zone {record.declaration.zone} has no capacity for {missing} more spot machines"
