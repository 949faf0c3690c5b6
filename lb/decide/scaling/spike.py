"""What can't wait for the upscale delay: a queue that grows faster than replicas can come.

Seen where a queue is: what waits in the engines and at the edges beyond `target_queue_per_replica`, or is in flight beyond
`target_inflight_per_replica`, of all that are ready. Let B be so many, their number grow by g per
second, the replicas answer m per second, and a start take C seconds. When a replica that is launched now is ready, B + g C wait.
If the last of those would wait longer than a caller's patience P, B + g C > P m, the number moves at once: to so many as keep
up with what arrives and work B off within one start, n (1 + (g + B / C) / m), but no more than one for each of B. Replicas that
start already count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lb.decide.memory import ScalingMemory
from lb.decide.scaling.signals import View
from spec.desired import Service

PATIENCE_S = 60.0
"""How long callers may have to wait in the queue by then; also the quickest start that is reckoned with."""
WATCH_S, LATELY_S = 30.0, 10.0
"""Growth is what goes on: the smaller one of the last ten seconds and the twenty before. So a single wave is none."""
EVERY_S = 5.0
"""At most one value per so many seconds is remembered."""


@dataclass(frozen=True, slots=True)
class Spike:
    """How many units it asks for, at once, and why."""

    wanted: int
    why: str


def noticed(service: Service, view: View, memory: ScalingMemory, now: float) -> ScalingMemory:
    """The memory with the backlog of now; unchanged while that does not change."""
    waiting = backlog(service, view)
    if waiting is None:
        return memory if not memory.backlog else replace(memory, backlog=())
    known = memory.backlog
    if known and (known[-1][1] == waiting or now < known[-1][0] + EVERY_S):
        return memory
    later = [n for n, (at, _) in enumerate(known) if at > now - WATCH_S]
    first = max(0, (later[0] if later else len(known)) - 1)  # the one that was true when the watch began
    return replace(memory, backlog=(*known[first:], (now, waiting)))


def spike(service: Service, view: View, memory: ScalingMemory, now: float) -> Spike | None:
    """What a spike asks for; None where there is none, or nothing to tell it by."""
    waiting, load, ready = backlog(service, view), view.load, sum(view.supply.serving)
    if not waiting or load is None or load.served <= 0 or not ready:
        return None
    growth = _growth(memory, waiting, now)
    start_s = max(PATIENCE_S, view.supply.next.cold_start_s if view.supply.next else 0.0)
    if waiting + growth * start_s <= load.served * PATIENCE_S:
        return None
    each = waiting * view.supply.units.least
    wanted = math.ceil(ready + min(each, ready * (growth + waiting / start_s) / load.served))
    why = (
        f"{waiting:g} requests wait beyond the target, {growth:.2g} more each second, {load.served:g} are answered; "
        f"a start takes {start_s:g} s, so it does not wait for the delay"
    )
    return Spike(wanted, why)


def backlog(service: Service, view: View) -> float | None:
    """Requests beyond what the targets let the replicas take; None where no signal that shows a queue is used, or nobody tells it."""
    scaling, load = service.scaling, view.load
    units, ready = view.supply.units, sum(view.supply.serving)
    found: list[float] = []
    if scaling.target_queue_per_replica is not None:
        told = [view.engines[i].waiting for i in view.supply.ready if i in view.engines]
        known = [n for n in told if n is not None]
        if known:
            queue = sum(known) + (load.held if load else 0)
            found.append(max(0.0, queue - units.takes(scaling.target_queue_per_replica) * ready))
    each = scaling.target_inflight_per_replica
    if each is not None and load is not None:
        found.append(max(0.0, load.active + load.held - units.takes(each) * ready))
    return max(found, default=None)


def _growth(memory: ScalingMemory, waiting: float, now: float) -> float:
    """Requests per second by which the backlog goes on growing; 0 while it shrinks, stands, or jumped once."""
    if not memory.backlog:
        return 0.0
    begun, middle = _value_at(memory, now - WATCH_S), _value_at(memory, now - LATELY_S)
    return max(0.0, min((waiting - middle) / LATELY_S, (middle - begun) / (WATCH_S - LATELY_S)))


def _value_at(memory: ScalingMemory, moment: float) -> float:
    """What was waiting then; before anything is known, what was known first."""
    before = [value for at, value in memory.backlog if at <= moment]
    return before[-1] if before else memory.backlog[0][1]
