"""What there is of a service's replicas, in units of what they take, and how many replicas a number of units is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lb.decide.units import REPLICAS, Units
from spec.desired import Pool
from spec.scaling import PerReplica

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is.

    Attributes:
        alive: units of each replica, in the order in which they would be kept.
        next: where a further one would go; None = nowhere.
        whole: every pool of the service could be observed.
        ready: replica ids of those that serve, and `serving` their units.
        settled: units of those that serve for so long that what callers met in the last minute, they met at these.
        units: what replicas are worth.

    """

    alive: tuple[int, ...] = ()
    next: Pool | None = None
    whole: bool = True
    ready: tuple[str, ...] = ()
    serving: tuple[int, ...] = ()
    settled: int = 0
    units: Units = REPLICAS

    def enough(self, amount: float, each: PerReplica, *, share: float = 1.0) -> int:
        """How many units take that amount. `share`: of what they take that is used at most."""
        return math.ceil(amount / (self.units.takes(each) * share) - _ROUNDING)

    def replicas(self, needed: int) -> int:
        """How many replicas are so many units: of those that there are in their order, and further ones where the next would go."""
        for number, units in enumerate(self.alive):
            if needed <= 0:
                return number
            needed -= units
        further = self.units.of(self.next) if self.next else self.units.least
        return len(self.alive) + max(0, math.ceil(needed / further))


def in_words(each: PerReplica, share: float) -> str:
    """`2.5 per replica`, `4 per A100, 2 per L4`; with the share that is used of it."""
    used = "" if share == 1 else f", {share:.0%} of it used"
    if isinstance(each, dict):
        return ", ".join(f"{value:g} per {name}" for name, value in each.items()) + used
    return f"{each:g} per replica{used}"
