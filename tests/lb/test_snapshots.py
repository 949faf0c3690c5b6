"""Snapshots: numbered by what changed, told to those who wait, kept in the bucket."""

import asyncio

import pytest

from lb.bucket import BucketError, open_bucket
from lb.snapshots import Outlook, Publisher, services_of
from spec.snapshot import Endpoint, Key, Snapshot
from tests.lb.world import a_desired, a_service

KEYS = (Key(id="k1", sha256="c" * 64),)


def services(*names):
    endpoints = [Endpoint(replica_id=n, address="127.0.0.1", port=8000) for n in names]
    return services_of(a_desired(), {"chat": endpoints}, {})


@pytest.fixture
def publisher(tmp_path):
    publisher = Publisher(open_bucket(f"file://{tmp_path}"))
    publisher.begin(3)
    return publisher


def test_the_number_grows_only_when_the_content_changes(publisher):
    assert publisher.publish(["e"], services("a"), KEYS)
    assert not publisher.publish(["e"], services("a"), KEYS)
    assert publisher.publish(["e"], services("a", "b"), KEYS)
    assert publisher.newest("e").snapshot.version == (3, 2)


def test_the_order_of_endpoints_is_no_change(publisher):
    publisher.publish(["e"], services("a", "b"), KEYS)
    assert not publisher.publish(["e"], services("b", "a"), KEYS)


def test_other_keys_are_a_change(publisher):
    publisher.publish(["e"], services("a"), ())
    assert publisher.publish(["e"], services("a"), KEYS)


def test_a_service_without_endpoints_is_still_told(publisher):
    desired = a_desired([a_service("b"), a_service("a")])
    found = services_of(desired, {}, {})
    assert [(s.name, s.endpoints) for s in found] == [("a", ()), ("b", ())]


def test_what_callers_are_told_while_there_is_no_endpoint_is_part_of_it(publisher):
    desired = a_desired([a_service("a"), a_service("b")])
    a, b = services_of(desired, {}, {"b": Outlook(hold=True, retry_after_s=25)})
    assert (a.hold, a.retry_after_s, b.hold, b.retry_after_s) == (False, 10, True, 25)
    publisher.publish(["e"], (a,), KEYS)
    assert publisher.publish(["e"], (b,), KEYS)


def test_whoever_waits_is_woken_by_a_newer_snapshot(publisher):
    async def story():
        publisher.publish(["e"], services("a"), KEYS)
        waiting = asyncio.create_task(publisher.newer_than("e", (3, 1), 5))
        await asyncio.sleep(0)
        publisher.publish(["e"], services("a", "b"), KEYS)
        assert (await waiting).snapshot.version == (3, 2)

    asyncio.run(story())


def test_whoever_is_behind_is_not_kept_waiting(publisher):
    async def story():
        publisher.publish(["e"], services("a"), KEYS)
        assert await publisher.newer_than("e", (2, 999), 0) is not None
        assert await publisher.newer_than("e", (3, 1), 0) is None
        assert await publisher.newer_than("e", (4, 0), 0) is None

    asyncio.run(story())


def test_a_new_epoch_tells_nothing_before_it_knows_something(publisher):
    publisher.publish(["e"], services("a"), KEYS)
    publisher.begin(4)
    assert publisher.newest("e") is None
    publisher.publish(["e"], services("a"), KEYS)
    assert publisher.newest("e").snapshot.version == (4, 1)


def test_an_epoch_that_is_begun_again_goes_on_counting(publisher):
    publisher.publish(["e"], services("a"), KEYS)
    publisher.begin(3)
    publisher.publish(["e"], services("b"), KEYS)
    assert publisher.newest("e").snapshot.version == (3, 2)


def test_closing_ends_every_wait(publisher):
    async def story():
        waiting = asyncio.create_task(publisher.newer_than("e", (0, 0), 60))
        await asyncio.sleep(0)
        publisher.close()
        assert await waiting is None

    asyncio.run(story())


def test_the_bucket_gets_the_same_bytes_and_a_failed_write_is_made_up_for(publisher, tmp_path, monkeypatch):
    async def story():
        publisher.publish(["e"], services("a"), KEYS)
        bucket = publisher._bucket
        put = bucket.put

        async def full(path, data):
            raise BucketError("no space left on device")

        monkeypatch.setattr(bucket, "put", full)
        with pytest.raises(BucketError):
            await publisher.write()
        monkeypatch.setattr(bucket, "put", put)
        await publisher.write()
        raw = (tmp_path / "edges" / "e" / "snapshot.json").read_bytes()
        assert raw == publisher.newest("e").body
        assert Snapshot.model_validate_json(raw).edge_id == "e"

    asyncio.run(story())


def test_an_edge_whose_snapshot_cannot_be_written_keeps_no_other_edge_from_its_own(
    publisher, tmp_path, monkeypatch
):
    async def story():
        put = publisher._bucket.put

        async def some(path, data):
            if "e1" in path:
                raise BucketError("no space left on device")
            await put(path, data)

        publisher.publish(["e1", "e2"], services("a"), KEYS)
        with monkeypatch.context() as patch:
            patch.setattr(publisher._bucket, "put", some)
            with pytest.raises(BucketError):
                await publisher.write()
        assert (tmp_path / "edges/e2/snapshot.json").exists()
        await publisher.write()
        assert (tmp_path / "edges/e1/snapshot.json").exists()

    asyncio.run(story())


def test_an_edge_of_another_cloud_finds_its_snapshot_in_its_own_bucket(tmp_path):
    home, away = open_bucket(f"file://{tmp_path}/home"), open_bucket(f"file://{tmp_path}/away")

    async def story():
        publisher = Publisher(home, {"gcp": away})
        publisher.begin(1)
        publisher.publish(["edge-aws-us-east-1", "edge-gcp-us-central1"], (), ())
        await publisher.write()
        assert [o.path for o in await home.objects("edges")] == ["edges/edge-aws-us-east-1/snapshot.json"]
        assert [o.path for o in await away.objects("edges")] == ["edges/edge-gcp-us-central1/snapshot.json"]

    asyncio.run(story())
