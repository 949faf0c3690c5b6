"""What a decision is made from: plain values, all of them journaled, so that a decision can be made again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lb.clouds.protocol import PoolObservation
from spec.wish import Action


class AgentState(StrEnum):
    """What is known of a machine's node agent. `none`: machines of this kind have no agent."""

    UNKNOWN = "unknown"
    NONE = "none"
    ANSWERS = "answers"
    SILENT = "silent"
    REFUSED = "refused"


class ProbeState(StrEnum):
    """The last result of the readiness probe. `failing`: timeouts or bad answers; `refused`: nothing listens."""

    UNKNOWN = "unknown"
    OK = "ok"
    FAILING = "failing"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Health:
    """What a replica's agent and engine say.

    Holds nothing that changes while nothing happens (no latency, no time), so that an idle fleet journals nothing.

    Attributes:
        phase: the agent's word for what it does; None while it never answered.
        bundle: hash of the bundle that the agent runs.
        message: the agent's explanation of its phase.
        failures: failed probes in a row, counted up to the threshold.
        detail: the last probe's failure in words.
        in_flight: requests that the engine works on; None where it doesn't tell.
        preempt_at: epoch seconds of a preemption that the machine's agent was told of; None when none is announced.
        leaving: the machine shuts down: its agent answers what it was asked before, and then ends the engine.
        lies: how it fails callers' requests although its probe succeeds, in words; empty when it doesn't.

    """

    replica_id: str
    agent: AgentState = AgentState.UNKNOWN
    phase: str | None = None
    bundle: str | None = None
    message: str = ""
    probe: ProbeState = ProbeState.UNKNOWN
    failures: int = 0
    detail: str = ""
    in_flight: int | None = None
    preempt_at: float | None = None
    leaving: bool = False
    lies: str = ""


@dataclass(frozen=True, slots=True)
class Gang:
    """Machines that are one replica together, in the order of their ranks: their instance ids and their addresses."""

    nodes: tuple[str, ...]
    ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which bundle the machines of a pool run: `instances` by name, all others `default`; and which are gangs."""

    pool_id: str
    default: str | None = None
    instances: dict[str, str] = field(default_factory=dict)
    gangs: tuple[Gang, ...] = ()

    def of(self, instance_id: str) -> str | None:
        """The bundle of that machine; None = nothing assigned."""
        return self.instances.get(instance_id, self.default)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command to a cloud ended. `error`: a DriverError's kind, or `not_sent`; None = done. `at`: epoch seconds."""

    call: str
    pool_id: str
    instance_id: str | None
    error: str | None
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class Load:
    """What callers ask of one service, at all edges together.

    Attributes:
        qps: requests that arrived per second, over the last minute, to three significant digits.
        active: requests that are being answered.
        held: requests that wait at the edges for the service to come back from zero.
        in_flight: requests that were being answered or held on average, over the last minute, to three digits.
        served: requests that were answered well per second, over the last minute, to three digits.
        ttft_ms: time to first byte that 95 % of the last minute's answers kept, to two digits; None = too few answers.
        hosted_usd_hour: what a hosted provider would take per hour for all that callers ask now, to which edges send requests
            while no replica is ready, to two digits; None = they don't.
        hosted_most_usd_hour: what it may be paid in an hour at most, by `max_usd_hour` or its part of `max_usd_month`; None = no
            limit.

    """

    service: str
    qps: float = 0.0
    active: int = 0
    held: int = 0
    in_flight: float = 0.0
    served: float = 0.0
    ttft_ms: float | None = None
    hosted_usd_hour: float | None = None
    hosted_most_usd_hour: float | None = None


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """How busy a replica says it is, of the services that scale by it; None = it does not tell.

    Attributes:
        running: requests in the engine's batch.
        waiting: requests in its queue.
        kv_cache: share of its KV cache in use, 0 to 1, to two digits.
        gpu: share of the time in which its GPUs work, 0 to 1, to two digits.

    """

    replica_id: str
    running: int | None = None
    waiting: int | None = None
    kv_cache: float | None = None
    gpu: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """One `commands/<id>.json` of the state bucket, from `tw`. Ids sort by time; each is acted on once."""

    id: str
    service: str
    action: Action


@dataclass(frozen=True, slots=True)
class Observed:
    """One tick's view of the world.

    Attributes:
        frozen: why nothing may be changed; None = go on.
        pools: what the clouds say; a pool that is not in here was not observed.
        outcomes: of the commands that ended since the tick before.
        busy: pools whose clouds still carry out commands for them; they get no new ones.
        refills: clouds whose groups replace lost machines by themselves.
        load: by service; a service that no edge has told of is not in here.
        engines: what replicas tell of themselves, of services that scale by it.
        wishes: what operators asked for, oldest first.
        lost_since: since when money was spent that nobody remembers, epoch seconds; None = the memory was not lost.

    """

    frozen: str | None = None
    pools: tuple[PoolObservation, ...] = ()
    health: tuple[Health, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    busy: tuple[str, ...] = ()
    refills: tuple[str, ...] = ()
    load: tuple[Load, ...] = ()
    engines: tuple[EngineLoad, ...] = ()
    wishes: tuple[Wish, ...] = ()
    lost_since: float | None = None
