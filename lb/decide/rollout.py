"""The change of a service from one bundle to another: a small state machine, remembered from tick to tick.

    rolling <-> paused, rolling -> done; and from each of them -> back -> failed or aborted

A service has a `good` bundle, the last that proved itself. A newly desired one is tried on one replica; until that has
proved itself (see soak.py) everything else stays on the good one. Replicas that fail on it count against it, and with the second one everything
goes back. Which replica moves when is the business of update.py.
"""

from __future__ import annotations

from dataclasses import replace

from lb.decide.memory import Rollout, ServiceMemory
from lb.decide.observed import Action
from spec.status import RolloutPhase as P

FAILURES_ALLOWED = 1
"""One replica may fail on a new bundle by the fault of its machine; two are the bundle's fault."""

_MOVING = frozenset({P.ROLLING, P.PAUSED})
_RETURNED = frozenset({P.BACK, P.FAILED, P.ABORTED})


def goal(record: ServiceMemory) -> str:
    """The bundle that every replica should end up with."""
    rollout = record.rollout
    if rollout is not None and rollout.phase in _RETURNED:
        return rollout.before
    return record.bundle


def default(record: ServiceMemory) -> str:
    """The bundle of machines that nobody has named: the new one only once it has proved itself."""
    rollout = record.rollout
    if rollout is not None and rollout.phase in _MOVING and not rollout.proven:
        return rollout.before
    return goal(record)


def moves(record: ServiceMemory) -> bool:
    """Whether replicas are on their way to the goal, so that a machine more than the target may be held."""
    rollout = record.rollout
    return rollout is not None and (rollout.phase in _MOVING or rollout.phase is P.BACK)


def paused(record: ServiceMemory) -> bool:
    """Whether no further replica may be moved."""
    return record.rollout is not None and record.rollout.phase is P.PAUSED


def tries(record: ServiceMemory, bundle: str | None) -> bool:
    """Whether a replica on that bundle is on trial: its failure counts against the rollout, not against the service."""
    rollout = record.rollout
    if rollout is None or bundle != rollout.to or record.good == rollout.to:
        return False
    return rollout.phase not in _RETURNED


def is_hopeless(record: ServiceMemory) -> bool:
    """Whether replicas fail on the good bundle again and again while another waits to be tried."""
    rollout = record.rollout
    return rollout is not None and rollout.phase in _MOVING and record.failures > FAILURES_ALLOWED


# ---------------------------------------------------------------- what moves it on


def desire(record: ServiceMemory, bundle: str, now: float) -> ServiceMemory:
    """Another bundle is desired: a rollout to it begins, from the one that is good; a new bundle has a clean record."""
    if bundle == record.bundle:
        return record
    fresh = ServiceMemory(bundle, good=record.good)
    if record.good is None:
        return fresh
    if bundle != record.good:
        return replace(fresh, rollout=Rollout(bundle, record.good, now))
    if record.rollout is None or record.rollout.phase in (P.FAILED, P.ABORTED):
        return fresh
    return replace(fresh, rollout=_back(record.rollout, P.ABORTED, "the bundle before is desired again"))


def adopt(record: ServiceMemory, bundle: str, now: float) -> ServiceMemory:
    """Replicas run that bundle, and nothing is remembered of it: it is the good one, and what is desired the new one."""
    if bundle == record.bundle:
        return replace(record, good=bundle)
    return replace(record, good=bundle, rollout=Rollout(record.bundle, bundle, now))


def fail(record: ServiceMemory, why: str) -> ServiceMemory:
    """A replica failed on trial."""
    rollout = record.rollout
    assert rollout is not None, "only a rollout puts a bundle on trial"
    failures = rollout.failures + 1
    rollout = replace(rollout, failures=failures, reason=why)
    if failures > FAILURES_ALLOWED:
        rollout = _back(rollout, P.FAILED, why)
    return replace(record, rollout=rollout)


def give_up(record: ServiceMemory) -> ServiceMemory:
    """The good bundle works no more: there is nothing to go back to, and the desired one is all there is."""
    return replace(record, good=None, rollout=None)


def prove(record: ServiceMemory) -> ServiceMemory:
    """A replica can be relied on with the bundle on trial."""
    rollout = record.rollout
    assert rollout is not None, "only a rollout puts a bundle on trial"
    if rollout.phase is P.DONE:  # there was no replica when it was rolled out
        return replace(record, good=rollout.to)
    return record if rollout.proven else replace(record, rollout=replace(rollout, proven=True))


def arrive(record: ServiceMemory) -> ServiceMemory:
    """Every replica runs the goal. A service without replicas has nothing to prove a bundle with: it is done too."""
    rollout = record.rollout
    if rollout is None:
        return record
    if rollout.phase is P.BACK:
        return replace(record, rollout=replace(rollout, phase=rollout.end))
    if rollout.phase in _MOVING:
        good = rollout.to if rollout.proven else record.good
        return replace(record, good=good, rollout=replace(rollout, phase=P.DONE, reason=""))
    return record


def wish(record: ServiceMemory, action: Action, now: float) -> tuple[ServiceMemory, str]:
    """What an operator asked for, done where it can be; and what became of it, in words."""
    rollout = record.rollout
    phase = None if rollout is None else rollout.phase
    if rollout is None or phase is P.DONE:
        return record, "no rollout is going on"
    match action, phase:
        case Action.PAUSE, P.ROLLING:
            changed, said = replace(rollout, phase=P.PAUSED, reason="an operator paused it"), "paused"
        case Action.RESUME, P.PAUSED:
            changed, said = replace(rollout, phase=P.ROLLING, reason=""), "goes on"
        case Action.RESUME, (P.FAILED | P.ABORTED) if rollout.to == record.bundle:
            changed, said = Rollout(rollout.to, rollout.before, now), "is tried again"
        case Action.ABORT, (P.ROLLING | P.PAUSED):
            changed, said = _back(rollout, P.ABORTED, "an operator aborted it"), "goes back"
        case _:
            return record, f"the rollout is {_WORDS[rollout.phase]}; nothing to {action}"
    return replace(record, rollout=changed), f"the rollout {said}"


_WORDS = {
    P.ROLLING: "going on",
    P.PAUSED: "paused",
    P.BACK: "going back",
    P.FAILED: "over (failed)",
    P.ABORTED: "over (aborted)",
}


def _back(rollout: Rollout, end: P, why: str) -> Rollout:
    return replace(rollout, phase=P.BACK, end=end, reason=why)
