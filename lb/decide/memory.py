"""What a decision has to remember from the one before; recovered from the journal, and harmless to lose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from lb.clouds.protocol import Instance
from spec.status import ReplicaState, RolloutPhase


class Drain(StrEnum):
    """What a draining replica drains for. `idle`: it leaves too, but serves nobody, so there is nothing to wait for."""

    LEAVE = "leave"
    IDLE = "idle"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class ReplicaMemory:
    """One replica. Times in epoch seconds.

    Attributes:
        instance: the machine as its cloud last described it; it serves on while the cloud does not answer.
        since: when it entered its state.
        reason: why it is in its state.
        drain: set while it drains.
        failing_since: since when its probe fails although it is kept in the edges; None = it does not.
        asked_at: when its cloud was last asked to end it.
        ended: the cloud has confirmed that; it may still be seen for a while.
        preempt_at: when its machine will be killed, once its cloud or its agent has said so: the earliest moment that was
            ever told, never taken back.
        lied: it was taken out because it failed callers' requests. Without traffic nothing can show that it does no more,
            so it does not come back by itself.
        relapsed: it went out of the edges before it had been ready for long enough on a bundle on trial.

    """

    service: str
    pool_id: str
    instance: Instance
    state: ReplicaState
    since: float
    reason: str = ""
    drain: Drain | None = None
    failing_since: float | None = None
    asked_at: float | None = None
    ended: bool = False
    preempt_at: float | None = None
    lied: bool = False
    relapsed: bool = False


@dataclass(frozen=True, slots=True)
class PoolMemory:
    """One pool. Times in epoch seconds.

    Attributes:
        awaiting: machines that were asked for and have not appeared.
        asked_at: when the cloud was last asked for a size.
        struck_since: when the first of the refusals and losses in a row was.
        struck_at: when the last one was.
        not_before: no launch here before this moment.
        refusal_seen: the time of the newest late refusal that was taken into account.
        up_since: since when machines have been here without a loss; None = there was one, or there never were any.
        left_at: when the last of them was given back; None while there are some.

    """

    awaiting: int = 0
    asked_at: float | None = None
    struck_since: float | None = None
    struck_at: float | None = None
    not_before: float = 0.0
    refusal_seen: float = 0.0
    up_since: float | None = None
    left_at: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A service's change from one bundle to another; see rollout.py for what moves it on.

    Attributes:
        to: the bundle that replicas are to get.
        before: the bundle that they come from, and go back to.
        started_at: epoch seconds.
        proven: a replica has been ready on `to` for long enough, so that new machines get it too.
        failures: replicas that failed by themselves on `to`.
        end: what `back` ends with, `failed` or `aborted`.
        reason: why it is in its phase.

    """

    to: str
    before: str
    started_at: float
    phase: RolloutPhase = RolloutPhase.ROLLING
    proven: bool = False
    failures: int = 0
    end: RolloutPhase = RolloutPhase.FAILED
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServiceMemory:
    """One service: how its bundles fare. Times in epoch seconds.

    Attributes:
        bundle: the bundle that was desired last; the failures belong to it.
        failures: replicas in a row that failed by themselves.
        failed_at: when the last one did.
        not_before: no launch before this moment.
        good: the last bundle that proved itself; None = none has yet.
        rollout: the last change to another bundle, also when it is over.

    """

    bundle: str
    failures: int = 0
    failed_at: float | None = None
    not_before: float = 0.0
    good: str | None = None
    rollout: Rollout | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """For how long a number of replicas has been asked for, or has been enough; seconds."""

    number: int
    for_s: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the load asked for lately, in quarters of an hour since the epoch. `since`: the first that was watched.

    `peaks`: the most replicas of each, of the last week; one in which none were asked for is left out.
    """

    since: int
    peaks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ScalingMemory:
    """How many replicas a service needs, in units and without spares, and what its load has been asking for meanwhile.

    Attributes:
        target: the number of now.
        asked: the number that the load asks for; None = nobody tells.
        since: since when it has asked for just that, epoch seconds.
        more: for how long, until `since`, at least so many were asked for; rising numbers above `target`.
        fewer: for how long, until `since`, at most so many were asked for; falling numbers below `target`.
        changes: when the number changed and by how much, as far back as a rate policy looks.
        pattern: what was asked for lately, where a forecast is wanted.
        backlog: requests beyond what the replicas take, whenever that changed, as far back as a spike shows.
        least: units of a replica of the least shape.

    """

    target: int
    asked: int | None = None
    since: float | None = None
    more: tuple[Asked, ...] = ()
    fewer: tuple[Asked, ...] = ()
    changes: tuple[tuple[float, int], ...] = ()
    backlog: tuple[tuple[float, float], ...] = ()
    pattern: Pattern | None = None
    least: int = 1


ENVIRONMENT = ""
"""Stands for the environment where services are told apart by name; beside them it means the fixed costs."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A budget of the month that is used up: which one it was, and what ran then. USD, USD per hour."""

    usd_month: float
    usd_hour: float


@dataclass(frozen=True, slots=True)
class SpendMemory:
    """Money of the month: so much until a moment, and so much per hour from then on. USD.

    Attributes:
        month: UTC, `2026-11`.
        counted_until: epoch seconds.
        usd: spent in the month until then, by service, and the fixed costs.
        usd_hour: what runs since then, in the same parts.
        assumed_usd: how much of it all is not counted but assumed, because the memory was lost.
        exhausted: budgets that are used up, by service, and the environment's.

    """

    month: str
    counted_until: float
    usd: dict[str, float] = field(default_factory=dict)
    usd_hour: dict[str, float] = field(default_factory=dict)
    assumed_usd: float = 0.0
    exhausted: dict[str, Exhausted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GangMemory:
    """Machines that are one replica together, from the first that came until the last is gone.

    Attributes:
        size: how many it consists of when it is whole.
        members: instance ids in the order of their ranks; the first gives the replica its id.
        nodes: those of them that are still there, as the cloud last described them.
        asked_at: when the cloud was asked for them, or later; epoch seconds.
        broken: why it is over although some of its machines are still there; empty while it isn't.
        ended: members whose end the cloud has confirmed.

    """

    pool_id: str
    size: int
    members: tuple[str, ...]
    nodes: tuple[Instance, ...]
    asked_at: float
    broken: str = ""
    ended: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all that it consists of have come."""
        return len(self.members) == self.size


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that is remembered: replicas and gangs by replica id, pools by pool id, services and their scaling by name.

    `spend`: money of the month; None = nothing was counted yet. `wishes`: ids of those that were acted on and are still in
    the bucket.
    """

    replicas: dict[str, ReplicaMemory] = field(default_factory=dict)
    pools: dict[str, PoolMemory] = field(default_factory=dict)
    services: dict[str, ServiceMemory] = field(default_factory=dict)
    scaling: dict[str, ScalingMemory] = field(default_factory=dict)
    spend: SpendMemory | None = None
    wishes: tuple[str, ...] = ()
    gangs: dict[str, GangMemory] = field(default_factory=dict)

    def replica_with(self, machine: str) -> ReplicaMemory | None:
        """The replica that this machine, named like a replica, belongs to; None when nothing is known of it."""
        if machine in self.replicas:
            return self.replicas[machine]
        place, _, instance_id = machine.rpartition(":")
        found = (i for i, g in self.gangs.items() if instance_id in g.members and i.startswith(f"{place}:"))
        return self.replicas.get(next(found, ""))

    def resumed(self, *, written_at: float, now: float) -> Memory:
        """The memory as it is to be used after a break: time in which nobody watched counts for no deadline.

        So neither a long break nor a clock that was set in between makes a deadline pass. How long a replica has been
        ready goes on, and so does spending.
        """
        break_s = now - written_at

        def later(moment: float | None) -> float | None:
            return None if moment is None else moment + break_s

        replicas = {
            i: replace(
                r,
                since=min(r.since, now) if r.state is ReplicaState.READY else r.since + break_s,
                failing_since=later(r.failing_since),
                asked_at=later(r.asked_at),
                preempt_at=later(r.preempt_at) if break_s < 0 else r.preempt_at,  # a clock that was set back
            )
            for i, r in self.replicas.items()
        }
        pools = {
            i: replace(
                p,
                asked_at=later(p.asked_at),
                struck_since=later(p.struck_since),
                struck_at=later(p.struck_at),
                not_before=p.not_before + break_s,
                up_since=later(p.up_since),
                left_at=later(p.left_at),
            )
            for i, p in self.pools.items()
        }
        services = {
            i: replace(s, failed_at=later(s.failed_at), not_before=s.not_before + break_s)
            for i, s in self.services.items()
        }
        scaling = {
            i: replace(s, since=later(s.since), backlog=tuple((at + break_s, n) for at, n in s.backlog))
            for i, s in self.scaling.items()
        }
        spend = self.spend
        if spend is not None and break_s < 0:  # the clock was set back
            spend = replace(spend, counted_until=spend.counted_until + break_s)
        return replace(self, replicas=replicas, pools=pools, services=services, scaling=scaling, spend=spend)
