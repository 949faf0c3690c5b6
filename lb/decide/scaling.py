"""How many replicas the load asks for, and when the number may follow.

Each signal is a function that says how many replicas it wants and why; the largest wins. The delays mean what they mean
in SkyServe: the signal must ask for more, or for fewer, for the whole delay without interruption. Then the number moves
at once to what was asked for throughout: the smallest of the period on the way up and the largest on the way down, so that
it never overshoots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lb.decide.memory import ScalingMemory
from lb.decide.observed import Load
from spec.desired import Pool, Scaling, Service

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Signal:
    """What one signal asks for: a number of replicas, not limited yet, and why, in words."""

    wanted: int
    why: str


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is.

    Attributes:
        alive: the pool of each replica, in the order in which they would be kept.
        next: where a further one would go; None = nowhere.
        whole: every pool of the service could be observed.

    """

    alive: tuple[Pool, ...] = ()
    next: Pool | None = None
    whole: bool = True


def target(
    service: Service, load: Load | None, supply: Supply, memory: ScalingMemory | None, now: float
) -> tuple[int, ScalingMemory | None, str]:
    """How many replicas should be ready, without spares.

    Args:
        service: whose limits, delays and target of load apply.
        load: of all edges together; None = no edge has told, and the number is held.
        supply: what there is; starting replicas count.
        memory: of the decision before; None = nothing is remembered: then what is alive stays, so that nothing is shed by
            forgetting, and the load moves the number after its delay as ever.
        now: epoch seconds.

    Returns:
        The number, what to remember, and why it changed or can't change; empty when there is nothing to say. Nothing is
        remembered while nothing was and a cloud that may hold more replicas does not answer.

    """
    scaling = service.scaling
    if scaling.target_qps_per_replica is None:
        fixed = _within(scaling, scaling.min_replicas)
        return fixed, ScalingMemory(fixed), ""
    known = memory or ScalingMemory(max(0, len(supply.alive) - scaling.num_overprovision))
    limited = _within(scaling, known.target)
    if memory is None and not supply.whole:
        wanted = 0 if load is None else _strongest(service, load, supply).wanted
        return max(limited, _within(scaling, wanted)), None, ""
    if limited != known.target:
        why = f"its limits are {scaling.min_replicas} and {scaling.max_replicas}"
        return limited, ScalingMemory(limited), _moved(service, known.target, limited, why) if memory else ""
    if load is None:
        held = f"{service.name}: no edge has told of its load, so its number stays {_replicas(limited)}"
        return limited, ScalingMemory(limited), held
    signal = _strongest(service, load, supply)
    wanted = _within(scaling, signal.wanted)
    if limited == 0 and wanted > 0:
        return wanted, ScalingMemory(wanted), _moved(service, 0, wanted, _demand(load))
    after = _after_delay(scaling, known, wanted, now)
    if after.target == limited:
        return limited, after, ""
    delay = scaling.upscale_delay_s if after.target > limited else scaling.downscale_delay_s
    return after.target, after, _moved(service, limited, after.target, f"{signal.why} for {delay:g} s")


def with_spares(scaling: Scaling, needed: int) -> int:
    """The number with `num_overprovision` spares, within the maximum; a service that is not needed has none."""
    return min(needed + scaling.num_overprovision, scaling.max_replicas) if needed else 0


# ---------------------------------------------------------------- the signals


def _strongest(service: Service, load: Load, supply: Supply) -> Signal:
    """The signal that asks for the most."""
    signals = [by_qps(service, load, supply)]
    return max(signals, key=lambda s: s.wanted)


def by_qps(service: Service, load: Load, supply: Supply) -> Signal:
    """Enough replicas for the requests that arrive; one as long as there is any request at all."""
    per_replica = service.scaling.target_qps_per_replica
    assert per_replica is not None
    if isinstance(per_replica, dict):
        wanted = _enough(load.qps, per_replica, supply)
        each = ", ".join(f"{qps:g} per {name}" for name, qps in per_replica.items())
    else:
        wanted = math.ceil(load.qps / per_replica - _ROUNDING)
        each = f"{per_replica:g} per replica"
    asked = load.qps > 0 or load.active > 0 or load.held > 0
    return Signal(max(wanted, int(asked)), f"{load.qps:g} requests/s at {each}")


def _enough(qps: float, per_accelerator: dict[str, float], supply: Supply) -> int:
    """The first of the replicas that together take `qps`, and as many further ones as are missing."""
    rest = qps - _ROUNDING
    for number, pool in enumerate(supply.alive):
        if rest <= 0:
            return number
        rest -= qps_of(pool, per_accelerator)
    if rest <= 0:
        return len(supply.alive)
    each = qps_of(supply.next, per_accelerator) if supply.next else min(per_accelerator.values())
    return len(supply.alive) + math.ceil(rest / each)


def qps_of(pool: Pool, per_accelerator: dict[str, float]) -> float:
    """What a replica of the pool takes: by `L4:8` before `L4`, in any case; the least of all for one that is not named."""
    named = {name.casefold().replace(" ", ""): qps for name, qps in per_accelerator.items()}
    name = pool.accelerator.casefold()
    exact = named.get(f"{name}:{pool.accelerator_count}")
    return exact if exact is not None else named.get(name, min(named.values()))


# ---------------------------------------------------------------- the delays


def _after_delay(scaling: Scaling, memory: ScalingMemory, wanted: int, now: float) -> ScalingMemory:
    """The memory after another look; a look that asks for the other direction, or for neither, starts anew."""
    if wanted == memory.target:
        return ScalingMemory(memory.target)
    more = wanted > memory.target
    since, asked = memory.since, memory.asked
    if since is None or asked is None or (asked > memory.target) != more:
        since, asked = now, wanted
    asked = min(asked, wanted) if more else max(asked, wanted)
    if now - since >= (scaling.upscale_delay_s if more else scaling.downscale_delay_s):
        return ScalingMemory(asked)
    return ScalingMemory(memory.target, since=since, asked=asked)


def _within(scaling: Scaling, wanted: int) -> int:
    return min(max(wanted, scaling.min_replicas), scaling.max_replicas)


# ---------------------------------------------------------------- words


def _moved(service: Service, before: int, after: int, why: str) -> str:
    return f"{service.name}: {before} -> {_replicas(after)}: {why}"


def _replicas(number: int) -> str:
    return f"{number} replica" + ("" if number == 1 else "s")


def _demand(load: Load) -> str:
    if load.held:
        return f"{load.held} held request" + ("" if load.held == 1 else "s")
    return "requests arrive"
