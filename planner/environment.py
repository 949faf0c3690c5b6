"""The plan of a stack, as everything that needs it computes it: the program, previews and `tw plan`.

In the clouds it also says where hosts stand and what they cost, and which names its pools have there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain

from catalog.load import Catalog
from planner.age import age_notes
from planner.check import check, check_secret_names
from planner.constraints import Constraints
from planner.fixed import Item, Prices, fixed_items
from planner.hosts import check_hosts, place_hosts
from planner.layout import Layout, Place, Secret, layout, located, secrets_of
from planner.lock import leaving_notes
from planner.plan import Plan
from planner.planner import plan
from planner.pricing import Cost, cost_of_fixed, cost_of_hosted, hosted_usd_hour
from spec.lock import Lock, lock_name, renew_command
from spec.service import ServiceSpec
from spec.stack import StackConfig


@dataclass(frozen=True, slots=True)
class Planned:
    """`layout`, `fixed` and `secrets`: of an environment in the clouds; None and empty on the local one.

    `notes`: what the user should know of the environment as a whole.
    """

    plan: Plan
    layout: Layout | None = None
    fixed: tuple[Item, ...] = ()
    secrets: tuple[Secret, ...] = ()
    notes: tuple[str, ...] = ()


def plan_stack(
    specs: Sequence[ServiceSpec],
    catalog: Catalog,
    config: StackConfig,
    *,
    env: str,
    prices: Prices,
    lock: Lock | None = None,
    today: date | None = None,
) -> Planned:
    """What is declared. Raises InputError.

    `prices`: of hosts and the like. `lock`: of an environment in the clouds; None = pools are as today's prices have it.
    `today`: how old prices are is judged by it; None = not at all.
    """
    if config.is_local:
        return Planned(plan(specs, catalog, Constraints.of(config), env=env))
    check(config, specs, catalog, env=env)
    planned = plan(specs, catalog, Constraints.of(config), env=env, lock=lock)
    zones = zones_of(catalog)
    moved = check_hosts(lock, config, zones, prices, env=env) if lock is not None else ()
    placed = layout(planned, config, lock.hosts if lock is not None else place_hosts(config, zones, {}))
    services = tuple(
        replace(s, pools=tuple(located(pool, env) for pool in s.pools)) for s in planned.services
    )
    pools = list(chain.from_iterable(s.pools for s in services))
    secrets = secrets_of(placed, pools, config, specs)
    check_secret_names(secrets, env)
    fixed = fixed_items(placed, secrets, config, prices)
    fixed_usd_hour = sum(i.usd_hour for i in fixed) + sum(e.usd_hour for e in config.external)
    cost = sum((s.cost for s in services), cost_of_fixed(fixed_usd_hour) + _hosted(config))
    whole = replace(planned, services=services, fixed_usd_hour=fixed_usd_hour, cost=cost)
    leaving = leaving_notes(planned.services, specs, lock, env=env) if lock is not None else ()
    notes = (*leaving, *moved, *(age_notes(pools, config.catalog, today, env=env) if today else ()))
    if lock is None:
        notes = (*notes, f"no {lock_name(env)}: prices choose the pools. {renew_command(env)} holds them")
    return Planned(whole, placed, fixed, secrets, notes)


def zones_of(catalog: Catalog) -> Mapping[Place, tuple[str, ...]]:
    """The zones of every region of the price table, in order; empty where a cloud sells by region."""
    zones: dict[Place, set[str]] = {place: set() for place in catalog.regions}
    for offer in catalog.offers:
        zones[offer.cloud, offer.region] |= {offer.zone} if offer.zone else set()
    return {place: tuple(sorted(found)) for place, found in zones.items()}


def _hosted(config: StackConfig) -> Cost:
    """Those without a limit are left to the policy `hosted-cap`."""
    caps = (hosted_usd_hour(p.max_usd_hour, p.max_usd_month) for p in config.providers)
    return cost_of_hosted(sum(cap or 0.0 for cap in caps))
