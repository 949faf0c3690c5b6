"""Ports of the local cloud's machines."""

import socket
from pathlib import Path

from local import addresses


def test_ports_take_turns_through_the_whole_range():
    last = addresses.PORTS[-2]
    assert addresses.port_after(18100) == 18102
    assert addresses.port_after(last) == addresses.PORTS[0]
    assert addresses.first_port(Path("/a")) in addresses.PORTS


def test_a_taken_pair_is_skipped():
    start = addresses.next_port(18500, set())
    with socket.socket() as s:
        s.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # connections of earlier tests may linger there
        s.bind((addresses.HOST, start + 1))
        s.listen()
        after = addresses.next_port(start, {start + 2})
    assert after > start + 2


def test_no_free_port_is_said():
    assert addresses.next_port(18100, set(addresses.PORTS)) is None
