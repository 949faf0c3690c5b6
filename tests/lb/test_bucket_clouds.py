"""The state bucket in three clouds, by the identity of the machine that asks, against servers that answer as theirs do."""

import asyncio
import contextlib

import pytest

from lb.bucket import BucketError, ObjectNotFound, open_bucket
from tests.clouds.aws import Aws
from tests.clouds.azure import Azure
from tests.clouds.gcp import Gcp


@pytest.fixture(params=[Aws, Gcp, Azure])
def cloud(request, monkeypatch):
    with contextlib.closing(request.param()) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def bucket(cloud):
    return open_bucket(cloud.bucket_url, region=cloud.region if isinstance(cloud, Aws) else "")


def test_the_calls_do_in_every_cloud_what_they_do_in_a_folder(bucket, cloud):
    async def story():
        assert await bucket.create_if_absent("lease/1.json", b"first")
        assert not await bucket.create_if_absent("lease/1.json", b"second")
        for number in (2, 3):
            await bucket.put(f"lease/{number}.json", b"later")
        await bucket.put("lease/2.json", b"over it")
        assert [await bucket.get(f"lease/{n}.json") for n in (1, 2)] == [b"first", b"over it"]
        later = await bucket.objects("lease", after="lease/1.json")
        assert [(o.path, o.size) for o in later] == [("lease/2.json", 7), ("lease/3.json", 5)]
        assert await bucket.objects("lease", after="lease/3.json") == []
        await bucket.delete("lease/1.json", "lease/none.json", "lease/2.json")
        assert [o.path for o in await bucket.objects("lease")] == ["lease/3.json"]
        with pytest.raises(ObjectNotFound):
            await bucket.get("lease/1.json")

    asyncio.run(story())
    assert cloud.refused == []


def test_a_key_that_is_denied_is_an_error_in_one_line(bucket, cloud):
    cloud.put("desired/prod.json", "{}")
    cloud.denied.add("desired/prod.json")
    with pytest.raises(BucketError) as raised:
        asyncio.run(bucket.get("desired/prod.json"))
    assert not isinstance(raised.value, ObjectNotFound)
    assert "\n" not in str(raised.value)
