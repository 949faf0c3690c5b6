"""Pools and a whole service leave an environment in two steps, with the real engine: no update deletes what was not drained."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import yaml

from tests.e2e.checkout import copy_of
from tests.e2e.test_environment import KEY, Environment, object_named
from tests.standins import types

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

GROUP = "aws:autoscaling/group:Group"


class Locked(Environment):
    """An environment in a checkout of its own, whose `tw` asks the same backend what is deployed."""

    def __init__(self, root):
        self.checkout = root / "checkout"
        copy_of(self.checkout)
        super().__init__(root, "staging")
        (self.project / "program").unlink()
        (self.project / "program").symlink_to(self.checkout, target_is_directory=True)
        self.lock = self.checkout / "pools.probe.lock"

    def configure(self, config):
        super().configure(config)
        plain = {k: v for k, v in config.items() if k != "tradewind:secrets"}
        (self.checkout / "Pulumi.probe.yaml").write_text(yaml.safe_dump({"config": plain}))

    def change(self, **settings):
        self.configure({**self.config_now(), **{f"tradewind:{k}": v for k, v in settings.items()}})

    def renew(self):
        """The lines that `tw plan --lock` prints."""
        variables = {
            "PULUMI_BACKEND_URL": (self.root / "backend").as_uri(),
            "PULUMI_HOME": str(self.root / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "",
        }
        done = subprocess.run(
            [self.checkout / "tw", "plan", "--stack", "probe", "--lock"],
            cwd=self.checkout,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def states(self):
        desired = object_named(self, "desired/probe.json")
        return {pool["id"]: pool["state"] for pool in desired["pools"]}


def test_pools_and_services_are_deployed_as_retiring_before_an_update_deletes_them(tmp_path):
    program = Locked(tmp_path)
    assert program.renew()[-1] == "pools.probe.lock: 8 pools; commit it"
    program.give(caller_key=KEY)
    program.up()
    first = program.lock.read_text()
    assert program.renew() == ["pools.probe.lock: no change, 8 pools"]

    program.change(maxPoolsPerService=7)
    [line, _] = program.renew()
    assert line.endswith(": retiring; the controller drains it")
    pool = line.split()[1].rstrip(":")
    marked = program.lock.read_text()
    assert program.renew() == [
        "1 pool stays retiring: no update has told the controller yet",
        "pools.probe.lock: no change, 8 pools",
    ]
    assert program.lock.read_text() == marked
    assert "delete" not in program.up()
    assert program.states()[pool] == "retiring"
    assert program.outputs()["retiring"] == [pool]
    assert program.renew()[0] == f"- {pool}: it was deployed as retiring"
    program.up()
    assert types(program.live)[GROUP] == 7
    assert pool not in program.states()
    hosts = [line for line in first.splitlines() if "controller:" in line or "edge-" in line]
    assert set(hosts) <= set(program.lock.read_text().splitlines())

    other = program.checkout / "services" / "other.yaml"
    other.write_text((program.checkout / "services/qwen-7b.yaml").read_text().replace("qwen-7b", "other", 1))
    program.change(services=["services/other.yaml"])
    program.renew()
    assert "delete" not in program.up()
    desired = object_named(program, "desired/probe.json")
    assert {p["state"] for p in desired["pools"] if p["service"] == "qwen-7b"} == {"retiring"}
    assert {s["name"]: s["scaling"]["max_replicas"] for s in desired["services"]} == {
        "other": 2,
        "qwen-7b": 0,
    }
    program.renew()
    assert "qwen-7b" not in program.lock.read_text()
    (program.checkout / "services/qwen-7b.yaml").unlink()
    program.up()
    assert types(program.live)[GROUP] == 7
    assert "qwen-7b" not in json.dumps(object_named(program, "desired/probe.json")["pools"])
    program.destroy()
    assert list(program.live.objects()) == []
