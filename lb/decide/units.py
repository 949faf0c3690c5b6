"""What a replica is worth where shapes differ: as many units as it takes times what one of the least shape takes.

A service that says what a replica takes by accelerator needs capacity and not a number of replicas, so its load, its portfolio
and what may leave are counted in units, whole ones, which don't change when replicas move to another shape. Where nothing is
said by shape a unit is a replica. Limits (`min_replicas`, `max_replicas`, `surge`) are replicas everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from spec.desired import Pool
from spec.scaling import PerReplica, Scaling

Shape = tuple[str, int]
"""Accelerator and count."""

_FINEST = 12
"""Shapes are told apart to halves, thirds, ... of the least one: what a replica takes is known no better, and the number
needed would follow every breath of the load."""


@dataclass(frozen=True, slots=True)
class Units:
    """What replicas of a service are worth.

    Attributes:
        of_shape: units of a replica, by shape of its pools.
        least: of a replica of the least shape; what is told for each replica holds for this one.

    """

    of_shape: Mapping[Shape, int] = field(default_factory=dict)
    least: int = 1

    def of(self, pool: Pool) -> int:
        """Units of a replica of this pool."""
        if not self.of_shape:
            return self.least
        return self.of_shape.get((pool.accelerator, pool.accelerator_count), self.least)

    @property
    def mixed(self) -> bool:
        """Whether a replica of one pool is worth more than one of another."""
        return bool(self.of_shape) and self.most > 1

    @property
    def most(self) -> int:
        """Of a replica of the largest shape."""
        return max(self.of_shape.values()) if self.of_shape else self.least

    def takes(self, each: PerReplica) -> float:
        """What one unit takes, of a target that says what a replica does."""
        if not isinstance(each, dict):
            return each / self.least
        named = _Named(each)
        return min((named.of(shape) for shape in self.of_shape), default=named.least) / self.least

    def in_words(self, number: int) -> str:
        """`3 replicas`; as many of the least shape where shapes differ: `4.5 x L4`."""
        if not self.mixed:
            return f"{number} replica" + ("" if number == 1 else "s")
        accelerator, count = min(self.of_shape, key=lambda s: (self.of_shape[s], s))
        return f"{number / self.least:g} x {accelerator}" + (f":{count}" if count > 1 else "")


REPLICAS = Units()
"""Every replica is one."""


def units_of(scaling: Scaling, pools: Iterable[Pool]) -> Units:
    """By the targets that say what a replica takes by accelerator; by the smaller one where two don't agree."""
    told = [
        _Named(each)
        for each in (scaling.target_qps_per_replica, scaling.target_inflight_per_replica)
        if isinstance(each, dict)
    ]
    shapes = {(p.accelerator, p.accelerator_count): None for p in pools} if told else {}
    if not shapes:
        return REPLICAS
    leasts = [(named, min(map(named.of, shapes))) for named in told]
    times = {shape: min(_times(named.of(shape), least) for named, least in leasts) for shape in shapes}
    least = math.lcm(*(t.denominator for t in times.values()))
    return Units({shape: int(t * least) for shape, t in times.items()}, least)


def _times(takes: float, least: float) -> Fraction:
    return Fraction(takes / least).limit_denominator(_FINEST)


class _Named:
    """What a replica takes by shape: by `L4:8` before `L4`, in any case; the least of all for one that is not named."""

    def __init__(self, each: dict[str, float]) -> None:
        self._named = {name.casefold().replace(" ", ""): value for name, value in each.items()}
        self.least = min(each.values())

    def of(self, shape: Shape) -> float:
        name = shape[0].casefold()
        exact = self._named.get(f"{name}:{shape[1]}")
        return exact if exact is not None else self._named.get(name, self.least)
