"""What the demo came to, in figures, and whether what was promised was kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from bench.stage.outcomes import Outcome, summary

if TYPE_CHECKING:
    from bench.demo.__main__ import Show


def promises(show: Show) -> Iterator[str]:
    """Those that were broken, in words."""
    found = summary(show.load.records)
    if found.failed:
        yield f"{found.failed} requests failed: {found.errors}"
    if found.broken:
        yield f"{found.broken} answers broke: {found.errors}"
    if found.late > 0.05:
        yield f"the load was not what it should be: {100 * found.late:.0f} % left late"


def table(show: Show) -> Table:
    """The end of the demo."""
    record, found = show.record, summary(show.load.records)
    minutes = show.record.samples[-1].at * record.speed / 60
    t = Table(
        title=f"{minutes:.0f} minutes of the trace, {record.speed:g} times faster", title_justify="left"
    )
    t.add_column("")
    t.add_column("", justify="right")
    spent = record.hours(lambda s: s.usd_hour)
    same = record.hours(lambda s: s.on_demand_usd_hour)
    peak = max(s.target for s in record.samples)
    price = max(s.on_demand_usd_hour / s.running for s in record.samples if s.running)
    fixed = record.hours(lambda _: peak * price)
    p50, p95, p99, longest = found.waited
    rows = {
        "requests": f"{found.requests} ({found.streams} streams)",
        "failed": f"{found.failed}",
        "broken streams": f"{found.broken}",
        "held until a replica was there": f"{_held(show)}",
        "tried on another replica": f"{show.retried}",
        "first byte, median / 95 % / 99 %": f"{p50:.2f} / {p95:.2f} / {p99:.2f} s",
        "longest wait": f"{longest:.1f} s",
        "requests answered": f"{100 * found.ok / max(found.requests, 1):.2f} %",
        "time with as many ready as wanted": f"{100 * record.available():.1f} %",
        "preemptions": f"{len(record.noticed)}",
        "machines launched": f"{len(record.launched)}",
        "cost": f"{spent:.2f} USD",
        "the same machines on demand": f"{same:.2f} USD ({_less(spent, same)})",
        f"{peak} on demand all the time": f"{fixed:.2f} USD ({_less(spent, fixed)})",
    }
    for what, figure in rows.items():
        t.add_row(what, figure)
    return t


def _less(spent: float, other: float) -> str:
    return f"{100 * (1 - spent / other):.0f} % saved" if other else "-"


def _held(show: Show) -> int:
    """Answered requests that came while nothing was ready."""
    return sum(r.outcome is Outcome.OK and not show.record.ready(r.due) for r in show.load.records)
