"""Reading the desired state: what can't be used freezes, with the reason, and keeps the last that could."""

import asyncio
import json

import pytest

from lb.bucket import open_bucket
from lb.observe.desired import DesiredReader
from spec.desired import dump
from tests.lb.world import a_desired


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


def test_a_usable_desired_state_is_read_and_its_changes_followed(bucket):
    async def story():
        reader = DesiredReader(bucket, "dev")
        await bucket.put("desired/dev.json", dump(a_desired()).encode())
        assert (await reader.read()).frozen is None
        changed = a_desired().model_copy(update={"generation": "g2"})
        await bucket.put("desired/dev.json", dump(changed).encode())
        assert (await reader.read()).desired.generation == "g2"

    asyncio.run(story())


def test_a_missing_desired_state_freezes_from_the_start(bucket):
    reading = asyncio.run(DesiredReader(bucket, "dev").read())
    assert reading.desired is None
    assert "desired/dev.json is not in the state bucket" in reading.frozen


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, "not in the state bucket"),
        (b"", "desired state"),
        (b'{"schema": 1, "env"', "desired state"),
        (json.dumps({"schema": 2}).encode(), "schema 2, this controller knows 1"),
        (b'{"schema": 1}', "env"),
    ],
)
def test_one_that_becomes_unusable_freezes_what_was_known(bucket, raw, words):
    async def story():
        reader = DesiredReader(bucket, "dev")
        await bucket.put("desired/dev.json", dump(a_desired()).encode())
        await reader.read()
        if raw is None:
            await bucket.delete("desired/dev.json")
        else:
            await bucket.put("desired/dev.json", raw)
        reading = await reader.read()
        assert words in reading.frozen
        assert reading.desired == a_desired()
        assert await reader.read() == reading
        await bucket.put("desired/dev.json", dump(a_desired()).encode())
        assert (await reader.read()).frozen is None

    asyncio.run(story())
