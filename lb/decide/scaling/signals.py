"""The signals: how many replicas each measure of the load wants, in units, and why; the largest wins.

Two kinds. Requests per second and in flight, the KV cache and GPUs grow with the load, so what they say is right in both
directions, as with the Kubernetes HPA. A queue and the time to first byte say that replicas are too few, but an empty queue
does not say how many are too many: below half of their target they leave that to the first kind, and where there is none of it
they want one replica fewer, so that the number is felt down one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lb.decide.observed import EngineLoad, Load
from lb.decide.scaling.supply import Supply, in_words
from spec.desired import Service
from spec.scaling import PerReplica

TOLERANCE = 0.1
"""How far a share, a queue or a time may be off its target before it asks for another number; the HPA's default."""
QUIET = 0.5
"""Below this part of its target a queue or a time to first byte has room for one replica fewer."""
LARGEST_STEP = 2.0
"""Times and what is in flight grow without limit where replicas are saturated: they double the number of the ready ones at most."""
QUICKEST_START_S = 60.0
"""No start is reckoned with as quicker."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Signal:
    """What one signal asks for: a number of units, not limited yet, and why, in words."""

    wanted: int
    why: str


@dataclass(frozen=True, slots=True)
class View:
    """What is known of a service's load, and of what serves it.

    Attributes:
        load: at all edges together; None = no edge has told.
        engines: what the replicas tell of themselves, by replica id.
        supply: what there is; starting replicas count.
        target: the number of now, in units, without spares.

    """

    load: Load | None = None
    engines: Mapping[str, EngineLoad] = field(default_factory=dict)
    supply: Supply = field(default_factory=Supply)
    target: int = 0

    @property
    def asked(self) -> bool:
        """Whether there is any request at all, as far as the edges tell."""
        load = self.load
        return load is not None and (load.qps > 0 or load.active > 0 or load.held > 0)


def strongest(service: Service, view: View) -> Signal | None:
    """The signal that asks for the most, and one replica at least while there is any request; None = nobody tells anything.

    While only some are told, those may ask for more; nothing is given up for what is not known.
    """
    found = list(signals(service, view))
    known = [s for s in found if s is not None]
    if not known:
        return None
    if len(known) < len(found):
        known.append(Signal(view.target, "another signal is not known"))
    first = max(known, key=lambda s: s.wanted)
    least = int(view.asked) if view.load is not None else min(view.target, 1)
    return Signal(max(first.wanted, least), first.why)


def signals(service: Service, view: View) -> Iterator[Signal | None]:
    """What each signal of the service asks for; None where it is not told."""
    scaling = service.scaling
    kinds: tuple[tuple[object, Callable[[Service, View], Signal | None]], ...] = (
        (scaling.target_qps_per_replica, by_qps),
        (scaling.target_inflight_per_replica, by_in_flight),
        (scaling.target_queue_per_replica, by_queue),
        (scaling.target_kv_cache_utilization, by_kv_cache),
        (scaling.target_gpu_utilization, by_gpu),
        (scaling.target_ttft_ms, by_ttft),
    )
    for given, ask in kinds:
        if given is not None:
            yield ask(service, view)


# ---------------------------------------------------------------- what grows with the load


def by_qps(service: Service, view: View) -> Signal | None:
    """Enough replicas for the requests that arrive."""
    each = service.scaling.target_qps_per_replica
    if view.load is None or each is None:
        return None
    return _by_amount(service, view, view.load.qps, each, f"{view.load.qps:g} requests/s")


def by_in_flight(service: Service, view: View) -> Signal | None:
    """Enough replicas for the requests that are in the works on average, and for all that are held."""
    each = service.scaling.target_inflight_per_replica
    if view.load is None or each is None:
        return None
    in_flight = max(view.load.in_flight, float(view.load.held))
    found = _by_amount(service, view, in_flight, each, f"{in_flight:g} requests in flight")
    ready = sum(view.supply.serving)
    beyond = max(0.0, in_flight - view.supply.units.takes(each) * ready)
    most = max(LARGEST_STEP * (ready or view.target), _catching_up(view, beyond) if ready else 0.0)
    if view.target > 0:
        return Signal(math.ceil(min(found.wanted, max(view.target, most))), found.why)
    return found


def by_kv_cache(service: Service, view: View) -> Signal | None:
    """As many replicas as share the used KV cache at the target."""
    goal = service.scaling.target_kv_cache_utilization
    return (
        None
        if goal is None
        else _by_share(service, view, [e.kv_cache for e in _ready(view)], goal, "KV cache")
    )


def by_gpu(service: Service, view: View) -> Signal | None:
    """As many replicas as share the GPUs' work at the target."""
    goal = service.scaling.target_gpu_utilization
    return None if goal is None else _by_share(service, view, [e.gpu for e in _ready(view)], goal, "GPUs")


def _by_amount(service: Service, view: View, amount: float, each: PerReplica, what: str) -> Signal:
    """Without any tolerance but one that is given: requests are counted, not measured."""
    scaling = service.scaling
    share = 1.0 if scaling.target_utilization is None else scaling.target_utilization

    def number(of: float) -> int:
        return view.supply.enough(of, each, share=share)

    wanted, why = number(amount), f"{what} at {in_words(each, share)}"
    up = scaling.scale_up.tolerance or 0.0 if scaling.scale_up else 0.0
    down = scaling.scale_down.tolerance or 0.0 if scaling.scale_down else 0.0
    if wanted > view.target >= number(amount / (1 + up)) or wanted < view.target <= number(
        amount * (1 + down)
    ):
        return Signal(view.target, why)
    return Signal(wanted, why)


def _by_share(
    service: Service, view: View, told: Sequence[float | None], goal: float, of_what: str
) -> Signal | None:
    if not told:
        return _nobody_serves(view)
    units = view.supply.serving
    used = _sum_of([None if t is None else t * n for t, n in zip(told, units, strict=True)], units, goal)
    if used is None:
        return None
    known = [share for share in told if share is not None]
    why = f"{of_what} {sum(known) / len(known):.0%} used at {goal:.0%}"
    if _within_tolerance(service, used / (goal * sum(units))):
        return Signal(view.target, why)
    return Signal(math.ceil(used / goal - _ROUNDING), why)


def _sum_of(told: Sequence[float | None], units: Sequence[int], goal: float) -> float | None:
    """What all replicas tell, together; None = none of them tells. `goal`: of a unit.

    As the HPA has it: a replica that does not tell counts as idle when more are asked for, but never beyond the number
    of now, and as at its target when fewer are.
    """
    known = [value for value in told if value is not None]
    if not known:
        return None
    missing, used = sum(n for t, n in zip(told, units, strict=True) if t is None), sum(known)
    if missing and used <= goal * (sum(units) - missing):
        return used + missing * goal
    return max(used, goal * sum(units)) if missing else used


def _nobody_serves(view: View) -> Signal | None:
    """At zero there is nothing to measure; at any other time it is not known what replicas would tell."""
    return Signal(0, "nobody asks") if view.target == 0 else None


def _ready(view: View) -> list[EngineLoad]:
    """What each replica that serves tells; one that tells nothing stands in with nothing."""
    return [view.engines.get(i, EngineLoad(i)) for i in view.supply.ready]


# ---------------------------------------------------------------- what says that there are too few


def by_queue(service: Service, view: View) -> Signal | None:
    """As many replicas as have the waiting requests at the target each; held ones wait, too."""
    target, ready, units = service.scaling.target_queue_per_replica, _ready(view), view.supply.serving
    if target is None:
        return None
    goal = view.supply.units.takes(target)
    held = view.load.held if view.load else 0
    if not ready:
        return Signal(math.ceil(held / goal), f"{held} requests held") if held else _nobody_serves(view)
    waiting = _sum_of([e.waiting for e in ready], units, goal)
    if waiting is None:
        return None
    shown = sum(e.waiting or 0 for e in ready) + held
    why = f"{shown} request{'' if shown == 1 else 's'} waiting at {target:g} per replica"
    total = waiting + held
    ratio = total / (goal * sum(units))
    if ratio > 1 and not _within_tolerance(service, ratio):
        most = _catching_up(view, total - goal * sum(units))
        return Signal(max(view.target, math.ceil(min(total / goal, most) - _ROUNDING)), why)
    return Signal(
        _felt_down(service, view, ratio, idle=total == 0 and not any(e.running for e in ready)), why
    )


def by_ttft(service: Service, view: View) -> Signal | None:
    """More replicas while callers wait too long for the first byte; twice as many at most.

    Only replicas that served during the whole minute in which it was measured count: those that came in its course
    did not cause it.
    """
    goal, load, settled = service.scaling.target_ttft_ms, view.load, view.supply.settled
    if goal is None or load is None:
        return None
    if load.ttft_ms is None:
        if load.in_flight > load.served * 60:
            return None  # more are in the works than were answered in a minute: they may all be waiting
        return Signal(
            _felt_down(service, view, 0.0, idle=not view.asked),
            "too few answers to tell their time to first byte",
        )
    ratio = load.ttft_ms / goal
    why = f"95 % of answers begin within {load.ttft_ms:g} ms at {goal:g} ms"
    if ratio > 1 and not _within_tolerance(service, ratio):
        return Signal(max(view.target, math.ceil(settled * min(ratio, LARGEST_STEP) - _ROUNDING)), why)
    return Signal(_felt_down(service, view, ratio, idle=not view.asked), why)


def _catching_up(view: View, beyond: float) -> float:
    """How many units keep up with what arrives, and work what waits beyond the target off within one start.

    What waits is a stock: it goes on growing while replicas start, and says nothing of how many are needed to serve what comes.
    The ready ones answer what they can, so their rate is known.
    """
    load, ready = view.load, sum(view.supply.serving)
    if load is None or load.served <= 0:
        return LARGEST_STEP * ready
    start_s = max(QUICKEST_START_S, view.supply.next.cold_start_s if view.supply.next else 0.0)
    return ready * (load.qps + beyond / start_s) / load.served


def _felt_down(service: Service, view: View, ratio: float, *, idle: bool) -> int:
    """What there is; where there is room what other signals say, or alone one fewer, down to one while anybody asks."""
    if ratio >= QUIET:
        return view.target
    if service.scaling.counts_load:
        return 0
    one = min(view.supply.alive, default=view.supply.units.least)
    return 0 if idle and not view.asked else max(1, view.target - one)


# ---------------------------------------------------------------- room


def _within_tolerance(service: Service, ratio: float) -> bool:
    up, down = service.scaling.scale_up, service.scaling.scale_down
    above = TOLERANCE if up is None or up.tolerance is None else up.tolerance
    below = TOLERANCE if down is None or down.tolerance is None else down.tolerance
    return 1 - below - _ROUNDING <= ratio <= 1 + above + _ROUNDING
