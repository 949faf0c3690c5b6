"""The rollout as a state machine: every phase, every event."""

import itertools
from dataclasses import replace

import pytest

from lb.decide import rollout
from lb.decide.memory import Rollout, ServiceMemory
from lb.decide.observed import Action
from spec.status import RolloutPhase as P

OLD, NEW, NEWEST = "a" * 64, "b" * 64, "c" * 64


def a_record(phase, **changes):
    one = Rollout(NEW, OLD, 1.0, phase=phase, end=P.ABORTED)
    return ServiceMemory(NEW, good=OLD, rollout=replace(one, **changes))


def phase_after(record):
    return record.rollout.phase if record.rollout else None


AFTER_WISH = {
    (Action.PAUSE, P.ROLLING): P.PAUSED,
    (Action.RESUME, P.PAUSED): P.ROLLING,
    (Action.RESUME, P.FAILED): P.ROLLING,
    (Action.RESUME, P.ABORTED): P.ROLLING,
    (Action.ABORT, P.ROLLING): P.BACK,
    (Action.ABORT, P.PAUSED): P.BACK,
}


@pytest.mark.parametrize(("action", "phase"), itertools.product(Action, P))
def test_a_wish_changes_exactly_what_it_can(action, phase):
    record = a_record(phase)
    after, said = rollout.wish(record, action, 5.0)
    assert said
    if (action, phase) in AFTER_WISH:
        assert phase_after(after) is AFTER_WISH[action, phase]
    else:
        assert after == record


@pytest.mark.parametrize(
    ("phase", "goal", "default"),
    [
        (P.ROLLING, NEW, OLD),
        (P.PAUSED, NEW, OLD),
        (P.BACK, OLD, OLD),
        (P.DONE, NEW, NEW),
        (P.FAILED, OLD, OLD),
        (P.ABORTED, OLD, OLD),
    ],
)
def test_what_replicas_end_up_with_and_what_new_machines_get(phase, goal, default):
    assert rollout.goal(a_record(phase)) == goal
    assert rollout.default(a_record(phase)) == default


def test_new_machines_get_the_new_bundle_once_a_replica_was_ready_on_it():
    assert rollout.default(rollout.prove(a_record(P.ROLLING))) == NEW


@pytest.mark.parametrize(
    ("phase", "then"),
    [
        (P.ROLLING, P.DONE),
        (P.PAUSED, P.DONE),
        (P.BACK, P.ABORTED),
        *[(p, p) for p in (P.DONE, P.FAILED, P.ABORTED)],
    ],
)
def test_when_every_replica_has_arrived_the_rollout_is_over(phase, then):
    assert phase_after(rollout.arrive(a_record(phase, proven=True))) is then


def test_only_a_bundle_that_has_proved_itself_is_good():
    assert rollout.arrive(a_record(P.ROLLING, proven=True)).good == NEW
    unproven = rollout.arrive(a_record(P.ROLLING))
    assert unproven.good == OLD
    assert rollout.tries(unproven, NEW)
    assert rollout.prove(unproven).good == NEW


@pytest.mark.parametrize("phase", P)
def test_another_bundle_begins_anew_from_the_good_one_in_every_phase(phase):
    after = rollout.desire(a_record(phase, failures=1), NEWEST, 7.0)
    assert after.rollout == Rollout(NEWEST, OLD, 7.0)
    assert rollout.desire(after, NEWEST, 8.0) == after


@pytest.mark.parametrize(
    ("phase", "then"),
    [(P.ROLLING, P.BACK), (P.PAUSED, P.BACK), (P.BACK, P.BACK), (P.FAILED, None), (P.ABORTED, None)],
)
def test_the_good_bundle_desired_again_takes_the_other_one_back(phase, then):
    after = rollout.desire(a_record(phase), OLD, 7.0)
    assert phase_after(after) is then
    assert rollout.goal(after) == OLD


def test_the_second_failure_turns_it_back():
    once = rollout.fail(a_record(P.ROLLING), "r1: exit code 3")
    assert phase_after(once) is P.ROLLING
    twice = rollout.fail(once, "r2: exit code 3")
    assert (twice.rollout.phase, twice.rollout.end, twice.rollout.reason) == (
        P.BACK,
        P.FAILED,
        "r2: exit code 3",
    )


def test_without_a_good_bundle_there_is_no_rollout():
    assert rollout.desire(ServiceMemory(OLD), NEW, 7.0) == ServiceMemory(NEW)
