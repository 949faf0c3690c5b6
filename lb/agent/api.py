"""`GET /v1/node`, the agent's only route, served from a thread so that a long step of the agent never hides it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lb.agent.config import ConfigError

NEEDED_HEADER = "x-tradewind-needed"
_CLIENT_TIMEOUT_S = 5.0


def serve(
    *,
    address: str,
    port: int,
    status: Callable[[], dict[str, Any]],
    gpus: Callable[[], float | None] = lambda: None,
    needed: Callable[[], None] = lambda: None,
) -> ThreadingHTTPServer:
    """Starts answering with `status()`, and how busy the GPUs are to those who ask with `?gpu=1`.

    `needed` is called whenever a controller says by NEEDED_HEADER that it sends callers here.

    Raises ConfigError when the port can't be had.
    """

    class Handler(_Handler):
        answer = staticmethod(status)
        busy = staticmethod(gpus)
        counted_on = staticmethod(needed)

    try:
        server = _Server((address, port), Handler)
    except OSError as e:
        raise ConfigError(f"agent_port: {address}:{port}: {e.strerror or e}") from e
    threading.Thread(target=server.serve_forever, name="api", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A controller that is killed while it asks is no trouble of ours; the base class would log a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tradewind-node"
    sys_version = ""
    timeout = _CLIENT_TIMEOUT_S
    answer: Callable[[], dict[str, Any]]
    busy: Callable[[], float | None]
    counted_on: Callable[[], None]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        found = path == "/v1/node"
        if found and NEEDED_HEADER in self.headers:
            self.counted_on()
        content = self.answer() if found else {"error": f"there is nothing at {self.path}"}
        if found and query == "gpu=1":
            content = content | {"gpu_utilization": self.busy()}
        body = json.dumps(content).encode()
        self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name in the base class
        """Nothing: the controller asks every second."""
