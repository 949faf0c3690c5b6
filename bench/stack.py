"""How long the commands take that one types: `python -m bench.stack`, a few minutes, in a private copy of the checkout.

Whole commands, start of `make` and interpreter included, on stacks of the local cloud with 3 and with 300 pools.
Goals: up from nothing to the first answer 20 s, up without a change 8 s, preview 6 s, preview of 300 pools 12 s.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.stage.cost import pss_mib
from tests.e2e.checkout import Checkout, private_checkout

RUNS = 3
POOLS = 300
ZONES_PER_REGION = 3
SAMPLE_S = 0.1
LIMIT_S = 300

NOT_INHERITED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "STACK")
"""What a user's shell does not set, and `make bench` or a test runner may."""


class Bench:
    """Runs commands in one checkout and collects a row for each kind."""

    def __init__(self, place: Checkout, table: Table) -> None:
        self._place, self._table = place, table
        self._env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        self.missed: list[str] = []

    def make(self, target: str) -> float:
        """Seconds that `make <target>` takes."""
        return self._seconds(["make", "-s", target])

    def tw(self, *args: str) -> float:
        """Seconds that `./tw <args>` takes."""
        return self._seconds(["./tw", *args])

    def up_to_first_completion(self) -> float:
        """Seconds from the start of `make up` to the end of the first answer."""
        started = time.perf_counter()
        self.make("up")
        question = {
            "model": "chat-demo",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 16,
        }
        answer = httpx.post(
            f"{self._place.endpoint}/v1/chat/completions",
            json=question,
            headers={"Authorization": f"Bearer {self._place.key}"},
            timeout=30,
            trust_env=False,
        )
        answer.raise_for_status()
        return time.perf_counter() - started

    def row(self, what: str, times: list[float], goal: float | None = None, mib: float | None = None) -> None:
        """Prints nothing yet: adds the median, the range, the goal and the memory to the table."""
        median = statistics.median(times)
        if goal is not None and median > goal:
            self.missed.append(what)
        self._table.add_row(
            what,
            f"{median:.2f}",
            f"{min(times):.2f} to {max(times):.2f}" if len(times) > 1 else "",
            "" if goal is None else f"{goal:g}",
            "" if mib is None else f"{mib:.0f}",
        )

    def _seconds(self, command: list[str]) -> float:
        started = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self._place.root,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        took = time.perf_counter() - started
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return took


def repeated(work: Callable[[], float]) -> list[float]:
    return [work() for _ in range(RUNS)]


def small(bench: Bench, place: Checkout) -> None:
    """The stack of a newcomer: one service, three pools, two replicas."""
    ups, downs = [], []
    for _ in range(RUNS):
        if ups:
            downs.append(bench.make("down"))
        ups.append(bench.up_to_first_completion())
    bench.row("make up, from nothing to the first answer", ups, goal=20)
    bench.row("make up, no change", repeated(lambda: bench.make("up")), goal=8)
    previews = repeated(lambda: bench.make("preview"))
    with peak_mib(place) as peak:
        bench.make("preview")
    bench.row("make preview, no change", previews, goal=6, mib=max(peak))
    for name, args in (
        ("./tw --help", ["--help"]),
        ("./tw status", ["status"]),
        ("./tw plan services/chat.yaml", ["plan", "services/chat.yaml"]),
    ):
        bench.row(name, repeated(lambda args=args: bench.tw(*args)))
    bench.row("make down", [*downs, bench.make("down")])


def large(bench: Bench, place: Checkout) -> None:
    """The same service over as many zones as a large estate has. Only its pools differ, not its replicas."""
    spread(place)
    bench.row(f"{POOLS} pools: make preview, from nothing", repeated(lambda: bench.make("preview")), goal=12)
    with peak_mib(place) as peak:
        first = bench.up_to_first_completion()
    bench.row(f"{POOLS} pools: make up, from nothing to the first answer", [first], mib=max(peak))
    declared = len(list((place.home / "cloud" / "pools").glob("*.json")))
    if declared != POOLS:
        raise RuntimeError(f"{declared} pools were declared, not {POOLS}")
    bench.row(f"{POOLS} pools: make preview, no change", repeated(lambda: bench.make("preview")), goal=12)
    bench.row(f"{POOLS} pools: make up, no change", repeated(lambda: bench.make("up")))
    bench.row(f"{POOLS} pools: make down", [bench.make("down")])


def spread(place: Checkout) -> None:
    """Gives the local cloud as many zones as there shall be pools, each with a price and a trace of its own."""
    path = place.root / "catalog" / "local.csv"
    with path.open(newline="") as f:
        [model, *_] = csv.DictReader(f)
    offers, trace = [], []
    for n in range(POOLS):
        region, spot = f"local-r{n // ZONES_PER_REGION:03}", round(0.2 + n / 10_000, 4)
        zone = f"{region}-{'abcdefgh'[n % ZONES_PER_REGION]}"
        prices = {"spot_usd_hour": spot, "on_demand_usd_hour": 0.7}
        offers.append(model | {"region": region, "zone": zone} | prices)
        trace.append({"time_s": 0, "zone": zone, "capacity": 8, "spot_price": spot, "ondemand_price": 0.7})
    write_csv(path, offers)
    write_csv(place.root / "local" / "traces" / "wide.csv", trace)
    place.configure(
        local={**place.ports, "trace": "local/traces/wide.csv"},
        maxPoolsPerService=POOLS,
        maxRegions=POOLS // ZONES_PER_REGION,
        limits={
            "expectedUsdHour": 2,
            "worstUsdHour": 5,
        },  # what all pools at once would cost is not the question
    )


def write_csv(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@contextmanager
def peak_mib(place: Checkout) -> Generator[list[float]]:
    """Samples the memory of Pulumi and of all that it starts; not while times are taken, for it takes time itself."""
    peak, done = [0.0], threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_S):
            peak.append(sum(pss_mib(pid) for pid, name in place.processes().items() if name == "pulumi"))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def main() -> int:
    """Prints one table; 1 when a goal is missed."""
    table = Table(
        title=f"the stack's commands, median of {RUNS} runs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        title_justify="left",
    )
    for column in ("command", "seconds", "range", "goal s", "Pulumi MiB"):
        table.add_column(column, justify="left" if column == "command" else "right")
    with tempfile.TemporaryDirectory(prefix="tw") as folder, private_checkout(Path(folder) / "c") as place:
        bench = Bench(place, table)
        small(bench, place)
        large(bench, place)
    Console(width=110).print(table)
    for what in bench.missed:
        print(f"missed its goal: {what}")
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
