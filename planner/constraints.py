"""What limits the planner's choice beside the service file: the stack's configuration and the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from catalog.load import Catalog
from planner.quotas import Quotas
from spec.errors import InputError, did_you_mean
from spec.names import Market
from spec.stack import StackConfig

MAX_POOLS_PER_SERVICE = 24
MAX_REGIONS = 6
"""Each region needs a network of its own, and hundreds of groups make Pulumi's state slow."""

_TOO_MANY_TO_LIST = 40

ZONED_SUBNETS = frozenset({"aws"})
"""Clouds in which a subnet is in one zone."""

WITHOUT_PRICES = frozenset({"kubernetes"})
"""Clouds that a stack may name though the price table can't have them."""


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Limits that hold for all services of an environment. Empty = everything.

    Attributes:
        clouds: empty = every real cloud of the catalog, without `local`.
        market: overrides the market of every service file.
        max_price_usd_hour: of one instance.
        max_pools_per_service: in all markets together.
        max_regions: of the whole environment, because networks are.
        quotas: of the accounts, and what is reserved.
        subnets: where the user's own network has to be used: by cloud and region, the zones that it has a subnet in.

    """

    clouds: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    market: Market | None = None
    max_price_usd_hour: float | None = None
    max_pools_per_service: int = MAX_POOLS_PER_SERVICE
    max_regions: int = MAX_REGIONS
    quotas: Quotas = field(default_factory=Quotas)
    subnets: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: StackConfig) -> Constraints:
        """Those of a stack's configuration. Raises InputError for a quota of something that nobody sells."""
        return cls(
            clouds=config.clouds,
            regions=config.regions,
            max_pools_per_service=config.max_pools_per_service,
            max_regions=config.max_regions,
            quotas=Quotas.of(config.quotas, config.reservations),
            subnets=_subnets(config),
        )


def _subnets(config: StackConfig) -> dict[tuple[str, str], frozenset[str]]:
    """Of networks that are there in clouds whose subnets are in a zone; elsewhere a subnet spans its region."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for place, chosen in config.network.items():
        cloud, _, region = place.partition("/")
        if chosen is not None and cloud in ZONED_SUBNETS:
            found[cloud, region] = frozenset(chosen.subnets)
    return found


def check_constraints(constraints: Constraints, catalog: Catalog) -> None:
    """Raises InputError for a place that is in no row of the catalog, or a limit that can't be met."""
    for cloud in constraints.clouds:
        check_cloud(cloud, catalog)
    for region in constraints.regions:
        check_region(region, catalog)
    for zone in constraints.zones:
        check_zone(zone, catalog)
    price = constraints.max_price_usd_hour
    if price is not None and not (math.isfinite(price) and price > 0):
        raise InputError(f"the maximum price must be a number of USD per hour above 0; it is `{price:g}`")
    if constraints.max_pools_per_service < 1 or constraints.max_regions < 1:
        raise InputError("max_pools_per_service and max_regions must be at least 1")


def check_cloud(cloud: str, catalog: Catalog) -> None:
    """Raises InputError when nobody of that name sells anything."""
    if cloud not in catalog.clouds | WITHOUT_PRICES:
        raise InputError(f"no prices of a cloud `{cloud}`. {_way_out(cloud, catalog.clouds)}")


def check_region(region: str, catalog: Catalog) -> None:
    """Raises InputError when no cloud has an offer in a region of that name."""
    known = {name for _, name in catalog.regions}
    if region not in known:
        raise InputError(f"no place in a region `{region}`. {_way_out(region, known)}")


def check_zone(zone: str, catalog: Catalog) -> None:
    """Raises InputError when there is no offer in a zone of that name."""
    if zone in catalog.zones:
        return
    region = zone[:-1]
    if ("aws", region) in catalog.regions:
        ids = sorted({o.zone for o in catalog.offers if (o.cloud, o.region) == ("aws", region) and o.zone})
        raise InputError(
            f"no place in a zone `{zone}`: AWS gives its letters differently in each account, so zones are zone "
            f"ids. Of {region}: {', '.join(ids)}."
        )
    raise InputError(f"no place in a zone `{zone}`. {_way_out(zone, catalog.zones)}")


def _way_out(word: str, known: frozenset[str] | set[str]) -> str:
    near = did_you_mean(word, known)
    if near or len(known) > _TOO_MANY_TO_LIST:
        return near or "`tw plan --all` shows the places there are."
    return f"There are: {', '.join(sorted(known))}."
