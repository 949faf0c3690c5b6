"""Archives of bundles: kept while anything may need them, removed a day later."""

import asyncio
import time

import pytest

from lb.act.bundles import EVERY_S, FIRST_S, YOUNG_S, BundleKeeper, needed
from lb.bucket import BucketError, open_bucket
from lb.decide import Memory
from lb.decide.memory import Rollout, ServiceMemory
from lb.decide.observed import Assignment
from tests.lb.clock import FakeClock
from tests.lb.world import NEW, OLD, a_desired, a_service

OTHER, FORGOTTEN = "c" * 64, "d" * 64


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


async def archives(bucket):
    return [o.path.removeprefix("bundles/").removesuffix(".tar.gz") for o in await bucket.objects("bundles")]


async def with_archives(bucket, *hashes):
    for sha256 in hashes:
        await bucket.put(f"bundles/{sha256}.tar.gz", b"x")


def test_what_is_desired_assigned_good_or_may_be_gone_back_to_is_needed():
    rollout = Rollout(NEW, "3" * 64, 1.0)
    memory = Memory(services={"chat": ServiceMemory("1" * 64, good="2" * 64, rollout=rollout)})
    assignments = [Assignment("p", "4" * 64, {"i-1": "5" * 64}), Assignment("q")]
    desired = a_desired([a_service(sha256=OLD)])
    assert needed(desired, memory, assignments) == {OLD, NEW, *(c * 64 for c in "12345")}
    assert needed(desired, Memory(), []) == {OLD}


def test_an_archive_that_nothing_needs_is_removed_when_it_is_a_day_old(bucket):
    async def story():
        await with_archives(bucket, OLD, FORGOTTEN)
        clock = FakeClock(time.time())
        keeper = BundleKeeper((bucket,), clock)
        await keeper.prune(frozenset({OLD}))
        assert await archives(bucket) == [OLD, FORGOTTEN]
        clock.pass_(YOUNG_S + 60)
        await keeper.prune(frozenset({OLD}))
        assert await archives(bucket) == [OLD]

    asyncio.run(story())


def test_what_is_no_archive_is_left_alone(bucket):
    async def story():
        await bucket.put("bundles/notes.txt", b"x")
        await bucket.put(f"bundles/{OTHER}.zip", b"x")
        keeper = BundleKeeper((bucket,), FakeClock(time.time() + 10 * YOUNG_S))
        await keeper.prune(frozenset())
        assert len(await bucket.objects("bundles")) == 2

    asyncio.run(story())


def test_it_looks_some_minutes_after_a_term_began_and_then_every_hour(bucket):
    async def story():
        clock = FakeClock()
        keeper = BundleKeeper((bucket,), clock)
        assert not keeper.due
        clock.pass_(FIRST_S)
        assert keeper.due
        await keeper.prune(frozenset())
        assert not keeper.due
        clock.pass_(EVERY_S)
        assert keeper.due

    asyncio.run(story())


def test_a_bucket_that_fails_stops_nothing(bucket, monkeypatch):
    async def story():
        async def fails(*_, **__):
            raise BucketError("down")

        monkeypatch.setattr(bucket, "objects", fails)
        await BundleKeeper((bucket,), FakeClock()).prune(frozenset())

    asyncio.run(story())
