"""A process that is alive and answers nothing is told from one that starts, and from one that only says no."""

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from local.plugin import readiness
from local.plugin.readiness import hangs
from local.processes import Entry


def started(seconds_ago):
    return Entry("controller", "controller", 1, "1", "t", time.time() - seconds_ago)


@contextmanager
def answering(status):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/health"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def listening_only():
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield f"http://127.0.0.1:{s.getsockname()[1]}/health"


@pytest.mark.parametrize("status", [200, 404, 503])
def test_whoever_answers_does_not_hang_whatever_the_answer(status):
    with answering(status) as url:
        assert not hangs(started(60), url=url, grace_s=20)


def test_whoever_takes_connections_and_says_nothing_hangs(monkeypatch):
    monkeypatch.setattr(readiness, "_SILENCE_S", 0.05)
    with listening_only() as url:
        assert hangs(started(60), url=url, grace_s=20)


def test_whoever_was_started_just_now_is_still_starting():
    with listening_only() as url:
        assert not hangs(started(5), url=url, grace_s=20)


def test_without_a_url_nobody_is_asked():
    assert not hangs(started(60), url="", grace_s=20)
