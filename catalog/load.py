"""Reads price tables into one immutable catalog, and refuses a table that is wrong anywhere.

A wrong price is money, so a bad row is an error with its line, never a row that is skipped. Standard library only:
every command that plans pays for this import.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from catalog import cells
from spec.errors import InputError, Problem, SpecError
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

_MAX_PROBLEMS = 20


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
        for line, found in read_offers(path):
            if isinstance(found, Problem):
                problems.append(found)
            elif found.key in offers:
                problems.append(
                    Problem(path.name, "", "this place and instance type have a row already", line=line)
                )
            else:
                offers[found.key] = found
        if problems:
            raise SpecError(problems[:_MAX_PROBLEMS])
    return Catalog(tuple(offers.values()))


def read_offers(path: Path) -> Iterator[tuple[int, Offer | Problem]]:
    """Each row of one table with its line: an offer, or what is wrong with it. Raises InputError, SpecError."""
    try:
        with path.open(encoding="utf-8", newline="") as f:
            rows = csv.reader(f)
            header = tuple(next(rows, ()))
            if header != COLUMNS:
                raise SpecError([Problem(path.name, "", f"the header must be `{','.join(COLUMNS)}`", line=1)])
            for row in rows:
                yield rows.line_num, _offer(row, path.name, rows.line_num)
    except OSError as e:
        raise InputError(f"the price table {path} can't be read: {e.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"the price table {path} is no CSV file: {e}") from None


def _offer(row: list[str], file: str, line: int) -> Offer | Problem:
    if len(row) != len(COLUMNS):
        return Problem(file, "", f"a row has {len(COLUMNS)} cells, this one {len(row)}", line=line)
    (
        cloud,
        region,
        zone,
        instance_type,
        vcpus,
        memory,
        name,
        count,
        per_one,
        on_demand,
        spot,
        source,
        as_of,
    ) = row
    try:
        offer = Offer(
            cloud=cells.text("cloud", cloud),
            region=cells.text("region", region),
            zone=zone or None,
            instance_type=cells.text("instance_type", instance_type),
            vcpus=cells.positive("vcpus", vcpus) if vcpus else None,
            memory_gib=cells.positive("memory_gib", memory) if memory else None,
            accelerator=cells.canonical("accelerator", name),
            accelerator_count=cells.count("accelerator_count", count),
            accelerator_memory_gib=cells.positive("accelerator_memory_gib", per_one),
            on_demand_usd_hour=cells.positive("on_demand_usd_hour", on_demand) if on_demand else None,
            spot_usd_hour=cells.positive("spot_usd_hour", spot) if spot else None,
            source=cells.text("source", source),
            as_of=cells.date("as_of", as_of),
        )
    except cells.Wrong as wrong:
        return wrong.problem(file, line)
    if on_demand and spot and float(spot) > float(on_demand):
        return Problem(file, "spot_usd_hour", f"spot {spot} is dearer than on demand {on_demand}", line=line)
    return offer


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
