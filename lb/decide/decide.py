"""One decision: from what should be, what is and what is remembered, to commands, new memory and reasons.

Pure and deterministic, so that the simulator, a replay of the journal and the live controller decide alike. Commands are
few, level-triggered and safe to lose: what was not carried out is decided again.
"""

from __future__ import annotations

from lb.decide.budget import Money
from lb.decide.commands import Decision
from lb.decide.gangs import fold, unfold
from lb.decide.memory import Memory
from lb.decide.observed import Observed
from lb.decide.placement import grow
from lb.decide.places import remember
from lb.decide.replicas import update_replicas
from lb.decide.sizes import update_pools, withdraw_unfilled
from lb.decide.spend import limited, take_stock
from lb.decide.targets import target_replicas
from lb.decide.tick import Tick
from lb.decide.turnover import end, outgoing, shed
from lb.decide.update import extra_machines, learn, update
from lb.decide.wishes import take_wishes
from spec.desired import Desired


def decide(desired: Desired, observed: Observed, memory: Memory, now: float) -> Decision:
    """What to do now.

    Args:
        desired: what should run; while frozen, the last that could be used.
        observed: this tick's view of the world.
        memory: of the decision before; `Memory()` at the very first.
        now: epoch seconds.

    Returns:
        Commands per pool in the order in which they must be carried out. While frozen there are none, but states follow
        what is observed, so that dead replicas still leave the edges.

    """
    folded = fold(desired, observed, memory, now)
    if folded is None:
        return _decide(desired, observed, memory, now)
    return unfold(folded, _decide(folded.desired, folded.observed, memory, now))


def _decide(desired: Desired, observed: Observed, memory: Memory, now: float) -> Decision:
    tick = Tick(desired, observed, memory, now)
    take_wishes(tick, observed.wishes)
    update_replicas(tick)
    update_pools(tick)
    remember(tick)
    take_stock(tick, Money(tick), observed.lost_since)
    targets = {n: limited(tick, s, target_replicas(tick, s)) for n, s in tick.services.items()}
    if observed.frozen is not None:
        tick.say(f"frozen: {observed.frozen}")
        return tick.decision(targets)
    withdraw_unfilled(tick)
    for name, service in tick.services.items():
        leaving = outgoing(tick, service)
        learn(tick, service)
        update(tick, service, targets[name], leaving)
        extra = extra_machines(tick, service, targets[name], leaving)
        parts = shed(tick, service, targets[name], extra, leaving)
        grow(tick, service, parts)
        end(tick, service, targets[name])
    return tick.decision(targets)
