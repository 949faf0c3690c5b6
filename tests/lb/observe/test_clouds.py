"""Observing clouds: one that fails or hangs takes nothing from the others."""

import asyncio

from lb.clouds.protocol import Throttled
from lb.metrics import Metrics
from lb.observe.clouds import CloudObserver
from tests.lb.fakes import FakeDriver
from tests.lb.world import a_pool

POOLS = [a_pool("a-1-a", cloud="one"), a_pool("b-1-a", cloud="two"), a_pool("a-1-b", cloud="one")]


def observer(**drivers):
    return CloudObserver(drivers, Metrics(), patience_s=0.05)


def errors(found):
    return [o.error for o in found]


def test_every_pool_is_observed_in_its_place():
    async def story():
        found = await observer(one=FakeDriver(), two=FakeDriver()).observe(POOLS)
        assert [o.pool_id for o in found] == [p.id for p in POOLS]
        assert errors(found) == [None, None, None]

    asyncio.run(story())


def test_a_cloud_that_refuses_degrades_only_itself():
    async def story():
        one = FakeDriver()
        one.next_error = Throttled("slow down")
        watcher = observer(one=one, two=FakeDriver())
        found = await watcher.observe(POOLS)
        assert errors(found) == ["throttled: slow down", None, "throttled: slow down"]
        assert errors(await watcher.observe(POOLS)) == [None, None, None]

    asyncio.run(story())


def test_a_cloud_that_hangs_is_waited_for_once_and_its_late_answer_is_used():
    async def story():
        one = FakeDriver()
        one.answers.clear()
        watcher = observer(one=one, two=FakeDriver())
        assert errors(await watcher.observe(POOLS))[1] is None
        async with asyncio.timeout(0.04):  # less than the patience: nobody waits for it a second time
            assert errors(await watcher.observe([POOLS[0]])) == ["it has not answered yet"]
        assert len(one.calls) == 1
        one.answers.set()
        await asyncio.sleep(0.01)
        assert errors(await watcher.observe(POOLS)) == [None, None, None]
        await watcher.close()

    asyncio.run(story())


def test_a_cloud_without_a_driver_says_so():
    async def story():
        found = await observer(one=FakeDriver()).observe(POOLS)
        assert found[1].error == "there is no driver for cloud 'two'"

    asyncio.run(story())


def test_a_defect_of_one_driver_does_not_blind_the_others():
    async def story():
        one = FakeDriver()
        one.next_error = ZeroDivisionError("oops")
        found = await observer(one=one, two=FakeDriver()).observe(POOLS)
        assert "defect" in found[0].error
        assert found[1].error is None

    asyncio.run(story())
