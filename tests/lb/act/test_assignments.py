"""Assignments of several clouds, each in the bucket that its machines read."""

import asyncio

import pytest

from lb.act.assignments import Assignments
from lb.bucket import BucketError, ObjectNotFound, open_bucket
from lb.decide import Assign
from lb.decide.observed import Assignment
from tests.lb.world import NEW, OLD

LOCAL, AWAY = "chat.local.local-east-a.L4x1.spot", "chat.gcp.us-central1-a.L4x1.spot"


class Failing:
    """A bucket of a cloud that does not answer."""

    async def get(self, path):
        raise BucketError(f"cannot read {path}: timeout")

    async def put(self, path, data):
        raise BucketError(f"cannot write {path}: timeout")


@pytest.fixture
def buckets(tmp_path):
    return open_bucket(f"file://{tmp_path}/state"), open_bucket(f"file://{tmp_path}/gcp")


def test_each_cloud_finds_its_assignments_in_its_own_bucket(buckets):
    state, gcp = buckets

    async def story():
        assignments = Assignments(state, {"gcp": gcp})
        await assignments.apply([Assign(LOCAL, None, OLD), Assign(AWAY, None, NEW)])
        assert await Assignments(state, {"gcp": gcp}).of([LOCAL, AWAY]) == (
            Assignment(LOCAL, OLD),
            Assignment(AWAY, NEW),
        )
        with pytest.raises(ObjectNotFound):
            await state.get(f"assignments/{AWAY}.json")

    asyncio.run(story())


def test_a_cloud_whose_bucket_fails_costs_only_its_own_pools(buckets):
    state, gcp = buckets

    async def story():
        clouds = {"gcp": Failing()}
        assignments = Assignments(state, clouds)
        assert await assignments.of([LOCAL, AWAY]) == (Assignment(LOCAL),), "not read is not empty"
        clouds["gcp"] = gcp
        assert await assignments.of([LOCAL, AWAY]) == (Assignment(LOCAL), Assignment(AWAY)), "asked again"

    asyncio.run(story())


def test_a_state_bucket_that_fails_is_an_error():
    async def story():
        with pytest.raises(BucketError, match="timeout"):
            await Assignments(Failing()).of([LOCAL])

    asyncio.run(story())
