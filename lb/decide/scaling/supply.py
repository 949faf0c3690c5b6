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
    rest, by_shape = amount - _ROUNDING, _ByShape(each)
    for number, pool in enumerate(supply.alive):
        if rest <= 0:
            return number
        rest -= by_shape.of(pool) * share
    if rest <= 0:
        return len(supply.alive)
    further = by_shape.of(supply.next) if supply.next else min(each.values())
    return len(supply.alive) + math.ceil(rest / (further * share))


def places(pools: tuple[Pool, ...], each: PerReplica) -> float:
    """What a replica in each of these pools takes, all together."""
    if not isinstance(each, dict):
        return each * len(pools)
    by_shape = _ByShape(each)
    return sum(by_shape.of(pool) for pool in pools)


class _ByShape:
    """What a replica of a pool takes: by `L4:8` before `L4`, in any case; the least of all for one that is not named."""

    def __init__(self, each: dict[str, float]) -> None:
        self._named = {name.casefold().replace(" ", ""): value for name, value in each.items()}
        self._known: dict[tuple[str, int], float] = {}

    def of(self, pool: Pool) -> float:
        shape = pool.accelerator, pool.accelerator_count
        if shape not in self._known:
            name = pool.accelerator.casefold()
            exact = self._named.get(f"{name}:{pool.accelerator_count}")
            least = min(self._named.values())
            self._known[shape] = exact if exact is not None else self._named.get(name, least)
        return self._known[shape]


def in_words(each: PerReplica, share: float) -> str:
    """`2.5 per replica`, `4 per A100, 2 per L4`; with the share that is used of it."""
    used = "" if share == 1 else f", {share:.0%} of it used"
    if isinstance(each, dict):
        return ", ".join(f"{value:g} per {name}" for name, value in each.items()) + used
    return f"{each:g} per replica{used}"
