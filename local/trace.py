"""The weather of the local cloud: how many spot machines each zone has and what they cost, over time.

A trace is a CSV file `time_s,zone,capacity[,spot_price,ondemand_price]`, rows in order of time. A row holds until
the zone's next one; before its first row a zone has no machine; an empty price is the zone's last known one.
"""

from __future__ import annotations

import csv
import functools
import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_REQUIRED = ("time_s", "zone", "capacity")
_PRICES = ("spot_price", "ondemand_price")
_ZONE = re.compile(r"[a-z0-9][a-z0-9-]*-[a-z0-9]+")


class TraceError(ValueError):
    """A trace that can't be used. `row` is the line in the file, 1 for its header, None for the whole file."""

    def __init__(self, file: Path, row: int | None, message: str) -> None:
        self.file, self.row, self.message = file, row, message
        super().__init__(f"{file}: {message}" if row is None else f"{file}:{row}: {message}")


@dataclass(frozen=True, slots=True)
class Quote:
    """One zone at one moment. Prices in USD per hour of one machine, None = unknown."""

    capacity: int
    spot: float | None = None
    on_demand: float | None = None


class Trace:
    """A whole trace in memory; `Trace.load` reads one. `quotes`: zone -> (times, quotes), both in order of time."""

    def __init__(self, quotes: dict[str, tuple[list[float], list[Quote]]]) -> None:
        self._quotes = quotes

    @classmethod
    def load(cls, file: Path) -> Trace:
        """Raises TraceError for the first thing that is wrong."""
        quotes: dict[str, tuple[list[float], list[Quote]]] = {}
        last = 0.0
        for row, time_s, zone, quote in _rows(file):
            if time_s < last:
                raise TraceError(file, row, f"time_s {time_s:g} is before that of the row above ({last:g})")
            last = time_s
            times, values = quotes.setdefault(zone, ([], []))
            if times and times[-1] == time_s:
                raise TraceError(file, row, f"zone {zone} has a row for time_s {time_s:g} already")
            before = values[-1] if values else Quote(0)
            times.append(time_s)
            values.append(
                Quote(
                    quote.capacity,
                    before.spot if quote.spot is None else quote.spot,
                    before.on_demand if quote.on_demand is None else quote.on_demand,
                )
            )
        if not quotes:
            raise TraceError(file, None, "has no rows")
        return cls(quotes)

    @classmethod
    def current(cls, file: Path) -> Trace:
        """The same as `load`, which is asked again only when the file has changed: every pool looks at its trace."""
        try:
            found = file.stat()
        except OSError:
            return cls.load(file)  # says what is wrong with it
        return _version(file, found.st_mtime_ns, found.st_size)

    def at(self, zone: str, time_s: float) -> Quote:
        """The zone at that many seconds after the cloud's start; capacity 0 where the trace knows nothing."""
        times, values = self._quotes.get(zone, ([], []))
        i = bisect_right(times, time_s)
        return values[i - 1] if i else Quote(0)

    def zones(self) -> tuple[str, ...]:
        """Every zone of the trace, sorted."""
        return tuple(sorted(self._quotes))


@functools.lru_cache(maxsize=8)
def _version(file: Path, _mtime_ns: int, _size: int) -> Trace:
    return Trace.load(file)


def region_of(zone: str) -> str:
    """The region is the zone's name without its last part: `local-east-a` is in `local-east`."""
    return zone.rpartition("-")[0]


def _rows(file: Path) -> Iterator[tuple[int, float, str, Quote]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TraceError(file, None, "no such file") from None
    except (OSError, UnicodeDecodeError) as e:
        raise TraceError(file, None, f"can't be read: {e}") from e
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        _check_header(file, list(reader.fieldnames or []))
        for values in reader:
            yield reader.line_num, *_row(file, reader.line_num, values)
    except csv.Error as e:
        raise TraceError(file, reader.reader.line_num, f"is no CSV: {e}") from e


def _check_header(file: Path, names: list[str]) -> None:
    if missing := [n for n in _REQUIRED if n not in names]:
        raise TraceError(
            file, 1, f"column {missing[0]} is missing; a trace has {','.join(_REQUIRED + _PRICES)}"
        )
    if unknown := [n for n in names if n not in _REQUIRED + _PRICES]:
        raise TraceError(
            file, 1, f"column {unknown[0]!r} is unknown; a trace has {','.join(_REQUIRED + _PRICES)}"
        )


def _row(file: Path, row: int, values: dict[str, str]) -> tuple[float, str, Quote]:
    if None in values or None in values.values():
        raise TraceError(file, row, "has more or fewer values than the header has columns")
    zone = values["zone"]
    if not _ZONE.fullmatch(zone):
        raise TraceError(file, row, f"zone {zone!r} is no name like local-east-a")
    capacity = _number(file, row, values, "capacity")
    if capacity is None or capacity != int(capacity):
        raise TraceError(file, row, f"capacity must be a whole number, got {values['capacity']!r}")
    time_s = _number(file, row, values, "time_s")
    if time_s is None:
        raise TraceError(file, row, "time_s is empty")
    spot, on_demand = (_number(file, row, values, name) for name in _PRICES)
    return time_s, zone, Quote(int(capacity), spot, on_demand)


def _number(file: Path, row: int, values: dict[str, str], name: str) -> float | None:
    text = values.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise TraceError(file, row, f"{name} must be a number, 0 or more, got {text!r}")
    return number
