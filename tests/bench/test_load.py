"""The load generator tells the truth about what came back."""

import asyncio

import pytest

from bench.stage.load import Ask, Load
from bench.stage.outcomes import Outcome, Record, summary
from tests.lb.servers import until

WHOLE = b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"choices": []}'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def asked(answer, *, streams=0.0, count=1):
    """What becomes of `count` requests to a server that says `answer` to each and hangs up if told so."""

    async def serve(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.partition(b"content-length: ")[2]))
                writer.write(answer.removesuffix(b"<cut>"))
                if answer.endswith(b"<cut>"):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def story():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            load = Load(f"http://127.0.0.1:{port}", "key", Ask(streams=streams), rate=500)
            running = asyncio.create_task(load.run())
            await until(lambda: len(load.records) >= count)
            load.stop()
            await running
            await asyncio.sleep(0.01)  # for the server to see that the connections are gone
        return load.records

    return asyncio.run(asyncio.wait_for(story(), 10))


def test_a_completion_is_ok_and_connections_are_used_again():
    records = asked(WHOLE, count=20)
    assert {(r.outcome, r.error) for r in records} == {(Outcome.OK, "")}
    assert all(r.due <= r.sent <= r.first <= r.end for r in records)


def test_a_stream_is_ok_when_its_end_mark_came():
    whole = CHUNKED + chunk(b"data: {}\n\n") + chunk(b"data: [DONE]\n\n") + chunk(b"")
    assert asked(whole, streams=1.0)[0].outcome is Outcome.OK


@pytest.mark.parametrize(
    ("answer", "outcome", "error"),
    [
        (b"<cut>", Outcome.FAILED, "before an answer"),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno", Outcome.FAILED, "status 503"),
        (b"rubbish\r\n\r\n<cut>", Outcome.FAILED, "no HTTP"),
        (b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"choices": []}<cut>', Outcome.BROKEN, "middle"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Outcome.BROKEN, "without a completion"),
    ],
)
def test_what_is_no_completion_is_counted_with_its_reason(answer, outcome, error):
    [record, *_] = asked(answer)
    assert record.outcome is outcome
    assert error in record.error


@pytest.mark.parametrize("end", [b"<cut>", chunk(b"")])
def test_a_stream_that_ends_early_is_broken_however_it_ends(end):
    [record, *_] = asked(CHUNKED + chunk(b"data: {}\n\n") + end, streams=1.0)
    assert record.outcome is Outcome.BROKEN
    assert record.status == 200


def test_nobody_listening_is_a_failure():
    async def story():
        load = Load("http://127.0.0.1:1", "key")
        await load.burst(1)
        return load.records

    [record] = asyncio.run(story())
    assert record.outcome is Outcome.FAILED
    assert "no connection" in record.error


def test_the_time_counts_from_when_a_request_was_due_and_lateness_is_said():
    late = Record(10.0, 12.0, 12.5, 12.6, stream=False, status=200, outcome=Outcome.OK)
    assert late.waited_s == 2.5
    found = summary([late], slow_s=1.0)
    assert (found.slow, found.late) == (1, 1.0)


def test_the_rate_can_be_changed_and_set_to_nothing_meanwhile():
    async def story():
        load = Load("http://127.0.0.1:1", "key", rate=0.0)
        running = asyncio.create_task(load.run())
        await asyncio.sleep(0.05)
        quiet = len(load.records)
        load.rate = 2000.0
        await until(lambda: len(load.records) >= 50)
        load.rate = 0.0
        await asyncio.sleep(0.02)
        stopped = len(load.records)
        await asyncio.sleep(0.05)
        load.stop()
        await running
        return quiet, stopped, len(load.records)

    quiet, stopped, end = asyncio.run(asyncio.wait_for(story(), 10))
    assert quiet == 0
    assert stopped == end
