"""How soon the edges are told of an announced preemption, and how soon its replacement is ready.

Real machines of the local cloud with simulated engines, and a controller as a process. A notice is given at a random
moment, as the cloud gives it: in the machine's folder and in the cloud's own list.

python -m bench.notice [ROUNDS]
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.controller import PORT, ROOT, prepare, wait_for, write
from local.cloud import LocalCloud
from spec.snapshot import Keys, Snapshot

ROUNDS = 15
GOAL_S = 1.0
NEVER_S = 3600.0
"""A notice that is not over before the controller has ended the machine."""


def main() -> int:
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    with tempfile.TemporaryDirectory(prefix="tradewind-bench-") as folder:
        home = Path(folder).resolve()
        cloud = prepare(home)
        write(home / "state" / "keys.json", Keys().model_dump_json().encode())
        with (home / "controller.log").open("w") as log:
            controller = subprocess.Popen(
                [sys.executable, "-m", "lb", "controller", "--config", str(home / "controller.json")],
                cwd=ROOT,
                stderr=log,
            )
            try:
                took = [a_round(cloud) for _ in range(rounds)]
            finally:
                controller.terminate()
                controller.wait()
                for declared in cloud.pools():
                    cloud.delete_pool(declared.pool_id)
    drained, replaced = zip(*took, strict=True)
    table = Table("from the notice", "median", "longest", "goal")
    table.add_row("its endpoint is published as draining", *figures(drained), f"<= {GOAL_S:g} s")
    table.add_row("the replacement is published as ready", *figures(replaced), "")
    Console().print(table)
    return int(max(drained) > GOAL_S)


def a_round(cloud: LocalCloud) -> tuple[float, float]:
    """Seconds from the notice until its endpoint drains, and until there are two others."""
    wait_for(lambda: len(serving()) == 2 and len(machines(cloud)) == 2, limit_s=60)
    time.sleep(random.uniform(1, 2))  # at any point of the controller's and the agent's periods
    victim, port = random.choice(sorted(machines(cloud).items()))
    told = time.monotonic()
    cloud.preempt(victim, notice_s=NEVER_S)
    drained = follow(lambda ports: port not in ports)
    replaced = follow(lambda ports: len(ports) == 2)
    return drained - told, replaced - told


def machines(cloud: LocalCloud) -> dict[str, int]:
    """Ports by name."""
    return {m.instance_id: m.port for p in cloud.look().pools for m in p.machines}


def serving(after: str = "0.0") -> set[int]:
    """Ports of the endpoints that get new requests."""
    return ports_of(snapshot(after))


def ports_of(found: Snapshot) -> set[int]:
    return {e.port for s in found.services for e in s.endpoints if not e.draining}


def follow(condition) -> float:
    """As an edge does, by a long poll; when the condition held."""
    found = snapshot("0.0")
    while not condition(ports_of(found)):
        found = snapshot(f"{found.epoch}.{found.seq}")
    return time.monotonic()


def snapshot(after: str) -> Snapshot:
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/v1/edges/edge/snapshot?after={after}",
        headers={"authorization": "Bearer token"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return Snapshot.model_validate(json.load(response))


def figures(seconds: tuple[float, ...]) -> tuple[str, str]:
    return f"{statistics.median(seconds):.2f} s", f"{max(seconds):.2f} s"


if __name__ == "__main__":
    sys.exit(main())
