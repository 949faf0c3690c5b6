"""Requests through the simulator: `python -m bench.requests [--quick]`.

First how long ten million requests take, in a process of its own: from the file to the result, with its peak of memory. Then what
scaling is worth: a day that looks like Azure's, capacity without limit, so that placement plays no part; SkyServe's autoscaler at its defaults against
the product's with several settings. `late minutes` are those whose P99 missed a first byte within 2 s. Report seeds only;
the settings were chosen on tuning seeds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sim.arrivals import Asks, generate_requests
from sim.compare import run_requests
from sim.conditions import Conditions
from sim.engine import Rates
from sim.fleet import Workload
from sim.generate import ON_DEMAND_USD, REPORT_SEEDS, SPOT_USD, TUNING_SEEDS, TraceKind, generate
from sim.metrics import Result
from sim.requests import Requests, read, write
from sim.suggest import suggested
from sim.trace import Series, Trace
from spec.scaling import Scaling

MANY, QUICK_MANY, MANY_PER_S = 10_000_000, 300_000, 45.0
GOAL_S, GOAL_MIB = 600.0, 500.0
TTFT_GOAL_S = 2.0
PER_S, DAYS, QUICK_DAYS, SEEDS = 20.0, 1.0, 0.2, 3
LOW, HIGH = 3, 100
FEWER = 5.0
"""Late minutes of SkyServe's over ours: the goal."""
WIDTH = 150


@dataclass(frozen=True)
class Setting:
    """A line of the comparison. `used`: of what a replica can do that requests per second may use."""

    name: str
    policy: str
    used: float
    more: Mapping[str, float] = field(default_factory=dict)

    def scaling(self, requests: Requests, rates: Rates) -> Scaling:
        qps = self.used * rates.capacity(*requests.mean_tokens)
        given = {"min_replicas": LOW, "max_replicas": HIGH, "target_qps_per_replica": qps, **self.more}
        return Scaling.model_validate(given)


TTFT = {"target_ttft_ms": 1000 * TTFT_GOAL_S}
AT_ONCE = {"upscale_delay_s": 0}
SETTINGS = (
    Setting("SkyServe's autoscaler, its defaults", "tradewind+qps", 0.8),
    Setting("SkyServe's autoscaler, 60 % used", "tradewind+qps", 0.6),
    Setting("ours: the same target and delays", "tradewind", 0.8),
    Setting("ours: TTFT beside it", "tradewind", 0.8, TTFT),
    Setting("ours: 70 % used, 0 s up, 60 s down", "tradewind", 0.7, AT_ONCE | {"downscale_delay_s": 60}),
    Setting(
        "ours: 60 % used, TTFT, 0 s up, 300 s down",
        "tradewind",
        0.6,
        TTFT | AT_ONCE | {"downscale_delay_s": 300},
    ),
)
"""The first is what the others are compared with."""


# ---------------------------------------------------------------- ten million


def replay(path: Path, days: float) -> tuple[int, float, float, float]:
    """(Requests, seconds to read, seconds to replay, peak MiB) of this process. Processor time: what else runs does not count."""
    began = time.process_time()
    requests = read(path)
    rates, been_read = Rates(), time.process_time()
    workload = Workload(requests, rates, TTFT_GOAL_S)
    trace = generate(TraceKind.AGED, seed=TUNING_SEEDS[0], days=days, room=20)
    run_requests("tradewind", trace, Conditions(), suggested(requests, rates), workload)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return len(requests), been_read - began, time.process_time() - been_read, peak


def many(number: int) -> bool:
    """Prints how long it took; whether that is within the goal."""
    days = 1.5 * number / MANY_PER_S / 86_400 + 0.5
    spawned = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, mp_context=spawned) as pool:
        path = Path(folder, "requests.csv")
        with path.open("w") as f:
            rows = generate_requests(Asks.CONVERSATION, seed=TUNING_SEEDS[0], days=days, rate=MANY_PER_S)
            write(islice(rows, number), f)
        count, reading_s, replay_s, peak = pool.submit(replay, path, days).result()
    good = reading_s + replay_s <= GOAL_S and peak <= GOAL_MIB
    print(
        f"{count} requests with `tradewind`: read in {reading_s:.0f} s, replayed in {replay_s:.0f} s, "
        f"{peak:.0f} MiB at most (goal: {GOAL_S:g} s, {GOAL_MIB:g} MiB): {'met' if good else 'missed'}\n",
        flush=True,
    )
    return good


# ---------------------------------------------------------------- what scaling is worth


def without_limit(days: float) -> Trace:
    """One zone that always gives, so that only the number matters."""
    series = Series()
    series.append(0.0, 100 * HIGH, SPOT_USD, ON_DEMAND_USD)
    return Trace("without limit", {"us-east-1a": series}, days * 86_400)


def one(asks: Asks, seed: int, days: float) -> list[Result]:
    """All settings on one trace, in a process of its own."""
    requests, rates = Requests(f"{asks} {seed}"), Rates()
    for row in generate_requests(asks, seed=seed, days=days, rate=PER_S):
        requests.append(*row)
    workload = Workload(requests, rates, TTFT_GOAL_S)
    return [
        run_requests(
            s.policy, without_limit(days), Conditions(seed=seed), s.scaling(requests, rates), workload
        )
        for s in SETTINGS
    ]


def compared(asks: Asks, runs: Sequence[Sequence[Result]], days: float) -> tuple[Table, list[str]]:
    """The table, and the settings with FEWER times fewer late minutes at no more cost."""
    table = Table(
        title=f"{asks}: {PER_S:g} requests/s on average, {days:g} days, {len(runs)} seeds, cold start 120 s; means",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("scaling", no_wrap=True)
    for column in (
        "cost USD",
        "% of SkyServe's",
        "late requests %",
        "late minutes %",
        "times fewer",
        "TTFT P99 s",
        "launches",
    ):
        table.add_column(column, justify="right")
    base, good = [r[0] for r in runs], []
    for n, setting in enumerate(SETTINGS):
        mine = [r[n] for r in runs]
        cost = statistics.fmean(m.cost_usd / b.cost_usd for m, b in zip(mine, base, strict=True))
        late = statistics.fmean(m.requests.late_minutes for m in mine if m.requests)
        before = statistics.fmean(b.requests.late_minutes for b in base if b.requests)
        fewer = before / late if late else float("inf")
        if n and fewer >= FEWER and cost <= 1:
            good.append(setting.name)
        table.add_row(
            setting.name,
            f"{statistics.fmean(m.cost_usd for m in mine):.0f}",
            f"{100 * cost:.0f}",
            f"{100 * statistics.fmean(m.requests.late for m in mine if m.requests):.2f}",
            f"{100 * late:.2f}",
            f"{fewer:.1f}",
            f"{statistics.fmean(m.requests.ttft_p99_s or 0.0 for m in mine if m.requests):.1f}",
            f"{statistics.fmean(m.launches for m in mine):.0f}",
        )
    return table, good


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.requests", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests, seeds and hours")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    good = many(QUICK_MANY if asked.quick else MANY)
    days = QUICK_DAYS if asked.quick else DAYS
    seeds = REPORT_SEEDS[: 1 if asked.quick else SEEDS]
    out, progress = Console(highlight=False, width=WIDTH), Console(stderr=True)
    with (
        ProcessPoolExecutor(asked.workers) as pool,
        Progress(console=progress, transient=True, disable=not progress.is_terminal) as bar,
    ):
        task = bar.add_task("runs", total=len(seeds) * len(Asks))
        jobs = {asks: [pool.submit(one, asks, seed, days) for seed in seeds] for asks in Asks}
        for asks, started in jobs.items():
            runs = []
            for job in started:
                runs.append(job.result())
                bar.advance(task)
            table, met = compared(asks, runs, days)
            out.print(table)
            said = ", ".join(met) if met else "none"
            out.print(f"{FEWER:g} times fewer late minutes at no more cost (the goal): {said}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
