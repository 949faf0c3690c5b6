"""`tw sim`: policies against a capacity trace, before anything is paid for; and traces to try them on."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from local.files import write_atomic
from sim.chart import draw
from sim.compare import as_dict, run
from sim.conditions import ColdStart, Conditions
from sim.generate import TraceKind, generate
from sim.metrics import Result
from sim.policies import DEFAULT, OMNISCIENT, check
from sim.scenarios import LATE_S
from sim.trace import Trace, read, write
from sim.world import Sample
from spec.errors import InputError

MOST_TARGET = 10_000
WIDTH_WITHOUT_TERMINAL = 160


def register(app: typer.Typer) -> None:
    """Adds `sim` and its commands."""
    group = typer.Typer(help="Replay a capacity trace through placement policies and compare them.")
    group.callback(invoke_without_command=True)(sim)
    group.command("generate")(generate_trace)
    app.add_typer(group, name="sim")


def sim(
    context: typer.Context,
    *,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV time_s,zone,capacity[,spot_price,ondemand_price]."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Repeatable; like round-robin+fallback+extra=1. All when not given."
        ),
    ] = None,
    target: Annotated[int, typer.Option(min=1, max=MOST_TARGET, help="Replicas that should be ready.")] = 3,
    cold_start: Annotated[float, typer.Option(metavar="S", help="Seconds from order to ready.")] = 120.0,
    ratio: Annotated[
        float, typer.Option(help="On demand : spot, where the trace has only one price or none.")
    ] = 3.0,
    slo: Annotated[float, typer.Option(metavar="PERCENT", help="Wanted availability.")] = 99.9,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    notice: Annotated[float, typer.Option(metavar="S", help="Before a spot machine ends; AWS 120.")] = 0.0,
    late: Annotated[bool, typer.Option("--late", help=f"Refusals are told after {LATE_S:g} s.")] = False,
    launch_usd: Annotated[
        float, typer.Option(metavar="USD", help="What the start of a machine costs.")
    ] = 0.0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw the runs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare policies on a trace: availability, cost, preemptions, calls. Changes nothing."""
    if context.invoked_subcommand is not None:
        return
    if trace is None:
        raise InputError(
            "name a trace: `tw sim --trace FILE`; `tw sim generate aged > FILE` makes one to try it on."
        )
    names = list(dict.fromkeys(policy or DEFAULT))
    for name in names:
        check(name)
    if 0 < slo <= 1:
        raise InputError(f"--slo is a percentage like 99.9, got {slo:g}; did you mean {100 * slo:g}?")
    if not 0 < slo <= 100:  # noqa: PLR2004  percent
        raise InputError(f"--slo is a percentage like 99.9, got {slo:g}")
    conditions = _conditions(
        cold_start=cold_start,
        ratio=ratio,
        notice=notice,
        launch_usd=launch_usd,
        late=late,
        seed=seed,
    )
    given = read(trace)
    courses: list[tuple[Result, list[Sample]]] = []
    with _progress(names) as told:
        for name in names:
            samples: list[Sample] = []
            result = run(
                name,
                given,
                conditions,
                target,
                slo=slo / 100,
                samples=samples if plot else None,
                progress=lambda at, n=name: told(n, at / given.end_s),
            )
            told(name, 1.0)
            courses.append((result, samples))
    if plot:
        write_atomic(plot, draw(given, target, [c for c in courses if c[1]]).encode())
    results = [r for r, _ in courses]
    if as_json:
        print(json.dumps(as_dict(given, conditions, target, results), indent=1))
        return
    _print(given, conditions, target, results)
    if plot:
        print(f"drawn to {plot}")


def generate_trace(
    kind: Annotated[TraceKind, typer.Argument(help="The law that zones follow.")],
    *,
    days: Annotated[float, typer.Option(min=0.01, max=366, help="Its length.")] = 45.0,
    room: Annotated[int, typer.Option(min=1, max=10_000, help="Machines that an up zone has at most.")] = 4,
    seed: Annotated[int, typer.Option(help="Decides everything.")] = 1,
) -> None:
    """Print a synthetic trace of nine zones in three regions."""
    write(generate(kind, seed=seed, days=days, room=room), sys.stdout)


def _conditions(
    *, cold_start: float, ratio: float, notice: float, launch_usd: float, late: bool, seed: int
) -> Conditions:
    try:
        return Conditions(
            cold_start=ColdStart.of(cold_start),
            ratio=ratio,
            notice_s=notice,
            launch_usd=launch_usd,
            refusal_s=LATE_S if late else 0.0,
            seed=seed,
        )
    except ValueError as e:
        raise InputError(f"these clouds can't be simulated: {e}") from None


@contextmanager
def _progress(names: Sequence[str]) -> Generator[Any]:
    """A bar for each policy, on a terminal only and never in the output."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks = {name: bars.add_task(name, total=1.0) for name in names}
        yield lambda name, share: bars.update(tasks[name], completed=share)


def _print(trace: Trace, conditions: Conditions, target: int, results: Iterable[Result]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False, soft_wrap=True)
    if not out.is_terminal:
        out.width = WIDTH_WITHOUT_TERMINAL
    out.print(
        f"{trace.name}: {trace.days:.4g} days, {len(trace.zones)} zones; target {target}, "
        f"cold start {conditions.cold_start.total_s:g} s, notice {conditions.notice_s:g} s",
        markup=False,
    )
    for note in trace.notes:
        out.print(f"  {note}", markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (
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
    ):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for r in results:
        table.add_row(
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
    out.print(table)
    if any(r.name == OMNISCIENT for r in results):
        out.print(f"{OMNISCIENT} knows the trace and may be short for 0.1 % of the time: a bound, no policy.")
