"""Capacity traces: how many spot machines each zone had and what they cost, over time.

CSV `time_s,zone,capacity[,spot_price,ondemand_price]`, a row where something changed, rows in order of time; a value
holds until the zone's next row. Three rules for what a file leaves open: a zone has nothing before its first row; after
its last one its values hold to the trace's end; an empty price is the zone's last known one. The first two are noted.
"""

from __future__ import annotations

import csv
import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from sim.conditions import MOST_USD
from sim.csvfile import FROM_THE_BEGINNING, LONGEST_S, header, opened
from spec.errors import Problem, SpecError

REQUIRED = ("time_s", "zone", "capacity")
PRICES = ("spot_price", "ondemand_price")
COLUMNS = REQUIRED + PRICES
PROBLEMS_SHOWN = 20
"""Of a file that is wrong in every row, these are enough to see why."""
MOST_CAPACITY = 1_000_000
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REGION = re.compile(r"(.+?)(?:-az\d+|-[a-z]|(?<=\d)[a-z])")


@dataclass(slots=True)
class Series:
    """One zone: values that hold from `times[i]`, seconds since the trace began, to the next. NaN = price unknown."""

    times: array = field(default_factory=lambda: array("d"))
    capacity: array = field(default_factory=lambda: array("l"))
    spot: array = field(default_factory=lambda: array("d"))
    on_demand: array = field(default_factory=lambda: array("d"))

    def append(self, time_s: float, capacity: int, spot: float, on_demand: float) -> None:
        """A later row; NaN prices are taken from the one before."""
        if self.times and math.isnan(spot):
            spot = self.spot[-1]
        if self.times and math.isnan(on_demand):
            on_demand = self.on_demand[-1]
        self.times.append(time_s)
        self.capacity.append(capacity)
        self.spot.append(spot)
        self.on_demand.append(on_demand)

    def capacity_at(self, time_s: float) -> int:
        """0 before the first row."""
        i = bisect_right(self.times, time_s)
        return self.capacity[i - 1] if i else 0


@dataclass(frozen=True, slots=True)
class Trace:
    """All zones, in the order of the file, until `end_s`. `notes`: what the rules above filled in, in words."""

    name: str
    zones: dict[str, Series]
    end_s: float
    notes: tuple[str, ...] = ()

    @property
    def days(self) -> float:
        """Its length."""
        return self.end_s / 86_400

    def priced(self, ratio: float) -> Trace:
        """The same with every price known: on demand is `ratio` x the zone's first spot price where it is unknown.

        Where spot is unknown it is on demand / `ratio`; where both are, 1 USD per hour and `ratio`.
        """
        return Trace(self.name, {z: _priced(s, ratio) for z, s in self.zones.items()}, self.end_s, self.notes)

    def rows(self) -> Iterator[tuple[float, str, int, float, float]]:
        """Every row of the file that this trace would be."""
        rows = (
            (t, z, s.capacity[i], s.spot[i], s.on_demand[i])
            for z, s in self.zones.items()
            for i, t in enumerate(s.times)
        )
        return iter(sorted(rows, key=lambda row: row[0]))


def region_of(zone: str) -> str:
    """`us-east-1a` -> `us-east-1`, `us-central1-a` -> `us-central1`, `use1-az3` -> `use1`; else the zone itself."""
    found = _REGION.fullmatch(zone)
    return found[1] if found else zone


def read(path: Path) -> Trace:
    """Reads a file. Raises SpecError with the rows that are wrong, at most PROBLEMS_SHOWN of them."""
    with opened(path) as file:
        return _Reader(str(path)).read(file)


def write(trace: Trace, file: TextIO) -> None:
    """Writes what `read` reads; prices only where the trace has any."""
    known = [any(not math.isnan(p) for s in trace.zones.values() for p in v(s)) for v in (_spot, _on_demand)]
    out = csv.writer(file, lineterminator="\n")
    out.writerow([*REQUIRED, *(name for name, shown in zip(PRICES, known, strict=True) if shown)])
    for time_s, zone, capacity, *prices in trace.rows():
        shown = [p for p, is_known in zip(prices, known, strict=True) if is_known]
        out.writerow(
            [f"{time_s:.10g}", zone, capacity, *("" if math.isnan(p) else f"{p:.6g}" for p in shown)]
        )


def _spot(series: Series) -> array:
    return series.spot


def _on_demand(series: Series) -> array:
    return series.on_demand


def _first(prices: Iterable[float]) -> float | None:
    return next((p for p in prices if not math.isnan(p)), None)


def _priced(series: Series, ratio: float) -> Series:
    spot, on_demand = _first(series.spot), _first(series.on_demand)
    if spot is None:
        spot = 1.0 if on_demand is None else on_demand / ratio
    if on_demand is None:
        on_demand = spot * ratio
    return Series(
        series.times,
        series.capacity,
        array("d", (spot if math.isnan(p) else p for p in series.spot)),
        array("d", (on_demand if math.isnan(p) else p for p in series.on_demand)),
    )


class _Reader:
    """Reads one file row by row and keeps what is wrong with it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._problems: list[Problem] = []
        self._zones: dict[str, Series] = {}
        self._last = 0.0

    def read(self, file: TextIO) -> Trace:
        """Raises SpecError."""
        rows = csv.reader(file, strict=True)
        try:
            names = header(self._name, "a trace", next(rows, []), COLUMNS, REQUIRED)
            where = [names.get(c) for c in COLUMNS]
            for row in rows:
                self._row(rows.line_num, row, where)
                if len(self._problems) >= PROBLEMS_SHOWN:
                    break
        except csv.Error as e:
            self._wrong(rows.line_num, "", f"is no CSV: {e}.")
        if not self._zones and not self._problems:
            self._wrong(None, "", "has no rows.")
        elif not self._problems and self._last <= 0:
            self._wrong(
                None,
                "time_s",
                "every row is at 0, so the trace covers no time.",
                "Close every zone at its end.",
            )
        if self._problems:
            raise SpecError(self._problems)
        return Trace(self._name, self._zones, self._last, tuple(self._notes()))

    def _wrong(self, line: int | None, column: str, message: str, hint: str | None = None) -> None:
        self._problems.append(Problem(self._name, column, message, line=line, hint=hint))

    def _row(self, line: int, row: list[str], where: list[int | None]) -> None:
        if not row:
            return
        if len(row) != sum(i is not None for i in where):
            self._wrong(
                line, "", f"has {len(row)} values, the header has {sum(i is not None for i in where)}."
            )
            return
        before = len(self._problems)
        texts = ["" if i is None else row[i].strip() for i in where]
        time_s = self._number(line, "time_s", texts[0])
        capacity = self._number(line, "capacity", texts[2])
        spot, on_demand = (self._price(line, n, t) for n, t in zip(PRICES, texts[3:], strict=True))
        zone = texts[1]
        if not _ZONE.fullmatch(zone):
            self._wrong(line, "zone", f"{zone!r} is no name like us-east-1a.")
        if capacity != int(capacity) or capacity > MOST_CAPACITY:
            self._wrong(line, "capacity", f"must be a whole number up to {MOST_CAPACITY}, got {texts[2]!r}.")
        if time_s > LONGEST_S:
            self._wrong(line, "time_s", f"{texts[0]} s are more than a year.", FROM_THE_BEGINNING)
        if time_s < self._last:
            self._wrong(
                line,
                "time_s",
                f"{texts[0]} is before the row above ({self._last:g}).",
                "Sort the rows by time_s.",
            )
        series = self._zones.get(zone)
        if series and series.times[-1] == time_s:
            self._wrong(line, "zone", f"{zone} has a row at {texts[0]} already.")
        if len(self._problems) == before:
            self._last = time_s
            (series or self._zones.setdefault(zone, Series())).append(time_s, int(capacity), spot, on_demand)

    def _price(self, line: int, column: str, text: str) -> float:
        """NaN where there is none."""
        price = self._number(line, column, text) if text else math.nan
        if price > MOST_USD:
            self._wrong(line, column, f"must be USD per hour, {MOST_USD:,.0f} at most, got {text!r}.")
        return price

    def _number(self, line: int, column: str, text: str) -> float:
        """0 where it is wrong."""
        if not text:
            self._wrong(
                line, column, "is empty.", "A zone without a measurement has no row then: its last one holds."
            )
            return 0.0
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < 0:
            self._wrong(line, column, f"must be a number, 0 or more, got {text!r}.")
            return 0.0
        return number

    def _notes(self) -> Iterator[str]:
        for zone, series in self._zones.items():
            if series.times[0] > 0:
                yield f"{zone} begins at {series.times[0]:g} s: it has no capacity before."
            if series.times[-1] < self._last:
                yield (
                    f"{zone} ends at {series.times[-1]:g} s, the trace at {self._last:g} s: "
                    f"its capacity of {series.capacity[-1]} is taken to hold until then."
                )
