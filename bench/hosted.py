"""What a hosted provider as the cover saves, and what it does not: `python -m bench.hosted [--quick]`.

Days of conversations on capacity that comes and goes, by the product and by SpotHedge, with and without a provider behind the
edges. Means over kinds of traces and seeds; cost is compared run by run with the product's own without a provider.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sim.arrivals import Asks, generate_requests
from sim.compare import run_requests
from sim.conditions import Conditions
from sim.engine import Rates
from sim.fleet import Workload
from sim.generate import REPORT_SEEDS, TraceKind, generate
from sim.hosted import Hosted
from sim.metrics import Result
from sim.requests import Requests
from spec.scaling import Scaling

KINDS = (TraceKind.AGED, TraceKind.CONSTANT, TraceKind.PARTIAL)
PER_S, DAYS, QUICK_DAYS, SEEDS = 3.0, 1.0, 0.2, 2
ROOM, MOST, USED, LESS_USED = 20, 40, 0.55, 0.45
TTFT_GOAL_S = 2.0
WHOLE = Rates()
QUARTER = Rates(
    prefill=WHOLE.prefill / 4,
    alone=WHOLE.alone,
    full=WHOLE.full / 4,
    slots=WHOLE.slots // 4,
    kv=WHOLE.kv // 4,
)
"""So that a few requests per second take about four replicas."""
OFFER = Hosted(usd_input=0.5, usd_output=0.5)
"""Fireworks' price of Mixtral 8x7B, USD per million tokens (<https://fireworks.ai/pricing>, November 2026)."""
PER = 100_000
"""Requests: rare failures are told of so many."""
WIDTH = 150


@dataclass(frozen=True)
class Setting:
    """A line of the table. `used`: of what a replica can do that requests per second may use."""

    name: str
    policy: str
    used: float = USED
    hosted: Hosted | None = None

    def scaling(self, requests: Requests) -> Scaling:
        qps = self.used * QUARTER.capacity(*requests.mean_tokens)
        return Scaling(max_replicas=MOST, target_qps_per_replica=qps, upscale_delay_s=60)


SETTINGS = (
    Setting("tradewind", "tradewind"),
    Setting("with the provider, priced in", "tradewind", hosted=OFFER),
    Setting(f"the same, used for {LESS_USED:.0%}", "tradewind", LESS_USED, OFFER),
    Setting("spothedge", "spothedge"),
    Setting("with the provider", "spothedge", hosted=OFFER),
)
"""The first is what the others are compared with."""


def one(kind: TraceKind, seed: int, days: float) -> list[Result]:
    """All settings on one day, in a process of its own."""
    requests = Requests(f"{Asks.CONVERSATION} {seed}")
    for row in generate_requests(Asks.CONVERSATION, seed=seed, days=days, rate=PER_S):
        requests.append(*row)
    trace, conditions = generate(kind, seed=seed, days=days, room=ROOM), Conditions(seed=seed)
    return [
        run_requests(
            s.policy,
            trace,
            conditions,
            s.scaling(requests),
            Workload(requests, QUARTER, TTFT_GOAL_S, hosted=s.hosted),
        )
        for s in SETTINGS
    ]


def table(runs: Sequence[Sequence[Result]], days: float) -> Table:
    """A line for each setting, means over the runs."""
    found = Table(
        title=f"{PER_S:g} conversations/s on average, {days:g} days of {', '.join(KINDS)}, {len(runs)} runs; means",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    found.add_column("policy", no_wrap=True)
    for column in (
        "cost %",
        "of it hosted %",
        "late requests %",
        f"of {PER:,}: nobody to answer",
        "broken",
        "hosted",
        "launches",
    ):
        found.add_column(column, justify="right")
    for n, setting in enumerate(SETTINGS):
        mine = [run[n] for run in runs]
        cost = statistics.fmean(run[n].cost_usd / run[0].cost_usd for run in runs)
        met = [m.requests for m in mine if m.requests is not None]
        asked = sum(m.requests for m in met)
        rare = (
            sum(m.no_replica + m.lost for m in met),
            sum(m.broken for m in met),
            sum(m.hosted for m in met),
        )
        found.add_row(
            setting.name,
            f"{100 * cost:.0f}",
            f"{100 * statistics.fmean(m.cost_hosted_part for m in mine):.2f}",
            f"{100 * statistics.fmean(m.late for m in met):.2f}",
            *(f"{PER * number / asked:.1f}" for number in rare),
            f"{statistics.fmean(m.launches for m in mine):.0f}",
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.hosted", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, and fewer hours")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    days, seeds = (QUICK_DAYS, REPORT_SEEDS[:1]) if asked.quick else (DAYS, REPORT_SEEDS[:SEEDS])
    out, progress = Console(highlight=False, width=WIDTH), Console(stderr=True)
    with (
        ProcessPoolExecutor(asked.workers) as pool,
        Progress(console=progress, transient=True, disable=not progress.is_terminal) as bar,
    ):
        task = bar.add_task("runs", total=len(seeds) * len(KINDS))
        runs = []
        for job in [pool.submit(one, kind, seed, days) for kind in KINDS for seed in seeds]:
            runs.append(job.result())
            bar.advance(task)
    out.print(table(runs, days))
    return 0


if __name__ == "__main__":
    sys.exit(main())
