"""Looks for the cheapest portfolio: all are too many, so a few hundred that are likely are built, and the best is improved step by step.

Candidates are what is held with few changes, and places filled up in the order of their price, for each of a few numbers of
spares and of sets of heavy places.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from lb.decide.portfolio import Counts, Place, Scale, Worth

_MOST_HEAVY = 4
"""Heavy places at a time; a further one adds risk and nothing else, unless the others are full."""
_MOST_STEPS = 8
_MOST_STEPPED = 24
"""Of one replica each, from the best candidate to a better one beside it. With more places one replica matters little."""
_MOST_SAFE = 2
_MOST_RISKY = 6
"""Places without replicas that are looked at: as many of the safe ones, and of the others by price and by risk."""


def choose(
    places: Sequence[Place], needed: int, worth: Worth, *, least_spares: int = 0, least: int = 0, most: int
) -> Counts:
    """The cheapest portfolio that is worth at least `needed` units, of `least` to `most` replicas, as far as there is room.

    With `least_spares` more, unless no place that is chosen can be lost: spares are for losses.
    The order of places does not matter. Cost grows with the number of places that are worth a look (a dozen, and those that
    are held), times the few numbers of spares and sets of heavy places that are tried.
    """
    if needed <= 0:
        return {}
    looked_at = sorted(_worth_a_look(places, most), key=lambda p: (_rate(p), p.short_share, p.id))
    scale = Scale(looked_at, needed, least_spares, worth)
    sets = _sets(looked_at)
    tried = {
        tuple(counts)
        for spares in _spares(looked_at, needed, least_spares, most)
        for counts in _candidates(looked_at, sets, needed + spares, spares)
    }
    if any(p.units > 1 for p in looked_at):
        tried = {_within(looked_at, counts, least, most) for counts in tried}
    best = scale.best(tried)
    for _ in range(_MOST_STEPS if len(looked_at) <= _MOST_STEPPED else 0):
        step = scale.best(_neighbours(looked_at, best[-1], least, most), best)
        if step is best:
            break
        best = step
    return {p.id: n for p, n in zip(looked_at, best[-1], strict=True) if n}


def _rate(place: Place) -> float:
    """USD per hour of the next unit there."""
    return (place.usd_hour + (0.0 if place.held else place.entry_usd_hour)) / place.units


def _worth_a_look(places: Sequence[Place], most: int) -> list[Place]:
    """All that are held, and the best of the others: a portfolio needs few places, and most are worse twins of one.

    As many of each shape, if one is worth more than another; and more where they are small, so that those of each kind have
    room for all replicas, if all of that kind have.
    """
    kept: set[str] = set()
    for units in {p.units for p in places}:
        safe = [p for p in places if not p.short_share and not p.held and p.units == units]
        risky = [p for p in places if p.short_share and not p.held and p.units == units]
        safe.sort(key=lambda p: (p.usd_hour + p.entry_usd_hour, p.id))
        risky.sort(key=lambda p: (p.usd_hour, p.short_share, p.id))
        by_risk = sorted(risky, key=lambda p: (p.short_share, p.usd_hour, p.id))
        firsts = (_first(safe, _MOST_SAFE, most), _first(risky, _MOST_RISKY, most), by_risk[:_MOST_RISKY])
        kept.update(p.id for first in firsts for p in first)
    return [p for p in places if p.held or p.id in kept]


def _first(places: Sequence[Place], number: int, most: int) -> Sequence[Place]:
    """So many of them, or as many as have room for `most`."""
    rooms = itertools.accumulate(p.room for p in places)
    return places[: max(number, 1 + sum(room < most for room in rooms))]


_Set = tuple[Sequence[int], tuple[int, ...]]
"""Places that are filled, by index, and those of them that may hold more than the spares, the one with the least room first."""


def _sets(places: Sequence[Place]) -> list[_Set]:
    """All places, and those of the larger shapes alone, which take few replicas."""
    found, heavy = [], _heavy_sets(places)
    for units in sorted({p.units for p in places}):
        kind = [i for i, p in enumerate(places) if p.units >= units]
        among = heavy if len(kind) == len(places) else {h.intersection(kind): None for h in heavy}
        found += [(kind, _smallest_first(places, h)) for h in among]
    return found


def _heavy_sets(places: Sequence[Place]) -> list[frozenset[int]]:
    """Sets of places, by index, that may hold more than the spares: the least risky, the cheapest, each that is held, all."""
    by_risk = sorted(range(len(places)), key=lambda i: (places[i].short_share, i))
    found = {frozenset(by_risk[:n]) for n in range(_MOST_HEAVY + 1)}
    found |= {frozenset(range(min(n, len(places)))) for n in (1, 2)}
    found |= {frozenset((i,)) for i in [i for i in by_risk if places[i].held][:_MOST_HEAVY]}
    return [*sorted(found, key=sorted), frozenset(by_risk)]


def _smallest_first(places: Sequence[Place], heavy: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(heavy, key=lambda i: (places[i].room * places[i].units, i)))


def _spares(places: Sequence[Place], needed: int, least: int, most: int) -> list[int]:
    """Few of them, and those with which equal parts in two, three, ... places survive the loss of one. In units."""
    units = {p.units for p in places}
    few = (least + n * u for u in units for n in range(4))
    equal = (math.ceil(needed / (k - 1)) for k in range(2, min(len(places), 12) + 1))
    room = max(0, most * max(units, default=1) - needed)
    return sorted({min(e, room) for e in (0, *few, *equal) if e >= least or not e})


def _candidates(places: Sequence[Place], sets: Sequence[_Set], total: int, light: int) -> Iterator[list[int]]:
    yield _stayed(places, total)
    for kind, heavy in sets:
        yield _filled(places, kind, heavy, total, light, lights_first=True)
        if light and 0 < len(heavy) < len(kind):  # else it is the same
            yield _filled(places, kind, heavy, total, light, lights_first=False)


def _within(places: Sequence[Place], counts: Sequence[int], least: int, most: int) -> tuple[int, ...]:
    """The same without the smallest beyond `most`, or with the cheapest up to `least`."""
    changed, beyond = list(counts), sum(counts) - most
    if least <= sum(counts) <= most:
        return tuple(counts)
    for index in sorted(range(len(places)), key=lambda i: (places[i].units, -i)):
        fewer = min(changed[index], max(0, beyond))
        changed[index], beyond = changed[index] - fewer, beyond - fewer
    missing = least - sum(changed)
    for index in sorted(range(len(places)), key=lambda i: (_rate(places[i]) * places[i].units, i)):
        more = min(places[index].room - changed[index], max(0, missing))
        changed[index], missing = changed[index] + more, missing - more
    return tuple(changed)


def _neighbours(places: Sequence[Place], counts: Sequence[int], least: int, most: int) -> Iterator[list[int]]:
    """One replica elsewhere, one more, or one fewer; of another shape, as many as are worth the same."""
    total = sum(counts)
    full, fewest = total >= most, total <= least
    for source in (None, *(i for i, n in enumerate(counts) if n)):
        for target in (None, *range(len(places))):
            if source == target or (source is None and full) or (target is None and fewest):
                continue
            if target is not None and counts[target] >= places[target].room:
                continue
            changed = list(counts)
            if source is not None:
                changed[source] -= 1
            if target is not None:
                changed[target] += 1
            yield changed
            if source is not None and target is not None and places[source].units != places[target].units:
                yield from _exchanged(places, counts, source, target, least=least, most=most)


def _exchanged(
    places: Sequence[Place], counts: Sequence[int], source: int, target: int, *, least: int, most: int
) -> Iterator[list[int]]:
    """A few for as many as are worth the same, or a bit more or less: several small ones for a large one, two large for three."""
    gives, takes = places[source].units, places[target].units
    for fewer in {1, 2, 3, -(-takes // gives), takes // math.gcd(gives, takes)}:
        for more in {fewer * gives // takes, -(-fewer * gives // takes)}:
            changed = list(counts)
            changed[source] -= fewer
            changed[target] += more
            fits = changed[source] >= 0 and changed[target] <= places[target].room
            if fits and least <= sum(changed) <= most:
                yield changed


def _stayed(places: Sequence[Place], total: int) -> list[int]:
    """What is held, with as few changes as give the total: off the dearest and riskiest, on to the best."""
    counts = [p.held for p in places]
    excess = sum(n * p.units for n, p in zip(counts, places, strict=True)) - total
    if excess > 0:
        worst = [(-p.usd_hour / p.units, -p.short_share, -p.held, -i) for i, p in enumerate(places) if p.held]
        heapq.heapify(worst)
        while excess > 0 and worst:
            usd, share, count, index = worst[0]
            if places[-index].units > excess:
                heapq.heappop(worst)
                continue
            counts[-index] -= 1
            excess -= places[-index].units
            if counts[-index]:
                heapq.heapreplace(worst, (usd, share, count + 1, index))
            else:
                heapq.heappop(worst)
        return counts
    for index, place in enumerate(places):  # the cheapest first
        more = min(place.room - counts[index], -(excess // place.units))
        if more > 0:
            counts[index] += more
            excess += more * place.units
    return counts


def _filled(
    places: Sequence[Place],
    kind: Sequence[int],
    heavy: tuple[int, ...],
    total: int,
    light: int,
    *,
    lights_first: bool,
) -> list[int]:
    """`total` units, in the order of the places: up to `light` in each, and the heavy ones share the others."""
    counts = [0] * len(places)
    if not lights_first:
        total -= _shared(places, heavy, total, counts)
    if light:
        for index in kind:
            if total <= 0:
                break
            if index not in heavy:
                room, units = places[index].room, places[index].units
                number = (
                    min(room, light, total) if units == 1 else min(room, light // units, -(-total // units))
                )
                counts[index] = number
                total -= number * units
    if lights_first and total > 0:
        _shared(places, heavy, total, counts)
    return counts


def _shared(places: Sequence[Place], heavy: tuple[int, ...], total: int, counts: list[int]) -> int:
    """Puts equal parts into the heavy places, as far as there is room; returns how many units found some."""
    left = total
    for number, index in enumerate(heavy):
        if left <= 0:
            break
        units, parts = places[index].units, len(heavy) - number
        counts[index] = min(places[index].room, -(-left // (parts * units)))
        left -= counts[index] * units
    return total - left
