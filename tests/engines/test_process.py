"""`python -m engines.sim` as the node agent starts it."""

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.ports import free_port


@pytest.fixture
def start():
    started = []

    def run(*flags):
        port = free_port()
        command = [sys.executable, "-m", "engines.sim", "--model", "m", "--port", str(port), *flags]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1], f"http://127.0.0.1:{port}"

    yield run
    for process in started:
        process.kill()
        process.communicate()


def wait_until_ready(url):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            return httpx.get(f"{url}/health", timeout=1)
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("it never listened")


@pytest.mark.e2e
def test_it_refuses_connections_until_it_has_loaded(start):
    process, url = start("--load-time-s", "1.5")
    assert "loading" in process.stderr.readline()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")

    assert wait_until_ready(url).status_code == 200


@pytest.mark.e2e
def test_sigterm_lets_a_running_answer_finish(start):
    process, url = start("--ttft-ms", "100", "--time-per-token-ms", "20")
    wait_until_ready(url)
    body = {"prompt": "x", "stream": True, "max_tokens": 40}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=10) as response:
        lines = response.iter_lines()
        next(lines)
        process.send_signal(signal.SIGTERM)
        rest = list(lines)

    assert rest[-2] == "data: [DONE]"
    process.wait(5)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


@pytest.mark.e2e
def test_a_taken_port_is_said_at_once(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "engines.sim", "--model", "m", "--load-time-s", "60", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 3
    assert "ddress already in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "flags", [["--port", "0"], ["--ttft-ms", "-1"], ["--ttft-ms", "nan"], ["--max-num-seqs", "0"]]
)
def test_a_flag_that_makes_no_sense_is_a_usage_error(flags, capsys):
    from engines.sim.settings import parse

    with pytest.raises(SystemExit) as e:
        parse(["--model", "m", *flags])
    assert e.value.code == 2
    assert flags[0] in capsys.readouterr().err
