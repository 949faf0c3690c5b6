"""How many replicas are held in which places: a portfolio, and what it costs with its risk of falling short.

A portfolio of `needed + spares` replicas falls short only when a place is lost that holds more than the spares. So places
are of two kinds: *light* ones hold at most the spares and may be as risky as they like, *heavy* ones hold the rest and
should be old. What it costs is its price, what it would cost to get there, and the time that it is expected to be short,
at a price per hour that follows from the target of availability.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul

_MOST_PAIRED = 12
"""Places that can be lost two at a time; of more, two matter little."""
_NONE_POWER = 4
"""With a lower one two places of three and one would hardly be better than one place of three."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where replicas can be held.

    Attributes:
        id: of its pool.
        usd_hour: of one replica.
        hazard: losses per second; 0 of capacity that is not taken away.
        short_s: how long a replica that is lost here is missed: a cold start.
        held: replicas that are here now, or on their way.
        room: how many it can hold at most, those included.
        units: what a replica here is worth: 1, unless shapes differ in what they take.
        entry_usd_hour: what it takes to bring one more here, for each hour that it will probably stay.

    """

    id: str
    usd_hour: float
    hazard: float
    short_s: float
    held: int
    room: int
    entry_usd_hour: float = 0.0
    units: int = 1

    @property
    def short_share(self) -> float:
        """The share of time that the loss of this place leaves it missing."""
        return self.hazard * self.short_s


@dataclass(frozen=True, slots=True)
class Worth:
    """What being short costs, USD per hour: of fewer than needed, and again of none at all, which falls with the fourth power
    of the share that is missing.
    """

    short_usd_hour: float
    none_usd_hour: float


Counts = dict[str, int]
"""Replicas by place."""

_Weight = tuple[int, float, int, list[int], tuple[int, ...]]
"""Of a portfolio; the best one has the least."""
_NONE_YET: _Weight = (sys.maxsize, math.inf, 0, [], ())


class Scale:
    """Weighs portfolios of the same places, given as counts in their order."""

    def __init__(self, places: Sequence[Place], needed: int, least_spares: int, worth: Worth) -> None:
        self._places = [(p.usd_hour, p.short_share, p.held, p.entry_usd_hour) for p in places]
        self._units = [p.units for p in places] if any(p.units > 1 for p in places) else None
        self._needed, self._least_spares = needed, least_spares
        self._short, self._none = worth.short_usd_hour, worth.none_usd_hour

    def best(self, portfolios: Iterable[Sequence[int]], best: _Weight = _NONE_YET) -> _Weight:
        """The best of them, and of the one that is the best so far."""
        for counts in portfolios:
            best = min(best, self.weigh(counts, best))
        return best

    def weigh(self, counts: Sequence[int], best: _Weight = _NONE_YET) -> _Weight:
        """How many it lacks, USD per hour, then what decides between equals: fewer in all, and those in the earlier places.

        One that costs more than the `best` so far already without its risk is not weighed further: then that is returned.
        """
        units = counts if self._units is None else list(map(mul, counts, self._units))
        total, needed = sum(units), self._needed
        usd = short = none = 0.0
        risky: list[tuple[float, int]] = []
        covered: list[tuple[float, int]] = []
        for count, worth, (usd_hour, share, held, entry) in zip(counts, units, self._places, strict=True):
            if not count:
                continue
            usd += count * usd_hour
            if count > held:
                usd += (count - held) * entry
            if share:
                risky.append((share, worth))
        lacking = max(0, needed + (self._least_spares if risky else 0) - total)
        if (lacking, usd) > best[:2]:
            return best
        spares = total - needed
        for share, count in risky:
            if count > spares:
                short += share
                none += share * ((count - spares) / needed) ** _NONE_POWER
            else:
                covered.append((share, count))
        if len(covered) <= _MOST_PAIRED:
            for (share, count), (other_share, other) in itertools.combinations(covered, 2):
                missing = count + other - spares
                if missing > 0:
                    short += share * other_share
                    none += share * other_share * (missing / needed) ** _NONE_POWER
        usd += self._short * min(1.0, short) + self._none * min(1.0, none)
        return lacking, usd, total, [-n for n in counts], tuple(counts)
