import socket
import struct
import threading
import time
from pathlib import Path

import httpx
import pytest

from lb.edge import http
from lb.edge.edge import Edge
from lb.edge.metrics import Metrics
from spec.errors import InputError, OutsideError
from spec.snapshot import Snapshot


@pytest.fixture
def edge(tmp_path):
    made = Edge(edge_id="e1", directory=tmp_path / "edge", metrics=Metrics())
    made.open()
    yield made
    made.close()


@pytest.fixture
def serve(edge):
    def start(token=lambda: "tok", port=0):
        return http.serve(
            host="127.0.0.1",
            port=port,
            edge=edge,
            metrics=edge._metrics,
            token=token,
            admin_socket=Path("/nonexistent/admin.sock"),
        )

    return start


def get(port, path, **headers):
    return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, trust_env=False)


def test_health_is_open_and_says_what_is_served(serve, edge):
    with serve() as port:
        assert get(port, "/health").json() == {"status": "ok", "edge_id": "e1", "snapshot": None}
        edge.take_over(Snapshot(epoch=3, seq=4, edge_id="e1"), source="test")
        assert get(port, "/health").json()["snapshot"] == {"epoch": 3, "seq": 4}


@pytest.mark.parametrize("shown", ["", "Bearer wrong", "tok", "Basic tok", "Bearer"])
def test_metrics_need_the_token(serve, shown):
    with serve() as port:
        answer = get(port, "/metrics", authorization=shown)
        assert answer.status_code == 401
        assert "tradewind" not in answer.text


def test_with_the_token_metrics_are_prometheus_text_also_without_envoy(serve):
    with serve() as port:
        answer = get(port, "/metrics", authorization="Bearer tok")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "tradewind_edge_snapshot_epoch 0.0" in answer.text


def test_without_a_token_file_nobody_has_the_token(serve):
    def token():
        raise InputError("no such file")

    with serve(token) as port:
        assert get(port, "/metrics", authorization="Bearer").status_code == 401


def test_other_paths_are_404(serve):
    with serve() as port:
        assert get(port, "/v1/models").status_code == 404


def test_a_taken_port_is_one_clear_error(serve):
    with serve() as port, pytest.raises(OutsideError, match=f"127.0.0.1:{port}"), serve(port=port):
        pass


def test_a_caller_that_hangs_up_leaves_no_traceback_in_the_log(serve, capfd):
    with serve() as port:
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(b"GET /hea")
            caller.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # a reset, not an end
        until(lambda: not any("process_request_thread" in t.name for t in threading.enumerate()))
        assert get(port, "/health").is_success
    assert capfd.readouterr().err == ""


def until(condition, limit_s=10.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
