"""HTTP servers of our processes: uvicorn on a socket that we bound ourselves, and that says nothing by itself."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Generator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from spec.errors import OutsideError

BACKLOG = 4096
"""Callers that may wait to be accepted: all held requests of an edge come at the same moment."""


def bind(host: str, port: int) -> socket.socket:
    """The listening socket; raises OutsideError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as e:
        listener.close()
        raise OutsideError(
            f"cannot listen on {host}:{port}: {e.strerror}; end what uses that port, or set another one"
        ) from e
    return listener


def bind_unix(path: Path) -> socket.socket:
    """A listening unix socket for the owner only; what lies at its path is replaced. Raises OutsideError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
    except OSError as e:
        listener.close()
        raise OutsideError(f"cannot listen on {path}: {e.strerror}") from e
    return listener


class Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leaves signals alone."""
        yield


def make_server(app: Starlette, tls: ssl.SSLContext | None = None) -> Server:
    """A server that logs nothing by itself and stops soon when told to; with a context it takes TLS only."""
    return Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            ws="none",
            backlog=BACKLOG,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
    )
