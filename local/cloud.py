"""What a cloud would do, done on this computer: pools, sizes, machines that come, are refused, preempted and die.

A machine is a process group with a node agent; its capacity and price follow a trace from the moment when the first
pool was declared. State is in `<home>/cloud/`, changed under one lock, so the plugin that declares pools and the
controller that sizes them need not know of each other. Nothing here decides: who asks for what, and why, is above.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from local import addresses
from local.conditions import Conditions
from local.errors import CloudError, NoCapacity, OverMaximum, PoolNotFound
from local.files import locked, write_json
from local.pools import MARKETS, POOL_ID, Declaration, Machine, PoolFiles, PoolRecord, Refusal
from local.processes import Launch, ProcessError, Registry, running
from local.trace import Quote, Trace, region_of

INSUFFICIENT_CAPACITY = "insufficient_capacity"

_TERMINATE_GRACE_S = 7.0
"""A little more than a node agent takes to stop its engine."""
_OVERDUE_S = 15.0
"""A machine that is still there so long after its end began was left by somebody who was killed."""
_FOLDERS_KEPT = 20
"""Folders of machines that are gone, for a look at their logs."""


@dataclass(frozen=True, slots=True)
class MachineView:
    """One machine as the cloud shows it. `launched_at`: epoch seconds; `ending`: it has been told to end."""

    instance_id: str
    address: str
    port: int
    agent_port: int
    launched_at: float
    ending: bool


@dataclass(frozen=True, slots=True)
class PoolView:
    """One pool at one moment. Prices in USD per hour and machine, None = unknown."""

    pool_id: str
    region: str
    zone: str
    market: str
    size: int
    max_size: int
    machines: tuple[MachineView, ...]
    refusals: tuple[Refusal, ...]
    spot: float | None
    on_demand: float | None


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
    ) -> None:
        """Makes the pool with size 0, or changes it and keeps its size and machines.

        The trace is the whole cloud's: another one than before starts its time anew. Raises CloudError, TraceError.
        """
        declaration = Declaration(pool_id, region, zone, market, max_size, tuple(argv), dict(env), bucket)
        _require(declaration, Trace.current(trace))
        with self._locked():
            self._conditions.follow(trace)
            record = self._pools.get(pool_id)
            if record is None:
                record = PoolRecord(declaration, machines=self._found_machines(pool_id))
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

    def follows(self, trace: Path) -> bool:
        """Whether capacity and prices come from that trace."""
        return self._conditions.follows(trace)

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
        """Ends that machine and takes it from the size; gone already is fine. Raises PoolNotFound, ProcessError."""
        with self._locked():
            record = _open(self._pools.all(), pool_id)
            if instance_id not in record.machines:
                return
            record.end(instance_id, self._clock())
            self._pools.save(record)
        self._end([instance_id], _TERMINATE_GRACE_S)

    def observe(self) -> list[PoolView]:
        """Lets happen what the trace and the machines' own deaths say, and shows what is left, by pool id.

        Spot machines above a zone's capacity are preempted, newest first. A lost machine is not replaced, and
        the size goes down with it. Raises CloudError, TraceError, ProcessError.
        """
        with self._locked():
            records = self._pools.all()
            quotes = self._conditions.quotes(r.declaration.zone for r in records.values())
            lost = self._lose(records, quotes)
        if lost:
            self._end(lost, 0)
            for record in records.values():
                record.machines = {i: m for i, m in record.machines.items() if i not in lost}
        return [_view(r, quotes[r.declaration.zone]) for r in records.values() if not r.closing]

    # ------------------------------------------------------------ what happens

    def _lose(self, records: dict[str, PoolRecord], quotes: dict[str, Quote]) -> set[str]:
        """Marks the machines that died, were preempted, or are overdue to end; returns them."""
        now, lost = self._clock(), set()
        for record in records.values():
            gone = [i for i, m in record.machines.items() if self._is_gone(i, m, now)]
            for instance_id in gone:
                record.end(instance_id, now)
            lost.update(gone)
        for record, instance_id in _preempted(records, quotes):
            record.end(instance_id, now)
            lost.add(instance_id)
        for record in records.values():
            if lost & record.machines.keys():
                self._pools.save(record)
        return lost

    def _is_gone(self, instance_id: str, machine: Machine, now: float) -> bool:
        """Whether it died, or whoever was ending it did not finish."""
        if machine.ending_since is not None:
            return now > machine.ending_since + _OVERDUE_S
        if machine.pid is None:  # whoever launched it was killed before it could write the pid down
            entry = self.registry.get(instance_id)
            if entry is None:
                return True
            machine.pid, machine.start_time = entry.pid, entry.start_time
        return not running(machine.pid, machine.start_time or "")

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
            entry = self.registry.launch(self._template(record.declaration, instance_id, machine))
        except (ProcessError, OSError) as e:
            del record.machines[instance_id]
            record.size = len(record.staying())
            self._pools.save(record)
            raise CloudError(f"{record.declaration.pool_id}: a machine can't be launched: {e}") from e
        machine.pid, machine.start_time = entry.pid, entry.start_time
        self._pools.save(record)

    def _template(self, declared: Declaration, instance_id: str, machine: Machine) -> Launch:
        folder = self._machine_folder(instance_id)
        (folder / "work").mkdir(parents=True)
        place = {"pool_id": declared.pool_id, "zone": declared.zone, "region": declared.region}
        where = {"address": addresses.HOST, "port": machine.port, "agent_port": machine.agent_port}
        node = {
            "schema": 1,
            "cloud": "local",
            "instance_id": instance_id,
            "bucket": declared.bucket,
            "work_dir": str(folder / "work"),
            "log_dir": str(folder),
            **place,
            **where,
        }
        write_json(folder / "node.json", node)
        return Launch(
            name=instance_id,
            kind="machine",
            argv=(*declared.argv, "--config", str(folder / "node.json")),
            env=declared.env,
            cwd=str(folder),
            log=str(folder / "log"),
            meta={key: str(value) for key, value in (place | where).items()},
        )

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
        for instance_id in ids:
            shutil.rmtree(self._machine_folder(instance_id) / "work", ignore_errors=True)
        self._forget_folders(known)

    def _forget_folders(self, known: set[str]) -> None:
        folders = [f for f in (self.home / "machines").glob("i-*") if f.name not in known]
        for folder in sorted(folders, key=_age)[:-_FOLDERS_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)

    # ------------------------------------------------------------ what is known

    def _free_capacity(self, record: PoolRecord, records: dict[str, PoolRecord]) -> float:
        """How many more machines of the pool's market the zone has now."""
        if not record.spot:
            return float("inf")
        zone = record.declaration.zone
        used = sum(len(r.staying()) for r in records.values() if r.spot and r.declaration.zone == zone)
        return max(0, self._conditions.quotes({zone})[zone].capacity - used)

    def _found_machines(self, pool_id: str) -> dict[str, Machine]:
        """Machines of a pool whose file was lost, as the registry knows them."""
        found = [
            e for e in self.registry.entries() if e.kind == "machine" and e.meta.get("pool_id") == pool_id
        ]
        return {
            e.name: Machine(
                port=int(e.meta["port"]),
                agent_port=int(e.meta["agent_port"]),
                launched_at=e.launched_at,
                pid=e.pid,
                start_time=e.start_time,
            )
            for e in found
            if self.registry.alive(e)
        }

    def _machine_folder(self, instance_id: str) -> Path:
        return self.home / "machines" / instance_id

    def _locked(self) -> AbstractContextManager[int]:
        return locked(self._folder / ".lock")


def _open(records: dict[str, PoolRecord], pool_id: str) -> PoolRecord:
    record = records.get(pool_id)
    if record is None or record.closing:
        raise PoolNotFound(f"the local cloud has no pool {pool_id}")
    return record


def _preempted(records: dict[str, PoolRecord], quotes: dict[str, Quote]) -> list[tuple[PoolRecord, str]]:
    """The spot machines that are too many for their zones, newest first."""
    found = []
    for zone, quote in quotes.items():
        spot = [r for r in records.values() if r.spot and r.declaration.zone == zone]
        staying = [(r.machines[i].launched_at, i, r) for r in spot for i in r.staying()]
        staying.sort(key=lambda s: s[:2], reverse=True)
        found += [(record, i) for _, i, record in staying[: max(0, len(staying) - quote.capacity)]]
    return found


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


def _view(record: PoolRecord, quote: Quote) -> PoolView:
    declared = record.declaration
    machines = (
        MachineView(i, addresses.HOST, m.port, m.agent_port, m.launched_at, m.ending_since is not None)
        for i, m in record.machines.items()
    )
    return PoolView(
        pool_id=declared.pool_id,
        region=declared.region,
        zone=declared.zone,
        market=declared.market,
        size=record.size,
        max_size=declared.max_size,
        machines=tuple(sorted(machines, key=lambda m: (m.launched_at, m.instance_id))),
        refusals=tuple(record.refusals),
        spot=quote.spot,
        on_demand=quote.on_demand,
    )


def _age(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
