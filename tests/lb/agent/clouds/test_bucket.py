"""Objects of a cloud's bucket: whole, streamed, conditional, and continued where a stream broke."""

import hashlib
import io
import os

import pytest

from lb.agent import web
from lb.agent.bucket import CloudBucket, Follower
from lb.agent.fetch import BucketError

KEY = "assignments/chat.a b+c.json"


@pytest.fixture
def bucket(world):
    objects = world.cloud.objects(world.server.bucket_url, place=world.server.region)
    patience = web.Patience(tries=3, first_s=0.0, most_s=0.0)
    return CloudBucket(objects, patience=patience, pause=lambda _s: None)


def test_an_object_is_read_whole_with_the_machines_identity(world, bucket):
    world.server.put(KEY, b"content")
    assert bucket.read(KEY, limit=7) == b"content"
    assert world.server.refused == []


def test_one_with_more_bytes_than_expected_is_refused(world, bucket):
    world.server.put(KEY, b"content")
    with pytest.raises(BucketError, match="more than 6 bytes"):
        bucket.read(KEY, limit=6)


def test_an_empty_object_is_one(world, bucket):
    world.server.put(KEY, b"")
    assert bucket.read(KEY, limit=10) == b""
    to = io.BytesIO()
    bucket.download(KEY, to, progress=lambda _piece: None)
    assert to.getvalue() == b""


def test_what_has_not_changed_is_not_sent_again(world, bucket):
    world.server.put(KEY, b"one")
    sent = []
    answered = world.server.read

    def watched(key, headers):
        found = answered(key, headers)
        sent.append(found[0])
        return found

    world.server.read = watched
    assert [bucket.read(KEY, limit=9) for _ in range(3)] == [b"one"] * 3
    world.server.put(KEY, b"two")
    assert bucket.read(KEY, limit=9) == b"two"
    assert sent == [200, 304, 304, 200]


def test_missing_and_denied_are_two_things_and_name_the_key(world, bucket):
    with pytest.raises(BucketError, match=r"chat\.a b\+c\.json: not there"):
        bucket.read(KEY, limit=9)
    world.server.put(KEY, b"content")
    world.server.denied.add(KEY)
    with pytest.raises(BucketError, match=r"chat\.a b\+c\.json: denied"):
        bucket.read(KEY, limit=9)


@pytest.mark.parametrize("failing", [[503, 500], [None], [429, 502]])
def test_what_fails_for_a_moment_is_asked_again(world, bucket, failing):
    world.server.put(KEY, b"content")
    bucket.read(KEY, limit=9)
    world.server.failing = failing
    assert bucket.read(KEY, limit=9) == b"content"


def test_what_keeps_failing_is_an_error_of_the_bucket(world, bucket):
    world.server.put(KEY, b"content")
    bucket.read(KEY, limit=9)
    world.server.failing = [503] * 3
    with pytest.raises(BucketError, match="503"):
        bucket.read(KEY, limit=9)


def test_a_token_or_key_that_has_ended_is_replaced_once(world, bucket):
    world.server.put(KEY, b"content")
    bucket.read(KEY, limit=9)
    if world.name == "aws":
        world.server.failing = []
        answered, left = world.server.answer, [1]

        def expired(*asked):
            if not asked[1].startswith("/latest") and left and left.pop():
                return 400, b"<Error><Code>ExpiredToken</Code></Error>", {}
            return answered(*asked)

        world.server.answer = expired
    else:
        world.server.tokens.clear()
    world.server.put(KEY, b"new")
    assert bucket.read(KEY, limit=9) == b"new"


def test_a_large_object_comes_in_pieces_and_can_be_ended(world, bucket):
    content = os.urandom(3 << 20)
    world.server.put(KEY, content)
    to, seen = io.BytesIO(), hashlib.sha256()
    bucket.download(KEY, to, progress=seen.update)
    assert to.getvalue() == content
    assert seen.digest() == hashlib.sha256(content).digest()

    class Ended(Exception):
        pass

    def end(_piece):
        raise Ended

    with pytest.raises(Ended):
        bucket.download(KEY, io.BytesIO(), progress=end)


def test_a_stream_that_breaks_again_and_again_is_continued_where_it_broke(world, bucket):
    content = os.urandom(2 << 20)
    world.server.put(KEY, content)
    world.server.cut_at = 200_000
    to = io.BytesIO()
    bucket.download(KEY, to, progress=lambda _piece: None)
    assert to.getvalue() == content


def test_a_stream_that_brings_nothing_more_is_given_up(world, bucket):
    world.server.put(KEY, b"content")
    world.server.cut_at = 0
    with pytest.raises(BucketError, match="broke off"):
        bucket.download(KEY, io.BytesIO(), progress=lambda _piece: None)


def test_an_object_that_changes_while_it_is_read_is_not_glued_together(world, bucket):
    world.server.put(KEY, b"a" * 500_000)
    world.server.cut_at = 200_000
    to = io.BytesIO()

    def changes(_piece):
        world.server.put(KEY, b"b" * 500_000)

    with pytest.raises(BucketError, match="changed"):
        bucket.download(KEY, to, progress=changes)


def test_a_listing_has_all_pages_and_only_its_prefix(world, bucket):
    names = [f"models/llama & co/{n:02}" for n in range(7)]
    for name in (*names, "other/x"):
        world.server.put(name, name.encode())
    world.server.page_size = 3
    found = list(bucket.listing("models/"))
    assert [o.key for o in found] == names
    assert [o.size for o in found] == [len(n) for n in names]
    assert list(bucket.listing("nothing/")) == []


def test_a_public_bucket_is_read_without_any_identity(world):
    world.server.public.add("models/")
    world.server.put("models/a", b"open")
    objects = world.cloud.objects(world.server.bucket_url, place=world.server.region, anonymous=True)
    bucket = CloudBucket(objects, patience=web.Patience(tries=1))
    assert bucket.read("models/a", limit=9) == b"open"
    assert not [path for _, path in world.server.asked if "token" in path or "credentials" in path]


def test_aws_takes_a_machine_whose_clock_is_wrong(opened):
    world = opened("aws")
    world.server.put(KEY, b"content")
    world.server.skew_s = -3600
    objects = world.cloud.objects("s3://state", place="eu-west-1")
    assert CloudBucket(objects, patience=web.Patience(tries=1)).read(KEY, limit=9) == b"content"


def test_a_followed_object_is_answered_from_memory_with_its_last_error(world, bucket):
    follower = Follower(bucket, KEY, limit=9, every_s=60)
    with pytest.raises(BucketError, match="not read yet"):
        follower.read(KEY, limit=9)
    world.server.put(KEY, b"content")
    follower.look()
    asked = len(world.server.asked)
    assert follower.read(KEY, limit=9) == b"content"
    assert len(world.server.asked) == asked
    world.server.denied.add(KEY)
    follower.look()
    with pytest.raises(BucketError, match="denied"):
        follower.read(KEY, limit=9)
    with pytest.raises(BucketError, match="not followed"):
        follower.read("assignments/another.json", limit=9)
