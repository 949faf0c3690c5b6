"""What systemd is told of a host's services."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.boot import cloud_init, pointers
from lb.agent.config import CloudNode

UNITS = sorted((Path(pointers.__file__).parent / "units").glob("*.service"))


class Repeated(dict):
    """Keeps every value of a key that stands more than once."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self:
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


def read(path):
    parser = configparser.ConfigParser(strict=False, interpolation=None, dict_type=Repeated)
    parser.optionxform = str
    parser.read(path)
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.stem)
def test_a_service_comes_back_whatever_it_died_of_and_is_started_with_the_machine(path):
    unit = read(path)
    assert unit["Service"]["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.stem)
def test_what_it_writes_can_be_read_in_its_cloud_without_a_login_to_the_machine(path):
    """Not what Envoy writes: a line for each connection of a caller, on a console that keeps 64 KB."""
    on_console = read(path)["Service"].get("StandardOutput") == "journal+console"
    assert on_console is (path.stem != "tradewind-envoy")
    given = {
        "cloud": "aws",
        "env": "prod",
        "region": "us-east-1",
        "bucket": "s3://state",
        "store": "us-east-1",
    }
    assert "StandardOutput=journal+console" in cloud_init.controller(**given)


@pytest.mark.parametrize(
    "path", [p for p in UNITS if p.stem not in ("tradewind-update", "tradewind-node")], ids=lambda p: p.stem
)
def test_what_others_reach_has_no_rights_that_it_does_not_need(path):
    service = read(path)["Service"]
    assert service["User"] == "tradewind"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service.get("AmbientCapabilities", "") == ("CAP_NET_BIND_SERVICE" if "envoy" in path.stem else "")


def test_a_replicas_machine_ends_in_order_and_what_others_reach_there_has_no_rights():
    """Its agent is root, for `setup` installs whatever an engine needs; callers reach its Envoy alone."""
    service = read(next(p for p in UNITS if p.stem == "tradewind-node"))["Service"]
    assert service["KillMode"] == "mixed"
    assert float(service["TimeoutStopSec"]) > CloudNode.drain_s + CloudNode.grace_s
    assert "PYTHONPATH" not in str(service["Environment"])  # engines inherit it
    assert pointers.node_settings()["sidecar"]["user"] == "tradewind"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_every_unit(tmp_path):
    rendered = {path.name: path.read_text() for path in UNITS}
    for file in yaml.safe_load(cloud_init.controller(cloud="", env="", region="", bucket="", store=""))[
        "write_files"
    ]:
        if file["path"].endswith(".service"):
            rendered[Path(file["path"]).name] = file["content"]
    for name, text in rendered.items():
        whole = text.replace("@ROOT@", "").replace("@PYTHON@", "/usr/bin/python3")
        (tmp_path / name).write_text(whole.replace("/usr/bin/python3", sys.executable))
    command = ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert len(rendered) == 6
    assert (done.returncode, done.stderr) == (0, "")
