"""`tw sim`: policies against traces of capacity and requests, before anything is paid for; and traces to try them on."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import sim_requests, sim_tables
from cli.bars import bars
from cli.options import EnvOption
from cli.replay import replay
from local.files import write_atomic
from sim.arrivals import Asks, generate_requests
from sim.chart import draw
from sim.compare import DEFAULT_SLO, as_dict, run, run_requests
from sim.conditions import ColdStart, Conditions
from sim.generate import TraceKind, generate
from sim.metrics import Result
from sim.omniscient import NoOptimum
from sim.policies import DEFAULT, DEFAULT_WITH_REQUESTS, check
from sim.requests import write as write_requests
from sim.scenarios import LATE_S
from sim.trace import read, write
from sim.world import Sample
from spec.errors import InputError, OutsideError

TARGET, MOST_TARGET = 3, 10_000
REQUESTS = "requests"
Generated = StrEnum("Generated", {k.name: k.value for k in TraceKind} | {"REQUESTS": REQUESTS})


class _Sim(TyperGroup):
    """A file where a command is expected is a trace whose option was left out."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """As in the base class. Raises InputError."""
        if self.get_command(ctx, args[0]) is None and Path(args[0]).exists():
            raise InputError(f"{args[0]} is no command; for a trace write `tw sim --trace {args[0]}`.")
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    """Adds `sim` and its commands."""
    group = typer.Typer(
        cls=_Sim,
        help="Replay traces of capacity and requests through policies and compare them; or a live journal.",
    )
    group.callback(invoke_without_command=True)(sim)
    group.command("generate")(generate_trace)
    group.command("replay")(replay)
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
    target: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_TARGET, help=f"Replicas that should be ready; {TARGET} when not given."),
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV time_s,prompt_tokens,output_tokens. The number of replicas follows them.",
        ),
    ] = None,
    service: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Service file whose replica_policy scales. Without it: 1 to 100 replicas, at four fifths of what one can do "
            "of the mean request, first bytes within 2 s.",
        ),
    ] = None,
    env: EnvOption = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=VALUE,...",
            help="What a replica does: prefill (tokens/s), alone and full (tokens/s of one request, of all), slots, kv (tokens).",
        ),
    ] = None,
    hosted: Annotated[
        str | None,
        typer.Option(
            metavar="IN/OUT[/MOST]",
            help="A hosted provider answers while no replica is ready: USD per million tokens of prompts and of answers, like "
            "0.15/0.60; and what it may take in an hour.",
        ),
    ] = None,
    ttft_goal: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            min=1,
            help="Later first bytes are late; the service's target_ttft_ms, or 2000.",
        ),
    ] = None,
    cold_start: Annotated[float, typer.Option(metavar="S", help="Seconds from order to ready.")] = 120.0,
    ratio: Annotated[
        float, typer.Option(help="On demand : spot, where the trace has only one price or none.")
    ] = 3.0,
    slo: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            help="Wanted availability; that of --service, or 99.9, when not given. tradewind looks at it.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    notice: Annotated[float, typer.Option(metavar="S", help="Before a spot machine ends; AWS 120.")] = 0.0,
    late: Annotated[bool, typer.Option("--late", help=f"Refusals are told after {LATE_S:g} s.")] = False,
    launch_usd: Annotated[
        float, typer.Option(metavar="USD", help="What the start of a machine costs.")
    ] = 0.0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw the runs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare policies on a trace: availability, cost, preemptions, calls; with requests what callers meet. Changes nothing."""
    if context.invoked_subcommand is not None:
        return
    if trace is None:
        raise InputError(
            "name a trace: `tw sim --trace FILE`; `tw sim generate aged > FILE` makes one to try it on."
        )
    if requests is None:
        _only_with_requests(service=service, engine=engine, hosted=hosted, ttft_goal=ttft_goal, env=env)
    elif target is not None:
        raise InputError("--target means nothing with --requests, which the number follows; see --service.")
    names = list(dict.fromkeys(policy or (DEFAULT if requests is None else DEFAULT_WITH_REQUESTS)))
    for name in names:
        check(name, with_requests=requests is not None)
    _check_slo(slo)
    _check_plot(plot)
    conditions = _conditions(
        cold_start=cold_start,
        ratio=ratio,
        notice=notice,
        launch_usd=launch_usd,
        late=late,
        seed=seed,
    )
    given = read(trace)
    asked = None
    share = DEFAULT_SLO if slo is None else slo / 100
    if requests is not None:
        asked = sim_requests.workload(
            requests, service, env, engine=engine, hosted=hosted, goal_ms=ttft_goal, slo=slo
        )
        share = asked[0].slo / 100
    wanted = target or TARGET
    courses: list[tuple[Result, list[Sample]]] = []
    end = given.end_s if asked is None else min(given.end_s, asked[1].requests.end_s)
    with bars(names, end) as told:
        for name in names:
            samples: list[Sample] = []
            kept = samples if plot else None
            progress = partial(told, name)
            try:
                if asked is None:
                    result = run(name, given, conditions, wanted, slo=share, samples=kept, progress=progress)
                else:
                    result = run_requests(
                        name, given, conditions, *asked, slo=share, samples=kept, progress=progress
                    )
            except NoOptimum as e:
                if len(names) == 1:
                    raise
                given = replace(given, notes=(*given.notes, f"without {name}: {e}"))
                continue
            told(name, end)
            courses.append((result, samples))
    results = [r for r, _ in courses]
    if as_json:
        found = as_dict(given, conditions, None if asked else wanted, results)
        if asked is not None:
            found |= sim_requests.as_dict(given, conditions, *asked, results)
        print(json.dumps(found, indent=1))
    elif asked is None:
        sim_tables.print_placement(given, conditions, wanted, results)
    else:
        sim_tables.print_requests(given, conditions, *asked, results)
    if plot:
        most = wanted if asked is None else max(s.target for _, samples in courses for s in samples)
        shown = replace(given, end_s=end)  # no longer than the requests
        _draw_to(plot, draw(shown, most, [c for c in courses if c[1]]))
        if not as_json:
            print(f"drawn to {plot}")


def generate_trace(
    kind: Annotated[
        Generated, typer.Argument(help="The law that zones follow; or `requests`, which look like Azure's.")
    ],
    *,
    days: Annotated[float, typer.Option(min=0.01, max=366, help="Its length.")] = 45.0,
    room: Annotated[int, typer.Option(min=1, max=10_000, help="Machines that an up zone has at most.")] = 4,
    rate: Annotated[
        float, typer.Option(min=0.001, max=100_000, help="Of `requests`: how many per second, on average.")
    ] = 10.0,
    asks: Annotated[Asks, typer.Option(help="Of `requests`: whose lengths.")] = Asks.CONVERSATION,
    seed: Annotated[int, typer.Option(help="Decides everything.")] = 1,
) -> None:
    """Print a synthetic trace: of nine zones in three regions, or of requests."""
    if kind.value == REQUESTS:
        write_requests(generate_requests(asks, seed=seed, days=days, rate=rate), sys.stdout)
    else:
        write(generate(TraceKind(kind.value), seed=seed, days=days, room=room), sys.stdout)


def _only_with_requests(**given: object) -> None:
    """Raises InputError for an option that would be left aside without a word."""
    for name, value in given.items():
        if value:
            raise InputError(f"--{name.replace('_', '-')} means nothing without --requests.")


def _check_slo(slo: float | None) -> None:
    if slo is None or 1 < slo <= 100:  # noqa: PLR2004  percent
        return
    hint = f"; did you mean {100 * slo:g}?" if 0 < slo <= 1 else ""
    raise InputError(f"--slo is a percentage like 99.9, got {slo:g}{hint}")


def _check_plot(plot: Path | None) -> None:
    """Before minutes of simulation."""
    if plot is not None and (plot.suffix.lower() != ".svg" or plot.is_dir()):
        raise InputError(
            f"--plot draws SVG, so name a file that ends with .svg, got {str(plot)!r}. Browsers show it; "
            "`rsvg-convert -o x.png x.svg` makes a PNG of it."
        )


def _draw_to(plot: Path, picture: str) -> None:
    try:
        write_atomic(plot, picture.encode())
    except OSError as e:
        raise OutsideError(
            f"--plot {plot}: can't be written: {e.strerror}: {e.filename or plot.parent}"
        ) from e


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
