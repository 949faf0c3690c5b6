import asyncio

import httpx
import pytest

from lb.bucket import open_bucket
from lb.edge.sources import Controller, InBucket, Unavailable
from spec.errors import InputError
from spec.snapshot import Snapshot

SNAPSHOT = Snapshot(epoch=2, seq=7, edge_id="e1")


def ask(answer, *, version=None, token=lambda: "tok"):
    """What the controller's source makes of one HTTP answer, and the request that it sent."""
    sent = []

    def handle(request):
        sent.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def go():
        source = Controller(
            url="http://controller:1", edge_id="e1", token=token, transport=httpx.MockTransport(handle)
        )
        try:
            return await source.newer_than(version)
        finally:
            await source.close()

    return asyncio.run(go()), sent


def test_a_newer_snapshot_is_read_and_the_token_shown():
    found, [request] = ask(httpx.Response(200, text=SNAPSHOT.model_dump_json()), version=(2, 6))
    assert found == SNAPSHOT
    assert str(request.url) == "http://controller:1/v1/edges/e1/snapshot?after=2.6"
    assert request.headers["authorization"] == "Bearer tok"


def test_the_first_question_names_no_version():
    _, [request] = ask(httpx.Response(204))
    assert "after" not in request.url.params


def test_nothing_newer_is_none():
    assert ask(httpx.Response(204), version=(1, 1))[0] is None


def test_fields_of_a_newer_controller_are_ignored():
    text = SNAPSHOT.model_dump_json().replace('{"epoch"', '{"invented_later": 1, "epoch"', 1)
    assert ask(httpx.Response(200, text=text))[0] == SNAPSHOT


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, text="no"),
        httpx.Response(503),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text='{"epoch": -1, "seq": 1, "edge_id": "e1"}'),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
    ],
    ids=["401", "503", "html", "negative", "refused", "timeout"],
)
def test_anything_else_is_unavailable(answer):
    with pytest.raises(Unavailable):
        ask(answer)


def test_a_missing_token_file_is_unavailable_not_the_end():
    def token():
        raise InputError("token_file: cannot read it")

    with pytest.raises(Unavailable, match="token_file"):
        ask(httpx.Response(204), token=token)


class TestBucket:
    @pytest.fixture
    def read(self, tmp_path):
        source = InBucket(open_bucket(f"file://{tmp_path}"), edge_id="e1")
        return lambda version=None: asyncio.run(source.newer_than(version))

    @pytest.fixture
    def put(self, tmp_path):
        path = tmp_path / "edges" / "e1" / "snapshot.json"
        path.parent.mkdir(parents=True)
        return path.write_text

    def test_the_snapshot_of_this_edge_is_found(self, put, read):
        put(SNAPSHOT.model_dump_json())
        assert read() == SNAPSHOT

    def test_what_is_served_already_is_none(self, put, read):
        put(SNAPSHOT.model_dump_json())
        assert read((2, 7)) is None

    def test_an_empty_bucket_is_none(self, read):
        assert read() is None

    def test_a_torn_file_is_unavailable(self, put, read):
        put('{"epoch": 2')
        with pytest.raises(Unavailable, match="bucket"):
            read()
