"""One tick of the journal in words: what was seen and remembered, what was ordered and why, and why nothing was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from cli.moments import clock
from lb.decide import Assign, AssignGangs, Command, Memory, SetSize, Terminate
from lb.decide.memory import ENVIRONMENT, PoolMemory, ReplicaMemory, Rollout, ServiceMemory
from lb.journal import Entry
from lb.replay import Tick
from spec.desired import Desired
from spec.status import ReplicaState

_SAID_OTHERWISE = {
    "bundle",
    "failures",
    "good",
    "rollout",
    "failed_at",
    "not_before",
    "struck_since",
    "struck_at",
    "awaiting",
    "asked_at",
    "refusal_seen",
    "up_since",
    "left_at",
}
"""Fields of memory that have their own sentence, or say nothing to a reader."""
_A_TIME = 1e9
"""No other number in a memory is that large."""


class Told:
    """What one tick says, of all services or of one. Lines are plain text."""

    def __init__(self, tick: Tick, *, service: str | None = None) -> None:
        self._tick = tick
        self._entry: Entry = tick.entry
        self._only = service
        self._pools = _pools(tick.desired, tick)

    def services(self) -> list[str]:
        """The services that are told of."""
        names = {s.name for s in self._tick.desired.services} if self._tick.desired else set()
        names |= set(self._entry.targets) | set(self._entry.memory.services)
        return sorted(n for n in names if self._only in (None, n))

    def observed(self, service: str) -> Iterator[str]:
        """What was seen of the service."""
        states = Counter(r.state for r in self._replicas(service))
        target = self._entry.targets.get(service)
        ready = states.get(ReplicaState.READY, 0)
        rest = ", ".join(
            f"{n} {state.value}" for state, n in states.items() if state is not ReplicaState.READY
        )
        yield (
            f"{ready} ready"
            + (f", {rest}" if rest else "")
            + (f"; {target} should be" if target is not None else "")
        )
        for load in self._entry.observed.load:
            if load.service == service:
                yield f"{load.qps:g} requests/s, {load.active} being answered, {load.held} held"
                slow = (
                    f"; 95 % of answers begin within {load.ttft_ms:g} ms" if load.ttft_ms is not None else ""
                )
                yield f"in the last minute {load.in_flight:g} in flight, {load.served:g} answered per second{slow}"
        yield from self._engines(service)
        for observation in self._entry.observed.pools:
            if self._pools.get(observation.pool_id) != service:
                continue
            if observation.error is not None:
                yield f"{observation.pool_id}: could not be observed: {observation.error}"
            for refusal in observation.refusals:
                yield f"{observation.pool_id}: refused at {clock(refusal.at)}: {refusal.message}"
            for instance in observation.instances:
                if instance.preempt_at is not None:
                    yield (
                        f"{observation.pool_id}: {instance.instance_id} is preempted at {clock(instance.preempt_at)}"
                    )
        for outcome in self._entry.observed.outcomes:
            if self._pools.get(outcome.pool_id) == service:
                ended = "done" if outcome.error is None else f"{outcome.error}: {outcome.message}"
                yield f"{outcome.pool_id}: {outcome.call} {outcome.instance_id or ''}".rstrip() + f": {ended}"
        yield from self._health(service)
        busy = [p for p in self._entry.observed.busy if self._pools.get(p) == service]
        if busy:
            yield f"commands of before still run for {', '.join(busy)}"
        for wish in self._entry.observed.wishes:
            if wish.service == service:
                yield f"an operator asked to {wish.action.value} the rollout"

    def _engines(self, service: str) -> Iterator[str]:
        """What the replicas told of themselves, all together."""
        ours = {rid for rid, r in self._entry.memory.replicas.items() if r.service == service}
        told = [e for e in self._entry.observed.engines if e.replica_id in ours]
        waiting = [e.waiting for e in told if e.waiting is not None]
        if waiting:
            running = sum(e.running or 0 for e in told)
            yield f"in {len(waiting)} engines {running} requests run, {sum(waiting)} wait"
        for what, shares in (("KV caches", [e.kv_cache for e in told]), ("GPUs", [e.gpu for e in told])):
            known = [share for share in shares if share is not None]
            if known:
                yield f"{what} {sum(known) / len(known):.0%} used"

    def remembered(self, service: str) -> Iterator[str]:
        """What of the memory mattered when it was decided."""
        memory = self._tick.before or self._entry.memory
        now = self._entry.at
        record = memory.services.get(service)
        if record is not None:
            if record.failures:
                waits = f"; launches wait until {clock(record.not_before)}" if record.not_before > now else ""
                yield f"{record.failures} replicas failed by themselves in a row{waits}"
            if record.rollout is not None:
                yield _rollout(record.rollout)
            yield from _others(record)
        scaling = memory.scaling.get(service)
        if scaling is not None and scaling.since is not None and scaling.asked not in (None, scaling.target):
            asked, target = (f"{n / scaling.least:g}" for n in (scaling.asked, scaling.target))
            yield f"its load asks for {asked} replicas instead of {target} since {clock(scaling.since)}"
        for name, used_up in (memory.spend.exhausted if memory.spend else {}).items():
            if name in (service, ENVIRONMENT):
                whose = "its budget" if name == service else "the budget of the environment"
                yield f"{whose} of the month is used up: {used_up.usd_month:g} USD"
        for pool_id, pool in memory.pools.items():
            if self._pools.get(pool_id) != service:
                continue
            if pool.not_before > now:
                since = (
                    f", in trouble since {clock(pool.struck_since)}" if pool.struck_since is not None else ""
                )
                yield f"{pool_id}: left alone until {clock(pool.not_before)}{since}"
            if pool.awaiting:
                since = f", asked for at {clock(pool.asked_at)}" if pool.asked_at is not None else ""
                machines = "1 machine has" if pool.awaiting == 1 else f"{pool.awaiting} machines have"
                yield f"{pool_id}: {machines} not appeared yet{since}"
            if pool.up_since is not None:
                left = f", given back at {clock(pool.left_at)}" if pool.left_at is not None else ""
                yield f"{pool_id}: counts as up since {clock(pool.up_since)}{left}"
            yield from (f"{pool_id}: {line}" for line in _others(pool))
        for replica_id, gang in memory.gangs.items():
            if self._pools.get(gang.pool_id) == service and (gang.broken or not gang.complete):
                over = f"; it is over: {gang.broken}" if gang.broken else ""
                yield f"{replica_id}: {len(gang.nodes)} of its {gang.size} machines are there{over}"

    def commands(self) -> list[tuple[str, str]]:
        """Each command and its reason, in the order in which they were given."""
        entry = self._entry
        because = (*entry.because, *[""] * (len(entry.commands) - len(entry.because)))
        return [
            (command_in_words(c), why.removeprefix(f"{c.pool_id}: "))
            for c, why in zip(entry.commands, because, strict=True)
            if self._only is None or self._pools.get(c.pool_id) == self._only
        ]

    def said(self) -> list[str]:
        """What happened, and what kept commands from being given: the reasons that belong to no command."""
        return [r for r in self._entry.reasons if r not in self._entry.because and self._is_meant(r)]

    def _is_meant(self, reason: str) -> bool:
        """Reasons begin with what they are of: a service, a pool or a replica."""
        if self._only is None:
            return True
        return not any(
            reason.startswith((f"{name}:", f"{name} "))
            for name, service in self._names()
            if service != self._only
        )

    def _names(self) -> Iterator[tuple[str, str]]:
        yield from self._pools.items()
        for memory in (self._tick.before or Memory(), self._entry.memory):
            yield from ((rid, r.service) for rid, r in memory.replicas.items())
            yield from ((name, name) for name in memory.services)

    def _replicas(self, service: str) -> Iterator[ReplicaMemory]:
        yield from (r for r in self._entry.memory.replicas.values() if r.service == service and not r.ended)

    def _health(self, service: str) -> Iterator[str]:
        """Only what is out of the ordinary."""
        for health in self._entry.observed.health:
            replica = self._entry.memory.replica_with(health.replica_id)
            if replica is None or replica.service != service:
                continue
            if health.preempt_at is not None:
                yield f"{health.replica_id}: its agent says that it is preempted at {clock(health.preempt_at)}"
            if health.lies:
                yield f"{health.replica_id}: {health.lies}"
            trouble = health.detail or health.message
            if trouble and replica.state is not ReplicaState.READY:
                yield f"{health.replica_id}: {trouble}{self._until(replica)}"

    def _until(self, replica: ReplicaMemory) -> str:
        """For how long nothing is done about a replica that is out of the edges."""
        services = self._tick.desired.services if self._tick.desired else ()
        limits = [s.probe.replace_after_s for s in services if s.name == replica.service]
        if replica.state is not ReplicaState.UNREADY or not limits:
            return ""
        return f"; replaced at {clock(replica.since + limits[0])} unless it recovers"


def is_event(entry: Entry, before: Memory | None, service: str | None) -> bool:
    """Whether something was ordered, or a replica changed its state, in that tick."""
    pools = {r.pool_id: r.service for r in entry.memory.replicas.values()}
    for command in entry.commands:
        if service is None or pools.get(command.pool_id, command.pool_id.split(".")[0]) == service:
            return True
    return before is not None and _states(before, service) != _states(entry.memory, service)


def _states(memory: Memory, service: str | None) -> dict[str, ReplicaState]:
    return {i: r.state for i, r in memory.replicas.items() if service in (None, r.service) and not r.ended}


def _pools(desired: Desired | None, tick: Tick) -> dict[str, str]:
    """The service of each pool; from the replicas where the desired state is not kept."""
    if desired is not None:
        return {p.id: p.service for p in desired.pools}
    memories = [m for m in (tick.before, tick.entry.memory) if m is not None]
    return {r.pool_id: r.service for m in memories for r in m.replicas.values()}


def command_in_words(command: Command) -> str:
    """What it asks for."""
    match command:
        case SetSize(pool_id, size):
            return f"set_size {pool_id} to {size}"
        case Terminate(pool_id, instance_id, _):
            return f"terminate {instance_id} of {pool_id}"
        case Assign(pool_id, instance_id, sha256):
            return f"assign bundle {sha256[:12]} to {instance_id or 'new machines'} of {pool_id}"
        case AssignGangs(pool_id, gangs):
            told = "; ".join(" + ".join(gang.nodes) for gang in gangs) or "none"
            return f"assign gangs of {pool_id}: {told}"


def _rollout(rollout: Rollout) -> str:
    """The last change of bundle, and what is held against it."""
    said = f"the rollout of {rollout.to[:12]}, from {rollout.before[:12]}, since {clock(rollout.started_at)}: {rollout.phase}"
    if rollout.proven:
        said += ", it has proved itself"
    if rollout.failures:
        said += f", {rollout.failures} failed on it"
    return said + (f": {rollout.reason}" if rollout.reason else "")


def _others(record: ServiceMemory | PoolMemory) -> Iterator[str]:
    """Whatever else differs from a clean record, by its name."""
    for f in fields(record):
        value = getattr(record, f.name)
        if f.name not in _SAID_OTHERWISE and value != _clean(f):
            yield f"{f.name.replace('_', ' ')}: {value_in_words(value)}"


def _clean(f: Field[Any]) -> Any:
    if f.default_factory is not MISSING:
        return f.default_factory()
    return None if f.default is MISSING else f.default


def value_in_words(value: Any) -> str:
    """A value of a memory, in one line; moments as times of day."""
    if isinstance(value, float) and value > _A_TIME:
        return clock(value)
    if hasattr(value, "__dataclass_fields__"):
        held = ((f.name, getattr(value, f.name)) for f in fields(value))
        return _joined(
            f"{name.replace('_', ' ')} {value_in_words(v)}" for name, v in held if v not in (None, "", ())
        )
    if isinstance(value, dict):
        return _joined(f"{k} {value_in_words(v)}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _joined(value_in_words(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)
