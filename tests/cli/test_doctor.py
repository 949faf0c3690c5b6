"""`tw doctor`: each thing that can be missing is found, and the way to get it is said."""

import json
import shutil
import socket

import pytest
import typer
from typer.testing import CliRunner

from cli import doctor
from cli.context import Context
from cli.outputs import NoStack, Whereabouts
from spec.errors import OutsideError
from tests.clouds.aws import Aws
from tests.clouds.login import User
from tests.e2e.checkout import ROOT
from tests.ports import free_ports


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A checkout on a machine that has everything; tests take away."""
    edge, agent, controller = free_ports(3)
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    ports = {"edgePort": edge, "edgeAgentPort": agent, "controllerPort": controller}
    (tmp_path / "Pulumi.dev.yaml").write_text(json.dumps({"config": {"tradewind:local": ports}}))
    monkeypatch.setattr(doctor, "Context", lambda stack: Context(stack, tmp_path))
    monkeypatch.setattr(doctor.setup, "is_current", lambda: True)
    monkeypatch.setattr(doctor.pulumi_cli, "find", lambda: tmp_path / "pulumi [3]")
    monkeypatch.setattr(doctor.binary, "find", lambda: tmp_path / "envoy")
    return ports


def run(*args):
    app = typer.Typer()
    doctor.register(app)
    return CliRunner().invoke(app, [*args])


def missing(result):
    """The findings of `--json` that are not ok, by name."""
    assert isinstance(result.exception, OutsideError)
    assert result.exception.exit_code == 3
    return {f["name"]: f for f in json.loads(result.stdout)["findings"] if not f["ok"]}


def test_where_nothing_is_missing_it_says_so_and_ends_well(machine):
    result = run()
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert len(lines) == 8
    assert "pulumi [3]" in result.output, "a path is no markup"


def test_json_has_every_finding_with_the_same_names(machine):
    findings = json.loads(run("--json").stdout)["findings"]
    assert [f["name"] for f in findings][:5] == ["Python", "dependencies", "Pulumi CLI", "Envoy", "disk"]
    assert all(set(f) == {"name", "ok", "found", "way_out"} for f in findings)


def test_dependencies_of_another_lock_file_are_found(machine, monkeypatch):
    monkeypatch.setattr(doctor.setup, "is_current", lambda: False)
    assert missing(run("--json"))["dependencies"]["way_out"] == "run: make setup"


def test_a_missing_pulumi_cli_is_found(machine, monkeypatch):
    monkeypatch.setattr(doctor.pulumi_cli, "find", lambda: None)
    found = missing(run("--json"))
    assert list(found) == ["Pulumi CLI"]
    assert found["Pulumi CLI"]["way_out"] == "run: make setup"
    result = run()
    assert "missing Pulumi CLI: not found\n          run: make setup" in result.output
    assert str(result.exception) == "1 of 8 are not as they should be: Pulumi CLI"


def test_a_missing_envoy_is_found_with_its_reason(machine, monkeypatch):
    def none():
        raise OutsideError("Envoy is not installed.")

    monkeypatch.setattr(doctor.binary, "find", none)
    assert missing(run("--json"))["Envoy"]["found"] == "Envoy is not installed."


def test_a_full_disk_is_found(machine, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda where: usage._replace(free=2**29))
    assert missing(run("--json"))["disk"]["found"] == "0.5 GiB free"


@pytest.mark.parametrize("setting", ["edgePort", "edgeAgentPort", "controllerPort"])
def test_a_port_that_another_program_has_is_found_with_the_setting_to_change(machine, setting):
    with socket.socket() as other:
        other.bind(("127.0.0.1", machine[setting]))
        other.listen()
        found = missing(run("--json"))[f"port {machine[setting]}"]
    assert found["found"] == "in use by another program"
    assert found["way_out"] == f"set tradewind:local.{setting} in Pulumi.dev.yaml to a free port"


def test_a_port_of_our_own_running_process_is_fine(machine, monkeypatch, tmp_path):
    class Registry:
        def __init__(self, home):
            pass

        def entries(self):
            return [type("Entry", (), {"kind": "envoy"})]

        def alive(self, entry):
            return True

    monkeypatch.setattr(doctor, "Registry", Registry)
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", machine["edgePort"]))
        ours.listen()
        result = run()
    assert result.exit_code == 0
    assert f"port {machine['edgePort']}: our envoy listens" in result.output


def test_a_wrong_setting_or_a_stack_without_a_file_is_a_finding_like_the_others(machine, tmp_path):
    assert (
        "Pulumi.prod.yaml does not exist" in missing(run("--json", "--stack", "prod"))["stack prod"]["found"]
    )
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {maxRegions: 0}")
    assert "must be at least 1" in missing(run("--json"))["stack dev"]["found"]


def test_it_changes_nothing(machine, tmp_path):
    run()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Pulumi.dev.yaml", "Pulumi.yaml"]


def test_of_a_stack_in_the_clouds_logins_and_plugins_are_looked_at_and_no_port(
    machine, tmp_path, monkeypatch
):
    shutil.copy(ROOT / "Pulumi.staging.yaml", tmp_path)
    cloud = Aws(region="us-east-1")
    user = User("aws", cloud, tmp_path)

    def findings():
        user.sit_down(monkeypatch)
        return {f["name"]: f for f in json.loads(run("--json", "--stack", "staging").stdout)["findings"][5:]}

    try:
        monkeypatch.setattr(doctor, "users_own", lambda _: None)
        monkeypatch.setattr(doctor.standins, "find_missing", lambda _: ["aws"])
        found = findings()
        assert {name: f["ok"] for name, f in found.items()} == dict.fromkeys(
            ("login to Pulumi", "provider plugins", "login to AWS"), False
        )
        assert found["provider plugins"]["found"] == "missing: aws"
        assert "aws sso login" in found["login to AWS"]["way_out"]

        user.log_in()
        monkeypatch.setattr(doctor, "users_own", lambda _: object())
        monkeypatch.setattr(doctor.standins, "find_missing", lambda _: [])
        monkeypatch.setattr(doctor, "whereabouts", lambda _: Whereabouts("s3://state", "", ""))
        found = findings()
        assert [name for name, f in found.items() if not f["ok"]] == ["state bucket"]
        assert found["state bucket"]["found"] == "status.json is not in s3://state"

        cloud.put("status.json", "{}")
        assert all(f["ok"] for f in findings().values())
    finally:
        cloud.close()


def test_a_stack_in_the_clouds_that_is_not_up_yet_lacks_nothing_by_that(machine, tmp_path, monkeypatch):
    def not_up(_):
        raise NoStack("no stack")

    shutil.copy(ROOT / "Pulumi.staging.yaml", tmp_path)
    monkeypatch.setattr(doctor, "users_own", lambda _: object())
    monkeypatch.setattr(doctor.standins, "find_missing", lambda _: [])
    monkeypatch.setattr(doctor, "whereabouts", not_up)
    assert "state bucket" not in run("--json", "--stack", "staging").stdout
