"""The soak: a replica on a new bundle can be relied on only after it has been ready for a while.

Many a bad version gets ready and crashes seconds later, under traffic. So the first readiness proves nothing yet: until the
time is over the replica proves no bundle, makes room for no other one to move, and replaces nobody. It serves meanwhile.
"""

from __future__ import annotations

from lb.decide import settings
from lb.decide.memory import ReplicaMemory
from lb.decide.tick import Tick
from spec.desired import Probe
from spec.status import ReplicaState as S


def soaked(tick: Tick, rid: str, replica: ReplicaMemory) -> bool:
    """Whether it is ready and can be relied on: on any but the good bundle only after `SOAK_S`, unless its probe fails.

    One whose preemption is announced can't be. A controller that was away asks first: a replica may have crashed while nobody watched.
    """
    if replica.state is not S.READY or replica.preempt_at is not None:
        return False
    good = tick.service_memory[replica.service].good
    if good is None or tick.assigned(replica) in (None, good):
        return True
    long_enough = tick.now >= replica.since + settings.SOAK_S
    return long_enough and replica.failing_since is None and tick.was_asked(rid)


def failed_while_it_soaked(tick: Tick, replica: ReplicaMemory, probe: Probe) -> bool:
    """Whether it began to fail before its time was over, and is kept in the edges only because nobody could stand in."""
    since = replica.failing_since
    if replica.state is not S.READY or since is None or not tick.on_trial(replica):
        return False
    return since < replica.since + settings.SOAK_S and tick.now > since + probe.replace_after_s
