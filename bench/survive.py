"""What callers notice while things die: `python -m bench.survive`, about six minutes, in a private copy of the checkout.

A whole stack of the local cloud with simulated engines, and 200 requests per second, a fifth of them streams. Replicas,
a zone and the controller are taken away meanwhile; what became of each request and how long the edge took is printed
beside the goal.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.stage.cost import cpu_seconds, rss_mib, tick_seconds
from bench.stage.load import Ask, Load, running
from bench.stage.outcomes import Outcome, Record, summary
from bench.stage.watch import EdgeWatch
from tests.e2e.checkout import Checkout, eventually, private_checkout

RATE = 200.0
REPLICAS = 4
KILLS = 3
"""Of each kind of replica's death."""
RESTARTS = 20
NOTICE_S = 4.0
HELD = 500
SEED = 20

SERVICE = """
name: chat
resources: {accelerators: L4:1, use_spot: true, ports: 8000}
service:
  readiness_probe: {path: /health, initial_delay_seconds: 60, timeout_seconds: 5}
  %(policy)s
run: |
  exec python -m engines.sim --host 127.0.0.1 --port "$TRADEWIND_PORT" --model chat-demo \\
    --load-time-s 1 --ttft-ms 50 --time-per-token-ms 10 --max-num-seqs 64
tradewind: {engine: sim, model: chat-demo, interval_seconds: 1, budget: {worst_usd_hour: 20}}
"""
FIXED = f"replicas: {REPLICAS}"
FROM_ZERO = (
    "replica_policy: {min_replicas: 0, max_replicas: 3, target_qps_per_replica: 50, "
    "upscale_delay_seconds: 2, downscale_delay_seconds: 2}"
)
"""An answer takes 0.13 s and a stream 0.37 s, so about 36 requests run at a time, on 256 places."""


@dataclass
class Bench:
    """The stack, and the rows of the table."""

    place: Checkout
    table: Table
    missed: list[str] = field(default_factory=list)

    def row(
        self, what: str, measured: float, goal: float | None = None, unit: str = "", note: str = ""
    ) -> None:
        """One figure; it must not be above its goal."""
        if goal is not None and measured > goal:
            self.missed.append(f"{what}: {measured:g} {unit}".rstrip())
        shown = f"{measured:.2f} {unit}" if isinstance(measured, float) else f"{measured} {unit}"
        self.table.add_row(what, shown.rstrip(), "" if goal is None else f"{goal:g}", note)

    def requests(self, what: str, records: list[Record], *, broken_goal: int | None = None) -> None:
        """What became of the requests of one scenario."""
        found = summary(records)
        whole = [r for r in records if not r.stream]
        streams = [r for r in records if r.stream]
        failed = [r for r in records if r.outcome is Outcome.FAILED]
        bad = [r for r in whole if r.outcome is not Outcome.OK]
        _, _, p99, longest = found.waited
        note = f"p99 {1000 * p99:.0f} ms, longest {1000 * longest:.0f} ms"
        self.row(f"{what}: failed of {len(whole)} requests", len(bad), 0, note=note)
        self.row(f"{what}: failed of {len(streams)} streams", sum(r.stream for r in failed), 0)
        broken = sum(r.outcome is Outcome.BROKEN for r in streams)
        self.row(f"{what}: streams cut", broken, broken_goal, note=", ".join(found.errors))
        if found.late > 0.01 and len({r.due for r in records}) > 1:  # all at once are late by themselves
            print(f"{what}: the generator could not keep up, {100 * found.late:.0f} % left late")

    def times(self, what: str, seconds: list[float], goal: float) -> None:
        """Several times of the same thing: the longest must be within the goal."""
        note = f"median {statistics.median(seconds):.2f} of {len(seconds)}"
        self.row(what, max(seconds), goal, "s", note)


# ---------------------------------------------------------------- replicas that die


def replicas_die(bench: Bench) -> None:
    """One engine, then one whole machine, several times; each time until a replacement has had a request."""
    place, out, served = bench.place, {"engine": [], "machine": []}, []
    with loaded(place) as load, EdgeWatch(place.home) as watch:
        time.sleep(3)
        for _ in range(KILLS):
            for what, times in out.items():
                before = set(watch.serving())
                victim = min(before)
                killed = kill_replica(place, victim, engine_only=what == "engine")
                times.append(watch.until_out(victim) - killed)
                port = watch.until_new(before)
                served.append(watch.first_request(port) - listens_since(place, port))
                time.sleep(1)
    bench.requests(f"SIGKILL of {2 * KILLS} replicas", load.records)
    bench.times("  killed engine is out of the edge", out["engine"], 1.0)
    bench.times("  lost machine is out of the edge", out["machine"], 1.0)
    bench.times("  first request after a new replica listens", served, 1.0)


def kill_replica(place: Checkout, port: int, *, engine_only: bool) -> float:
    """SIGKILL for the engine, or for everything of its machine at once; returns when."""
    machine = machine_of(place, port)
    found = [pid for pid, name in place.processes().items() if name == machine]
    victims = [p for p in found if is_engine(p)] if engine_only else found
    at = time.time()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    return at


def is_engine(pid: int) -> bool:
    argv = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return "engines.sim" in argv and not any("guard.py" in a for a in argv)


def machine_of(place: Checkout, port: int) -> str:
    return next(m for m in place.machines() if place.entry(m)["meta"]["port"] == str(port))


def listens_since(place: Checkout, port: int) -> float:
    """The engine's last word is that it serves."""
    log = place.home / "machines" / machine_of(place, port) / "engine.log"
    assert "serving" in log.read_text().splitlines()[-1]
    return log.stat().st_mtime


# ---------------------------------------------------------------- a zone that is taken away


def zone_preempted(bench: Bench) -> None:
    """Half of the replicas with a notice; what is shorter than the notice must end as if nothing had happened."""
    place = bench.place
    with loaded(place) as load, EdgeWatch(place.home) as watch:
        time.sleep(3)
        zone = "local-east-a"
        victims = {int(e["meta"]["port"]): m for m, e in entries(place).items() if e["meta"]["zone"] == zone}
        before = set(watch.serving())
        place.tw("local", "preempt", "--zone", zone, "--notice", f"{NOTICE_S:g}", check=0)
        out = [watch.until_out(port) - noticed(place, machine) for port, machine in victims.items()]
        eventually(
            lambda: len(set(watch.serving()) - victims.keys()) == len(before), within=60, what="replacements"
        )
        time.sleep(1)
    bench.requests(f"zone with {len(victims)} of {REPLICAS} replicas preempted", load.records, broken_goal=0)
    bench.times("  out of the edge after the notice", out, 1.0)


def entries(place: Checkout) -> dict[str, dict[str, Any]]:
    return {m: place.entry(m) for m in place.machines()}


def noticed(place: Checkout, machine: str) -> float:
    """When the cloud announced it to the machine."""
    return (place.home / "machines" / machine / "notice.json").stat().st_mtime


# ---------------------------------------------------------------- a controller that dies


def controller_dies(bench: Bench) -> None:
    """SIGKILL and a new start, again and again, at moments that a seed chooses."""
    place, moments = bench.place, random.Random(SEED)
    before, seen = set(place.machines()), set(place.machines())
    with loaded(place) as load:
        for _ in range(RESTARTS):
            place.revive("controller")
            time.sleep(moments.uniform(0.2, 4))
            seen |= set(place.machines())
        eventually(lambda: place.status()["services"][0]["ready"] == REPLICAS, what="all replicas")
        time.sleep(3)
        seen |= set(place.machines())
    bench.requests(f"{RESTARTS} x SIGKILL of the controller", load.records, broken_goal=0)
    bench.row("  replicas lost", len(before - set(place.machines())), 0)
    bench.row("  replicas doubled", len(seen - before), 0)


def controller_dies_while_it_replaces(bench: Bench) -> None:
    """A replica is killed each time too, right before or after the controller: it is replaced once, by whoever comes."""
    place, moments = bench.place, random.Random(SEED)
    before, seen = set(place.machines()), set(place.machines())
    with loaded(place) as load:
        for n in range(KILLS * 2):
            machines = place.machines()
            if n % 2:
                place.revive("controller")
                time.sleep(moments.uniform(0, 0.5))
            kill_replica(place, int(place.entry(moments.choice(machines))["meta"]["port"]), engine_only=False)
            if not n % 2:
                time.sleep(moments.uniform(0, 2.5))
                place.revive("controller")
            eventually(lambda machines=machines: settled(place, machines), within=60, what="a replacement")
            seen |= set(place.machines())
    bench.requests(f"{KILLS * 2} x SIGKILL of replica and controller", load.records)
    bench.row("  machines launched", len(seen - before), KILLS * 2, note="one for each that was killed")


def settled(place: Checkout, before: list[str]) -> bool:
    """Whether one of those machines has been replaced, and all is ready."""
    after = place.machines()
    return after != before and len(after) == REPLICAS == place.status()["services"][0]["ready"]


# ---------------------------------------------------------------- what the controller costs


def what_a_tick_costs(bench: Bench, seconds: float = 15.0) -> None:
    """Over a while in which nothing happens, as the controller itself measures it."""
    place = bench.place
    entry = place.entry("controller")
    url, token = f"http://127.0.0.1:{place.ports['controllerPort']}", place.token
    before, cpu, began = tick_seconds(url, token), cpu_seconds(entry["pid"]), time.monotonic()
    time.sleep(seconds)
    after, share = tick_seconds(url, token), (cpu_seconds(entry["pid"]) - cpu) / (time.monotonic() - began)
    for phase in ("observe", "decide", "act"):
        ticks = after[phase][1] - before[phase][1]
        bench.row(f"tick, {phase}", 1000 * (after[phase][0] - before[phase][0]) / max(ticks, 1), unit="ms")
    bench.row(f"controller, processor with {REPLICAS} replicas", 100 * share, unit="% of a core")
    bench.row("controller, memory", rss_mib(entry["pid"]), 200, "MiB")


# ---------------------------------------------------------------- from zero


def from_zero(bench: Bench) -> None:
    """All at once while no replica is there; the edge holds them until one is."""
    place = bench.place
    serve(place, FROM_ZERO)
    eventually(lambda: not place.machines(), within=150, what="no replica")
    load = Load(place.endpoint, place.key, Ask())
    began = time.time()
    asyncio.run(load.burst(HELD))
    bench.requests(f"{HELD} requests held from zero", load.records)
    bench.row(
        "  from the first request to the last answer", max(r.end for r in load.records) - began, unit="s"
    )


# ---------------------------------------------------------------- the stack


def loaded(place: Checkout) -> AbstractContextManager[Load]:
    return running(Load(place.endpoint, place.key, Ask(streams=0.2), rate=RATE))


def serve(place: Checkout, policy: str) -> None:
    (place.root / "services" / "survive.yaml").write_text(SERVICE % {"policy": policy})
    place.tw("up", check=0)


def main() -> int:
    """Prints one table; 1 when a goal is missed."""
    table = Table(
        title=f"{RATE:g} requests/s on {REPLICAS} replicas, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        title_justify="left",
    )
    for column in ("what", "measured", "goal", ""):
        table.add_column(column, justify="right" if column in ("measured", "goal") else "left")
    scenarios = (
        replicas_die,
        zone_preempted,
        controller_dies,
        controller_dies_while_it_replaces,
        what_a_tick_costs,
        from_zero,
    )
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tw") as folder, private_checkout(Path(folder) / "c") as place:
        place.configure(services=["services/survive.yaml"], limits={"worstUsdHour": 20})
        bench = Bench(place, table)
        try:
            serve(place, FIXED)
            for scenario in scenarios:
                if not wanted or scenario.__name__ in wanted:
                    scenario(bench)
                    table.add_section()
        finally:
            Console(width=130).print(table)
    for what in bench.missed:
        print(f"missed its goal: {what}")
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
