"""Where a stack keeps its state is asked of the user's own Pulumi, which needs a login, and neither plugin nor passphrase."""

import json
import os
import subprocess

import pytest

from cli import outputs
from cli.context import Context
from cli.outputs import Whereabouts, whereabouts
from spec.errors import InputError, OutsideError
from tests.cli.written import a_replica, a_status
from tests.clouds.aws import Aws
from tests.clouds.login import User
from tests.e2e.checkout import ROOT
from tools import pulumi_cli

pytestmark = pytest.mark.e2e

PART = "config: {'tradewind:part': {of: prod, cloud: azure}}\n"


@pytest.fixture
def user(tmp_path, monkeypatch):
    """Somebody with a backend of their own. Gives back what brings a stack up in it, as far as its outputs go."""
    cli = pulumi_cli.find()
    assert cli, "no Pulumi CLI; run: make setup"
    for name, content in (
        ("Pulumi.yaml", (ROOT / "Pulumi.yaml").read_text()),
        (
            "Pulumi.prod.yaml",
            (ROOT / "Pulumi.prod.yaml").read_text() + "  tradewind:apart: [azure]\n",
        ),
        ("Pulumi.prod-azure.yaml", PART),
    ):
        (tmp_path / name).write_text(content)
    (tmp_path / "backend").mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", (tmp_path / "backend").as_uri())
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_SKIP_UPDATE_CHECK", "true")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of the user alone")

    def run(*args, given=None):
        command = [str(cli / "pulumi"), "--non-interactive", *args]
        return subprocess.run(
            command, cwd=tmp_path, input=given, text=True, capture_output=True, check=True
        ).stdout

    def up(**found):
        before = (tmp_path / "Pulumi.prod.yaml").read_text()
        run("stack", "init", "prod")
        (tmp_path / "Pulumi.prod.yaml").write_text(before)
        state = json.loads(run("stack", "export", "--stack", "prod"))
        kind = "pulumi:pulumi:Stack"
        resource = {
            "urn": f"urn:pulumi:prod::tradewind::{kind}::tradewind-prod",
            "type": kind,
            "custom": False,
        }
        state["deployment"]["resources"] = [{**resource, "outputs": found}]
        run("stack", "import", "--stack", "prod", given=json.dumps(state))
        monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")

    return up


@pytest.mark.parametrize("stack", ["prod", "prod-azure"])
def test_the_outputs_of_the_environment_are_read_also_for_a_part_of_it(user, tmp_path, stack):
    user(state_url="s3://state", endpoint="https://llm.example.com", authority="PEM", pools=[])
    known = whereabouts(Context(stack, tmp_path))
    assert known == Whereabouts("s3://state", "https://llm.example.com", "PEM")
    assert not (tmp_path / ".tradewind").exists(), "nothing is kept"


def test_a_stack_that_nobody_made_is_not_up(user, tmp_path):
    with pytest.raises(
        InputError, match=r"no stack `prod` in Pulumi's backend\. It is not up; `\./tw up --stack prod`"
    ):
        whereabouts(Context("prod-azure", tmp_path))


def test_a_stack_whose_first_update_did_not_end_well_has_no_bucket_to_read(user, tmp_path):
    user()
    with pytest.raises(InputError, match="no update of it has ended well"):
        whereabouts(Context("prod", tmp_path))


def test_without_a_login_to_pulumi_its_command_is_said(user, tmp_path, monkeypatch):
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    with pytest.raises(OutsideError, match="`pulumi login`, or set PULUMI_BACKEND_URL"):
        whereabouts(Context("prod", tmp_path))


def test_what_pulumi_says_of_its_backend_is_handed_on(user, tmp_path, monkeypatch):
    monkeypatch.setenv("PULUMI_BACKEND_URL", (tmp_path / "nothing").as_uri())
    with pytest.raises(OutsideError, match=r"the outputs of stack prod can't be read: error: .*no such file"):
        whereabouts(Context("prod", tmp_path))


def test_a_backend_that_does_not_answer_is_given_up(user, tmp_path, monkeypatch):
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "pulumi").write_text("#!/bin/sh\nexec sleep 60\n")
    (folder / "pulumi").chmod(0o755)
    monkeypatch.setattr(outputs.pulumi_cli, "find", lambda: folder)
    monkeypatch.setattr(outputs, "LIMIT_S", 0.05)
    with pytest.raises(OutsideError, match=r"within 0\.05 s"):
        whereabouts(Context("prod", tmp_path))


def test_the_whole_way_from_the_command_line_to_the_bucket(user, tmp_path):
    user(state_url="s3://state", endpoint="")
    cloud = Aws(region="us-east-1")
    try:
        somebody = User("aws", cloud, tmp_path)
        somebody.log_in()
        given = {name: v for name, v in somebody.environment.items() if name != "PATH"}
        env = {k: v for k, v in {**os.environ, **given}.items() if v is not None}
        command = [str(ROOT / "tw"), "status", "--stack", "prod", "--json"]
        early = subprocess.run(command, env=env, text=True, capture_output=True, check=False)
        cloud.put("status.json", a_status(a_replica()).model_dump_json())
        found = subprocess.run(command, env=env, text=True, capture_output=True, check=False)
    finally:
        cloud.close()
    assert early.returncode == 3
    assert "status.json is not in s3://state, so its controller has not begun yet" in early.stderr
    assert "Traceback" not in early.stderr
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["services"][0]["ready"] == 1
