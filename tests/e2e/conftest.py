"""One checkout per test module: coming up takes seconds."""

import os
import signal

import pytest

from tests.e2e.checkout import Checkout, copy_of, free_ports


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    # A short path: Envoy's admin socket lies below it, and such paths may have 107 bytes.
    root = tmp_path_factory.mktemp("c")
    copy_of(root)
    edge, agent, controller = free_ports(3)
    place = Checkout(root, ports={"edgePort": edge, "edgeAgentPort": agent, "controllerPort": controller})
    place.configure(local={**place.ports, "trace": "local/traces/calm.csv"})
    yield place
    place.tw("down")
    left = place.processes()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, left
