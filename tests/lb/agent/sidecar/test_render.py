"""What the replica's own Envoy is told."""

import json
import subprocess
from pathlib import Path

import pytest

from lb.agent.sidecar import render
from lb.envoy import binary
from spec.certificates import CONTROLLER, EDGE
from tests.lb.certificates.authority import authority_pems

AT = {
    "directory": Path("/run/tradewind/node/sidecar"),
    "address": "0.0.0.0",
    "port": 9443,
    "agent_port": 9446,
}


def test_the_same_machine_gives_the_same_bytes():
    assert render.bootstrap(**AT) == render.bootstrap(**AT)


def test_callers_are_the_controller_and_the_edges_of_the_environment():
    assert set(render.CALLERS) == {CONTROLLER, EDGE}


def test_nothing_but_the_listener_is_open():
    told = json.loads(render.bootstrap(**AT))
    assert list(told["admin"]["address"]) == ["pipe"]
    assert [x["name"] for x in told["static_resources"]["listeners"]] == ["replica"]


def test_no_key_is_in_what_is_written_down_elsewhere():
    cert, key = authority_pems()
    assert key not in render.bootstrap(**AT)
    assert json.loads(render.leaf(cert=cert, key=key))["resources"][0]["tls_certificate"]["private_key"]


@pytest.mark.e2e
def test_envoy_takes_it(tmp_path):
    cert, key = authority_pems()
    for name, text in (
        (render.LEAF_FILE, render.leaf(cert=cert, key=key)),
        (render.AUTHORITIES_FILE, render.authorities(cert)),
        (render.ENGINE_FILE, render.engine(8000)),
    ):
        (tmp_path / name).write_text(text)
    path = tmp_path / "bootstrap.json"
    path.write_text(render.bootstrap(**AT | {"directory": tmp_path}))
    command = [str(binary.find()), "--mode", "validate", "-c", str(path), "--reject-unknown-dynamic-fields"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr[-2000:]
