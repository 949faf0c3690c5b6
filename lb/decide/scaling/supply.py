"""What there is of a service's replicas, and what one of them takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spec.desired import Pool
from spec.scaling import PerReplica


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is.

    Attributes:
        alive: the pool of each replica, in the order in which they would be kept.
        next: where a further one would go; None = nowhere.
        whole: every pool of the service could be observed.
        ready: replica ids of those that serve, and `serving` their pools.
        settled: how many of them serve for so long that what callers met in the last minute, they met at these.

    """

    alive: tuple[Pool, ...] = ()
    next: Pool | None = None
    whole: bool = True
    ready: tuple[str, ...] = ()
    serving: tuple[Pool, ...] = ()
    settled: int = 0


_ROUNDING = 1e-9


def enough(amount: float, each: PerReplica, supply: Supply, *, share: float = 1.0) -> int:
    """How many replicas take that amount: of those that there are in their order, and as many further ones as are missing.

    `share`: of what a replica takes that is used at most.
    """
    if not isinstance(each, dict):
        return math.ceil(amount / (each * share) - _ROUNDING)
    rest = amount - _ROUNDING
    for number, pool in enumerate(supply.alive):
        if rest <= 0:
            return number
        rest -= taken_by(pool, each) * share
    if rest <= 0:
        return len(supply.alive)
    further = taken_by(supply.next, each) if supply.next else min(each.values())
    return len(supply.alive) + math.ceil(rest / (further * share))


def taken_by(pool: Pool, each: dict[str, float]) -> float:
    """What a replica of the pool takes: by `L4:8` before `L4`, in any case; the least of all for one that is not named."""
    named = {name.casefold().replace(" ", ""): value for name, value in each.items()}
    name = pool.accelerator.casefold()
    exact = named.get(f"{name}:{pool.accelerator_count}")
    return exact if exact is not None else named.get(name, min(named.values()))


def in_words(each: PerReplica, share: float) -> str:
    """`2.5 per replica`, `4 per A100, 2 per L4`; with the share that is used of it."""
    used = "" if share == 1 else f", {share:.0%} of it used"
    if isinstance(each, dict):
        return ", ".join(f"{value:g} per {name}" for name, value in each.items()) + used
    return f"{each:g} per replica{used}"
