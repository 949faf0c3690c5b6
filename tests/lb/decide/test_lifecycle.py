"""The transition table: what a replica can become, and what it can't."""

import itertools

import pytest

from lb.clouds.protocol import Instance, InstancePhase
from lb.decide.lifecycle import POSSIBLE, ImpossibleTransition, Verdict, judge, move
from lb.decide.memory import Drain, ReplicaMemory
from lb.decide.observed import AgentState, Health, ProbeState
from spec.desired import Probe
from spec.status import ReplicaState as S

INSTANCE = Instance("i-1", InstancePhase.RUNNING, "127.0.0.1", 1, 2, 0.0)


def a_replica(state: S) -> ReplicaMemory:
    return ReplicaMemory("chat", "pool", INSTANCE, state, 1.0)


CAN_BECOME = """
              pending starting ready unready draining failed gone
    pending      .       x       .      .       x       x     x
    starting     .       .       x      .       x       x     x
    ready        .       .       .      x       x       x     x
    unready      .       x       x      .       x       x     x
    draining     .       x       .      .       .       .     x
    failed       .       .       .      .       .       .     x
    gone         .       .       .      .       .       .     .
"""
"""Written down once more, so that a change of the table is a change of a test."""


def expected():
    header, *rows = (line.split() for line in CAN_BECOME.strip().splitlines())
    return {(S(row[0]), S(to)): mark == "x" for row in rows for to, mark in zip(header, row[1:], strict=True)}


@pytest.mark.parametrize(("state", "to"), itertools.product(S, S))
def test_a_replica_moves_exactly_as_the_table_says(state, to):
    drain = Drain.LEAVE if to is S.DRAINING else None
    assert (to in POSSIBLE[state]) is expected()[state, to]
    if to in POSSIBLE[state]:
        moved = move(a_replica(state), to, now=5.0, reason="because", drain=drain)
        assert (moved.state, moved.since, moved.reason, moved.drain) == (to, 5.0, "because", drain)
    else:
        with pytest.raises(ImpossibleTransition):
            move(a_replica(state), to, now=5.0, reason="because", drain=drain)


def test_every_state_can_end_and_the_end_is_final():
    assert all(S.GONE in POSSIBLE[s] for s in S if s is not S.GONE)
    assert not POSSIBLE[S.GONE]


def test_a_failed_replica_never_serves_again():
    assert POSSIBLE[S.FAILED] == {S.GONE}


@pytest.mark.parametrize(
    ("health", "verdict"),
    [
        (None, Verdict.UNKNOWN),
        (Health("r"), Verdict.UNKNOWN),
        (Health("r", AgentState.REFUSED, phase="running", probe=ProbeState.OK), Verdict.OUT),
        (Health("r", AgentState.SILENT, phase="running", probe=ProbeState.OK), Verdict.DOUBTFUL),
        (Health("r", AgentState.ANSWERS, phase="running", bundle="new", probe=ProbeState.OK), Verdict.OK),
        (Health("r", AgentState.ANSWERS, phase="running", bundle="old", probe=ProbeState.OK), Verdict.OUT),
        (Health("r", AgentState.ANSWERS, phase="failed", bundle="new"), Verdict.BROKEN),
        (Health("r", AgentState.ANSWERS, phase="failed", bundle="old"), Verdict.OUT),
        (Health("r", AgentState.NONE, probe=ProbeState.OK), Verdict.OK),
        (Health("r", AgentState.NONE, probe=ProbeState.FAILING, failures=2), Verdict.UNKNOWN),
        (Health("r", AgentState.NONE, probe=ProbeState.FAILING, failures=3), Verdict.DOUBTFUL),
        (Health("r", AgentState.NONE, probe=ProbeState.OK, lies="5 of 5 requests failed"), Verdict.DOUBTFUL),
        (Health("r", AgentState.NONE, probe=ProbeState.REFUSED, lies="5 of 5 requests failed"), Verdict.OUT),
    ],
)
def test_the_verdict_on_a_replica_follows_from_what_agent_and_engine_say(health, verdict):
    assert judge(health, Probe(), "new")[0] is verdict


def test_a_replica_that_lies_is_doubted_in_the_edges_words():
    health = Health("r", AgentState.NONE, probe=ProbeState.OK, lies="7 of 9 requests failed in the last 30 s")
    said = "its probe succeeds, but 7 of 9 requests failed in the last 30 s"
    assert judge(health, Probe(), None) == (Verdict.DOUBTFUL, said)
