"""The pools that a lock holds, in place of those that today's prices would choose; and how a lock is renewed. Pure.

A pool leaves in two steps: first it is `retiring`, so that the controller drains it, and a later renewal drops it. What
the settings leave out (a quota, a region) retires by itself, because nothing may be launched there any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from catalog.load import Catalog, Offer
from planner.choose import Candidate
from planner.plan import Plan
from planner.rank import Place, Ranking
from spec.desired import Pool, PoolState
from spec.errors import Problem, SpecError, did_you_mean
from spec.lock import Lock, LockedPool, Parts, lock_name, parts_of, renew_command
from spec.names import Market
from spec.service import ServiceSpec

_NOT_ASKED_FOR = "the service's file does not ask for it any more"


def check_lock(lock: Lock, services: Sequence[str], catalog: Catalog, *, env: str) -> None:
    """Raises SpecError with everything of a lock that does not fit the services and the price table."""
    problems = [
        Problem(lock_name(env), field, message, hint=hint)
        for field, message, hint in _unfit(lock, services, catalog, renew_command(env))
    ]
    if problems:
        raise SpecError(problems)


def _unfit(
    lock: Lock, services: Sequence[str], catalog: Catalog, renew: str
) -> Iterator[tuple[str, str, str]]:
    for name in sorted(set(services) - set(lock.services)):
        yield "", f"has no pool of the service `{name}`.", f"{renew} takes some."
    for name in sorted(set(lock.services) - set(services)):
        near = did_you_mean(name, services)
        yield (
            "",
            f"has pools of `{name}`, which is no service of this stack.",
            f"{near or 'Give it back and let it scale to nothing first, if it has replicas.'} {renew} drops them.",
        )
    for pool_id, pool in sorted(lock.pools.items()):
        if pool_id.partition(".")[0] in services and (missing := _without_price(pool_id, pool, catalog)):
            yield (
                pool_id,
                f"no price is known for {' and '.join(missing)}.",
                f"Put the row back into catalog/prices.csv, or {renew} drops the pool.",
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


def wants_fallback(service: ServiceSpec) -> bool:
    """Whether on-demand pools stand beside the spot ones."""
    scaling = service.scaling
    return scaling.dynamic_ondemand_fallback or scaling.base_ondemand_fallback_replicas > 0


def hold(lock: Lock, service: ServiceSpec, ranking: Ranking, catalog: Catalog, *, env: str) -> Held:
    """The service's pools of the lock, which has been checked. Raises SpecError when none of them is left."""
    allowed = {(id(p.offer), p.market): p for p in ranking.places}
    if wants_fallback(service):
        allowed |= {(id(p.offer), p.market): p for p in ranking.elsewhere if p.market is Market.ON_DEMAND}
    found: list[Candidate] = []
    retiring: dict[str, str] = {}
    pools = lock.of(service.name)
    for pool_id, pool in pools.items():
        market, offers = _parts(pool_id).market, _offers(pool_id, pool, catalog)
        places = [allowed[id(o), market] for o in offers.values() if (id(o), market) in allowed]
        if not places:
            retiring[pool_id] = _why(next(iter(offers.values())), market, ranking)
            places = [Place(0, o.price(market) or 0.0, o, market) for o in offers.values()]
        elif pool.state is PoolState.RETIRING:
            retiring[pool_id] = f"when it is empty, {renew_command(env)} drops it"
        found.append(Candidate(tuple(sorted(places, key=lambda p: p.rank))))
    if len(retiring) == len(pools):
        message = f"all pools of the service `{service.name}` are retiring."
        reasons = "; ".join(sorted(set(retiring.values())))
        hint = f"{renew_command(env)} takes others. Why: {reasons}."
        raise SpecError([Problem(lock_name(env), "", message, hint=hint)])
    ranked = sorted(found, key=lambda c: (c.best.preference, c.price, c.best.rank))
    return Held(env, tuple(ranked), frozenset(pools), retiring)


def _why(offer: Offer, market: Market, ranking: Ranking) -> str:
    """The first condition that the settings or the service's file set and the place does not meet."""
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


# ---------------------------------------------------------------- how it is renewed


def renewed(old: Lock | None, plan: Plan, catalog: Catalog) -> tuple[Lock, tuple[str, ...]]:
    """The next lock, and a line for each pool that changes. `plan`: as today's prices have it, without a lock."""
    before = dict(old.pools) if old else {}
    services = [s.name for s in plan.services]
    chosen = {p.id: _locked(p, before.get(p.id)) for s in plan.services for p in s.pools}
    leaving = {i: pool for i, pool in before.items() if i not in chosen}
    kept: dict[str, LockedPool] = {}
    lines = list(_taken(before, chosen))
    for pool_id, pool in leaving.items():
        why = _dropped(pool_id, pool, services, catalog)
        if why is None:
            kept[pool_id] = pool.model_copy(update={"state": PoolState.RETIRING})
        lines.append(
            f"~ {pool_id}: retiring; the controller drains it" if why is None else f"- {pool_id}: {why}"
        )
    pools = dict(sorted({**chosen, **kept}.items()))
    return Lock(schema=1, pools=pools), tuple(sorted(lines, key=lambda line: line[2:]))


def _locked(pool: Pool, before: LockedPool | None) -> LockedPool:
    """A price is noted when a pool is taken, so that a renewal shows pools and not prices."""
    if before and set(before.instance_types) == set(pool.instance_types):
        return before.model_copy(update={"state": PoolState.ACTIVE})
    return LockedPool(instance_types=pool.instance_types, usd_hour=pool.price_usd_hour)


def _taken(before: Mapping[str, LockedPool], chosen: Mapping[str, LockedPool]) -> Iterable[str]:
    for pool_id, pool in chosen.items():
        was = before.get(pool_id)
        if was is None:
            yield f"+ {pool_id}"
        elif was.state is PoolState.RETIRING:
            yield f"+ {pool_id}: no longer retiring"
        elif set(was.instance_types) != set(pool.instance_types):
            yield f"~ {pool_id}: {', '.join(was.instance_types)} => {', '.join(pool.instance_types)}"


def _dropped(pool_id: str, pool: LockedPool, services: Sequence[str], catalog: Catalog) -> str | None:
    """Why a pool goes at once; None = it retires first."""
    if pool_id.partition(".")[0] not in services:
        return "its service is gone"
    if _without_price(pool_id, pool, catalog):
        return "no price is known for it any more"
    return "it was retiring" if pool.state is PoolState.RETIRING else None
