"""Who has a port: asked before anything is started, because afterwards the other program would answer the probe."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

from local.processes import Registry

LISTENS = "listens"
"""Key of a registry entry's meta: the addresses the process listens on, separated by blanks."""


def address_of(url: str) -> str | None:
    """`host:port` of an http URL; None for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        return None
    return f"{parts.hostname}:{port}" if parts.scheme == "http" and parts.hostname else None


def split(address: str) -> tuple[str, int] | None:
    """Host and port; None when it is no `host:port`."""
    host, _, port = address.rpartition(":")
    return (host, int(port)) if host and port.isdecimal() and 0 < int(port) < 1 << 16 else None


def taken(address: str) -> bool:
    """Whether a program of this computer listens there. False for addresses of other computers."""
    where = split(address)
    if where is None:
        return False
    with socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(where)
        except OSError as e:
            return e.errno == errno.EADDRINUSE
    return False


def owner(address: str, registry: Registry) -> str | None:
    """The name of the process of this home that was started to listen there and still runs."""
    for entry in registry.entries():
        if address in entry.meta.get(LISTENS, "").split() and registry.anything_runs(entry.name):
            return entry.name
    return None


def complaint(address: str, config_key: str) -> str:
    """One sentence for the user."""
    host, port = address.rsplit(":", 1)
    where = f"set {config_key} to another one" if config_key else "choose another one"
    return f"port {port} on {host} is in use by another program; {where} in the stack's config (Pulumi.<stack>.yaml)"
