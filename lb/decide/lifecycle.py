"""The life of a replica: one state, one table of the changes that are possible, and one judgement of its health.

    pending -> starting -> ready <-> unready -> draining -> gone, and failed

A draining replica that is updated in place goes back to starting; a failed one only goes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum

from lb.decide.memory import Drain, ReplicaMemory
from lb.decide.observed import AgentState, Health, ProbeState
from spec.desired import Probe
from spec.status import ReplicaState as S

POSSIBLE: dict[S, frozenset[S]] = {
    S.PENDING: frozenset({S.STARTING, S.DRAINING, S.FAILED, S.GONE}),
    S.STARTING: frozenset({S.READY, S.DRAINING, S.FAILED, S.GONE}),
    S.READY: frozenset({S.UNREADY, S.DRAINING, S.FAILED, S.GONE}),
    S.UNREADY: frozenset({S.READY, S.STARTING, S.DRAINING, S.FAILED, S.GONE}),
    S.DRAINING: frozenset({S.STARTING, S.GONE}),
    S.FAILED: frozenset({S.GONE}),
    S.GONE: frozenset(),
}


class ImpossibleTransition(ValueError):
    """A replica was to change into a state that it can't reach: a defect of the caller."""


def move(
    replica: ReplicaMemory, to: S, *, now: float, reason: str, drain: Drain | None = None
) -> ReplicaMemory:
    """The replica in its new state; raises ImpossibleTransition for a pair that is not in the table."""
    if to not in POSSIBLE[replica.state]:
        raise ImpossibleTransition(f"{replica.instance.instance_id}: {replica.state} -> {to}")
    assert (drain is not None) == (to is S.DRAINING)
    return replace(replica, state=to, since=now, reason=reason, drain=drain, failing_since=None)


def serves_until(preempt_at: float | None, health: Health | None, drain_limit_s: float) -> float | None:
    """From when on it may get no new requests; None = its preemption is not announced.

    So requests that take as long as the service says are answered before the kill.

    Args:
        preempt_at: epoch seconds of the kill, as far as it is remembered.
        health: what its agent says, which may be newer; a machine that shuts down answers what it has and no more.
        drain_limit_s: how long requests may take.

    """
    told = (preempt_at, health.preempt_at if health else None)
    moments = [at for at in told if at is not None]
    if not moments:
        return None
    return -math.inf if health is not None and health.leaving else min(moments) - drain_limit_s


class Verdict(StrEnum):
    """What its health says of a replica.

    `out` is certain (nothing listens, the engine is not running); `doubtful` may be the probe's own fault, a timeout or
    a bad answer; `broken` can't get better by itself.
    """

    UNKNOWN = "unknown"
    OK = "ok"
    DOUBTFUL = "doubtful"
    OUT = "out"
    BROKEN = "broken"


def judge(health: Health | None, probe: Probe, assigned: str | None) -> tuple[Verdict, str]:
    """The verdict and its reason in words.

    Args:
        health: what agent and engine say; None = nobody asked yet.
        probe: of the service, for its threshold.
        assigned: the bundle that it should run; None = none is assigned.

    """
    if health is None or health.agent is AgentState.UNKNOWN:
        return Verdict.UNKNOWN, ""
    if health.agent is AgentState.REFUSED:
        return Verdict.OUT, "its node agent refuses connections"
    if health.agent is AgentState.SILENT:
        return Verdict.DOUBTFUL, "its node agent does not answer"
    if health.agent is AgentState.ANSWERS:
        if assigned is not None and health.bundle != assigned:
            return Verdict.OUT, "it does not run its assigned bundle yet"
        if health.phase == "failed":
            return Verdict.BROKEN, health.message or "its engine ended"
        if health.phase != "running":
            return Verdict.OUT, f"its agent says: {health.phase}" + _colon(health.message)
    return _judge_probe(health, probe)


def _judge_probe(health: Health, probe: Probe) -> tuple[Verdict, str]:
    match health.probe:
        case ProbeState.OK if health.lies:
            return Verdict.DOUBTFUL, f"its probe succeeds, but {health.lies}"
        case ProbeState.OK:
            return Verdict.OK, ""
        case ProbeState.REFUSED:
            return Verdict.OUT, "its engine refuses connections"
        case ProbeState.FAILING if health.failures >= probe.failure_threshold:
            return Verdict.DOUBTFUL, "its probe fails" + _colon(health.detail)
        case _:
            return Verdict.UNKNOWN, health.detail


def _colon(text: str) -> str:
    return f": {text}" if text else ""
