"""What a whole turn of the controller costs with 1,000 replicas in 200 pools: observe, decide, act, journal, status, metrics.

python -m bench.turn

The cloud, the agents and the engines are left out: they answer from memory. Everything else is the controller's own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import httpx
import structlog
from rich.console import Console
from rich.table import Table

from bench.controller import REPLICAS, a_desired, a_pool, random_id
from bench.stage.cost import rss_mib
from lb.bucket import open_bucket
from lb.clock import SystemClock
from lb.clouds.protocol import Driver, Instance, InstancePhase, PoolObservation
from lb.controller import term
from lb.controller.loop import Controller
from lb.decide.observed import AgentState, EngineLoad, Health, ProbeState
from lb.lease import Lease, this_process
from lb.metrics import Metrics
from lb.observe.replicas import Target
from lb.snapshots import Publisher
from spec.desired import Bundle, Edge, Pool, dump
from spec.report import EdgeReport, ReplicaTraffic, ServiceTraffic
from spec.snapshot import Keys

POOLS, EDGES, TURNS = 200, 20, 15
SHA256 = "a" * 64


class Machines:
    """A cloud whose machines run for ever."""

    refills = False

    def __init__(self, pools: Sequence[Pool]) -> None:
        self._pools = {
            p.id: tuple(
                Instance(f"i-{random_id(n, k)}", InstancePhase.RUNNING, "127.0.0.1", 18100, 18101, 0.0)
                for k in range(REPLICAS // POOLS)
            )
            for n, p in enumerate(pools)
        }

    async def observe(self, pools: Sequence[Pool]) -> list[PoolObservation]:
        found = ((p, self._pools[p.id]) for p in pools)
        return [PoolObservation(p.id, len(machines), machines, prices=p.prices) for p, machines in found]


class Watched:
    """In place of the watcher: every replica is fine from the first look on."""

    def __init__(self, _client: httpx.AsyncClient, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self.known: dict[str, Health] = {}

    def follow(self, targets: Mapping[str, Target]) -> None:
        fine = Health("", AgentState.ANSWERS, "running", SHA256, probe=ProbeState.OK)
        self.known = {i: self.known.get(i) or replace(fine, replica_id=i) for i in targets}

    def health(self) -> tuple[Health, ...]:
        return tuple(self.known[i] for i in sorted(self.known))

    def engines(self) -> tuple[EngineLoad, ...]:
        return ()

    def health_of(self, replica_id: str) -> Health | None:
        return self.known.get(replica_id)

    def becomes(self, replica_id: str, **changes: Any) -> None:
        self.known[replica_id] = replace(self.known[replica_id], **changes)
        self._on_change(replica_id)

    async def close(self) -> None:
        self.known.clear()


async def bench() -> list[tuple[str, str, str]]:
    pools = [a_pool(f"local-r{n}-a", f"local-r{n}", 40) for n in range(POOLS)]
    edges = tuple(Edge(id=f"edge-{n}", endpoint="http://127.0.0.1:18080") for n in range(EDGES))
    desired = a_desired(Bundle(sha256=SHA256, run="serve", port=8000), pools, REPLICAS)
    with tempfile.TemporaryDirectory(prefix="tradewind-bench-") as folder:
        bucket, clock = open_bucket(f"file://{folder}"), SystemClock()
        await bucket.put("keys.json", Keys().model_dump_json().encode())
        await bucket.put("desired/bench.json", dump(desired.model_copy(update={"edges": edges})).encode())
        async with httpx.AsyncClient() as client:
            controller = Controller(
                stack="bench",
                bucket=bucket,
                lease=Lease(bucket, clock, me=this_process()),
                clock=clock,
                drivers={
                    "local": cast("Driver", Machines(pools))
                },  # nothing is asked of it but to be looked at
                client=client,
                publisher=Publisher(bucket),
                metrics=Metrics(),
                tick_s=1.0,
            )
            watchers: list[Watched] = []
            with patch.object(term, "Watcher", lambda *args: watchers.append(Watched(*args)) or watchers[-1]):
                for _ in range(4):  # until all are ready
                    await controller.turn()
            rows = await measured(controller, watchers[-1])
            controller.stop()
            await controller.run()
            return rows


async def measured(controller: Controller, watched: Watched) -> list[tuple[str, str, str]]:
    assert controller.status().services[0].ready == REPLICAS
    idle = [await turn(controller) for _ in range(TURNS)]
    busy, reports = [], []
    for second in range(1, 4 * TURNS):
        started = time.process_time()
        for report in told_by_edges(second, watched.known):
            controller.take_report(report)
        reports.append((time.process_time() - started) * 1000)
        for n, replica_id in enumerate(watched.known):
            watched.becomes(replica_id, in_flight=(n * second) % 32)
        busy.append(await turn(controller))
    started = time.process_time()
    for replica_id in list(watched.known)[: REPLICAS // 2]:
        watched.becomes(replica_id, agent=AgentState.REFUSED)
        await asyncio.sleep(0)
    await asyncio.sleep(2 * term.PUBLISH_EVERY_S)
    together = (time.process_time() - started) * 1000
    memory = rss_mib(os.getpid())
    return [
        ("a turn, nothing to do", f"{statistics.median(idle):.0f} ms", "<= 50 ms"),
        ("a turn under load, each a journal entry", f"{statistics.median(busy):.0f} ms", "<= 100 ms"),
        (f"the reports of {EDGES} edges in a second", f"{statistics.median(reports):.0f} ms", "<= 200 ms"),
        ("half of the replicas refuse one after the other", f"{together:.0f} ms", "<= 200 ms"),
        ("memory", f"{memory:.0f} MiB", "<= 200 MiB"),
    ]


async def turn(controller: Controller) -> float:
    started = time.process_time()
    await controller.turn()
    return (time.process_time() - started) * 1000


def told_by_edges(second: int, replica_ids: Iterable[str]) -> list[EdgeReport]:
    service = ServiceTraffic(name="chat", arrived=100 * second, finished={"2xx": 100 * second})
    replicas = tuple(ReplicaTraffic(replica_id=i, ok=second, failed=0) for i in replica_ids)
    return [
        EdgeReport(edge_id=f"edge-{n}", boot="1", seq=second, services=(service,), replicas=replicas)
        for n in range(EDGES)
    ]


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    table = Table(f"a turn with {REPLICAS} replicas, {POOLS} pools, {EDGES} edges", "measured", "goal")
    for row in asyncio.run(bench()):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
