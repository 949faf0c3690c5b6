"""Reads price tables into one immutable catalog, and refuses a table that is wrong anywhere.

A wrong price is money, so a bad row is an error with its line, never a row that is skipped. Standard library only:
every command that plans pays for this import.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from catalog import cells
from spec.errors import Problem, SpecError
from spec.names import Market

COLUMNS = (
    "cloud",
    "region",
    "zone",
    "instance_type",
    "vcpus",
    "memory_gib",
    "accelerator",
    "accelerator_count",
    "accelerator_memory_gib",
    "on_demand_usd_hour",
    "spot_usd_hour",
    "source",
    "as_of",
)

PRICES_CSV = Path(__file__).with_name("prices.csv")
LOCAL_CSV = Path(__file__).with_name("local.csv")


@dataclass(frozen=True, slots=True)
class Offer:
    """An instance type in one place. Prices are USD per hour for the whole instance; None = unknown.

    `vcpus` and `memory_gib` are the host's; None where nobody publishes them (TPU slices).
    `zone` is None where the cloud sells by region. `as_of` is an ISO date, perhaps only its year or month, or
    `unknown`.
    """

    cloud: str
    region: str
    zone: str | None
    instance_type: str
    vcpus: float | None
    memory_gib: float | None
    accelerator: str
    accelerator_count: int
    accelerator_memory_gib: float
    on_demand_usd_hour: float | None
    spot_usd_hour: float | None
    source: str
    as_of: str

    def price(self, market: Market) -> float | None:
        """USD per hour in that market; reserved capacity is priced as on demand."""
        return self.spot_usd_hour if market is Market.SPOT else self.on_demand_usd_hour

    @property
    def key(self) -> tuple[str, str, int, str, str, str]:
        """What tells offers apart, in the order of the files; GCP hangs different accelerators on one N1 type."""
        return (
            self.cloud,
            self.accelerator,
            self.accelerator_count,
            self.instance_type,
            self.region,
            self.zone or "",
        )


@dataclass(frozen=True)
class Catalog:
    """All offers, in one order whatever the order of the rows was."""

    offers: tuple[Offer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "offers", tuple(sorted(self.offers, key=lambda o: o.key)))

    @cached_property
    def by_shape(self) -> dict[tuple[str, int], tuple[Offer, ...]]:
        """Offers by (canonical accelerator, count)."""
        found: dict[tuple[str, int], list[Offer]] = {}
        for offer in self.offers:
            found.setdefault((offer.accelerator, offer.accelerator_count), []).append(offer)
        return {shape: tuple(offers) for shape, offers in found.items()}

    @cached_property
    def by_instance_type(self) -> dict[str, tuple[Offer, ...]]:
        """Offers by instance type."""
        found: dict[str, list[Offer]] = {}
        for offer in self.offers:
            found.setdefault(offer.instance_type, []).append(offer)
        return {name: tuple(offers) for name, offers in found.items()}

    @cached_property
    def clouds(self) -> frozenset[str]:
        """Every cloud that has an offer."""
        return frozenset(o.cloud for o in self.offers)

    @cached_property
    def regions(self) -> frozenset[tuple[str, str]]:
        """Every (cloud, region) that has an offer."""
        return frozenset((o.cloud, o.region) for o in self.offers)

    @cached_property
    def zones(self) -> frozenset[str]:
        """Every zone that has an offer."""
        return frozenset(o.zone for o in self.offers if o.zone)

    def counts_of(self, accelerator: str) -> tuple[int, ...]:
        """In which numbers an accelerator (canonical name) is sold at all."""
        return tuple(sorted(count for name, count in self.by_shape if name == accelerator))


def load(*paths: Path) -> Catalog:
    """One catalog of these tables, or of the project's own two without arguments.

    Raises InputError for a file that can't be read, and SpecError with all wrong rows of a file.
    """
    offers: dict[tuple[object, ...], Offer] = {}
    for path in paths or (PRICES_CSV, LOCAL_CSV):
        problems: list[Problem] = []
        for line, offer in cells.read_table(path, COLUMNS, _offer):
            if offer.key in offers:
                why = "this place and instance type have a row already"
                problems.append(Problem(path.name, "", why, line=line))
            offers.setdefault(offer.key, offer)
        if problems:
            raise SpecError(problems)
    return Catalog(tuple(offers.values()))


def _offer(row: dict[str, str]) -> Offer:
    on_demand, spot = (cells.positive_or_none(f"{market}_usd_hour", row) for market in ("on_demand", "spot"))
    if on_demand and spot and spot > on_demand:
        why = f"spot {spot:g} is dearer than on demand {on_demand:g}"
        raise cells.Wrong("spot_usd_hour", row["spot_usd_hour"], why)
    return Offer(
        cloud=cells.text("cloud", row),
        region=cells.text("region", row),
        zone=row["zone"] or None,
        instance_type=cells.text("instance_type", row),
        vcpus=cells.positive_or_none("vcpus", row),
        memory_gib=cells.positive_or_none("memory_gib", row),
        accelerator=cells.canonical("accelerator", row),
        accelerator_count=cells.count("accelerator_count", row),
        accelerator_memory_gib=cells.positive("accelerator_memory_gib", row),
        on_demand_usd_hour=on_demand,
        spot_usd_hour=spot,
        source=cells.text("source", row),
        as_of=cells.date("as_of", row),
    )


def format_number(number: float | None) -> str:
    """The shortest decimal text of a number; empty for None."""
    return "" if number is None else f"{number:.6f}".rstrip("0").rstrip(".")


def dump(offers: Iterable[Offer]) -> str:
    """The canonical text of a table: same offers, same bytes."""
    rows = (",".join(_cells(o)) for o in sorted(offers, key=lambda o: o.key))
    return "\n".join((",".join(COLUMNS), *rows, ""))


def _cells(o: Offer) -> tuple[str, ...]:
    return (
        o.cloud,
        o.region,
        o.zone or "",
        o.instance_type,
        format_number(o.vcpus),
        format_number(o.memory_gib),
        o.accelerator,
        str(o.accelerator_count),
        format_number(o.accelerator_memory_gib),
        format_number(o.on_demand_usd_hour),
        format_number(o.spot_usd_hour),
        o.source,
        o.as_of,
    )
