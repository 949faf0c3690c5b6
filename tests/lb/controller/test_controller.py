"""The whole controller in one process, with a fake cloud and replicas on loopback."""

import asyncio
import contextlib
import itertools
import json
import shutil
import time

import pytest
import structlog

from lb.again import replay
from lb.bucket import BucketError, open_bucket
from lb.clock import SystemClock
from lb.clouds.protocol import Unreachable
from lb.controller import loop as loop_module
from lb.controller import term as term_module
from lb.controller.loop import Controller
from lb.decide.observed import AgentState
from lb.lease import Holder, Lease
from lb.metrics import Metrics
from lb.observe import replicas as replicas_module
from lb.observe import wishes as wishes_module
from lb.observe.http import make_client
from lb.replay import Reader, code_version
from lb.snapshots import Publisher
from spec.desired import Probe, dump
from spec.snapshot import Keys, Snapshot
from spec.status import RolloutPhase, Status
from spec.wish import WishFile, new_id, path_of
from tests.lb.fakes import FakeDriver
from tests.lb.servers import Server, until
from tests.lb.world import NEW, a_desired, a_service

PROBE = Probe(interval_s=0.05, timeout_s=0.5, replace_after_s=60)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(replicas_module, "AGENT_EVERY_S", 0.02)
    monkeypatch.setattr(replicas_module, "FAST_S", 0.02)
    monkeypatch.setattr(wishes_module, "EVERY_S", 0.02)
    monkeypatch.setattr(loop_module, "BREATH_S", 0.005)


class Node:
    """A machine on loopback: an agent that obeys its assignment, and an engine."""

    async def start(self, stage):
        self.stage = stage
        self.instance_id = None
        self.preempt_at = None
        self.agent = await Server(self._say).start()
        self.engine = await Server(lambda *_: (200, b"ok")).start()
        return self

    def _say(self, *_):
        for pool_id, machines in self.stage.driver.machines.items():
            for instance_id, instance in machines.items():
                if instance.agent_port == self.agent.port:
                    return 200, {
                        "instance_id": instance_id,
                        "phase": "running",
                        "bundle": self.stage.assigned(pool_id, instance_id),
                        "message": "",
                        "preempt_at": self.preempt_at,
                    }
        return 404, {}

    async def kill_engine(self):
        await self.engine.stop()


class Stage:
    """A bucket, a cloud with prepared machines, and controllers that come and go."""

    def __init__(self, folder, nodes):
        self.folder = folder
        self.bucket = open_bucket(f"file://{folder}")
        self.nodes = nodes
        self.driver = FakeDriver(ports=[(n.engine.port, n.agent.port) for n in nodes])
        self.dead = set()
        self.publishers = []

    def assigned(self, pool_id, instance_id):
        with contextlib.suppress(OSError):
            found = json.loads((self.folder / "assignments" / f"{pool_id}.json").read_text())
            return found["instances"].get(instance_id, found["default"])
        return None

    async def declare(self, desired=None):
        await self.bucket.put("keys.json", Keys().model_dump_json().encode())
        await self.bucket.put(
            "desired/dev.json", dump(desired or a_desired([a_service(probe=PROBE)])).encode()
        )

    @contextlib.asynccontextmanager
    async def controller(self, name="one", *, ends="well"):
        publisher = Publisher(self.bucket)
        self.publishers.append(publisher)
        async with make_client() as client:
            controller = Controller(
                stack="dev",
                bucket=self.bucket,
                lease=Lease(
                    self.bucket,
                    SystemClock(),
                    me=Holder("h", 1, name),
                    dead=lambda h: h.start_time in self.dead,
                ),
                clock=SystemClock(),
                drivers={"local": self.driver},
                client=client,
                publisher=publisher,
                metrics=Metrics(),
                tick_s=0.05,
            )
            running = asyncio.create_task(controller.run())
            try:
                yield controller
            finally:
                if ends == "well":
                    controller.stop()
                    await running
                else:  # as after SIGKILL: nothing is given back
                    running.cancel()
                    await asyncio.gather(running, return_exceptions=True)
                    await controller._end_term()
                    self.dead.add(name)

    def endpoints(self):
        published = self.publishers[-1].newest("edge-1")
        return None if published is None else len(published.snapshot.services[0].endpoints)

    def draining(self):
        snapshot = self.publishers[-1].newest("edge-1").snapshot
        return [e.port for e in snapshot.services[0].endpoints if e.draining]

    def ready(self, controller):
        services = controller.status().services
        return services[0].ready if services else 0


@pytest.fixture
def stage(tmp_path):
    @contextlib.asynccontextmanager
    async def make(machines=3, place="."):
        nodes = []
        stage = Stage(tmp_path / place, nodes)
        nodes += [await Node().start(stage) for _ in range(machines)]
        stage.driver.ports = [(n.engine.port, n.agent.port) for n in nodes]
        try:
            yield stage
        finally:
            for node in nodes:
                await node.agent.stop()
                await node.engine.stop()

    return make


def test_a_desired_state_becomes_ready_replicas_in_a_snapshot(stage):
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare()
            await until(lambda: s.ready(controller) == 2)
            await until(lambda: s.endpoints() == 2)
            await until((s.folder / "edges/edge-1/snapshot.json").exists)
            snapshot = Snapshot.model_validate_json((s.folder / "edges/edge-1/snapshot.json").read_bytes())
            assert snapshot.epoch > 1_700_000_000, "an empty bucket begins above what any edge has seen"

    asyncio.run(story())


def test_every_decision_that_a_controller_wrote_down_can_be_made_again(stage):
    async def story():
        async with stage() as s:
            async with s.controller("one", ends="killed") as controller:
                await s.declare()
                await until(lambda: s.ready(controller) == 2)
                await s.nodes[0].kill_engine()
                await until(lambda: s.ready(controller) == 1)
            async with s.controller("two") as controller:
                await until(lambda: s.ready(controller) >= 1)
            result = await replay(await Reader.open(s.bucket), shown=1)
            assert (result.first, result.left_out) == ([], {})
            assert (len(result.terms), set(result.codes)) == (2, {code_version()})

    asyncio.run(story())


def test_each_decision_is_logged_once_with_its_tick(stage):
    async def story():
        with structlog.testing.capture_logs() as logs:
            async with stage() as s, s.controller() as controller:
                await s.declare()
                await until(lambda: s.ready(controller) == 2)
            said = [
                (e["event"], e["tick"], e["reason"]) for e in logs if e["event"] in ("command", "decision")
            ]
            assert len(said) == len(set(said))
            sizes = [e for e in logs if e["event"] == "command" and e["call"] == "set_size"]
            assert len(sizes) == 2
            reader = await Reader.open(s.bucket)
            entries = {place.tick: entry async for place, entry in reader.backwards()}
            for event, tick, reason in said:
                written = entries[tick]
                assert reason in (written.because if event == "command" else written.reasons)

    asyncio.run(story())


def test_a_restarted_controller_still_tells_what_the_one_before_decided(stage):
    async def story():
        async with stage() as s:
            async with s.controller("one") as controller:
                await s.declare()
                await until(lambda: s.ready(controller) == 2)
                said = controller.status().reasons
                assert said
            async with s.controller("two") as controller:
                await until(lambda: s.ready(controller) == 2)
                assert controller.status().reasons[-len(said) :] == said
                assert json.loads(controller.history(None))["points"]

    asyncio.run(story())


def test_without_a_desired_state_nothing_happens_and_the_status_says_why(stage):
    async def story():
        async with stage() as s, s.controller() as controller:
            await until(lambda: controller.status().controller.last_tick_age_s is not None)
            await asyncio.sleep(0.1)
            assert s.driver.calls == []
            assert "desired/dev.json" in controller.status().controller.frozen
            assert s.endpoints() is None
            assert not controller.stuck()

    asyncio.run(story())


def test_a_killed_engine_leaves_the_snapshot_within_a_second(stage):
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare()
            await until(lambda: s.endpoints() == 2)
            s.driver.answers.clear()  # even while the cloud says nothing
            await s.nodes[0].kill_engine()
            await until(lambda: s.endpoints() == 1, 1.0)
            s.driver.answers.set()
            await until(lambda: s.ready(controller) == 1)

    asyncio.run(story())


def test_an_announced_preemption_drains_its_endpoint_within_a_second_and_is_replaced(stage):
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare()
            await until(lambda: s.endpoints() == 2)
            s.driver.answers.clear()  # even while the cloud says nothing
            s.nodes[0].preempt_at = time.time() + 15  # requests may take 20 s
            await until(lambda: s.draining() == [s.nodes[0].engine.port], 1.0)
            s.driver.answers.set()
            await until(lambda: s.endpoints() == 3)
            assert s.ready(controller) == 2

    asyncio.run(story())


def test_a_restarted_controller_neither_loses_nor_doubles_a_replica_nor_empties_an_edge(stage):
    async def story():
        async with stage() as s:
            async with s.controller("one", ends="killed"):
                await s.declare()
                await until(lambda: s.endpoints() == 2)
                first = s.publishers[-1].newest("edge-1").snapshot.epoch
            calls = [c for c in s.driver.calls if c[0] != "observe"]
            for n in range(5):
                async with s.controller(f"again-{n}", ends="killed") as controller:
                    await until(lambda: s.endpoints() is not None)
                    assert s.endpoints() == 2
                    assert s.publishers[-1].newest("edge-1").snapshot.version == (first + n + 1, 1)
                    await until(lambda: s.ready(controller) == 2)
            assert [c for c in s.driver.calls if c[0] != "observe"] == calls

    asyncio.run(story())


def test_a_controller_that_finds_no_keys_leaves_the_edges_what_they_have(stage):
    async def story():
        async with stage() as s:
            await s.declare()
            await s.bucket.delete("keys.json")
            async with s.controller() as controller:
                await until(lambda: s.ready(controller) == 2)
                assert s.endpoints() is None
                await s.declare()
                await until(lambda: s.endpoints() == 2)

    asyncio.run(story())


def test_a_controller_whose_journal_was_lost_finds_its_replicas_again(stage):
    async def story():
        async with stage() as s:
            async with s.controller("one", ends="killed"):
                await s.declare()
                await until(lambda: s.endpoints() == 2)
            await s.bucket.delete(*[o.path for o in await s.bucket.objects("journal")])
            calls = [c for c in s.driver.calls if c[0] != "observe"]
            async with s.controller("two") as controller:
                await until(lambda: s.endpoints() is not None)
                assert s.endpoints() == 2
                await until(lambda: s.ready(controller) == 2)
            assert [c for c in s.driver.calls if c[0] != "observe"] == calls

    asyncio.run(story())


def test_a_desired_state_that_breaks_while_nobody_runs_keeps_what_the_journal_knows(stage):
    async def story():
        async with stage() as s:
            async with s.controller("one"):
                await s.declare()
                await until(lambda: s.endpoints() == 2)
            await s.bucket.put("desired/dev.json", b"{")
            async with s.controller("two") as controller:
                await until(lambda: s.ready(controller) == 2)
                assert controller.status().controller.frozen
                await until(lambda: s.endpoints() == 2)

    asyncio.run(story())


def test_of_two_controllers_one_leads_and_the_other_takes_over(stage):
    async def story():
        async with stage() as s, s.controller("one") as one:
            await s.declare()
            await until(lambda: s.ready(one) == 2)
            async with s.controller("two") as two:
                await asyncio.sleep(0.15)
                assert (one.leader(), two.leader(), two.stuck()) == (True, False, False)
                one.stop()
                await until(two.leader)
                await until(lambda: s.ready(two) == 2)
            assert sum(c[0] == "set_size" for c in s.driver.calls) == 2

    asyncio.run(story())


def test_a_leader_that_is_followed_by_another_steps_down(stage):
    async def story():
        async with stage() as s, s.controller("one") as one:
            await until(one.leader)
            s.dead.add("one")  # wrongly believed
            async with s.controller("two") as two:
                await until(two.leader)
                one._parts.lease._renewed -= 60
                s.dead.clear()
                await until(lambda: not one.leader())

    asyncio.run(story())


def test_a_full_disk_stops_neither_the_watch_over_replicas_nor_the_edges(stage, monkeypatch):
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare()
            await until(lambda: s.endpoints() == 2)

            async def full(path, data):
                raise BucketError("no space left on device")

            with monkeypatch.context() as patch:
                patch.setattr(s.bucket, "put", full)
                patch.setattr(s.bucket, "create_if_absent", full)
                await s.nodes[0].kill_engine()
                await until(lambda: s.endpoints() == 1, 1.0)
                await until(lambda: s.ready(controller) == 1)
            await until(
                lambda: json.loads((s.folder / "status.json").read_text())["services"][0]["ready"] == 1
            )
            written = s.folder / "edges/edge-1/snapshot.json"
            await until(
                lambda: len(Snapshot.model_validate_json(written.read_bytes()).services[0].endpoints) == 1
            )

    asyncio.run(story())


def test_a_cloud_that_does_not_answer_at_the_start_leaves_the_edges_what_they_have(stage, monkeypatch):
    async def story():
        monkeypatch.setattr(term_module, "FIRST_LOOK_S", 60)
        async with stage() as s:
            async with s.controller("one"):
                await s.declare()
                await until(lambda: s.endpoints() == 2)
            await s.bucket.delete(*[o.path for o in await s.bucket.objects("journal")])
            s.driver.next_error = Unreachable("down")
            s.driver.answers.clear()
            async with s.controller("two") as controller:
                await until(lambda: controller.status().generation is not None)
                await asyncio.sleep(0.1)
                assert s.endpoints() is None
                s.driver.answers.set()
                await until(lambda: s.endpoints() == 2)

    asyncio.run(story())


def test_a_controller_that_ends_says_so_in_the_status_and_leaves_replicas_alone(stage):
    async def story():
        async with stage() as s:
            async with s.controller() as controller:
                await s.declare()
                await until(lambda: s.ready(controller) == 2)
            status = Status.model_validate_json((s.folder / "status.json").read_bytes())
            assert (status.controller.alive, status.services[0].ready) == (False, 2)
            assert not any(c[0] == "terminate" for c in s.driver.calls)

    asyncio.run(story())


def test_money_is_counted_on_after_a_restart_and_assumed_when_the_journal_is_lost(stage):
    async def story():
        async with stage() as s:
            desired = a_desired([a_service(probe=PROBE)], worst=3600.0, month=10_000.0)
            async with s.controller() as controller:
                await s.declare(desired)
                await until(lambda: s.ready(controller) == 2)
                spend = controller.status().spend
                assert (spend.budget_usd, spend.assumed_usd, spend.exhausted) == (10_000.0, 0.0, None)
                first = spend.usd
            async with s.controller("two") as controller:
                await until(lambda: s.ready(controller) == 2)
                spend = controller.status().spend
                assert spend.usd >= first
                assert spend.assumed_usd == 0
            shutil.rmtree(s.folder / "journal")
            async with s.controller("three") as controller:
                await until(lambda: s.ready(controller) == 2)
                spend = controller.status().spend
                assert 0 < spend.assumed_usd < 60, "a dollar for each second since the stack began"
                assert spend.usd >= spend.assumed_usd

    asyncio.run(story())


def test_an_operators_wish_is_acted_on_once_answered_and_removed_also_across_controllers(stage):
    async def story():
        async with stage() as s:
            async with s.controller("one") as controller:
                await s.declare()
                await until(lambda: s.ready(controller) == 2)
                await until(lambda: s.endpoints() == 2)
                await s.declare(a_desired([a_service(probe=PROBE, sha256=NEW)]))
                await until(lambda: rollout_of(controller) is not None)
                wish_id = new_id()
                content = WishFile(schema=1, service="chat", action="abort").model_dump_json(by_alias=True)
                await s.bucket.put(path_of(wish_id), content.encode())
                await until(lambda: any(wish_id in r for r in controller.status().reasons), 5.0)
                await until(lambda: not list((s.folder / "commands").glob("*.json")))
                await until(lambda: rollout_of(controller).phase is RolloutPhase.ABORTED)
            async with s.controller("two") as controller:
                await until(lambda: rollout_of(controller) is not None)
                await asyncio.sleep(0.2)
                assert rollout_of(controller).phase is RolloutPhase.ABORTED
                assert s.ready(controller) == 2

    asyncio.run(story())


def rollout_of(controller):
    services = controller.status().services
    return services[0].rollout if services else None


def test_a_service_that_is_removed_while_a_cloud_is_slow_to_answer_stops_no_watch(stage):
    async def story():
        async with stage() as s, s.controller() as controller:
            await s.declare()
            await until(lambda: s.endpoints() == 2)
            watches = dict(controller._term._watcher._watches)
            moments = itertools.count(4e9)

            def renamed():
                s.nodes[0].preempt_at = next(moments)  # its health changes all the time
                return [x.name for x in controller.status().services] == ["code"]

            s.driver.answers.clear()
            await s.declare(a_desired([a_service("code", probe=PROBE)]))
            await until(renamed)
            assert all(t.cancelled() or not t.done() for w in watches.values() for t in w.tasks)
            s.driver.answers.set()

    asyncio.run(story())


def test_replicas_that_fail_together_leave_the_edges_in_a_few_snapshots(stage):
    async def story():
        async with stage(machines=8) as s, s.controller() as controller:
            await s.declare(a_desired([a_service(replicas=8, probe=PROBE)]))
            await until(lambda: s.endpoints() == 8)
            before = s.publishers[-1].newest("edge-1").snapshot.seq
            watches = list(controller._term._watcher._watches.values())
            for watch in watches:
                watch.stop()
            for watch in watches:
                watch._agent_is(AgentState.REFUSED)
                await asyncio.sleep(0)
            await until(lambda: s.endpoints() == 0, 1.0)
            assert s.publishers[-1].newest("edge-1").snapshot.seq <= before + 3

    asyncio.run(story())
