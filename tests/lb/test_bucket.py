"""The state bucket in a folder: whole objects, one winner, clear errors."""

import asyncio

import pytest

from lb.bucket import AT_ONCE, BucketError, ObjectNotFound, for_each, open_bucket
from spec.errors import InputError


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}/a folder/state".replace(" ", "%20"))


def test_what_was_put_is_got_and_listed(bucket):
    async def story():
        await bucket.put("desired/dev.json", b"one")
        await bucket.put("desired/dev.json", b"two")
        assert await bucket.get("desired/dev.json") == b"two"
        assert [(o.path, o.size) for o in await bucket.objects("desired")] == [("desired/dev.json", 3)]

    asyncio.run(story())


def test_a_missing_object_has_its_own_error(bucket):
    async def story():
        with pytest.raises(ObjectNotFound, match=r"nothing\.json"):
            await bucket.get("nothing.json")
        assert await bucket.objects("nothing") == []
        await bucket.delete("nothing.json")

    asyncio.run(story())


def test_of_many_that_create_the_same_object_exactly_one_wins(bucket):
    async def story():
        won = await asyncio.gather(*(bucket.create_if_absent("lease/1", str(n).encode()) for n in range(30)))
        assert won.count(True) == 1
        assert await bucket.get("lease/1") == str(won.index(True)).encode()

    asyncio.run(story())


def test_a_listing_is_sorted_and_starts_after_a_name(bucket):
    async def story():
        for name in ("b", "a", "c"):
            await bucket.put(f"lease/{name}", b"")
        assert [o.path for o in await bucket.objects("lease", after="lease/a")] == ["lease/b", "lease/c"]

    asyncio.run(story())


def test_a_write_that_fails_says_so_in_one_line_and_leaves_the_old_object(bucket, tmp_path):
    async def story():
        await bucket.put("a", b"old")
        (tmp_path / "a folder" / "state" / "file").write_bytes(b"")
        with pytest.raises(BucketError) as raised:
            await bucket.put("file/below", b"new")
        assert "\n" not in str(raised.value)
        assert await bucket.get("a") == b"old"

    asyncio.run(story())


def test_an_object_is_one_plain_file_that_others_can_read(bucket, tmp_path):
    asyncio.run(bucket.put("edges/e/snapshot.json", b"{}"))
    folder = tmp_path / "a folder" / "state" / "edges" / "e"
    assert [p.name for p in folder.iterdir()] == ["snapshot.json"]


@pytest.mark.parametrize("url", ["http://x/y", "state", "file://host/x", "file:relative", ""])
def test_what_is_no_bucket_is_refused_with_the_way_out(url):
    with pytest.raises(InputError, match="bucket"):
        open_bucket(url)


def test_of_several_calls_at_once_one_that_fails_stops_no_other():
    made, running, most = [], 0, 0

    async def call(n):
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        await asyncio.sleep(0)
        running -= 1
        if n == 3:
            raise BucketError("full")
        made.append(n)

    with pytest.raises(BucketError, match="full"):
        asyncio.run(for_each(call, range(100)))
    assert made == [n for n in range(100) if n != 3]
    assert 1 < most <= AT_ONCE


def test_a_container_of_azure_is_named_with_its_account():
    open_bucket("az://tradewindprod/state", credentials=dict)
    with pytest.raises(InputError, match="az://account/container"):
        open_bucket("az://tradewindprod")
