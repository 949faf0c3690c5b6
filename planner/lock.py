"""The pools that a lock holds, in place of those that today's prices would choose. Pure.

What the settings leave out (a quota, a region, a whole service) retires by itself, because nothing may be launched there
any more: it stays declared, and the controller drains it. Only a renewal drops pools (`planner.renewal`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from catalog.cells import UNKNOWN
from catalog.load import Catalog, Offer
from planner.choose import MIXES_TYPES, Candidate
from planner.plan import ServicePlan
from planner.rank import Place, Ranking
from spec.desired import Pool, PoolState
from spec.errors import Problem, SpecError, did_you_mean
from spec.lock import Lock, LockedPool, Parts, lock_name, parts_of, renew_command
from spec.names import Market
from spec.service import ServiceSpec

_NOT_ASKED_FOR = "the service's file does not ask for it any more"
_NOT_RESERVED = "tradewind:reservations has no machine there that the service asks for"
_LEFT = "the stack has no such service any more"


def check_lock(lock: Lock, services: Sequence[ServiceSpec], catalog: Catalog, *, env: str) -> None:
    """Raises SpecError with everything of a lock that does not fit the services and the price table."""
    problems = [
        Problem(lock_name(env), field, message, lock.line_of(field), hint=hint)
        for field, message, hint in _unfit(lock, services, catalog, env)
    ]
    if problems:
        raise SpecError(problems)


def _unfit(
    lock: Lock, services: Sequence[ServiceSpec], catalog: Catalog, env: str
) -> Iterator[tuple[str, str, str]]:
    names, renew = [s.name for s in services], renew_command(env)
    for name in sorted(set(names) - set(lock.with_pools)):
        yield "pools", f"has no pool of the service `{name}`.", f"{renew} takes some."
    for name in sorted(set(lock.with_pools) - set(names)):
        near = did_you_mean(name, names)
        what = f"its pools are declared until they are empty, and that takes its file. Add `{name}: FILE` to `services`"
        hint = f"If it was removed, {what} of {lock_name(env)}, or give it back to the stack."
        yield (
            "pools",
            f"has pools of `{name}`, which is no service of this stack.",
            " ".join(filter(None, (near, hint))),
        )
    leaving = {s.name for s in services if s.leaving}
    for pool_id, pool in sorted(lock.pools.items()):
        field, at = f"pools.{pool_id}", _parts(pool_id)
        if at.service not in names:
            continue
        if len(pool.instance_types) > 1 and at.cloud not in MIXES_TYPES:
            types = ", ".join(pool.instance_types)
            yield (
                field,
                f"has {len(pool.instance_types)} instance types: {types}.",
                f"A group of {at.cloud} has one.",
            )
        missing = _without_price(pool_id, pool, catalog)
        if not missing:
            continue
        stays = pool.state is PoolState.ACTIVE and at.service not in leaving
        message = f"no price is known for {' and '.join(missing)}."
        if stays or _region(at, catalog) is None:
            way_out = f"Put the row back into catalog/prices.csv, or {renew} retires the pool."
            yield field, message, " ".join(filter(None, (_nearest(at, missing[0], catalog), way_out)))
        elif pool.usd_hour is None:
            yield field, message, "Say what it cost, with `usd_hour`, so that it is counted while it retires."


def _nearest(at: Parts, instance_type: str, catalog: Catalog) -> str | None:
    """A name that was misspelt by hand: of the zone, the accelerator or the type."""
    in_cloud = [o for o in catalog.offers if o.cloud == at.cloud]
    places = {o.zone or o.region for o in in_cloud}
    if at.place not in places:
        return did_you_mean(at.place, sorted(places))
    here = [o for o in in_cloud if (o.zone or o.region) == at.place]
    shapes = {f"{o.accelerator}x{o.accelerator_count}" for o in here}
    if (shape := f"{at.accelerator}x{at.count}") not in shapes:
        return did_you_mean(shape, sorted(shapes))
    return did_you_mean(
        instance_type,
        [o.instance_type for o in here if (o.accelerator, o.accelerator_count) == (at.accelerator, at.count)],
    )


def _parts(pool_id: str) -> Parts:
    parts = parts_of(pool_id)
    assert parts is not None, "a lock holds ids of pools only"
    return parts


def _offers(pool_id: str, pool: LockedPool, catalog: Catalog) -> dict[str, Offer]:
    """By instance type, those that have a price in the pool's market."""
    at = _parts(pool_id)
    return {
        o.instance_type: o
        for o in catalog.by_shape.get((at.accelerator, at.count), ())
        if (o.cloud, o.zone or o.region) == (at.cloud, at.place)
        and o.instance_type in pool.instance_types
        and o.price(at.market) is not None
    }


def _without_price(pool_id: str, pool: LockedPool, catalog: Catalog) -> list[str]:
    known = _offers(pool_id, pool, catalog)
    return [name for name in pool.instance_types if name not in known]


def _remembered(pool_id: str, pool: LockedPool, catalog: Catalog) -> dict[str, Offer]:
    """By instance type, those of a pool that leaves, and that have no price any more: at what they cost when taken."""
    at = _parts(pool_id)
    region = _region(at, catalog)
    assert region is not None, "checked before"
    return {
        name: Offer(
            cloud=at.cloud,
            region=region,
            zone=None if at.place == region else at.place,
            instance_type=name,
            vcpus=None,
            memory_gib=None,
            accelerator=at.accelerator,
            accelerator_count=at.count,
            accelerator_memory_gib=0,
            on_demand_usd_hour=None if at.market is Market.SPOT else pool.usd_hour,
            spot_usd_hour=pool.usd_hour if at.market is Market.SPOT else None,
            source=lock_name("*"),
            as_of=UNKNOWN,
        )
        for name in _without_price(pool_id, pool, catalog)
    }


def _region(at: Parts, catalog: Catalog) -> str | None:
    """Of a pool's place, by any other row of it; None when the table does not know the place at all."""
    known = (o.region for o in catalog.offers if o.cloud == at.cloud and at.place in (o.zone, o.region))
    return next(known, None)


# ---------------------------------------------------------------- what it holds


@dataclass(frozen=True, slots=True)
class Held:
    """The pools of one service, in rank order. `retiring`: by id, why."""

    env: str
    candidates: tuple[Candidate, ...]
    ids: frozenset[str]
    retiring: Mapping[str, str]

    def stated(self, pool: Pool) -> Pool:
        """The pool in its state."""
        return pool.model_copy(update={"state": PoolState.RETIRING}) if pool.id in self.retiring else pool

    def notes(self, today: Sequence[Pool]) -> Iterator[str]:
        """What the user should know. `today`: the pools that prices would choose."""
        for pool_id, why in sorted(self.retiring.items()):
            yield f"{pool_id} is retiring: {why}"
        new = [p for p in today if p.id not in self.ids]
        if new:
            best = min(new, key=lambda p: p.price_usd_hour or 0.0)
            yield (
                f"{lock_name(self.env)} holds the pools; by today's prices {len(new)} others would be chosen, the cheapest "
                f"{best.id} at {best.price_usd_hour:.2f} USD/hour: {renew_command(self.env)} takes them"
            )


def leaving_notes(
    plans: Iterable[ServicePlan], services: Iterable[ServiceSpec], lock: Lock, *, env: str
) -> Iterator[str]:
    """What goes, for who looks at the environment as a whole: services, and the retiring pools of those that stay."""
    files = {s.name: lock.files[s.name] for s in services if s.leaving}
    for plan in plans:
        retiring = [p.id for p in plan.pools if p.state is PoolState.RETIRING]
        if plan.name in files:
            yield (
                f"{plan.name} leaves: it is scaled to nothing, and {renew_command(env)} drops its pools when they are deployed "
                f"as retiring and empty. {files[plan.name]} is needed until then"
            )
        elif retiring:
            yield f"{plan.name}: {len(retiring)} of its {len(plan.pools)} pools retire: {', '.join(sorted(retiring))}"


def wants_fallback(service: ServiceSpec) -> bool:
    """Whether on-demand pools stand beside the spot ones."""
    scaling = service.scaling
    return scaling.dynamic_ondemand_fallback or scaling.base_ondemand_fallback_replicas > 0


def hold(lock: Lock, service: ServiceSpec, ranking: Ranking | None, catalog: Catalog, *, env: str) -> Held:
    """The service's pools of the lock, which has been checked. `ranking`: None of a service that leaves.

    Raises SpecError when none of a service that stays is left.
    """
    allowed = {(id(p.offer), p.market): p for p in (*ranking.places, *ranking.reserved)} if ranking else {}
    if ranking and wants_fallback(service):
        allowed |= {(id(p.offer), p.market): p for p in ranking.elsewhere if p.market is Market.ON_DEMAND}
    found: list[Candidate] = []
    retiring: dict[str, str] = {}
    pools = lock.of(service.name)
    for pool_id, pool in pools.items():
        market, offers = _parts(pool_id).market, _offers(pool_id, pool, catalog)
        places = [allowed[id(o), market] for o in offers.values() if (id(o), market) in allowed]
        if gone := _without_price(pool_id, pool, catalog):
            offers |= _remembered(pool_id, pool, catalog)
            retiring[pool_id] = f"no price is known any more for {' and '.join(gone)}"
        elif not places:
            retiring[pool_id] = _why(next(iter(offers.values())), market, ranking) if ranking else _LEFT
        elif pool.state is PoolState.RETIRING:
            retiring[pool_id] = f"when that is deployed and it is empty, {renew_command(env)} drops it"
        if not places or gone:
            places = [Place(0, o.price(market) or 0.0, o, market) for o in offers.values()]
        found.append(Candidate(tuple(sorted(places, key=lambda p: p.rank))))
    if ranking and len(retiring) == len(pools):
        message = f"all pools of the service `{service.name}` are retiring."
        reasons = "; ".join(sorted(set(retiring.values())))
        hint = f"{renew_command(env)} takes others. Why: {reasons}."
        raise SpecError([Problem(lock_name(env), "pools", message, lock.line_of("pools"), hint=hint)])
    ranked = sorted(found, key=lambda c: (c.best.preference, c.price, c.best.rank))
    return Held(env, tuple(ranked), frozenset(pools), retiring)


def _why(offer: Offer, market: Market, ranking: Ranking) -> str:
    """The first condition that the settings or the service's file set and the place does not meet."""
    if market is Market.RESERVED:
        return _NOT_RESERVED
    for x in ranking.left_out:
        place = (x.cloud, x.region, x.zone, x.instance_type, x.accelerator, x.accelerator_count, x.market)
        if place == (
            offer.cloud,
            offer.region,
            offer.zone,
            offer.instance_type,
            offer.accelerator,
            offer.accelerator_count,
            market,
        ):
            return x.reason
    return _NOT_ASKED_FOR
