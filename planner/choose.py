"""Which of the ranked places become pools, so that capacity that dries up in one is found in another.

Spot capacity comes and goes by zone, so a spot service gets many pools: the cheapest regions of the clouds in turn, and
in those a pool in every zone before a second shape in any. A pool of size 0 costs nothing, so spreading is free; the
controller starts with the cheapest. On-demand capacity is mostly there, so a few pools are enough: the cheapest place
and its nearest replacements by price.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from catalog.load import Offer
from planner.rank import Place
from spec.names import Market

ON_DEMAND_POOLS = 3
"""Pools of on-demand capacity: one that is used and two for the day when it is refused."""
POOLS_PER_REGION = 2
MIX_RATIO = 1.25
"""Types in one spot pool cost at most this much more than its cheapest: depth of capacity against certainty of price."""
MIXES_TYPES = frozenset({"aws"})
"""Clouds whose zonal groups hold several instance types; a group of GCP or Azure holds one."""

Region = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pool that could be: places of one shape in one zone and one market, cheapest first."""

    places: tuple[Place, ...]

    @property
    def best(self) -> Place:
        """The cheapest place."""
        return self.places[0]

    @property
    def price(self) -> float:
        """USD per hour of the dearest place: what the pool may cost, and what it is ranked by once chosen."""
        return max(p.price for p in self.places)

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What the pool's group may launch, cheapest first."""
        return tuple(p.offer for p in self.places)

    @property
    def region(self) -> Region:
        """(cloud, region)."""
        return self.best.offer.cloud, self.best.offer.region

    @property
    def zone(self) -> tuple[str, str, str]:
        """(cloud, region, zone)."""
        return *self.region, self.best.offer.zone or ""


def candidates(places: Iterable[Place]) -> tuple[Candidate, ...]:
    """Groups ranked places into would-be pools, in the rank order of their cheapest."""
    groups: dict[tuple[object, ...], list[Place]] = {}
    for p in places:
        o = p.offer
        key = (p.market, o.cloud, o.region, o.zone, o.accelerator, o.accelerator_count)
        group = groups.setdefault(key, [])
        if not group or _mixes(group[0], p):
            group.append(p)
    return tuple(Candidate(tuple(group)) for group in groups.values())


def _mixes(cheapest: Place, other: Place) -> bool:
    return (
        other.market is Market.SPOT
        and other.offer.cloud in MIXES_TYPES
        and other.preference == cheapest.preference
        and other.price <= cheapest.price * MIX_RATIO
    )


def choose(
    ranked: Sequence[Candidate],
    on_demand: Sequence[Candidate],
    *,
    fallback: bool,
    max_pools: int,
    max_regions: int,
    opened: frozenset[Region],
) -> tuple[Candidate, ...]:
    """The pools of one service, in rank order; none when no candidate is in a region that may be used.

    Args:
        ranked: candidates that the file asks for, best first.
        on_demand: what the same machines cost on demand, best first: what spot is measured by.
        fallback: whether a spot service also gets pools of `on_demand`.
        max_pools: of this service.
        max_regions: of the environment; a region of `opened` counts already, whoever uses it.
        opened: regions that the environment has anyway.

    """
    wants_both = fallback or any(c.best.market is not Market.SPOT for c in ranked)
    reserve = min(ON_DEMAND_POOLS, max_pools - 1) if wants_both else 0
    regions = _Regions(opened, max_regions)
    chosen: list[Candidate] = []
    for preference in sorted({c.best.preference for c in ranked}):
        group = _not_cheaper(chosen, [c for c in ranked if c.best.preference == preference])
        spot = _bargains([c for c in group if c.best.market is Market.SPOT], on_demand)
        few = [c for c in group if c.best.market is not Market.SPOT]
        chosen += _spread(spot, max_pools - reserve - len(chosen), regions)
        chosen += _few(few, min(ON_DEMAND_POOLS, max_pools - len(chosen)), regions)
    if fallback and any(c.best.market is Market.SPOT for c in chosen):
        more = [c for c in on_demand if c not in chosen]
        near = [c for c in more if c.region in regions.open]
        chosen += _few(near or more, min(ON_DEMAND_POOLS, max_pools - len(chosen)), regions)
    return tuple(sorted(chosen, key=lambda c: (c.best.preference, c.price, c.best.rank)))


class _Regions:
    """The regions in use, which may not become more than a limit."""

    def __init__(self, opened: frozenset[Region], limit: int) -> None:
        self.open = set(opened)
        self._limit = limit

    def enter(self, region: Region) -> bool:
        """Opens a region if it is not yet open and one more is allowed; whether it is open now."""
        if region not in self.open and len(self.open) < self._limit:
            self.open.add(region)
        return region in self.open


def _not_cheaper(chosen: Sequence[Candidate], later: list[Candidate]) -> list[Candidate]:
    """A later choice of an `ordered` file gets pools only where it is not cheaper than the earlier ones.

    The controller goes by price, so a cheaper later choice would win over what the user prefers.
    """
    floor = max((c.price for c in chosen), default=0.0)
    return [c for c in later if c.best.price >= floor]


def _bargains(spot: list[Candidate], on_demand: Sequence[Candidate]) -> list[Candidate]:
    """Spot capacity that costs as much as on demand is none; kept when there is nothing else."""
    limit = min((c.best.price for c in on_demand), default=float("inf"))
    return [c for c in spot if c.price < limit] or spot


def _spread(ranked: Sequence[Candidate], pools: int, regions: _Regions) -> list[Candidate]:
    """Many pools: over clouds, then regions, then zones, then shapes."""
    regions_of_clouds = _in_turns(dict.fromkeys(c.region for c in ranked), lambda region: region[0])
    entered = set(itertools.islice(filter(regions.enter, regions_of_clouds), max(pools, 0)))
    layers = _layers(c for c in ranked if c.region in entered)
    picked = itertools.chain.from_iterable(_in_turns(layer, lambda c: c.region) for layer in layers)
    return list(itertools.islice(picked, max(pools, 0)))


def _layers(ranked: Iterable[Candidate]) -> list[list[Candidate]]:
    """First the cheapest candidate of every zone, then every zone's second, and so on."""
    seen: dict[object, int] = {}
    layers: list[list[Candidate]] = []
    for c in ranked:
        depth = seen[c.zone] = seen.get(c.zone, -1) + 1
        if depth == len(layers):
            layers.append([])
        layers[depth].append(c)
    return layers


def _in_turns(items: Iterable[T], group_of: Callable[[T], object]) -> Iterator[T]:
    """One item of each group in turn; groups and items keep their order."""
    groups: dict[object, list[T]] = {}
    for item in items:
        groups.setdefault(group_of(item), []).append(item)
    for turn in itertools.zip_longest(*groups.values()):
        yield from (item for item in turn if item is not None)


def _few(ranked: Sequence[Candidate], pools: int, regions: _Regions) -> list[Candidate]:
    """The cheapest pools in different zones, not more than two of them in one region."""
    chosen: list[Candidate] = []
    for c in ranked:
        if len(chosen) >= pools:
            break
        alone = all(c.zone != other.zone for other in chosen)
        together = sum(c.region == other.region for other in chosen)
        if alone and together < POOLS_PER_REGION and regions.enter(c.region):
            chosen.append(c)
    return chosen
