"""Watching replicas on loopback: what is said of each, and how soon."""

import asyncio
import contextlib

import pytest

from lb.decide.observed import AgentState, EngineLoad, ProbeState
from lb.observe import replicas
from lb.observe.http import make_client
from lb.observe.replicas import Target, Watcher
from spec.desired import Probe
from tests.lb.servers import Server, until


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(replicas, "AGENT_EVERY_S", 0.01)
    monkeypatch.setattr(replicas, "FAST_S", 0.01)
    monkeypatch.setattr(replicas, "AGENT_TIMEOUT_S", 0.2)


class Replica:
    """An agent and an engine on loopback, and a watcher that follows them."""

    def __init__(self, probe=None, engine=None):
        self.probe = probe or Probe(interval_s=0.02, timeout_s=0.2)
        self.preset = engine
        self.node = {"instance_id": "i-1", "phase": "running", "bundle": "a", "message": ""}
        self.health_status = 200
        self.metrics = b""
        self.changes = []
        self.asked = []

    @contextlib.asynccontextmanager
    async def watched(self, *, with_agent=True, probed=True):
        self.agent = await Server(lambda *_: (200, self.node)).start()
        self.engine = await Server(self._engine).start()
        async with make_client() as client:
            self.watcher = Watcher(client, self.changes.append)
            self.follow(with_agent=with_agent, probed=probed)
            try:
                yield self
            finally:
                await self.watcher.close()
                await self.agent.stop()
                await self.engine.stop()

    def follow(self, *, with_agent=True, draining=False, probed=True, **more):
        target = Target(
            "i-1",
            "127.0.0.1",
            self.engine.port,
            self.agent.port if with_agent else None,
            self.probe,
            self.preset,
            draining,
            probed,
            **more,
        )
        self.watcher.follow({"r": target})

    def _engine(self, method, path, body):
        self.asked.append(path)
        if path == "/metrics":
            return 200, self.metrics
        return self.health_status, b"ok"

    @property
    def health(self):
        return self.watcher.health_of("r")


def test_a_healthy_replica_is_found_healthy():
    async def story():
        async with Replica().watched() as replica:
            await until(lambda: replica.health.probe is ProbeState.OK)
            assert (replica.health.agent, replica.health.phase) == (AgentState.ANSWERS, "running")
            assert replica.changes

    asyncio.run(story())


def test_of_a_machine_that_is_not_the_head_of_its_gang_only_the_agent_is_asked():
    async def story():
        async with Replica().watched(probed=False) as replica:
            await until(lambda: replica.health.phase == "running")
            await asyncio.sleep(0.1)
            assert replica.health.probe is ProbeState.UNKNOWN
            assert not replica.asked

    asyncio.run(story())


def test_an_engine_that_is_gone_is_refused_at_the_next_probe():
    async def story():
        async with Replica().watched() as replica:
            await until(lambda: replica.health.probe is ProbeState.OK)
            await replica.engine.stop()
            await until(lambda: replica.health.probe is ProbeState.REFUSED)

    asyncio.run(story())


def test_a_machine_that_is_gone_is_refused_while_its_engine_is_not_even_due():
    async def story():
        replica = Replica(Probe(interval_s=3600))
        async with replica.watched():
            await until(lambda: replica.health.probe is ProbeState.OK)
            await replica.agent.stop()
            await until(lambda: replica.health.agent is AgentState.REFUSED, 1.0)

    asyncio.run(story())


def test_a_machine_that_shuts_down_is_heard():
    async def story():
        async with Replica().watched() as replica:
            await until(lambda: replica.health.probe is ProbeState.OK)
            assert not replica.health.leaving
            replica.node |= {"preempt_at": 1800000025, "leaving": True}
            await until(lambda: replica.health.leaving, 1.0)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("said", "heard"), [(1800000030, 1800000030.0), (None, None), ("soon", None), (True, None)]
)
def test_a_preemption_that_the_agent_announces_is_told_at_once(said, heard):
    async def story():
        async with Replica().watched() as replica:
            await until(lambda: replica.health.probe is ProbeState.OK)
            replica.changes.clear()
            replica.node["preempt_at"] = said
            if heard is None:
                await asyncio.sleep(0.05)
                assert not replica.changes
            else:
                await until(lambda: replica.changes, 1.0)
            assert replica.health.preempt_at == heard
            assert (replica.health.agent, replica.health.probe) == (AgentState.ANSWERS, ProbeState.OK)

    asyncio.run(story())


def test_bad_answers_are_counted_up_to_the_threshold():
    async def story():
        async with Replica().watched() as replica:
            replica.health_status = 503
            await until(lambda: replica.health.failures == 3)
            await asyncio.sleep(0.05)
            assert replica.health.failures == 3
            assert "answers 503" in replica.health.detail
            replica.health_status = 200
            await until(lambda: replica.health.failures == 0)

    asyncio.run(story())


def test_a_probe_without_an_answer_fails_after_its_timeout():
    async def story():
        replica = Replica(Probe(interval_s=0.02, timeout_s=0.05))
        async with replica.watched():

            async def never(*_):
                await asyncio.sleep(60)

            replica.engine.answer = never
            await until(lambda: replica.health.failures >= 1)
            assert replica.health.probe is ProbeState.FAILING
            assert "no answer within 0.05 s" in replica.health.detail

    asyncio.run(story())


def test_a_deep_probe_posts_its_body_and_headers():
    async def story():
        probe = Probe(method="POST", path="/v1/x", headers={"x-a": "b"}, body={"n": 1}, interval_s=0.02)
        async with Replica(probe).watched() as replica:
            await until(lambda: replica.health.probe is ProbeState.OK)
            method, path, headers, body = replica.engine.requests[0]
            assert (method, path, body) == ("POST", "/v1/x", b'{"n": 1}')
            assert headers["x-a"] == "b"
            assert headers["content-type"] == "application/json"

    asyncio.run(story())


def test_a_route_of_the_openai_interface_that_answers_200_with_rubbish_fails():
    async def story():
        async with Replica(Probe(path="/v1/models", interval_s=0.02)).watched() as replica:
            await until(lambda: replica.health.failures == 3)
            assert "answers 200 and is not JSON: 'ok'" in replica.health.detail
            replica.engine.answer = lambda *_: (200, {"data": [{"id": "m"}]})
            await until(lambda: replica.health.probe is ProbeState.OK)

    asyncio.run(story())


def test_an_engine_is_not_probed_before_its_agent_runs_it():
    async def story():
        replica = Replica()
        replica.node = {**replica.node, "phase": "setup"}
        async with replica.watched():
            await until(lambda: replica.health.phase == "setup")
            await asyncio.sleep(0.05)
            assert not replica.engine.requests
            replica.node = {**replica.node, "phase": "running"}
            await until(lambda: replica.health.probe is ProbeState.OK)

    asyncio.run(story())


def test_another_bundle_makes_the_last_probe_worthless():
    async def story():
        replica = Replica(Probe(interval_s=3600))
        async with replica.watched():
            await until(lambda: replica.health.probe is ProbeState.OK)
            replica.health_status = 503
            replica.node = {**replica.node, "bundle": "b"}
            await until(lambda: replica.health.bundle == "b")
            assert replica.health.probe is not ProbeState.OK
            await until(lambda: replica.health.probe is ProbeState.FAILING, 1.0)  # asked anew at once

    asyncio.run(story())


def test_a_machine_that_took_over_an_address_is_not_taken_for_the_old_one():
    async def story():
        replica = Replica()
        replica.node = {**replica.node, "instance_id": "i-2"}
        async with replica.watched():
            await until(lambda: replica.health.agent is AgentState.REFUSED)

    asyncio.run(story())


@pytest.mark.parametrize("rubbish", [b"rubbish", b"[1]", b'{"phase": 3}', b"{}"])
def test_an_agent_that_answers_rubbish_is_silent_after_three_times(rubbish):
    async def story():
        replica = Replica()
        replica.node = rubbish
        async with replica.watched():
            await until(lambda: replica.health.agent is AgentState.SILENT)

    asyncio.run(story())


def test_a_replica_without_an_agent_is_probed_alone():
    async def story():
        async with Replica().watched(with_agent=False) as replica:
            await until(lambda: replica.health.probe is ProbeState.OK)
            assert replica.health.agent is AgentState.NONE
            assert not replica.agent.requests

    asyncio.run(story())


def test_a_draining_replica_tells_how_many_requests_it_still_has():
    async def story():
        replica = Replica(Probe(interval_s=3600), engine="vllm")
        replica.metrics = (
            b'vllm:num_requests_running{engine="0"} 2\nvllm:num_requests_waiting{engine="0"} 1\n'
        )
        async with replica.watched():
            await until(lambda: replica.health.probe is ProbeState.OK)
            assert replica.health.in_flight is None
            replica.follow(draining=True)
            await until(lambda: replica.health.in_flight == 3)
            replica.metrics = b"vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n"
            await until(lambda: replica.health.in_flight == 0)

    asyncio.run(story())


def test_engines_and_gpus_are_asked_only_for_services_that_scale_by_them():
    async def story():
        replica = Replica(Probe(interval_s=0.02), engine="vllm")
        replica.node["gpu_utilization"] = 0.375
        replica.metrics = (
            b"vllm:num_requests_running 2\nvllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n"
        )
        async with replica.watched():
            await until(lambda: replica.health.probe is ProbeState.OK)
            assert replica.watcher.engines() == ()
            assert "/metrics" not in replica.asked
            assert {path for _, path, *_ in replica.agent.requests} == {"/v1/node"}
            replica.follow(loaded=True, gpus=True)
            told = EngineLoad("r", running=2, waiting=1, kv_cache=0.5, gpu=0.38)
            await until(lambda: replica.watcher.engines() == (told,))
            assert "/v1/node?gpu=1" in {path for _, path, *_ in replica.agent.requests}
            assert replica.health.in_flight is None

    asyncio.run(story())


def test_an_engine_whose_metrics_fail_tells_nothing_and_stays_ready():
    async def story():
        replica = Replica(Probe(interval_s=0.02), engine="vllm")
        replica.metrics = b"vllm:num_requests_waiting 4\n"
        async with replica.watched():
            replica.follow(loaded=True)
            await until(lambda: replica.watcher.engines()[0].waiting == 4)
            replica.metrics = b"vllm:num_requests_waiting {\n"
            await until(lambda: replica.watcher.engines()[0].waiting is None)
            assert replica.health.probe is ProbeState.OK

    asyncio.run(story())


def test_a_replica_that_is_followed_no_more_is_left_alone():
    async def story():
        async with Replica().watched() as replica:
            await until(lambda: replica.health.probe is ProbeState.OK)
            replica.watcher.follow({})
            assert replica.health is None
            asked = len(replica.agent.requests)
            await asyncio.sleep(0.05)
            assert len(replica.agent.requests) <= asked + 1

    asyncio.run(story())


def test_a_calm_replica_causes_no_changes():
    async def story():
        async with Replica().watched() as replica:
            await until(lambda: replica.health.probe is ProbeState.OK)
            changes = len(replica.changes)
            await asyncio.sleep(0.1)
            assert len(replica.changes) == changes

    asyncio.run(story())
