"""What `tw sim` prints for people: what was run, and a table with a row for each policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cli import sim_requests
from sim.compare import notes
from sim.conditions import Conditions
from sim.fleet import Workload
from sim.latency import Met
from sim.metrics import Result
from sim.policies import OMNISCIENT
from sim.trace import Trace
from spec.scaling import Scaling

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 170
_PLACEMENT = (
    "policy",
    "available",
    "served",
    "zero ready",
    "cost of on demand",
    "on-demand part",
    "preempted",
    "launches",
    "refused",
    "calls/h",
)
_HOSTED = "hosted"
"""What a hosted provider took of the cost; the last column where there is one."""
_REQUESTS = (
    "policy",
    "cost USD",
    "TTFT P50",
    "P90",
    "P99",
    "latency P50",
    "P90",
    "P99",
    "late",
    "late minutes",
    "failed",
    "preempted",
    "launches",
    "calls/h",
)


def print_placement(trace: Trace, conditions: Conditions, target: int, results: Sequence[Result]) -> None:
    """Policies that were told a target."""
    rows = [
        (
            r.name,
            f"{r.availability:.3%}",
            f"{r.served:.3%}",
            f"{r.zero_ready:.3%}",
            f"{r.cost_ratio:.1%}",
            f"{r.cost_on_demand_part:.1%}",
            str(r.preemptions),
            str(r.launches),
            str(r.failed_launches),
            f"{r.calls_per_hour:.2f}",
        )
        for r in results
    ]
    out = _print(
        [f"{_clouds(trace, conditions)}; target {target}", *notes(trace, conditions)], _PLACEMENT, rows
    )
    if any(r.name == OMNISCIENT for r in results):
        out.print(f"{OMNISCIENT} knows the trace and may be short for 0.1 % of the time: a bound, no policy.")


def print_requests(
    trace: Trace, conditions: Conditions, scaling: Scaling, workload: Workload, results: Iterable[Result]
) -> None:
    """Policies whose number of replicas followed requests."""
    said = [
        _clouds(trace, conditions),
        *notes(trace, conditions),
        *sim_requests.notes(trace, scaling, workload),
    ]
    rows = [(r, r.requests) for r in results if r.requests is not None]
    if workload.hosted is None:
        out = _print(said, _REQUESTS, [_met(r, met) for r, met in rows])
    else:
        covered = [(*_met(r, met), f"{r.cost_hosted_part:.1%}") for r, met in rows]
        out = _print(said, (*_REQUESTS, _HOSTED), covered)
    out.print(f"late: without a first byte within {workload.ttft_goal_s:g} s, failed ones included.")
    out.print("late minutes: in which more than one request in a hundred was, so that P99 missed the goal.")


def _met(result: Result, met: Met) -> tuple[str, ...]:
    first_bytes = met.ttft_p50_s, met.ttft_p90_s, met.ttft_p99_s
    answers = met.latency_p50_s, met.latency_p90_s, met.latency_p99_s
    return (
        result.name,
        f"{result.cost_usd:.2f}",
        *("none" if t is None else f"{t:.3g} s" for t in (*first_bytes, *answers)),
        f"{met.late:.2%}",
        f"{met.late_minutes:.2%}",
        str(met.failed),
        str(result.preemptions),
        str(result.launches),
        f"{result.calls_per_hour:.2f}",
    )


def _clouds(trace: Trace, conditions: Conditions) -> str:
    return (
        f"{trace.name}: {trace.days:.4g} days, {len(trace.zones)} zone{'s' if len(trace.zones) > 1 else ''}; "
        f"cold start {conditions.cold_start.total_s:g} s, notice {conditions.notice_s:g} s"
    )


def _print(said: Sequence[str], columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Console:
    """What is said, its first line as a heading, and the table below it."""
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    out = Console(highlight=False, soft_wrap=True)
    for n, line in enumerate(said):
        out.print(f"{'  ' if n else ''}{line}", markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    rows = list(rows)
    for n, column in enumerate(columns):
        widest = max(map(len, (*column.split(), *(row[n] for row in rows))))
        table.add_column(column, min_width=widest, justify="right" if n else "left")
    for row in rows:
        table.add_row(*row)
    # A figure is never cut: on a terminal that is too narrow for all of them, the terminal folds the lines.
    least = Measurement.get(out, out.options, table).minimum
    out.width = max(out.width, least) if out.is_terminal else WIDTH_WITHOUT_TERMINAL
    out.print(table)
    return out
