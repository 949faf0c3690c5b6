"""The agent's own HTTP: health for everybody, Prometheus for those who show the token. Never a caller's request."""

from __future__ import annotations

import contextlib
import hmac
import json
import sys
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from lb.edge.edge import Edge
from lb.edge.metrics import Metrics
from spec.errors import InputError, OutsideError

_ENVOY_STATS = "/stats/prometheus?usedonly"


@contextlib.contextmanager
def serve(
    *, host: str, port: int, edge: Edge, metrics: Metrics, token: Callable[[], str], admin_socket: Path
) -> Generator[int]:
    """Answers in threads of its own while the block runs; gives the port. Raises OutsideError when it is taken.

    GET /health is 200: this is entered only after Envoy's first files were written.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30  # seconds that a connection may be silent

        def do_GET(self) -> None:
            if self.path == "/health":
                self._answer(200, "application/json", _health(edge))
            elif self.path == "/metrics":
                if _shows(self.headers.get("authorization", ""), token):
                    text = metrics.text() + _envoy_metrics(admin_socket)
                    self._answer(200, "text/plain; version=0.0.4; charset=utf-8", text)
                else:
                    self._answer(401, "application/json", _error("this needs the token: Bearer <token>"))
            else:
                self._answer(404, "application/json", _error("there are /health and /metrics"))

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Says nothing: health checks would fill the log."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who asked and hung up is no trouble of ours; the base class would write a traceback into the log."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    try:
        server = Server((host, port), Handler)
    except OSError as e:
        raise OutsideError(
            f"the edge agent can't listen on {host}:{port}: {e.strerror}; is another stack up? Set another port."
        ) from e
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _health(edge: Edge) -> bytes:
    snapshot = edge.snapshot
    version = {"epoch": snapshot.epoch, "seq": snapshot.seq} if snapshot else None
    return json.dumps({"status": "ok", "edge_id": edge.edge_id, "snapshot": version}).encode()


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


def _shows(header: str, token: Callable[[], str]) -> bool:
    scheme, _, shown = header.partition(" ")
    try:
        expected = token()
    except InputError:
        return False
    return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), expected.encode())


def _envoy_metrics(socket: Path) -> bytes:
    """Envoy's own, which Prometheus could not read from a unix socket; nothing while no Envoy runs."""
    if not socket.exists():
        return b""
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=5.0) as client:
            answer = client.get(f"http://envoy{_ENVOY_STATS}")
    except httpx.HTTPError:
        return b""
    return answer.content if answer.status_code == httpx.codes.OK else b""
