"""Ports for servers that a test starts a while after it has chosen where.

The kernel lends the ports that it gives for port 0 to outgoing connections as well, so one that was free may be taken a
moment later. These lie below that range, and above the local cloud's machines.
"""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _COUNT = 20_000, 12_000
_turn = itertools.count(os.getpid() * 131)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on, and that this process was not given before."""
    for turn in _turn:
        port = _FIRST + turn % _COUNT
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError


def free_ports(count: int) -> list[int]:
    """Several of them, all different."""
    return [free_port() for _ in range(count)]
