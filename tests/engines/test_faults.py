"""The faults that the simulated engine has on demand."""

import asyncio
import subprocess
import sys

import httpx
import pytest

from engines.sim.app import App
from engines.sim.engine import Engine
from engines.sim.faults import Fault, Faulty
from engines.sim.settings import Settings, parse

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 8}
PATHS = (("GET", "/health", None), ("GET", "/metrics", None), ("POST", "/v1/chat/completions", CHAT))


def statuses(now=0.0, **settings):
    """The statuses of PATHS at `now` seconds after the start."""
    chosen = Settings(model="m", ttft_s=0, time_per_token_s=0, **settings)
    time = iter([0.0])
    app = Faulty(App(chosen, Engine(chosen)), chosen, clock=lambda: next(time, now))

    async def run():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
            return [await client.request(method, path, json=body) for method, path, body in PATHS]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (None, [200, 200, 200]),
        (Fault.NEVER_READY, [503, 503, 503]),
        (Fault.RUBBISH, [200, 200, 200]),
        (Fault.ERROR_500, [200, 200, 500]),
    ],
)
def test_a_fault_spoils_the_answers_that_it_names(fault, found):
    assert [r.status_code for r in statuses(fault=fault)] == found


def test_rubbish_is_neither_metrics_nor_a_completion():
    for response in statuses(fault=Fault.RUBBISH)[1:]:
        assert b"\xff" in response.content


def test_a_fault_begins_when_its_time_has_come():
    assert {r.status_code for r in statuses(9.9, fault=Fault.NEVER_READY, fault_after_s=10)} == {200}
    assert {r.status_code for r in statuses(10.1, fault=Fault.NEVER_READY, fault_after_s=10)} == {503}


def test_a_share_of_the_requests_meets_it():
    assert {r.status_code for r in statuses(fault=Fault.NEVER_READY, fault_share=0.0)} == {200}


@pytest.mark.parametrize(("stream", "parts"), [(True, 2), (False, 0)])
def test_a_hanging_stream_stops_after_its_first_token_and_a_whole_answer_does_not_begin(stream, parts):
    chosen = Settings(model="m", ttft_s=0, time_per_token_s=0.001, fault=Fault.HANG)
    sent = []

    async def send(message):
        sent.append(message)

    async def run():
        body = httpx.Request("POST", "http://e", json=CHAT | {"stream": stream}).read()
        left = [{"type": "http.request", "body": body}]

        async def receive():
            if left:
                return left.pop()
            await asyncio.sleep(0.2)
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
        async with asyncio.timeout(5):
            await Faulty(App(chosen, Engine(chosen)), chosen)(scope, receive, send)

    asyncio.run(run())
    assert len(sent) == parts


def run(*flags, limit=""):
    command = [
        sys.executable,
        "-m",
        "engines.sim",
        "--model",
        "m",
        "--load-time-s",
        "60",
        "--port",
        "1",
        *flags,
    ]
    script = f'{limit} exec "$@"'
    return subprocess.run(
        ["bash", "-c", script, "-", *command], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.e2e
def test_the_fault_exit_ends_the_process_while_it_loads():
    done = run("--fault", "exit", "--fault-after-s", "0.3", "--host", "127.0.0.7", "--port", "18999")
    assert done.returncode == 1
    assert "--fault exit" in done.stderr


@pytest.mark.e2e
def test_the_fault_leak_takes_memory_until_it_gets_no_more():
    done = run("--fault", "leak", "--host", "127.0.0.7", "--port", "18998", limit="ulimit -v 600000;")
    assert done.returncode == 1
    assert "out of memory" in done.stderr


@pytest.mark.parametrize("flags", [["--fault", "tired"], ["--fault-share", "1.5"], ["--fault-after-s", "-1"]])
def test_a_fault_that_makes_no_sense_is_a_usage_error(flags, capsys):
    with pytest.raises(SystemExit) as e:
        parse(["--model", "m", *flags])
    assert e.value.code == 2
    assert flags[0] in capsys.readouterr().err
