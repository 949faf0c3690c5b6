"""The planner: services, a catalog and constraints in, a plan out. No clock, no file, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from catalog.load import Catalog
from planner.choose import Candidate, Region, candidates, choose
from planner.constraints import Constraints, check_constraints
from planner.filters import LOCAL
from planner.lock import Held, check_lock, hold, wants_fallback
from planner.plan import Plan, Row, ServicePlan
from planner.pools import most_machines, pool_of
from planner.pricing import Cost, cost_of_fixed, cost_of_service
from planner.rank import NoPlace, Place, Ranking, rank
from spec.desired import Pool, Scaling
from spec.errors import InputError
from spec.lock import Lock
from spec.names import Market
from spec.service import ServiceSpec

NOTHING = Scaling(min_replicas=0, max_replicas=0, surge=0)
"""Of a service that leaves."""


def plan(
    services: Sequence[ServiceSpec],
    catalog: Catalog,
    constraints: Constraints,
    *,
    env: str,
    fixed_usd_hour: float = 0.0,
    lock: Lock | None = None,
) -> Plan:
    """The plan of an environment. With a `lock` its pools are those, and prices only rank them.

    Same inputs, same plan; the order of the catalog's rows does not matter. The order of `services` does, a little:
    where `max_regions` is short, earlier services take regions first.

    Raises InputError for names that the catalog does not know and for a lock that does not fit, and NoPlace when a
    service has no place at all.
    """
    check_constraints(constraints, catalog)
    _check_names(services)
    if lock is not None:
        check_lock(lock, services, catalog, env=env)
    staying = [service for service in services if not service.leaving]
    rankings = [rank(service, catalog, constraints) for service in staying]
    opened = _needed_regions(staying, rankings, constraints.max_regions)
    planned = []
    for service, ranking in zip(staying, rankings, strict=True):
        held = None if lock is None else hold(lock, service, ranking, catalog, env=env)
        done, regions = _plan_service(service, ranking, constraints, opened, held)
        opened |= regions
        planned.append(done)
    for service in services:
        if service.leaving and lock is not None:
            held = hold(lock, service, None, catalog, env=env)
            planned.append(_plan_to_leave(service, held, constraints))
    return Plan(
        env=env,
        services=tuple(planned),
        fixed_usd_hour=fixed_usd_hour,
        cost=sum((s.cost for s in planned), cost_of_fixed(fixed_usd_hour)),
    )


def _check_names(services: Sequence[ServiceSpec]) -> None:
    files: dict[str, str] = {}
    for service in services:
        if service.name in files:
            raise InputError(
                f"{service.file}: name: `{service.name}` is taken by {files[service.name]}; "
                "services of one environment need different names."
            )
        files[service.name] = service.file


def _needed_regions(
    services: Sequence[ServiceSpec], rankings: Sequence[Ranking], max_regions: int
) -> frozenset[Region]:
    """One region for each service, before any service spreads: its best, or its best among those already needed."""
    needed: set[Region] = set()
    for service, ranking in zip(services, rankings, strict=True):
        places = (*ranking.reserved, *ranking.places)
        regions = list(dict.fromkeys((p.offer.cloud, p.offer.region) for p in places))
        if len(needed) < max_regions:
            needed.add(regions[0])
        elif needed.isdisjoint(regions):
            raise NoPlace(
                f"{service.file}: no place is left for `{service.name}`: the other services need all of the "
                f"{max_regions} regions that max_regions allows, and it has none in those. Allow more regions, or "
                f"name regions that all services share."
            )
    return frozenset(needed)


def _plan_service(
    service: ServiceSpec,
    ranking: Ranking,
    constraints: Constraints,
    opened: frozenset[Region],
    held: Held | None,
) -> tuple[ServicePlan, frozenset[Region]]:
    reserved = candidates(ranking.reserved)  # all of them: they are paid for anyway
    chosen_today = choose(
        candidates(ranking.places),
        candidates(p for p in (*ranking.places, *ranking.elsewhere) if p.market is Market.ON_DEMAND),
        fallback=wants_fallback(service),
        max_pools=max(1, constraints.max_pools_per_service - len(reserved)),
        max_regions=constraints.max_regions,
        opened=opened | {c.region for c in reserved},
    )
    today = sorted((*reserved, *chosen_today), key=lambda c: (c.best.preference, c.price, c.best.rank))
    chosen = held.candidates if held else today
    pools = tuple(pool_of(service, c, constraints.quotas) for c in chosen)
    if held:
        pools = tuple(held.stated(p) for p in pools)
    cost = cost_of_service(service.scaling, pools)
    both = ranking.places if constraints.market else (*ranking.places, *ranking.elsewhere)
    shown = (*both, *ranking.reserved)
    done = ServicePlan(
        name=service.name,
        rows=_rows(shown, chosen),
        left_out=ranking.left_out,
        pools=pools,
        cost=cost,
        arithmetic=ranking.arithmetic,
        scaling=service.scaling,
        notes=(
            *service.not_acted_on,
            *service.assumed,
            *ranking.notes,
            *(held.notes([pool_of(service, c, constraints.quotas) for c in today]) if held else ()),
            *_cut(service, pools),
            *_not_mounted(service, pools),
            *_notes(service, ranking, chosen, cost),
        ),
    )
    return done, frozenset(c.region for c in chosen)


def _plan_to_leave(service: ServiceSpec, held: Held, constraints: Constraints) -> ServicePlan:
    """Its pools keep their maximum: a smaller one would change sizes in the clouds, and those are the controller's."""
    pools = tuple(held.stated(pool_of(service, c, constraints.quotas)) for c in held.candidates)
    return ServicePlan(
        name=service.name,
        rows=(),
        left_out=(),
        pools=pools,
        cost=cost_of_service(NOTHING, pools),
        scaling=NOTHING,
        notes=tuple(held.notes(())),
    )


def _cut(service: ServiceSpec, pools: Sequence[Pool]) -> Iterable[str]:
    for p in pools:
        if p.max_size < most_machines(service):
            limit = "reservations" if p.market is Market.RESERVED else "quotas"
            yield f"{p.id}: at most {p.max_size} machines instead of {most_machines(service)}, by tradewind:{limit}"


def _not_mounted(service: ServiceSpec, pools: Sequence[Pool]) -> Iterable[str]:
    if service.file_mounts and any(p.cloud == LOCAL for p in pools):
        yield "`file_mounts`: the local cloud copies and mounts nothing, for its machines share this computer's folders"


def _rows(places: Iterable[Place], chosen: Sequence[Candidate]) -> tuple[Row, ...]:
    taken = {(id(p.offer), p.market) for p in chain.from_iterable(c.places for c in chosen)}
    return tuple(
        Row(
            cloud=p.offer.cloud,
            region=p.offer.region,
            zone=p.offer.zone,
            instance_type=p.offer.instance_type,
            accelerator=p.offer.accelerator,
            accelerator_count=p.offer.accelerator_count,
            vcpus=p.offer.vcpus,
            memory_gib=p.offer.memory_gib,
            market=p.market,
            price_usd_hour=p.price,
            as_of=p.offer.as_of,
            chosen=(id(p.offer), p.market) in taken,
        )
        for p in places
    )


def _notes(service: ServiceSpec, ranking: Ranking, chosen: Sequence[Candidate], cost: Cost) -> Iterable[str]:
    markets = {c.best.market for c in chosen}
    if wants_fallback(service) and Market.SPOT in markets and Market.ON_DEMAND not in markets:
        yield "the on-demand fallback that the file asks for has no pool: no on-demand place meets the limits"
    budget = service.budget
    if budget.usd_month is not None and cost.expected_usd_month > budget.usd_month:
        yield (
            f"usd_month {budget.usd_month:g} is less than the {cost.expected_usd_month:.2f} USD that a month is expected "
            f"to cost: it will be used up ({budget.on_exhausted})"
        )
    if service.ordered and len({p.preference for p in ranking.places}) > 1:
        yield (
            "ordered: a later choice gets pools only where it costs at least as much as the earlier ones, because "
            "the controller goes by price"
        )
    if service.num_nodes > 1:
        yield f"a replica is {service.num_nodes} machines; the table's prices are of one"
    dates = {(p.offer.cloud, p.offer.as_of) for p in ranking.places if p.offer.cloud != LOCAL}
    if dates:
        yield "prices as of: " + ", ".join(f"{cloud} {as_of}" for cloud, as_of in sorted(dates))
