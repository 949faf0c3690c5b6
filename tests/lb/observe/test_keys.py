"""Callers' keys: followed, and kept when the bucket has none to offer."""

import asyncio

import pytest

from lb.bucket import open_bucket
from lb.observe.keys import KeysReader
from spec.keys import hashed
from spec.snapshot import Keys

KEY = hashed("sk-tw-one", key_id="one")


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


def a_file(*keys):
    return Keys(keys=keys).model_dump_json().encode()


def test_keys_that_were_never_read_are_not_known_to_be_none(bucket):
    assert asyncio.run(KeysReader(bucket).read()) is None


def test_a_new_file_takes_effect_and_a_key_that_it_lacks_is_withdrawn(bucket):
    async def story():
        reader = KeysReader(bucket)
        await bucket.put("keys.json", a_file(KEY))
        assert await reader.read() == (KEY,)
        await bucket.put("keys.json", a_file())
        assert await reader.read() == ()

    asyncio.run(story())


@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_a_damaged_bucket_locks_nobody_out(bucket, damage):
    async def story():
        reader = KeysReader(bucket)
        await bucket.put("keys.json", a_file(KEY))
        await reader.read()
        if damage == "missing":
            await bucket.delete("keys.json")
        else:
            await bucket.put("keys.json", b'{"keys": [')
        assert await reader.read() == (KEY,)
        await bucket.put("keys.json", a_file())
        assert await reader.read() == ()

    asyncio.run(story())
