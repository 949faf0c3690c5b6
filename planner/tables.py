"""The plan as tables of text, for whoever prints them: columns as SkyServe's users know them. Pure strings."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from planner.filters import POOL_KINDS
from planner.mix import Shape
from planner.plan import LeftOut, Row, ServicePlan
from planner.rightsize import TokenRate
from spec.desired import Pool
from spec.names import Market

TICK = "✔"
_COLUMNS = ("CLOUD", "INSTANCE", "vCPUs", "Mem(GB)", "ACCELERATORS", "REGION/ZONE", "COST ($)", "CHOSEN")
_POOL_COLUMNS = ("POOL", "INSTANCE TYPES", "$/HOUR", "MAX", "COLD START", "$/LAUNCH")
TOKENS = "$/M TOKENS"
ABOUT = "~"
"""Before a price of tokens that is estimated from data sheets, wholly or in part."""
_NO_RATES: Mapping[Shape, TokenRate] = MappingProxyType({})
_HOST = frozenset({"vCPUs", "Mem(GB)"})
_NUMBERS = _HOST | {
    *("COST ($)", TOKENS),
    *("$/HOUR", "MAX", "COLD START", "$/LAUNCH"),
    *("REPLICAS", "WORST $/H", "REQUESTS/S", "MS/TOKEN"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text. `footer`: empty when nothing is left to say."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: str = ""

    @property
    def numeric(self) -> frozenset[str]:
        """Columns that hold numbers."""
        return _NUMBERS.intersection(self.columns)

    def narrowed(self) -> Table:
        """Without the columns about the host, which a narrow terminal has no room for."""
        kept = [i for i, column in enumerate(self.columns) if column not in _HOST]
        rows = tuple(tuple(row[i] for i in kept) for row in self.rows)
        return replace(self, columns=tuple(self.columns[i] for i in kept), rows=rows)


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the optimizer table, whether it can be chosen or not."""

    cloud: str
    instance_type: str
    shape: str
    place: str
    host: tuple[str, str]
    price: float
    chosen: str
    tokens: str = ""


def optimizer_tables(
    service: ServicePlan, *, everything: bool, rates: Mapping[Shape, TokenRate] = _NO_RATES
) -> tuple[Table, ...]:
    """One table for each market, the one that the service asks for first.

    Each shows the best place of every instance type, or every place with `everything`; with `rates` also what tokens cost.
    """
    markets = dict.fromkeys(row.market for row in service.rows)
    return tuple(_optimizer_table(service, market, rates, everything=everything) for market in markets)


def _optimizer_table(
    service: ServicePlan, market: Market, rates: Mapping[Shape, TokenRate], *, everything: bool
) -> Table:
    offered = [_line(row, rates) for row in service.rows if row.market is market]
    undeployable = sorted(
        (_outside(x, rates) for x in service.left_out if x.market is market and _is_outside(x)),
        key=lambda line: (line.price, line.cloud, line.place),
    )
    lines = list(heapq.merge(offered, undeployable, key=lambda line: line.price))
    shown = lines if everything else _best_of_each_type(lines)
    more = len(lines) - len(shown)
    return Table(
        title=f"{service.name}: {market.replace('_', ' ')}, USD per hour",
        columns=(*_COLUMNS[:-1], TOKENS, _COLUMNS[-1]) if rates else _COLUMNS,
        rows=tuple(_cells(x, with_tokens=bool(rates)) for x in shown),
        footer=f"{more} more places (--all)" if more else "",
    )


def _cells(x: _Line, *, with_tokens: bool) -> tuple[str, ...]:
    tokens = (x.tokens,) if with_tokens else ()
    return (x.cloud, x.instance_type, *x.host, x.shape, x.place, f"{x.price:.2f}", *tokens, x.chosen)


def _tokens(rates: Mapping[Shape, TokenRate], shape: Shape, price: float) -> str:
    known = rates.get(shape)
    if known is None:
        return "-"
    return f"{ABOUT if known.speed.is_estimated else ''}{known.usd_per_million(price):.2f}"


def _line(row: Row, rates: Mapping[Shape, TokenRate]) -> _Line:
    return _Line(
        cloud=row.cloud,
        instance_type=row.instance_type,
        shape=f"{row.accelerator}:{row.accelerator_count}",
        place=row.zone or row.region,
        host=(_amount(row.vcpus), _amount(row.memory_gib)),
        price=row.price_usd_hour,
        chosen=TICK if row.chosen else "",
        tokens=_tokens(rates, (row.accelerator, row.accelerator_count), row.price_usd_hour),
    )


def _is_outside(x: LeftOut) -> bool:
    return x.cloud not in POOL_KINDS and x.price_usd_hour is not None


def _outside(x: LeftOut, rates: Mapping[Shape, TokenRate]) -> _Line:
    """A place that is only shown: its price is worth knowing though nothing deploys there yet."""
    price = x.price_usd_hour or 0.0
    return _Line(
        cloud=x.cloud,
        instance_type=x.instance_type,
        shape=f"{x.accelerator}:{x.accelerator_count}",
        place=x.zone or x.region,
        host=("-", "-"),
        price=price,
        chosen="not yet",
        tokens=_tokens(rates, (x.accelerator, x.accelerator_count), price),
    )


def _best_of_each_type(lines: Sequence[_Line]) -> list[_Line]:
    """The first line of each type; its tick counts the chosen places of the type."""
    best: dict[tuple[str, str, str], _Line] = {}
    chosen: Counter[tuple[str, str, str]] = Counter()
    for x in lines:
        key = (x.cloud, x.instance_type, x.shape)
        best.setdefault(key, x)
        chosen[key] += x.chosen == TICK
    return [replace(x, chosen=_ticks(chosen[key]) or x.chosen) for key, x in best.items()]


def _ticks(chosen: int) -> str:
    if chosen <= 1:
        return TICK * chosen
    return f"{TICK} in {chosen} places"


def _amount(number: float | None) -> str:
    return "-" if number is None else f"{number:g}"


def pool_table(service: ServicePlan) -> Table:
    """The chosen pools, in rank order."""
    return Table(
        title=f"{service.name}: {len(service.pools)} chosen {'pool' if len(service.pools) == 1 else 'pools'}",
        columns=_POOL_COLUMNS,
        rows=tuple(_pool(p) for p in service.pools),
    )


def _pool(pool: Pool) -> tuple[str, ...]:
    price = pool.price_usd_hour
    return (
        pool.id,
        ", ".join(pool.instance_types),
        "unknown" if price is None else f"{price:.2f}",
        str(pool.max_size),
        f"{pool.cold_start_s:.0f} s",
        f"{pool.launch_usd:.2f}",
    )


def left_out_lines(left_out: Iterable[LeftOut], *, at_most: int | None = None) -> tuple[str, ...]:
    """Reasons with the number of places that they leave out, the most frequent first."""
    counts = Counter(x.reason for x in left_out)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ranked[:at_most]
    lines = [f"{count} x {reason}" for reason, count in shown]
    if rest := ranked[len(shown) :]:
        lines.append(f"{sum(n for _, n in rest)} x for {len(rest)} other reasons (--all)")
    return tuple(lines)
