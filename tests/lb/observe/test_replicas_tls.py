"""Watching machines of clouds on loopback: one port, mutual TLS, and nobody is believed but the pool's own."""

import asyncio
import contextlib
import ssl
import time

import pytest

from lb.agent.api import NEEDED_HEADER
from lb.certificates.authority import Wish
from lb.decide.observed import AgentState, ProbeState
from lb.mutual import Mutual
from lb.observe import replicas
from lb.observe.http import make_client
from lb.observe.replicas import Target, Watcher
from spec.certificates import CONTROLLER, pool_name
from spec.desired import Probe
from tests.lb.certificates.authority import an_authority
from tests.lb.servers import Server, until

OURS = an_authority()
POOL = pool_name("chat.aws.use1-az1.A100-80GBx2.on_demand")
METRICS = b"vllm:num_requests_running 2\nvllm:num_requests_waiting 1\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(replicas, "AGENT_EVERY_S", 0.01)
    monkeypatch.setattr(replicas, "FAST_S", 0.01)


def leaf(*names, **usages):
    return OURS.issue(Wish(names, **usages), time.time())


class Machine:
    """What a replica's own Envoy does: asks for a certificate, passes one path to the agent and the rest to the engine."""

    def __init__(self):
        self.node = {"instance_id": "i-1", "phase": "running", "bundle": "a", "message": ""}
        self.asked = []

    def answer(self, method, path, body):
        self.asked.append(path)
        if path == "/.tradewind/node":
            return 200, self.node
        if path == "/.tradewind/node?gpu=1":
            return 200, self.node | {"gpu_utilization": 0.25}
        return 200, METRICS if path == "/metrics" else b"ok"


@contextlib.asynccontextmanager
async def watched(shown=POOL, **more):
    context = Mutual(leaf(shown, server=True)).server
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=OURS.pem)
    machine = Machine()
    server = await Server(machine.answer, context).start()
    mutual = Mutual(leaf(CONTROLLER, client=True, server=True))
    async with make_client(mutual.client) as client:
        watcher = Watcher(client, lambda _: None)
        probe = Probe(interval_s=0.02, timeout_s=2, path="/health")
        target = Target("i-1", "127.0.0.1", server.port, server.port, probe, "vllm", peer=POOL, **more)
        watcher.follow({"r": target})
        try:
            yield watcher, machine, server
        finally:
            await watcher.close()
            await server.stop()


def test_agent_engine_and_load_are_asked_on_one_port():
    async def story():
        async with watched(draining=True) as (watcher, machine, _):
            await until(lambda: watcher.health_of("r").in_flight == 3)
            health = watcher.health_of("r")
            assert (health.agent, health.probe) == (AgentState.ANSWERS, ProbeState.OK)
            assert set(machine.asked) == {"/.tradewind/node", "/health", "/metrics"}

    asyncio.run(story())


@pytest.mark.parametrize("needed", [True, False])
def test_a_machine_is_told_whether_callers_are_sent_there(needed):
    async def story():
        async with watched(needed=needed) as (watcher, _, server):
            await until(lambda: watcher.health_of("r").phase == "running")
            asked = [headers for _, path, headers, _ in server.requests if path == "/.tradewind/node"]
            assert {NEEDED_HEADER in headers for headers in asked} == {needed}

    asyncio.run(story())


def test_what_a_service_scales_by_is_asked_on_that_port_too():
    async def story():
        async with watched(loaded=True, gpus=True) as (watcher, machine, _):
            await until(lambda: watcher.engines()[0].waiting is not None and watcher.engines()[0].gpu == 0.25)
            assert watcher.health_of("r").in_flight is None
            assert set(machine.asked) == {"/.tradewind/node?gpu=1", "/health", "/metrics"}

    asyncio.run(story())


def test_a_machine_with_the_certificate_of_another_pool_is_not_believed():
    async def story():
        async with watched(pool_name("chat.aws.use1-az2.L4x1.spot")) as (watcher, machine, _):
            await until(lambda: watcher.health_of("r").agent is AgentState.SILENT)
            assert machine.asked == []

    asyncio.run(story())


def test_a_machine_that_is_gone_is_refused_at_once():
    async def story():
        async with watched() as (watcher, _, server):
            await until(lambda: watcher.health_of("r").probe is ProbeState.OK)
            await server.stop()
            await until(lambda: watcher.health_of("r").agent is AgentState.REFUSED)

    asyncio.run(story())
