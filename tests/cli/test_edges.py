"""What `tw status` says of edges: the controller goes on leading while one of them is dead."""

import json
import os
import socket
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli import edges
from cli.context import Context
from cli.state import State
from cli.status_page import out, page
from cli.told import read_status
from local import proctable
from tests.cli.written import a_replica, write


@pytest.fixture
def context(tmp_path):
    stack = Context(stack="dev", root=tmp_path)
    stack.state_dir.mkdir(parents=True)
    return stack


@pytest.fixture
def edge():
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.answers if self.path == "/edge/ready" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    server.answers = 200
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def shown(context):
    with out.capture() as captured:
        out.print(page(State(context), read_status(State(context))))
    return " ".join(captured.get().split())


def known(context, kind, *, lives):
    me = proctable.read(os.getpid())
    entry = {
        "schema": 1, "name": kind, "kind": kind, "pid": me.pid, "start_time": me.start_time if lives else "gone",
        "token": "t", "launched_at": 0, "meta": {},
    }  # fmt: skip
    folder = context.home / "processes"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}.json").write_text(json.dumps(entry))


def test_an_edge_that_answers_is_not_worth_a_line(context, edge):
    known(context, "envoy", lives=True)
    known(context, "edge-agent", lives=True)
    write(context, a_replica(), endpoint=url(edge))
    assert "edge:" not in shown(context)


@pytest.mark.parametrize(
    ("kind", "says"), [("envoy", "Envoy is not running"), ("edge-agent", "its agent is not running")]
)
def test_a_dead_process_of_the_edge_is_said_though_the_controller_leads(context, edge, kind, says):
    known(context, kind, lives=False)
    write(context, a_replica(), endpoint=url(edge))
    assert f"edge: {says}" in shown(context)
    assert "`make up STACK=dev` mends it" in shown(context)
    assert "controller: leading" in shown(context)


def test_an_edge_that_refuses_hangs_or_knows_nobody_is_said(context, edge, monkeypatch):
    monkeypatch.setattr(edges, "LIMIT_S", 0.1)
    edge.answers = 503
    write(context, a_replica(), endpoint=url(edge))
    assert "has no snapshot yet, callers get 503" in shown(context)

    with closing(socket.create_server(("127.0.0.1", 0))) as mute:  # the kernel accepts, nobody answers
        port = mute.getsockname()[1]
        write(context, a_replica(), endpoint=f"http://127.0.0.1:{port}")
        assert "does not answer within 0.1 s" in shown(context)

    write(context, a_replica(), endpoint=f"http://127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port} does not answer" in shown(context)
