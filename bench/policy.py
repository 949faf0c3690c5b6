"""Every policy on every published scenario: `python -m bench.policy [--quick]`, or `make bench-policy`.

Figures are means over the report seeds, with 95 % intervals over them; ratios are of the same seed's runs, so that an easy
trace is easy for both. `cost %` is of the target on demand all the time, `on demand %` that part of what was paid.
`--seeds tuning` is for whoever tunes a policy. Every scenario is shown, won or lost. At the end: what ours costs as available as the
rival, and the goals that it was built for, met or missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.stage.goals import OURS, RIVAL, Interval, Runs, compared, equal_table, goals, of
from sim.compare import run
from sim.generate import REPORT_SEEDS, TUNING_SEEDS
from sim.metrics import Result
from sim.policies import DEFAULT, OMNISCIENT, check
from sim.scenarios import SCENARIOS, Scenario
from spec.errors import TradewindError, did_you_mean

NAMES = (*OURS, *(name for name in DEFAULT if name not in OURS))
QUICK_SEEDS = 3
WIDTH = 180


def one(scenario: Scenario, seed: int, names: Sequence[str]) -> list[Result]:
    """All policies on one trace, in a process of its own."""
    trace, on_demand = scenario.trace(seed), scenario.on_demand(seed)
    conditions = scenario.conditions(seed)
    return [run(name, trace, conditions, scenario.targets(), on_demand=on_demand) for name in names]


def everything(
    scenarios: Sequence[Scenario], seeds: Sequence[int], names: Sequence[str], workers: int
) -> Runs:
    found: dict[tuple[str, int], list[Result]] = {}
    console = Console(stderr=True)
    total = len(scenarios) * len(seeds)
    with (
        ProcessPoolExecutor(workers) as pool,
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("runs", total=total)
        jobs = {pool.submit(one, s, seed, names): (s.name, seed) for s in scenarios for seed in seeds}
        for job in as_completed(jobs):
            found[jobs[job]] = job.result()
            bar.advance(task)
    return {
        (s.name, name): [found[s.name, seed][n] for seed in seeds]
        for s in scenarios
        for n, name in enumerate(names)
    }


def ratio(runs: Runs, scenario: str, policy: str, to: str) -> Interval | None:
    """Cost over the other's, seed by seed."""
    if (scenario, to) not in runs:
        return None
    pairs = zip(runs[scenario, policy], runs[scenario, to], strict=True)
    return Interval.of([mine.cost_usd / theirs.cost_usd for mine, theirs in pairs])


def points(runs: Runs, scenario: str, policy: str) -> Interval | None:
    """Availability above the rival's, seed by seed."""
    if (scenario, RIVAL) not in runs:
        return None
    pairs = zip(runs[scenario, policy], runs[scenario, RIVAL], strict=True)
    return Interval.of([mine.availability - theirs.availability for mine, theirs in pairs])


def scenario_table(runs: Runs, scenario: Scenario, names: Sequence[str]) -> Table:
    title = (
        f"{scenario.name}: {scenario.kind}, target {scenario.target}, room {scenario.room}, cold start "
        f"{scenario.cold_start_s:g} s, launch {scenario.launch_usd:g} USD, notice {scenario.notice}"
        f"{f', {scenario.night} at night' if scenario.night is not None else ''}, {scenario.victim} end first"
        f"{', late refusals' if scenario.late else ''}{', scarce on demand' if scenario.scarce else ''}, {scenario.days:g} days"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy", no_wrap=True)
    for column in (
        "available %",
        f"points over {RIVAL}",
        "zero ready %",
        "cost %",
        f"% of {RIVAL}",
        f"% of {OMNISCIENT}",
        "on demand %",
        "preempted",
        "calls/h",
    ):
        table.add_column(column, justify="right")
    for name in names:
        results = runs[scenario.name, name]
        against = [ratio(runs, scenario.name, name, to) for to in (RIVAL, OMNISCIENT)]
        table.add_row(
            name,
            of(results, lambda r: r.availability).percent(3),
            above.percent(3) if (above := points(runs, scenario.name, name)) else "",
            of(results, lambda r: r.zero_ready).percent(3),
            of(results, lambda r: r.cost_ratio).percent(),
            *("" if a is None else a.percent() for a in against),
            of(results, lambda r: r.cost_on_demand_part).percent(),
            f"{of(results, lambda r: r.preemptions).mean:.0f}",
            f"{of(results, lambda r: r.calls_per_hour).mean:.2f}",
        )
    return table


def summary_table(runs: Runs, scenarios: Sequence[Scenario], names: Sequence[str]) -> Table:
    """Means over scenarios; the interval is over seeds, of each seed's mean over the scenarios."""
    table = Table(
        title=f"all {len(scenarios)} scenarios, each with the same weight",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("policy", no_wrap=True)
    for column in (
        "available %",
        "zero ready %",
        "cost %",
        f"% of {RIVAL}",
        "dearest scenario",
        f"% of {OMNISCIENT}",
    ):
        table.add_column(column, justify="right")
    for name in names:
        by_seed = list(zip(*(runs[s.name, name] for s in scenarios), strict=True))
        against = {
            to: [
                statistics.fmean(
                    mine.cost_usd / theirs.cost_usd for mine, theirs in zip(seed, other, strict=True)
                )
                for seed, other in zip(
                    by_seed, zip(*(runs[s.name, to] for s in scenarios), strict=True), strict=True
                )
            ]
            for to in (RIVAL, OMNISCIENT)
            if to in names
        }
        worst = max(
            ((r.mean, s.name) for s in scenarios if (r := ratio(runs, s.name, name, RIVAL)) is not None),
            default=None,
        )

        def mean(value: Callable[[Result], float], seeds: list[tuple[Result, ...]] = by_seed) -> Interval:
            return Interval.of([statistics.fmean(value(r) for r in seed) for seed in seeds])

        table.add_row(
            name,
            mean(lambda r: r.availability).percent(3),
            mean(lambda r: r.zero_ready).percent(3),
            mean(lambda r: r.cost_ratio).percent(),
            Interval.of(against[RIVAL]).percent() if RIVAL in against else "",
            f"{worst[1]} {100 * worst[0]:.0f}" if worst else "",
            Interval.of(against[OMNISCIENT]).percent() if OMNISCIENT in against else "",
        )
    return table


def chosen(words: Sequence[str]) -> list[Scenario]:
    by_name = {s.name: s for s in SCENARIOS}
    for word in words:
        if word not in by_name:
            sys.exit(
                f"error: there is no scenario {word!r}. {did_you_mean(word, by_name) or ', '.join(by_name)}"
            )
    return [by_name[w] for w in words]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.policy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"a few scenarios, {QUICK_SEEDS} seeds")
    parser.add_argument("--scenario", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--policy", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--seeds", choices=("report", "tuning"), default="report")
    parser.add_argument("--first", type=int, metavar="N", help="only so many of the seeds")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="every single result")
    asked = parser.parse_args()
    names = tuple(dict.fromkeys(asked.policy)) or NAMES
    try:
        for name in names:
            check(name)
    except TradewindError as e:
        sys.exit(f"error: {e}")
    seeds = REPORT_SEEDS if asked.seeds == "report" else TUNING_SEEDS
    scenarios = chosen(asked.scenario) or [s for s in SCENARIOS if s.quick or not asked.quick]
    seeds = seeds[: asked.first or (QUICK_SEEDS if asked.quick else len(seeds))]
    began = time.perf_counter()
    runs = everything(scenarios, seeds, names, asked.workers)
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    for scenario in scenarios:
        out.print(scenario_table(runs, scenario, names))
    out.print(summary_table(runs, scenarios, names))
    if {*OURS, RIVAL, OMNISCIENT} <= {*names}:
        found = compared(runs, scenarios)
        out.print(equal_table(runs, found))
        out.print("\n".join(goals(runs, found)), markup=False)
    out.print(
        f"{asked.seeds} seeds {seeds[0]} to {seeds[-1]}, {time.perf_counter() - began:.0f} s, {asked.workers} processes"
    )
    if asked.json:
        rows = [
            {"scenario": s, "seed": seed, **result.as_dict()}
            for (s, _), results in runs.items()
            for seed, result in zip(seeds, results, strict=True)
        ]
        asked.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
