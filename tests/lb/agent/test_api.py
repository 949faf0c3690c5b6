"""The agent's own route, asked over real connections."""

import contextlib
import json
import socket
import struct
import threading
import urllib.error
import urllib.request

import pytest

from lb.agent import api


@pytest.fixture
def serve():
    servers = []

    def start(status, **more):
        server = api.serve(address="127.0.0.1", port=0, status=status, **more)
        servers.append(server)
        return server.server_address

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_controller_that_hangs_up_leaves_no_traceback_in_the_log(serve, capfd):
    asked, hung_up = threading.Event(), threading.Event()

    def status():
        asked.set()
        hung_up.wait(10)
        return {"phase": "running", "message": "x" * 1_000_000}

    address = serve(status)
    with socket.create_connection(address) as caller:
        caller.sendall(b"GET /v1/node HTTP/1.1\r\nhost: node\r\n\r\n")
        assert asked.wait(10)
        caller.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )  # a reset, not a farewell
    hung_up.set()
    for thread in threading.enumerate():
        if "process_request" in thread.name:
            thread.join(10)
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/v1/node", timeout=10) as answer:
        assert json.load(answer)["phase"] == "running"
    assert capfd.readouterr().err == ""


def test_a_controller_that_sends_callers_here_is_heard(serve):
    heard = []
    address = serve(lambda: {"phase": "running"}, needed=lambda: heard.append(1))
    origin = f"http://{address[0]}:{address[1]}"
    for path, headers, times in (
        ("/v1/node", {}, 0),
        ("/v1/other", {api.NEEDED_HEADER: "1"}, 0),
        ("/v1/node?gpu=1", {api.NEEDED_HEADER: "1"}, 1),
    ):
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(origin + path, headers=headers), timeout=10).close()
        assert len(heard) == times


def test_how_busy_the_gpus_are_is_told_only_to_those_who_ask(serve):
    asked = []

    def gpus():
        asked.append(1)
        return 0.5

    address = serve(lambda: {"phase": "running"}, gpus=gpus)
    origin = f"http://{address[0]}:{address[1]}/v1/node"
    with urllib.request.urlopen(origin, timeout=10) as answer:
        assert json.load(answer) == {"phase": "running"}
    assert not asked
    with urllib.request.urlopen(f"{origin}?gpu=1", timeout=10) as answer:
        assert json.load(answer) == {"phase": "running", "gpu_utilization": 0.5}
