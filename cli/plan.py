"""`tw plan`: where services could run, what that costs, what is chosen and why the rest is not. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.load import load
from cli.context import ROOT, Context
from cli.deployed import deployed
from cli.forecast import Outlook, forecasts
from cli.money import Money, lock_of, planned_of, print_table, specs_of
from cli.options import EnvOption, parse_env
from cli.plan_json import UNSIZED, as_dict, cost_as_dict
from cli.rightsize import Asked, Sized, asked, mix_lines, mix_tables, sized
from local.files import write_atomic
from planner.constraints import Constraints
from planner.environment import zones_of
from planner.hosts import place_hosts
from planner.plan import Plan, ServicePlan
from planner.planner import plan
from planner.renewal import renewed
from planner.tables import ABOUT, TOKENS, Table, left_out_lines, optimizer_tables, pool_table
from sim.forecast import MOST_WEEKS, WEEKS
from spec.errors import InputError
from spec.lock import dump, lock_name
from spec.names import Market
from spec.read import read_services

REASONS_SHOWN = 12
WIDTH_WITHOUT_TERMINAL = 160
"""Wide enough for a row, so that a pipe or a log gets whole lines."""
WIDEST = 1000
"""Of a table whose natural width is asked for."""


def register(app: typer.Typer) -> None:
    """Adds `plan`."""
    app.command("plan")(plan_files)


def plan_files(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Service files; with --stack its own.")
    ] = None,
    *,
    stack: Annotated[str | None, typer.Option(help="Plan within this stack's clouds and limits.")] = None,
    spot: Annotated[
        bool | None, typer.Option("--spot/--on-demand", help="Instead of the market that the files ask for.")
    ] = None,
    cloud: Annotated[list[str] | None, typer.Option(help="Only this cloud. Repeatable.")] = None,
    region: Annotated[list[str] | None, typer.Option(help="Only this region. Repeatable.")] = None,
    max_price: Annotated[
        float | None, typer.Option(metavar="USD", help="Of one instance, USD per hour.")
    ] = None,
    env: EnvOption = None,
    load_file: Annotated[
        Path | None, typer.Option("--load", help="A load to size for: CSV of buckets or of a trace.")
    ] = None,
    qps: Annotated[float | None, typer.Option(help="A load to size for: requests per second.")] = None,
    prompt_tokens: Annotated[int | None, typer.Option(help="Of each request of --qps.")] = None,
    output_tokens: Annotated[int | None, typer.Option(help="Of each request of --qps.")] = None,
    ttft_ms: Annotated[float | None, typer.Option(help="Target: mean time to the first token.")] = None,
    tpot_ms: Annotated[float | None, typer.Option(help="Target: mean time per output token.")] = None,
    by_length: Annotated[
        bool, typer.Option("--by-length", help="As if requests were sent to shapes by their lengths.")
    ] = False,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="What spot is likely to cost and how often it is short.")
    ] = False,
    weeks: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_WEEKS, help=f"Simulated for --forecast; at most {WEEKS} when not given."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every place and every reason.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    lock: Annotated[
        bool, typer.Option("--lock", help="Write pools.<stack>.lock: take the pools of today's prices.")
    ] = False,
) -> None:
    """Show where services could run, what that costs and what is chosen. Changes nothing but a lock, when asked to."""
    context = Context(stack=stack) if stack else None
    ask = asked(
        load=load_file,
        qps=qps,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        ttft_ms=ttft_ms,
        tpot_ms=tpot_ms,
        by_length=by_length,
    )
    if weeks is not None and not forecast:
        raise InputError("--weeks is of --forecast, which is not asked for")
    narrowed = (files, cloud, region, env, spot is not None, max_price)
    if lock:
        _lock(context, alone=not any(narrowed) and ask == Asked() and not forecast)
        return
    if context and not any(narrowed):
        planned = planned_of(context)
        specs = [spec for spec in specs_of(context) if not spec.leaving]
        known = sized(specs, planned.plan.services, ask, context, None)
        ahead = forecasts(planned.plan, context.root, weeks=weeks) if forecast else ()
        _show(planned.plan, planned.notes, known, ahead, everything=everything, as_json=as_json)
        return
    paths = files or ([context.root / f for f in context.config.services] if context else [])
    if not paths:
        raise InputError("name a service file, or a stack: `tw plan FILE`, `tw plan --stack dev`.")
    limits = Constraints.of(context.config) if context else Constraints()
    if cloud:
        limits = replace(limits, clouds=tuple(c.casefold() for c in cloud))
    if region:
        limits = replace(limits, regions=tuple(region))
    if spot is not None:
        limits = replace(limits, market=Market.SPOT if spot else Market.ON_DEMAND)
    specs = read_services(paths, env=parse_env(env))
    planned = plan(
        specs,
        load(),
        replace(limits, max_price_usd_hour=max_price),
        env=stack or "none",
    )
    known = sized(specs, planned.services, ask, context, limits.market)
    ahead = forecasts(planned, context.root if context else ROOT, weeks=weeks) if forecast else ()
    _show(planned, (), known, ahead, everything=everything, as_json=as_json)


def _lock(context: Context | None, *, alone: bool) -> None:
    if context is None or not alone:
        raise InputError(
            "--lock is about the pools of a whole stack: `tw plan --stack prod --lock`, and nothing else."
        )
    if context.config.is_local:
        raise InputError(f"stack `{context.stack}` runs on this computer, and is planned afresh each time")
    path = context.root / lock_name(context.env)
    old, specs = lock_of(context), specs_of(context, locked=False)
    renewal = renewed(
        old,
        planned_of(context, locked=False).plan,
        files={spec.name: file for spec, file in zip(specs, context.config.services, strict=True)},
        hosts=place_hosts(context.config, zones_of(load()), old.hosts if old else {}),
        deployed=deployed(context),
    )
    text = dump(renewal.lock, context.env).encode()
    same = path.exists() and path.read_bytes() == text
    if not same:
        write_atomic(path, text)
    held = f"{len(renewal.lock.pools)} pools"
    said = f"no change, {held}" if same else f"{held}; commit it"
    print("\n".join((*renewal.changes, *renewal.notes, f"{path.name}: {said}")))


def _show(
    planned: Plan,
    notes: Sequence[str],
    known: Mapping[str, Sized],
    ahead: Sequence[Outlook],
    *,
    everything: bool,
    as_json: bool,
) -> None:
    if as_json:
        each = ((s.name, (*s.notes, *known.get(s.name, UNSIZED).notes)) for s in planned.services)
        said = [*notes, *(f"{name}: {note}" for name, its in each for note in its)]
        whole = {**as_dict(planned, known, ahead), "total": cost_as_dict(planned.cost), "notes": said}
        print(json.dumps(whole, indent=1))
    else:
        _print(planned, notes, known, ahead, everything=everything)


# ---------------------------------------------------------------- for people


def _print(
    planned: Plan,
    notes: Sequence[str],
    known: Mapping[str, Sized],
    ahead: Sequence[Outlook],
    *,
    everything: bool,
) -> None:
    from rich.console import Console

    out = Console(highlight=False, soft_wrap=True)
    if not out.is_terminal:
        out.width = WIDTH_WITHOUT_TERMINAL
    for service in planned.services:
        _print_service(out, service, known.get(service.name, UNSIZED), everything=everything)
    if notes:
        _print_lines(out, "notes", notes)
    print_table(out, Money(planned, compared=False, outlooks=ahead))


def _print_service(out: Any, service: ServicePlan, known: Sized, *, everything: bool) -> None:
    for table in optimizer_tables(service, everything=everything, rates=known.rates):
        _print_table(out, table)
    if known.rates and known.sizing is None:
        print(
            f"{TOKENS}: a replica at full load, three prompt tokens to one of output, no latency target; "
            f"{ABOUT} is estimated from data sheets\n"
        )
    if known.sizing is not None:
        for table in mix_tables(known.sizing):
            _print_table(out, table)
        _print_lines(out, f"{service.name}: about the mix", mix_lines(known.sizing))
    if service.arithmetic:
        _print_lines(out, f"{service.name}: what holds the model", service.arithmetic)
    _print_table(out, pool_table(service))
    if service.left_out:
        lines = left_out_lines(service.left_out, at_most=None if everything else REASONS_SHOWN)
        _print_lines(out, f"{service.name}: {len(service.left_out)} places left out", lines)
    if said := (*service.notes, *known.notes):
        _print_lines(out, f"{service.name}: notes", said)


def _print_table(out: Any, table: Table) -> None:
    from rich.measure import Measurement

    drawn = _drawn(table)
    wanted = Measurement.get(out, out.options.update(width=WIDEST), drawn).maximum
    if wanted > out.width:
        drawn = _drawn(table.narrowed())
    out.print(drawn)
    if table.footer:
        out.print(f"{table.footer}\n", markup=False)


def _drawn(table: Table) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        box=box.SIMPLE_HEAD,
        title=table.title,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        collapse_padding=True,
    )
    for column in table.columns:
        drawn.add_column(column, justify="right" if column in table.numeric else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn


def _print_lines(out: Any, title: str, lines: Sequence[str]) -> None:
    out.print(title, style="bold", markup=False)
    for line in lines:
        out.print(f"  {line}", markup=False)
    out.print()
