"""Which places to hold, and how many replicas in each: the cheapest portfolio for the risk of falling short.

A portfolio of `needed + spares` replicas falls short only when a place is lost that holds more than the spares. So places
are of two kinds: *light* ones hold at most the spares and may be as risky as they like, *heavy* ones hold the rest and
should be old. What it costs is its price, what it would cost to get there, and the time that it is expected to be short,
at a price per hour that follows from the target of availability.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MOST_HEAVY = 4
"""Heavy places at a time; a further one adds risk and nothing else, unless the others are full."""


_MOST_STEPS = 8
"""Of one replica each, from the best candidate to a better one beside it."""
_MOST_SAFE = 2
_MOST_RISKY = 6
"""Places without replicas that are looked at: as many of the safe ones, and of the others by price and by risk."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where replicas can be held.

    Attributes:
        id: of its pool.
        usd_hour: of one replica.
        hazard: losses per second; 0 of capacity that is not taken away.
        short_s: how long a replica that is lost here is missed: a cold start, less the notice.
        held: replicas that are here now, or on their way.
        room: how many it can hold at most, those included.
        entry_usd: what it takes to bring one more here: the launch, and the risk that there is none.

    """

    id: str
    usd_hour: float
    hazard: float
    short_s: float
    held: int
    room: int
    entry_usd: float = 0.0

    @property
    def short_share(self) -> float:
        """The share of time that the loss of this place leaves it missing."""
        return self.hazard * self.short_s


@dataclass(frozen=True, slots=True)
class Worth:
    """What being short costs, USD per hour: of fewer than needed, and again of none at all, which falls with the square of
    the share that is missing. `horizon_h`: over which time a move has to pay, hours.
    """

    short_usd_hour: float
    none_usd_hour: float
    horizon_h: float


Counts = dict[str, int]
"""Replicas by place."""


def choose(places: Sequence[Place], needed: int, worth: Worth, *, least_spares: int = 0, most: int) -> Counts:
    """The cheapest portfolio of at least `needed` replicas, at most `most`, as far as there is room.

    With `least_spares` more, unless no place that is chosen can be lost: spares are for losses.
    The order of places does not matter. Cost grows with the number of places that are worth a look (a dozen, and those that
    are held), times the few numbers of spares and sets of heavy places that are tried.
    """
    if needed <= 0:
        return {}
    looked_at = sorted(_worth_a_look(places), key=lambda p: (_rate(p, worth), p.short_share, p.id))
    sets = _heavy_sets(looked_at)

    def key(counts: list[int]) -> tuple[int, float, int, list[int], list[int]]:
        total = sum(counts)
        risky = any(n and p.short_share for p, n in zip(looked_at, counts, strict=True))
        lacking = max(0, needed + (least_spares if risky else 0) - total)
        first = [-n for n in counts]  # of equals, the one in the earlier places
        return lacking, _cost(looked_at, counts, total, needed, worth), total, first, counts

    best = min(
        key(counts)
        for spares in _spares(len(looked_at), needed, least_spares, most)
        for counts in _candidates(looked_at, sets, needed + spares, spares)
    )
    for _ in range(_MOST_STEPS):
        step = min((key(c) for c in _neighbours(looked_at, best[-1], most)), default=best)
        if step >= best:
            break
        best = step
    return {p.id: n for p, n in zip(looked_at, best[-1], strict=True) if n}


def cost(places: Sequence[Place], counts: Counts, needed: int, worth: Worth) -> float:
    """USD per hour of a portfolio, with moves spread over the horizon."""
    numbers = [counts.get(p.id, 0) for p in places]
    return _cost(places, numbers, sum(numbers), needed, worth)


def _cost(places: Sequence[Place], counts: Sequence[int], total: int, needed: int, worth: Worth) -> float:
    usd = short = none = entry = 0.0
    for place, count in zip(places, counts, strict=True):
        if not count:
            continue
        usd += count * place.usd_hour
        if count > place.held:
            entry += (count - place.held) * place.entry_usd
        missing = needed - (total - count)
        if missing > 0:
            short += place.hazard * place.short_s
            none += place.hazard * place.short_s * (missing / needed) ** 2
    risk = worth.short_usd_hour * min(1.0, short) + worth.none_usd_hour * min(1.0, none)
    return usd + entry / worth.horizon_h + risk


def _rate(place: Place, worth: Worth) -> float:
    """USD per hour of the next replica there."""
    return place.usd_hour + (0.0 if place.held else place.entry_usd / worth.horizon_h)


def _worth_a_look(places: Sequence[Place]) -> list[Place]:
    """All that are held, and the best of the others: a portfolio needs few places, and most are worse twins of one."""
    safe = [p for p in places if not p.short_share and not p.held]
    risky = [p for p in places if p.short_share and not p.held]
    safe.sort(key=lambda p: (p.usd_hour + p.entry_usd, p.id))
    risky.sort(key=lambda p: (p.usd_hour, p.short_share, p.id))
    by_risk = sorted(risky, key=lambda p: (p.short_share, p.usd_hour, p.id))
    kept = {p.id for p in (*safe[:_MOST_SAFE], *risky[:_MOST_RISKY], *by_risk[:_MOST_RISKY])}
    return [p for p in places if p.held or p.id in kept]


def _heavy_sets(places: Sequence[Place]) -> list[frozenset[int]]:
    """Sets of places, by index, that may hold more than the spares: the least risky, the cheapest, each that is held, all."""
    by_risk = sorted(range(len(places)), key=lambda i: (places[i].short_share, i))
    found = {frozenset(by_risk[:n]) for n in range(_MOST_HEAVY + 1)}
    found |= {frozenset(range(min(n, len(places)))) for n in (1, 2)}
    found |= {frozenset((i,)) for i in by_risk if places[i].held}
    return [*sorted(found, key=sorted), frozenset(by_risk)]


def _spares(places: int, needed: int, least: int, most: int) -> list[int]:
    """Few of them, and those with which equal parts in two, three, ... places survive the loss of one."""
    few = range(least, least + 4)
    equal = (math.ceil(needed / (k - 1)) for k in range(2, min(places, 12) + 1))
    return sorted({max(0, min(e, most - needed)) for e in (0, *few, *equal) if e >= least or not e})


def _candidates(
    places: Sequence[Place], sets: Sequence[frozenset[int]], total: int, light: int
) -> Iterator[list[int]]:
    yield _stayed(places, total)
    for heavy in sets:
        yield _filled(places, heavy, total, light, lights_first=True)
        if heavy:
            yield _filled(places, heavy, total, light, lights_first=False)


def _neighbours(places: Sequence[Place], counts: list[int], most: int) -> Iterator[list[int]]:
    """One replica elsewhere, one more, or one fewer."""
    full = sum(counts) >= most
    for source in (None, *(i for i, n in enumerate(counts) if n)):
        for target in (None, *range(len(places))):
            if source == target or (source is None and full):
                continue
            if target is not None and counts[target] >= places[target].room:
                continue
            changed = list(counts)
            if source is not None:
                changed[source] -= 1
            if target is not None:
                changed[target] += 1
            yield changed


def _stayed(places: Sequence[Place], total: int) -> list[int]:
    """What is held, with as few changes as give the total: off the dearest and riskiest, on to the best."""
    counts = [p.held for p in places]
    order = range(len(places))  # the cheapest first
    while sum(counts) > total:
        index = max(
            (i for i in order if counts[i]),
            key=lambda i: (places[i].usd_hour, places[i].short_share, counts[i], i),
        )
        counts[index] -= 1
    for index in order:
        more = min(places[index].room - counts[index], total - sum(counts))
        counts[index] += max(0, more)
    return counts


def _filled(
    places: Sequence[Place], heavy: frozenset[int], total: int, light: int, *, lights_first: bool
) -> list[int]:
    """`total` replicas, in the order of the places: up to `light` in each, and the heavy ones share the others."""
    counts = [0] * len(places)
    if not lights_first:
        total -= _shared(places, heavy, total, counts)
    if light:
        for index, place in enumerate(places):
            if total <= 0:
                break
            if index not in heavy:
                counts[index] = min(place.room, light, total)
                total -= counts[index]
    if lights_first and total > 0:
        _shared(places, heavy, total, counts)
    return counts


def _shared(places: Sequence[Place], heavy: frozenset[int], total: int, counts: list[int]) -> int:
    """Puts equal parts into the heavy places, as far as there is room; returns how many found some."""
    left = total
    by_room = sorted(heavy, key=lambda i: (places[i].room, i))
    for number, index in enumerate(by_room):
        counts[index] = min(places[index].room, math.ceil(left / (len(by_room) - number)))
        left -= counts[index]
    return total - left
