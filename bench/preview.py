"""How long a preview of the shipped prod environment takes, and what an update of it writes: `python -m bench.preview`.

As `tw preview` without credentials: stand-ins of the clouds, the whole policy pack. Once as it is shipped and once with
300 pools, each beside Pulumi itself with as many resources that mean nothing, in the same run. The update goes to stand-ins with
live state. How often it writes the state is counted as shipped, and with 300 pools, where it would take long, reckoned from
the number of resources; so is how long that takes where one write takes 100 ms.
Goal: 15 s for the environment as it is shipped. About five minutes.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pulumi.automation import ConfigValue
from rich.console import Console
from rich.table import Table

from bench.stack import NOT_INHERITED
from bench.stage.tree import Usage, watch
from cli import pulumi
from cli.context import Context
from cli.money import specs_of
from spec.lock import lock_name
from spec.secrets import needed
from tests.e2e.checkout import Checkout, private_checkout
from tests.standins import Program
from tools.standins.live import FOLDER

GOAL_S = 15
RUNS = 3
SERVICES, POOLS_EACH, REGIONS = 3, 100, 20
"""The synthetic environment; a service of prod's kind finds no more than some 120 places in the price table."""
NO_LIMIT = 1_000_000
WRITE_S = 0.1
"""Of the state, in a bucket far away."""
POLL_S = 0.02

COUNTED = {"PULUMI_RETAIN_CHECKPOINTS": "true"}
AT_THE_END = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
"""Nobody's setting but ours: an update that is killed would have forgotten all that it made."""

TRIVIAL = """
import os
import pulumi_tls as tls
for n in range(int(os.environ["COUNT"])):
    tls.PrivateKey(f"key-{n}", algorithm="ED25519")
"""

PARTS = {
    "tw": r"-m cli ",
    "program": r"pulumi-language-python-exec",
    "policies": r"pulumi\.policy",
    "stand-ins": r"tools\.standins",
}
"""By part, what its command line holds. What is none of them is Pulumi's engine, or its language host."""


@dataclass(frozen=True)
class Measured:
    """One environment. `previews` and `bare`: seconds of each run, the latter of as many resources that mean nothing."""

    pools: int
    resources: int
    previews: list[float]
    bare: list[float]
    usage: Usage
    update: Update


@dataclass(frozen=True)
class Update:
    """From nothing. `state`: bytes at its end; `writes`: how often the state was written."""

    state: int
    writes: int


def measure(place: Checkout, folder: Path, *, counted: bool) -> Measured:
    """Everything about the prod environment of a checkout, whose update comes last: a preview of what is there is another."""
    command = ["./tw", "preview", "--stack", place.stack, "--json"]
    env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    usage = watch(command, cwd=place.root, env=env, part_of=_part)  # and whatever is fetched or compiled once
    previews = [_seconds(lambda: _run(command, place.root, env)) for _ in range(RUNS)]
    left = place.root / ".tradewind" / "preview" / place.stack
    resources = json.loads((left / "resources.json").read_text())
    services = json.loads((left / "cost.json").read_text())["services"]
    return Measured(
        pools=sum(len(service["pools"]) for service in services),
        resources=len(resources),
        previews=previews,
        bare=bare(folder, len(resources)),
        usage=usage,
        update=update(place, folder / "live", counted=counted),
    )


def bare(folder: Path, count: int) -> list[float]:
    """Seconds that Pulumi takes to preview resources that mean nothing, without policies."""
    (folder / "bare").mkdir()
    program = Program(folder / "bare", TRIVIAL)
    program.preview(COUNT="1")  # makes the stack
    return [_seconds(lambda: program.preview(COUNT=str(count))) for _ in range(RUNS)]


def update(place: Checkout, live: Path, *, counted: bool) -> Update:
    """Declares the environment in clouds that are empty. Not `counted`: the state is written once, when all is there."""
    context = Context(place.stack, place.root)
    cli = pulumi.command(context)
    cli.backend = replace(
        cli.backend, env={**cli.backend.env, **(COUNTED if counted else AT_THE_END), FOLDER: str(live)}
    )
    stack = pulumi.select(context, cli)
    specs = specs_of(context)
    for name in needed(context.config, specs):
        stack.set_config(f"tradewind:secrets.{name}", ConfigValue("not one", secret=True), path=True)
    state = pulumi.checkpoint(context)
    with copies_of(state) as copies:
        stack.up()
    return Update(state.stat().st_size, len(copies))


@contextmanager
def copies_of(state: Path) -> Generator[list[str]]:
    """One name for each write: the engine was asked to keep a copy of it. They are removed, for they would fill the disk."""
    found: list[str] = []
    done = threading.Event()

    def take() -> None:
        for path in state.parent.iterdir():
            if copy := re.fullmatch(rf"{re.escape(state.name)}\.\d+(\.attrs)?", path.name):
                if not copy[1]:
                    found.append(path.name)
                path.unlink()

    def collect() -> None:
        while not done.wait(POLL_S):
            take()

    take()
    found.clear()  # of what was before
    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        take()


def widen(place: Checkout) -> None:
    """Gives prod as many services and places as it takes to have 300 pools."""
    [shipped] = place.configured("services")
    service = yaml.safe_load((place.root / shipped).read_text())
    names = [f"{service['name']}-{n}" for n in range(SERVICES)]
    for name in names:
        model = {**service["tradewind"], "model": name}
        text = yaml.safe_dump({**service, "name": name, "tradewind": model})
        (place.root / f"services/{name}.yaml").write_text(text)
    (place.root / lock_name("prod")).unlink()  # which holds other pools
    # What many pools at once would cost is not the question.
    limits = dict.fromkeys(("expectedUsdHour", "worstUsdHour", "runawayUsdHour"), NO_LIMIT)
    place.configure(
        services=[f"services/{name}.yaml" for name in names],
        maxPoolsPerService=POOLS_EACH,
        maxRegions=REGIONS,
        limits=limits,
        providers=[],
    )


def _part(command_line: str) -> str:
    return next((part for part, found in PARTS.items() if re.search(found, command_line)), "engine")


def _run(command: list[str], folder: Path, env: dict[str, str]) -> None:
    subprocess.run(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, check=True)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rows(of: Measured, writes_per_resource: float) -> Mapping[str, str]:
    """What is printed of one environment."""
    writes = round(of.resources * writes_per_resource)
    took, bare_s = statistics.median(of.previews), statistics.median(of.bare)
    cpu = of.usage.cpu_s
    return {
        "resources": f"{of.resources}",
        "seconds of a preview": f"{took:.1f} ({min(of.previews):.1f} to {max(of.previews):.1f})",
        "Pulumi alone, as many resources that mean nothing": f"{bare_s:.1f}",
        "times as long": f"{took / bare_s:.1f}",
        "processor seconds": f"{sum(cpu.values()):.1f}",
        **{f"  {part}": f"{cpu.get(part, 0):.1f}" for part in ("tw", "engine", *list(PARTS)[1:])},
        "MiB at the peak": f"{of.usage.mib:.0f}",
        "state after the update, KiB": f"{of.update.state / 1024:,.0f}",
        "writes of the state during it": f"{writes:,}",
        "  seconds, where a write takes 100 ms": f"{writes * WRITE_S:.0f}",
    }


def main() -> int:
    """Prints one table; 1 when the goal is missed."""
    load, measured = os.getloadavg()[0], []
    for change in (None, widen):
        with tempfile.TemporaryDirectory(prefix="tw") as name, private_checkout(Path(name) / "c") as dev:
            place = Checkout(dev.root, "prod", dev.ports)
            if change:
                change(place)
            measured.append(measure(place, Path(name), counted=not change))
    shipped = measured[0]
    columns = [rows(m, shipped.update.writes / shipped.resources) for m in measured]
    table = Table(
        title=f"prod, median of {RUNS} runs, {os.cpu_count()} cores, load {load:.1f}", title_justify="left"
    )
    table.add_column("")
    for m in measured:
        table.add_column(f"{m.pools} pools", justify="right")
    for what in columns[0]:
        table.add_row(what, *(column[what] for column in columns))
    Console(width=110).print(table)
    if (took := statistics.median(shipped.previews)) > GOAL_S:
        print(f"missed its goal: a preview of prod in {GOAL_S} s, took {took:.1f} s")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
