"""How many replicas a service needs now: what its load asks for, at the pace that its behavior allows, within its limits."""

from __future__ import annotations

from dataclasses import replace

from lb.decide.memory import ScalingMemory
from lb.decide.observed import Load
from lb.decide.scaling.forecast import expected, learned
from lb.decide.scaling.pace import allowed, in_words, moved, reached, watched
from lb.decide.scaling.schedule import Floor, floor
from lb.decide.scaling.signals import Signal, View, strongest
from lb.decide.scaling.spike import noticed, spike
from lb.decide.units import REPLICAS, Units
from spec.desired import Service
from spec.scaling import Scaling


def target(
    service: Service, view: View, memory: ScalingMemory | None, now: float
) -> tuple[int, ScalingMemory | None, str]:
    """How many replicas should be ready, without spares.

    Args:
        service: whose limits, delays and targets of load apply.
        view: the load and what there is of replicas. Where no signal is known the number is held.
        memory: of the decision before; None = nothing is remembered: then what is alive stays, so that nothing is shed by
            forgetting, and the load moves the number after its delay as ever.
        now: epoch seconds.

    Returns:
        The number in units, what to remember, and why it changed or can't change; empty when there is nothing to say. Nothing
        is remembered while nothing was and a cloud that may hold more replicas does not answer.

    """
    scaling, low = service.scaling, floor(service.scaling, now)
    if not scaling.follows_load:
        return _fixed(service, low, memory)
    units = view.supply.units
    if memory is not None and memory.least != units.least:
        memory = (
            None  # other shapes, or other figures for them: the numbers of before don't say what is needed
        )
    spares = scaling.num_overprovision * units.least
    known = memory or ScalingMemory(max(0, sum(view.supply.alive) - spares), least=units.least)
    view, low = replace(view, target=known.target), replace(low, replicas=low.replicas * units.least)
    known, signal = learned(service, view, known, now), strongest(service, view)
    low = max(low, expected(service, view, known, now), key=lambda f: f.replicas)
    limited = _within(scaling, low, known.target, units)
    if memory is None and not view.supply.whole:
        return max(limited, _within(scaling, low, signal.wanted if signal else 0, units)), None, ""
    wanted = None if signal is None else _within(scaling, low, signal.wanted, units)
    if limited != known.target:
        why = (
            low.why
            if low.replicas == limited > 0
            else f"its limits are {scaling.min_replicas} and {scaling.max_replicas}"
        )
        after = watched(scaling, moved(scaling, known, limited, now), wanted, now)
        return limited, after, _moved(service, known.target, limited, why, units) if memory else ""
    known = noticed(service, view, known, now)
    if signal is None:
        held = f"{service.name}: nobody tells of its load, so its number stays {units.in_words(limited)}"
        return limited, watched(scaling, known, None, now), held
    after = watched(scaling, known, wanted, now)
    return _moved_on(service, view, signal, after, now)


def with_spares(scaling: Scaling, needed: int, units: Units = REPLICAS) -> int:
    """The number with `num_overprovision` spares, within the maximum; a service that is not needed has none.

    In units: a spare is worth what a replica of the least shape is.
    """
    spares = scaling.num_overprovision * units.least
    return min(needed + spares, scaling.max_replicas * units.most) if needed else 0


def _fixed(service: Service, low: Floor, memory: ScalingMemory | None) -> tuple[int, ScalingMemory, str]:
    """Without signals the limits and the clock say how many there are."""
    number = _within(service.scaling, low, service.scaling.min_replicas, REPLICAS)
    if memory is None or memory.target == number or not service.scaling.schedules:
        return number, ScalingMemory(number), ""
    why = low.why if low.replicas == number > 0 else "no schedule asks for more"
    return number, ScalingMemory(number), _moved(service, memory.target, number, why, REPLICAS)


def _moved_on(
    service: Service, view: View, signal: Signal, memory: ScalingMemory, now: float
) -> tuple[int, ScalingMemory, str]:
    """The number that the load has reached by its delays, by a spike, or because there is none."""
    scaling, before, units = service.scaling, memory.target, view.supply.units
    asked = memory.asked or 0
    if before == 0 and asked > 0:
        return asked, moved(scaling, memory, asked, now), _moved(service, 0, asked, _demand(view.load), units)
    wished = reached(scaling, memory, now)
    delay = scaling.upscale_delay_s if wished > before else scaling.downscale_delay_s
    why = f"{signal.why} for {delay:g} s"
    sudden = spike(service, view, memory, now)
    if sudden is not None and (at_once := min(sudden.wanted, scaling.max_replicas * units.most)) > max(
        before, wished
    ):
        wished, why = at_once, sudden.why
    number = allowed(scaling, memory, wished, now)
    if number == before:
        return before, memory, ""
    if number != wished:
        why += f", {in_words(scaling.scale_up if wished > before else scaling.scale_down)}"
    return number, moved(scaling, memory, number, now), _moved(service, before, number, why, units)


def _within(scaling: Scaling, low: Floor, wanted: int, units: Units) -> int:
    """`low`: in units. So many replicas as it says are held besides, whatever they are worth (lb/decide/placement.py)."""
    least = max(scaling.min_replicas * units.least, low.replicas)
    return min(max(wanted, least), scaling.max_replicas * units.most)


# ---------------------------------------------------------------- words


def _moved(service: Service, before: int, after: int, why: str, units: Units) -> str:
    return f"{service.name}: {before / units.least:g} -> {units.in_words(after)}: {why}"


def _demand(load: Load | None) -> str:
    if load is not None and load.held:
        return f"{load.held} held request" + ("" if load.held == 1 else "s")
    return "requests arrive"
