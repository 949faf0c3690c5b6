"""How a host knows whether Envoy has to be restarted, and that a bootstrap which Envoy refuses never gets so far."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lb.certificates.authority import Wish
from spec.certificates import EDGE
from tests.lb.certificates.authority import an_authority

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
OURS = an_authority()


@pytest.fixture
def config(tmp_path):
    """Writes the edge's config with changes; gives its path."""
    for name, leaf in (("leaf", Wish((EDGE,), client=True)), ("public", Wish(("127.0.0.1",), server=True))):
        (tmp_path / name).write_text(OURS.issue(leaf, time.time()).model_dump_json())

    def write(**changed):
        given = {
            "edge_id": "edge-test",
            "controller_url": "https://127.0.0.1:1",
            "token_file": str(tmp_path / "token"),
            "bucket": "file:///none",
            "dir": str(tmp_path / "edge"),
            "access_log": str(tmp_path / "access.log"),
            "port": 1,
            "public_port": 8443,
            "leaf_file": str(tmp_path / "leaf"),
            "public_file": str(tmp_path / "public"),
        }
        path = tmp_path / "edge.json"
        path.write_text(json.dumps({**given, **changed}))
        return path

    return write


def check(path):
    command = [sys.executable, "-m", "lb.edge.envoy", "--config", str(path), "--check"]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def test_a_check_prints_one_line_that_changes_with_the_bootstrap_only(config):
    first = check(config())
    assert first.returncode == 0, first.stderr
    assert len(first.stdout.split()) == 1
    assert check(config(controller_url="https://127.0.0.1:2")).stdout == first.stdout
    assert check(config(public_port=8444)).stdout != first.stdout


def test_a_check_leaves_the_edges_own_files_alone(config, tmp_path):
    check(config())
    assert not (tmp_path / "edge").exists()


def test_a_config_without_a_port_for_callers_is_one_clear_error(config):
    done = check(config(public_port=None))
    assert done.returncode == 1
    assert "public_port: it is missing" in done.stderr


def test_what_envoy_refuses_is_refused_with_its_own_words(config):
    done = check(config(public_host="not an address"))
    assert done.returncode == 3
    assert "Envoy refuses its bootstrap: " in done.stderr
