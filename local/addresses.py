"""Ports of the local cloud's machines: one for the engine, the next one for the node agent.

Machines take turns through the whole range, so that a port which callers still know is not soon another machine's.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Container
from pathlib import Path

HOST = "127.0.0.1"
PORTS = range(18100, 19000)
_PAIR = 2


def first_port(home: Path) -> int:
    """Where a home starts to look: two stacks of one computer rarely meet."""
    return PORTS[zlib.crc32(str(home).encode()) % (len(PORTS) // _PAIR) * _PAIR]


def next_port(start: int, taken: Container[int]) -> int | None:
    """The first port from `start` on, in turn, that is free together with its neighbour; None when all are used.

    `taken`: ports of machines that may not listen yet.
    """
    begin = PORTS.index(start) if start in PORTS else 0
    for offset in range(0, len(PORTS), _PAIR):
        port = PORTS[(begin + offset) % len(PORTS)]
        if port not in taken and all(_free(p) for p in range(port, port + _PAIR)):
            return port
    return None


def port_after(port: int) -> int:
    """Where to look next."""
    return PORTS[(PORTS.index(port) + _PAIR) % len(PORTS)]


def _free(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((HOST, port))
        except OSError:
            return False
    return True
