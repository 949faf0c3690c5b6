"""From a service file to the places that could serve it, best first, and the reasons why others can't.

Rank is the user's own order where the file says `ordered`, then USD per hour of a replica; ties are broken by name, so
that the order never depends on the order of the catalog's rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catalog.accelerators import UnknownAccelerator, resolve
from catalog.load import Catalog, Offer
from planner.constraints import Constraints, check_cloud, check_region, check_zone
from planner.filters import LOCAL, Filter, first_obstacle, market_filters, place_filters
from planner.fit import Need, fit, need_of
from planner.plan import LeftOut
from spec.errors import InputError, did_you_mean
from spec.names import Market
from spec.service import ResourceOption, ServiceSpec


@dataclass(frozen=True, slots=True)
class Place:
    """An offer in one market. `preference`: 0 is what an `ordered` file asks for first."""

    preference: int
    price: float
    offer: Offer
    market: Market

    @property
    def rank(self) -> tuple[object, ...]:
        """Sorts places best first."""
        o = self.offer
        return (
            self.preference,
            self.price,
            o.cloud,
            o.region,
            o.zone or "",
            o.instance_type,
            o.accelerator,
            o.accelerator_count,
            self.market,
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """What the planner knows of one service before it chooses.

    Attributes:
        places: those that can be chosen, best first.
        elsewhere: the same machines in the market that the file does not ask for, for comparison, best first.
        reserved: of these machines those that are paid for anyway, best first.

    """

    places: tuple[Place, ...]
    elsewhere: tuple[Place, ...]
    left_out: tuple[LeftOut, ...]
    arithmetic: tuple[str, ...]
    notes: tuple[str, ...]
    reserved: tuple[Place, ...] = ()


class NoPlace(InputError):
    """No place meets all conditions; the message says which of them empties the set."""


@dataclass(frozen=True, slots=True)
class _Alternative:
    """One entry of `resources`, with the catalog's offers of what it names and the order of their preference."""

    option: ResourceOption
    market: Market
    what: str
    offers: tuple[tuple[int, Offer], ...]
    filters: tuple[Filter, ...]
    nodes: int
    unsold: tuple[str, ...]


def rank(service: ServiceSpec, catalog: Catalog, constraints: Constraints) -> Ranking:
    """Every place for a service. Raises InputError for unknown names and NoPlace when nothing is left."""
    need = need_of(service.model_size) if service.model_size else None
    alternatives = _alternatives(service, catalog, constraints, need)
    places: dict[tuple[int, Market], Place] = {}
    elsewhere: dict[tuple[int, Market], Place] = {}
    reserved: dict[tuple[int, Market], Place] = {}
    left_out: dict[tuple[int, Market], LeftOut] = {}
    for alternative in alternatives:
        market = alternative.market
        other = _other(market)
        own, others = (market_filters(m, constraints, service.num_nodes) for m in (market, other))
        for preference, offer in alternative.offers:
            reason = first_obstacle(alternative.filters, offer)
            if reason is None and constraints.market is None and _is_reserved(offer, constraints, service):
                _add(reserved, preference, offer, Market.RESERVED)
            if reason is None and not first_obstacle(others, offer):
                _add(elsewhere, preference, offer, other)
            if reason is None:
                reason = first_obstacle(own, offer)
            if reason is None:
                _add(places, preference, offer, market)
            else:
                left_out.setdefault((id(offer), market), _left_out(offer, market, reason))
    if not places and not reserved:
        raise NoPlace(_why_nothing_is_left(service, alternatives, constraints))
    return Ranking(
        places=tuple(sorted(places.values(), key=lambda p: p.rank)),
        elsewhere=tuple(sorted((p for k, p in elsewhere.items() if k not in places), key=lambda p: p.rank)),
        left_out=tuple(sorted((x for k, x in left_out.items() if k not in places), key=_left_out_order)),
        arithmetic=_arithmetic(need, places.values(), service.num_nodes),
        notes=tuple(f"nobody has {shape}" for a in alternatives for shape in a.unsold),
        reserved=tuple(sorted(reserved.values(), key=lambda p: p.rank)),
    )


def _is_reserved(offer: Offer, constraints: Constraints, service: ServiceSpec) -> bool:
    """Whether at least one replica has room in what is reserved there."""
    return bool(constraints.quotas.machines(offer, Market.RESERVED, service.num_nodes))


def _add(places: dict[tuple[int, Market], Place], preference: int, offer: Offer, market: Market) -> None:
    price = offer.price(market)
    if price is None:
        return
    known = places.get((id(offer), market))
    if known is None or preference < known.preference:
        places[id(offer), market] = Place(preference, price, offer, market)


# ---------------------------------------------------------------- what a file asks for


def _alternatives(
    service: ServiceSpec, catalog: Catalog, constraints: Constraints, need: Need | None
) -> tuple[_Alternative, ...]:
    found: list[_Alternative] = []
    preference = 0
    for option in service.options:
        try:
            _check_names(option, catalog)
            shapes = tuple(dict.fromkeys(resolve(a.name, a.count) for a in option.accelerators))
            offers, what = _offers(option, shapes, catalog, sized=need is not None)
        except UnknownAccelerator as e:
            raise InputError(f"{service.file}: resources.accelerators: {e}") from None
        except InputError as e:
            raise InputError(f"{service.file}: resources: {e}") from None
        clouds = {c.casefold() for c in (option.cloud, *constraints.clouds) if c}
        step = preference if service.ordered else 0
        numbered = tuple(
            (step + (index if service.ordered else 0), offer)
            for index, group in enumerate(offers)
            for offer in group
            if offer.cloud != LOCAL or LOCAL in clouds
        )
        preference += len(offers)
        found.append(
            _Alternative(
                option=option,
                market=constraints.market or option.market,
                what=what,
                offers=numbered,
                filters=place_filters(option, constraints, need, service.num_nodes, service.file_mounts),
                nodes=service.num_nodes,
                unsold=_unsold(shapes, catalog),
            )
        )
    return tuple(found)


def _offers(
    option: ResourceOption, shapes: Sequence[tuple[str, int]], catalog: Catalog, *, sized: bool
) -> tuple[tuple[tuple[Offer, ...], ...], str]:
    """The offers of each accelerator that an option names, and the words for all of them."""
    if shapes:
        words = [f"{name}:{count}" for name, count in shapes]
        return tuple(catalog.by_shape.get(s, ()) for s in shapes), " or ".join(words)
    if option.instance_type:
        return (catalog.by_instance_type.get(option.instance_type, ()),), f"type {option.instance_type}"
    if sized:
        return (catalog.offers,), "an accelerator"
    raise InputError("name `accelerators`, an `instance_type`, or the model's `parameters`.")


def _check_names(option: ResourceOption, catalog: Catalog) -> None:
    if option.cloud:
        check_cloud(option.cloud.casefold(), catalog)
    if option.region:
        check_region(option.region, catalog)
    if option.zone:
        check_zone(option.zone, catalog)
    if option.instance_type and option.instance_type not in catalog.by_instance_type:
        hint = did_you_mean(option.instance_type, catalog.by_instance_type) or ""
        raise InputError(f"nobody has an instance type `{option.instance_type}`. {hint}".rstrip())


def _unsold(shapes: Iterable[tuple[str, int]], catalog: Catalog) -> tuple[str, ...]:
    words = []
    for name, count in shapes:
        if (name, count) not in catalog.by_shape:
            counts = ", ".join(str(c) for c in catalog.counts_of(name))
            words.append(f"{name}:{count}" + (f"; {name} comes as {counts}" if counts else f" or any {name}"))
    return tuple(words)


# ---------------------------------------------------------------- what is said of the rest


def _left_out(offer: Offer, market: Market, reason: str) -> LeftOut:
    return LeftOut(
        cloud=offer.cloud,
        region=offer.region,
        zone=offer.zone,
        instance_type=offer.instance_type,
        accelerator=offer.accelerator,
        accelerator_count=offer.accelerator_count,
        market=market,
        price_usd_hour=offer.price(market),
        reason=reason,
    )


def _left_out_order(x: LeftOut) -> tuple[object, ...]:
    return (
        x.cloud,
        x.accelerator,
        x.accelerator_count,
        x.instance_type,
        x.region,
        x.zone or "",
        x.market,
    )


def _arithmetic(need: Need | None, places: Iterable[Place], nodes: int) -> tuple[str, ...]:
    if need is None:
        return ()
    shapes = sorted({(p.offer.accelerator, p.offer.accelerator_count) for p in places})
    return (*need.arithmetic, *(fit(need, accelerator=a, count=c, nodes=nodes).line for a, c in shapes))


def _why_nothing_is_left(
    service: ServiceSpec, alternatives: Sequence[_Alternative], constraints: Constraints
) -> str:
    lines = [f"{service.file}: no place is left for `{service.name}`."]
    for alternative in alternatives:
        offers = [offer for _, offer in alternative.offers]
        lines.append(_funnel(alternative, offers, constraints))
        lines += _ways_out(alternative, offers, constraints)
    return "\n  ".join(lines)


def _funnel(alternative: _Alternative, offers: Sequence[Offer], constraints: Constraints) -> str:
    """How each condition in turn shrinks the set: "14 places have L4:8; 3 of them are on aws; none of those ..."."""
    if not offers:
        return f"Nobody has {', nobody has '.join(alternative.unsold) or alternative.what}."
    said = [f"{_places(len(offers))} {'has' if len(offers) == 1 else 'have'} {alternative.what}"]
    left = list(offers)
    for f in (*alternative.filters, *market_filters(alternative.market, constraints, alternative.nodes)):
        before, left = left, [o for o in left if f.why_not(o) is None]
        if not left:
            nearest = f" (the nearest: {f.why_not(min(before, key=f.distance))})" if f.distance else ""
            said.append(f"none of those {f.passes}{nearest}")
            break
        if len(left) < len(before):
            said.append(f"{len(left)} of them {f.passes}")
    return "; ".join(said) + "."


def _ways_out(alternative: _Alternative, offers: Sequence[Offer], constraints: Constraints) -> Iterable[str]:
    """What would be left without each condition alone, or in the other market."""
    market = alternative.market
    filters = (*alternative.filters, *market_filters(market, constraints, alternative.nodes))
    for dropped in dict.fromkeys(f.name for f in filters if f.name):
        others = [f for f in filters if f.name != dropped]
        yield from _offered(
            f"Without {dropped}", [o for o in offers if not first_obstacle(others, o)], market
        )
    other = _other(market)
    filters = (*alternative.filters, *market_filters(other, constraints, alternative.nodes))
    words = f"In the other market, {other.replace('_', ' ')}"
    yield from _offered(words, [o for o in offers if not first_obstacle(filters, o)], other)


def _offered(condition: str, left: Sequence[Offer], market: Market) -> Iterable[str]:
    prices = [price for o in left if (price := o.price(market)) is not None]
    if prices:
        yield f"{condition}: {_places(len(left))}, from {min(prices):g} USD/hour."


def _other(market: Market) -> Market:
    return Market.ON_DEMAND if market is Market.SPOT else Market.SPOT


def _places(n: int) -> str:
    return "1 place" if n == 1 else f"{n} places"
