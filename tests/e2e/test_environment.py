"""The shipped environments through their whole life, with the real engine: up, nothing to do, an edit, destroyed whole."""

from __future__ import annotations

import json

import pytest
import yaml
from pulumi.automation import ConfigValue

from components.boot import pointers
from tests.standins import ROOT, Program, types

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

KEY = "sk-tw-a-key-that-is-only-here"


class Environment(Program):
    """The stack program itself, with a copy of a committed configuration and secrets for it."""

    def __init__(self, root, stack, **changes):
        super().__init__(root, "")
        self.project = root / "program"
        (self.project / "__main__.py").unlink()
        (self.project / "program").symlink_to(ROOT, target_is_directory=True)
        project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text()) | {"main": "program/"}
        for plugin in project["plugins"]["providers"]:
            plugin["path"] = str((ROOT / plugin["path"]).resolve())
        (self.project / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
        self.configure(config | {f"tradewind:{k}": v for k, v in changes.items()})

    def configure(self, config):
        self.config = config
        path = self.project / "Pulumi.probe.yaml"
        salt = yaml.safe_load(path.read_text()).get("encryptionsalt") if path.exists() else None
        path.write_text(yaml.safe_dump({**({"encryptionsalt": salt} if salt else {}), "config": config}))

    def config_now(self):
        """With what Pulumi has written into it."""
        return yaml.safe_load((self.project / "Pulumi.probe.yaml").read_text())["config"]

    def give(self, **secrets):
        """As `pulumi config set --secret --path` does."""
        self.preview()
        for name, value in secrets.items():
            self._stack.set_config(
                f"tradewind:secrets.{name.replace('_', '-')}", ConfigValue(value, secret=True), path=True
            )


def object_named(program, key):
    """An object of the state bucket in AWS, as it was written."""
    [found] = [
        o.properties
        for o in program.live.objects()
        if o.type == "aws:s3/bucketObjectv2:BucketObjectv2" and o.properties["key"] == key
    ]
    return json.loads(found["content"])


def test_an_environment_of_one_cloud_comes_up_rests_and_goes_away_whole(tmp_path):
    program = Environment(tmp_path, "staging")
    missing = program.refused("up")
    assert "tradewind:secrets.caller-key: has no value: callers show it to the edges" in missing
    assert "pulumi config set --stack probe --secret --path 'tradewind:secrets.caller-key'" in missing

    program.give(caller_key=KEY)
    program.up()
    there = types(program.live)
    assert there["aws:ec2/instance:Instance"] == 2
    assert there["aws:autoscaling/group:Group"] == 8
    state = object_named(program, "desired/probe.json")
    groups = {o.properties["name"] for o in program.live.objects() if o.type == "aws:autoscaling/group:Group"}
    assert {pool["resource"]["group"] for pool in state["pools"]} == groups, (
        "the driver finds what was declared"
    )
    node = object_named(program, "hosts/node.json")
    assert node["settings"] == pointers.node_settings(), (
        "without them a replica's machine can't start its agent"
    )
    assert KEY not in str([o.properties for o in program.live.objects() if "secret" not in o.type.lower()])
    checkpoint = next((tmp_path / "backend").rglob("probe.json")).read_text()
    assert KEY not in checkpoint

    assert set(program.preview()) == {"same"}
    program.refresh()
    assert set(program.preview()) == {"same"}

    program.configure({**program.config_now(), "tradewind:tags": {"team": "other"}})
    assert "replace" not in program.up(), "a tag replaces nothing"

    program.destroy()
    left = [o.type for o in program.live.objects()]
    assert left == []


def test_an_environment_of_three_clouds_comes_up_rests_and_goes_away_whole(tmp_path):
    home = {"cloud": "aws", "region": "us-east-1", "deletion": "allowed"}
    program = Environment(tmp_path, "prod", home=home)
    program.give(caller_key=KEY, openai="a-key-that-is-nobodys")
    program.up()
    there = types(program.live)
    assert there["aws:ec2/instance:Instance"] + there["azure-native:compute:VirtualMachine"] >= 4
    clouds = {pool.partition(".")[2].partition(".")[0] for pool in program.outputs()["pools"]}
    assert clouds == {"aws", "gcp", "azure"}
    assert set(program.preview()) == {"same"}
    program.destroy()
    kept = {
        "aws:iam/outboundWebIdentityFederation:OutboundWebIdentityFederation"
    }  # the account's, not the environment's
    assert {o.type for o in program.live.objects()} <= kept
