"""Operators' wishes in the bucket: read in their order, now and then, and removed once they were acted on."""

import asyncio

import pytest

from lb.bucket import BucketError, open_bucket
from lb.decide.observed import Action, Wish
from lb.observe.wishes import EVERY_S, MOST_AT_ONCE, MOST_BYTES, WishReader
from spec.wish import WishFile, new_id, path_of
from tests.lb.clock import FakeClock


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


async def wish(bucket, action=Action.PAUSE, wish_id=None):
    wish_id = wish_id or new_id()
    content = WishFile(schema=1, service="chat", action=action)
    await bucket.put(path_of(wish_id), content.model_dump_json(by_alias=True).encode())
    return wish_id


def test_wishes_are_read_oldest_first_and_lie_there_until_removed(bucket):
    async def story():
        clock = FakeClock()
        reader = WishReader(bucket, clock)
        late, early = "01" + "Z" * 24, "01" + "A" * 24
        await wish(bucket, Action.ABORT, late)
        await wish(bucket, Action.PAUSE, early)
        expected = (Wish(early, "chat", Action.PAUSE), Wish(late, "chat", Action.ABORT))
        assert await reader.read() == expected
        assert await reader.read() == expected
        await reader.remove([early])
        assert await reader.read() == expected[1:]
        clock.pass_(EVERY_S)
        assert await reader.read() == expected[1:]

    asyncio.run(story())


def test_the_bucket_is_asked_every_two_seconds_only(bucket, monkeypatch):
    async def story():
        clock = FakeClock()
        reader = WishReader(bucket, clock)
        asked = []
        objects = bucket.objects

        async def counted(*args, **kwargs):
            asked.append(args)
            return await objects(*args, **kwargs)

        monkeypatch.setattr(bucket, "objects", counted)
        for _ in range(40):
            await reader.read()
            clock.pass_(EVERY_S / 20)
        assert len(asked) == 2

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (new_id(), b"{"),
        (new_id(), b'{"schema": 2, "service": "chat", "action": "pause"}'),
        (new_id(), b'{"schema": 1, "service": "chat", "action": "explode"}'),
        (new_id(), b" " * (MOST_BYTES + 1)),
        ("not-a-ulid", b'{"schema": 1, "service": "chat", "action": "pause"}'),
    ],
)
def test_what_is_no_wish_is_removed_and_stops_no_other(bucket, name, content):
    async def story():
        await bucket.put(path_of(name), content)
        good = await wish(bucket)
        assert [w.id for w in await WishReader(bucket, FakeClock()).read()] == [good]
        assert [o.path for o in await bucket.objects("commands")] == [path_of(good)]

    asyncio.run(story())


def test_a_flood_is_taken_in_parts(bucket):
    async def story():
        for _ in range(MOST_AT_ONCE + 5):
            await wish(bucket)
        clock = FakeClock()
        reader = WishReader(bucket, clock)
        first = await reader.read()
        assert len(first) == MOST_AT_ONCE
        await reader.remove([w.id for w in first])
        clock.pass_(EVERY_S)
        assert len(await reader.read()) == 5

    asyncio.run(story())


def test_a_bucket_that_fails_leaves_the_wishes_that_are_known(bucket, monkeypatch):
    async def story():
        clock = FakeClock()
        reader = WishReader(bucket, clock)
        known = await wish(bucket)
        await reader.read()

        async def fails(*_, **__):
            raise BucketError("down")

        monkeypatch.setattr(bucket, "objects", fails)
        monkeypatch.setattr(bucket, "delete", fails)
        await reader.remove([known])
        clock.pass_(EVERY_S)
        assert [w.id for w in await reader.read()] == [known]

    asyncio.run(story())
