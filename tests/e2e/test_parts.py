"""An environment of several stacks, with the real engine: each declares its cloud and asks the others for what it needs."""

from __future__ import annotations

import json

import pytest
import yaml
from pulumi import automation as auto
from pulumi.automation import ConfigValue

from lb.config import ControllerConfig
from spec.desired import parse
from tests.e2e.checkout import copy_of
from tests.standins import Program, types

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KEY = "sk-tw-a-key-that-is-only-here"
NOBODY = "192.0.2.1"


class Split(Program):
    """A checkout whose prod has stacks of their own for Azure and Google Cloud. `stack` chooses the one that is worked on."""

    def __init__(self, root):
        super().__init__(root, "")
        self.checkout = root / "checkout"
        self.checkout.mkdir()
        copy_of(self.checkout)
        whole = self.checkout / "Pulumi.prod.yaml"
        content = yaml.safe_load(whole.read_text())
        content["config"] |= {"tradewind:apart": ["azure", "gcp"], "tradewind:maxPoolsPerService": 9}
        content["config"]["tradewind:home"]["deletion"] = "allowed"
        whole.write_text(yaml.safe_dump(content))
        (self.checkout / "pools.prod.lock").unlink()
        for cloud in ("azure", "gcp"):
            part = {
                "pulumi:disable-default-providers": ["*"],
                "tradewind:part": {"of": "prod", "cloud": cloud},
            }
            (self.checkout / f"Pulumi.prod-{cloud}.yaml").write_text(yaml.safe_dump({"config": part}))
        self.stack = "prod"

    def _run(self, command, env, **options):
        from tools.standins.live import FOLDER

        variables = {
            "PATH": self._path,
            "PULUMI_BACKEND_URL": (self.root / "backend").as_uri(),
            "PULUMI_HOME": str(self.root / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            FOLDER: str(self.root / "live"),
            **env,
        }
        workspace = auto.LocalWorkspaceOptions(env_vars=variables, pulumi_command=self._command)
        self._stack = auto.create_or_select_stack(self.stack, work_dir=str(self.checkout), opts=workspace)
        self.messages = []
        if command == "nothing":
            return None
        return getattr(self._stack, command)(**{"on_event": self._note, **options})

    def on(self, stack):
        """Works on that stack from now on; it is made when it is not there."""
        self.stack = stack
        self._run("nothing", {})
        return self

    def give(self, **secrets):
        for name, value in secrets.items():
            path = f"tradewind:secrets.{name.replace('_', '-')}"
            self._stack.set_config(path, ConfigValue(value, secret=True), path=True)

    def objects(self, kind):
        return [o.properties for o in self.live.objects() if o.type == kind]


def callers_of(program):
    """The addresses that AWS's replicas take requests from."""
    rules = program.objects("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    return {r["cidrIpv4"] for r in rules if r.get("fromPort") == 9443 and "cidrIpv4" in r}


def settings_of_the_controller(program):
    [pointer] = [
        o
        for o in program.objects("aws:s3/bucketObjectv2:BucketObjectv2")
        if o["key"] == "hosts/controller.json"
    ]
    settings = json.loads(pointer["content"])["settings"]
    ControllerConfig.model_validate_json(json.dumps(settings))
    return settings


def fragments(program):
    """Home's and Azure's, each in its own cloud's bucket."""
    [home] = [
        o for o in program.objects("aws:s3/bucketObjectv2:BucketObjectv2") if o["key"] == "desired/prod.json"
    ]
    state = json.loads((program.root / "backend/.pulumi/stacks/tradewind/prod-azure.json").read_text())
    [azure] = [
        inputs
        for resource in state["checkpoint"]["latest"]["resources"]
        if (inputs := resource.get("inputs", {})).get("blobName") == "desired/prod-azure.json"
    ]
    return [parse(text.encode()) for text in (home["content"], azure["source"]["text"])]


def test_each_cloud_is_a_stack_and_home_learns_of_the_others_when_it_is_brought_up_again(tmp_path):
    program = Split(tmp_path)
    for stack in ("prod", "prod-azure", "prod-gcp"):
        program.on(stack)

    program.on("prod-azure").give(openai="sk-o")
    early = program.refused("up")
    assert "the stack prod is not up, or of before it had parts: ./tw up --stack prod comes first" in early

    others = {t for t in types(program.live) if not t.startswith("aws:")}
    program.on("prod").give(caller_key=KEY, openai="sk-o")
    program.up()
    assert {t for t in types(program.live) if not t.startswith("aws:")} == others, (
        "home declares its own cloud"
    )
    assert f"{NOBODY}/32" in callers_of(program), "the edge in Azure is not known yet"
    settings = settings_of_the_controller(program)
    assert (set(settings["clouds"]), settings["apart"]) == ({"aws"}, {})

    program.on("prod-azure").up()
    program.on("prod-gcp").up()
    program.on("prod").up()
    assert f"{NOBODY}/32" not in callers_of(program)
    settings = settings_of_the_controller(program)
    assert settings["clouds"].keys() == {"aws", "azure", "gcp"}
    assert settings["apart"] == {"azure": "prod-azure", "gcp": "prod-gcp"}
    assert settings["clouds"]["azure"]["federated"] is True

    for stack in ("prod", "prod-azure", "prod-gcp"):
        assert set(program.on(stack).preview()) <= {"same", "read"}, stack
    home, azure = fragments(program)
    assert {p.cloud for p in home.pools} == {"aws"}
    assert {p.cloud for p in azure.pools} == {"azure"}
    assert "desired/prod-gcp.json" in {
        o["name"] for o in program.objects("gcp:storage/bucketObject:BucketObject")
    }
    assert [e.cloud for e in home.edges] == ["aws", "azure"]
    assert KEY not in "".join(p.read_text() for p in (tmp_path / "backend").rglob("*.json"))

    for stack in ("prod-gcp", "prod-azure", "prod"):
        program.on(stack).destroy()
    of_the_account = {"aws:iam/outboundWebIdentityFederation:OutboundWebIdentityFederation"}
    assert {o.type for o in program.live.objects()} <= of_the_account
