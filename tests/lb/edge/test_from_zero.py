"""A whole service from zero and back again: callers, Envoy, agent, controller, and machines of the local cloud."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time

import pytest

from bench.controller import ROOT, write
from spec.desired import dump, parse
from spec.snapshot import Keys
from tests.lb.controller.process import Stack, until
from tests.lb.envoy.harness import EDGE_ID, KEY, RunningEnvoy, key, private_directory
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

CALLERS = 500


class Whole(Stack):
    """A stack whose service goes to zero, and an edge in front of it."""

    def __init__(self, home):
        super().__init__(home)
        write(home / "state" / "keys.json", Keys(keys=(key(),)).model_dump_json().encode())
        path = home / "state" / "desired" / "bench.json"
        desired = parse(path.read_bytes())
        [service] = desired.services
        scaling = service.scaling.model_copy(
            update={
                "min_replicas": 0,
                "max_replicas": 2,
                "target_qps_per_replica": 100.0,
                "upscale_delay_s": 1.0,
                "downscale_delay_s": 3.0,
            }
        )
        edge = desired.edges[0].model_copy(update={"id": EDGE_ID})
        changed = {"services": (service.model_copy(update={"scaling": scaling}),), "edges": (edge,)}
        write(path, dump(desired.model_copy(update=changed)).encode())
        self.edge = home / "edge"
        self.edge_port = free_port()

    def start_edge(self):
        config = {
            "edge_id": EDGE_ID,
            "controller_url": f"http://127.0.0.1:{self.port}",
            "token_file": str(self.home / "token"),
            "bucket": f"file://{self.home / 'state'}",
            "dir": str(self.edge),
            "access_log": str(self.edge / "access.log"),
            "port": self.edge_port,
        }
        write(self.home / "edge.json", json.dumps(config).encode())
        with (self.home / "edge.log").open("a") as log:
            command = [sys.executable, "-m", "lb", "edge", "--config", str(self.home / "edge.json")]
            self.started.append(subprocess.Popen(command, cwd=ROOT, stderr=log))
        until(lambda: self.get("/health", self.edge_port))
        return RunningEnvoy(self.edge)

    def service(self):
        return self.status()["services"][0]

    def snapshot(self):
        return json.loads(self.get(f"/v1/edges/{EDGE_ID}/snapshot?after=0.0"))["services"][0]


@pytest.fixture
def whole():
    with private_directory() as home:
        stack = Whole(home)
        try:
            stack.start()
            with contextlib.closing(stack.start_edge()) as envoy:
                until(lambda: stack.snapshot()["hold"])
                until(lambda: envoy.stats(r"^cluster\.chat\.update_success$"))
                until(lambda: stack.service()["traffic"])  # later reports are compared with the first
                stack.envoy = envoy
                yield stack
        finally:
            stack.end()


async def ask(port, n):
    """One caller on a connection of its own: the status of the answer."""
    body = json.dumps({"model": "demo", "prompt": f"hello {n}", "max_tokens": 4}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/completions HTTP/1.1\r\nhost: e\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
    writer.write(
        f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.split(b" ", 2)[1].decode()


def ask_all(stack):
    async def everybody():
        return await asyncio.gather(*(ask(stack.envoy.port, n) for n in range(CALLERS)))

    return asyncio.run(everybody())


def test_500_callers_wake_a_service_at_zero_are_all_served_and_it_goes_to_sleep_again(whole):
    assert whole.machines() == set()
    began = time.monotonic()
    assert ask_all(whole) == ["200"] * CALLERS
    print(f"{CALLERS} requests from zero: all served {time.monotonic() - began:.1f} s after the first")
    assert whole.service()["ready"] >= 1
    counted = f'tradewind_requests_total{{class="2xx",service="chat"}} {CALLERS}.0'
    until(lambda: counted in whole.get("/metrics").decode(), 10)
    arrived = f'tradewind_requests_arrived_total{{service="chat"}} {CALLERS}.0'
    until(lambda: arrived in whole.get("/metrics").decode(), 10)
    assert whole.service()["traffic"]["held"] == 0

    until(lambda: whole.machines() == set(), 100)
    until(lambda: whole.snapshot()["hold"])
    assert whole.snapshot()["retry_after_s"] <= 60, "as long as the last start took"
    assert asyncio.run(ask(whole.envoy.port, 0)) == "200"
