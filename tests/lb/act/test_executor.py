"""Carrying out: nothing without the lease, nothing twice, and every end is told."""

import asyncio
import contextlib

import pytest

from lb.act.assignments import Assignments, changed
from lb.act.executor import Executor
from lb.agent import assignment as on_the_node
from lb.bucket import open_bucket
from lb.clouds.protocol import InsufficientCapacity
from lb.decide import Assign, AssignGangs, SetSize, Terminate
from lb.decide.observed import Assignment, Gang
from lb.lease import Holder, Lease
from lb.metrics import Metrics
from tests.lb.clock import FakeClock
from tests.lb.fakes import FakeDriver
from tests.lb.servers import until
from tests.lb.world import NEW, OLD, ZONES, a_pool

POOL, OTHER = a_pool(ZONES[0]), a_pool(ZONES[1])
POOLS = {POOL.id: POOL, OTHER.id: OTHER}


class Rig:
    def __init__(self, folder):
        self.bucket = open_bucket(f"file://{folder}")
        self.clock = FakeClock()
        self.lease = Lease(self.bucket, self.clock, me=Holder("h", 1, "s"), dead=lambda _: False)
        self.driver = FakeDriver()
        self.assignments = Assignments(self.bucket)
        self.metrics = Metrics()
        self.done = 0
        self.executor = Executor(
            drivers={"local": self.driver},
            lease=self.lease,
            assignments=self.assignments,
            clock=self.clock,
            metrics=self.metrics,
            on_done=self._done,
            timeout_s=0.2,
        )

    def _done(self):
        self.done += 1

    async def run(self, *commands):
        await self.executor.carry_out(commands, POOLS)
        await until(lambda: not self.executor.busy())
        return self.executor.collect()


@pytest.fixture
def rig(tmp_path):
    @contextlib.asynccontextmanager
    async def make(*, leading=True):
        rig = Rig(tmp_path)
        if leading:
            await rig.lease.acquire()
        yield rig

    return make


def test_commands_reach_the_cloud_in_their_order_and_their_ends_are_told(rig):
    async def story():
        async with rig() as r:
            outcomes = await r.run(SetSize(POOL.id, 2), Terminate(POOL.id, "i-9", "local:local-east:i-9"))
            assert r.driver.calls == [("set_size", POOL.id, 2), ("terminate", POOL.id, "i-9")]
            assert [(o.call, o.instance_id, o.error) for o in outcomes] == [
                ("set_size", None, None),
                ("terminate", "i-9", None),
            ]
            assert r.done == 1
            assert r.executor.collect() == ()

    asyncio.run(story())


def test_a_refusal_is_an_outcome(rig):
    async def story():
        async with rig() as r:
            r.driver.next_error = InsufficientCapacity("zone is full")
            (outcome,) = await r.run(SetSize(POOL.id, 2))
            assert (outcome.error, outcome.message) == ("insufficient_capacity", "zone is full")

    asyncio.run(story())


def test_without_the_lease_nothing_is_sent(rig):
    async def story():
        async with rig(leading=False) as r:
            (outcome,) = await r.run(SetSize(POOL.id, 2))
            assert outcome.error == "not_sent"
            assert r.driver.calls == []

    asyncio.run(story())


def test_a_leader_that_was_followed_sends_nothing_more(rig):
    async def story():
        async with rig() as r:
            await r.bucket.put(f"lease/{r.lease.epoch + 1:08d}.json", b"{}")
            (outcome,) = await r.run(SetSize(POOL.id, 2))
            assert outcome.error == "not_sent"
            assert r.driver.calls == []

    asyncio.run(story())


def test_a_lease_that_may_run_out_during_the_call_sends_nothing(rig):
    async def story():
        async with rig() as r:
            r.clock.pass_(19.9)
            (outcome,) = await r.run(SetSize(POOL.id, 2))
            assert outcome.error == "not_sent"

    asyncio.run(story())


def test_a_call_without_an_answer_ends_after_its_time_and_holds_up_no_other_pool(rig):
    async def story():
        async with rig() as r:
            r.driver.answers.clear()
            await r.executor.carry_out([SetSize(POOL.id, 1)], POOLS)
            assert r.executor.busy() == (POOL.id,)
            await asyncio.sleep(0.01)
            r.driver.answers.set()
            await until(lambda: not r.executor.busy())
            r.driver.answers.clear()
            (_, outcome) = await r.run(SetSize(OTHER.id, 1))
            assert (outcome.error, outcome.message) == ("unreachable", "no answer within 0.2 s")

    asyncio.run(story())


def test_a_defect_of_a_driver_is_an_outcome_too(rig):
    async def story():
        async with rig() as r:
            r.driver.next_error = ZeroDivisionError("oops")
            (outcome,) = await r.run(SetSize(POOL.id, 1))
            assert outcome.error == "error"

    asyncio.run(story())


def test_assignments_are_written_before_anything_is_launched(rig):
    async def story():
        async with rig() as r:
            await r.executor.carry_out([Assign(POOL.id, None, OLD), SetSize(POOL.id, 1)], POOLS)
            assert r.driver.calls == []
            assert await Assignments(r.bucket).of([POOL.id]) == (Assignment(POOL.id, OLD),)
            await until(lambda: not r.executor.busy())

    asyncio.run(story())


def test_assignments_are_not_written_without_the_lease(rig):
    async def story():
        async with rig(leading=False) as r:
            await r.executor.carry_out([Assign(POOL.id, None, OLD)], POOLS)
            assert await Assignments(r.bucket).of([POOL.id]) == (Assignment(POOL.id),)

    asyncio.run(story())


def test_a_new_default_keeps_only_the_machines_that_are_named_with_it():
    before = Assignment(POOL.id, OLD, {"i-gone": NEW})
    after = changed(before, [Assign(POOL.id, "i-1", OLD), Assign(POOL.id, None, NEW)])
    assert after == Assignment(POOL.id, NEW, {"i-1": OLD})
    assert changed(after, [Assign(POOL.id, "i-1", NEW)]) == Assignment(POOL.id, NEW, {})


def test_gangs_are_written_with_the_bundles_and_read_again_until_there_are_none(tmp_path):
    gangs = (Gang(("i-1", "i-2"), ("10.0.0.1", "10.0.0.2")),)

    async def story():
        bucket = open_bucket(f"file://{tmp_path}")
        await Assignments(bucket).apply([Assign(POOL.id, None, OLD), AssignGangs(POOL.id, gangs)])
        raw = await bucket.get(f"assignments/{POOL.id}.json")
        told = on_the_node.read(raw, pool_id=POOL.id, instance_id="i-2")
        assert told == on_the_node.Assignment(OLD, on_the_node.Gang("i-1", 1, gangs[0].ips))
        assignments = Assignments(bucket)
        assert await assignments.of([POOL.id]) == (Assignment(POOL.id, OLD, {}, gangs),)
        await assignments.apply([Assign(POOL.id, None, NEW)])
        assert await assignments.of([POOL.id]) == (Assignment(POOL.id, NEW, {}, gangs),)
        await assignments.apply([AssignGangs(POOL.id, ())])
        assert await Assignments(bucket).of([POOL.id]) == (Assignment(POOL.id, NEW),)

    asyncio.run(story())


def test_an_unreadable_assignment_is_written_anew(tmp_path):
    async def story():
        bucket = open_bucket(f"file://{tmp_path}")
        await bucket.put(f"assignments/{POOL.id}.json", b"{")
        assert await Assignments(bucket).of([POOL.id]) == (Assignment(POOL.id),)

    asyncio.run(story())
