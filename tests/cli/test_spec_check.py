"""`tw spec check` and the `--env` option."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from cli import spec
from cli.options import parse_env
from spec.errors import InputError

GOOD = """\
envs: {TOKEN: null}
resources: {accelerators: L4:1, ports: 8000, disk_tier: best}
service: {readiness_probe: /health, replicas: 1}
run: serve
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(GOOD.replace("L4:1", "L4:0") + "runn: x\n")
    app = typer.Typer()
    spec.register(app)

    def check(*args: str):
        return CliRunner().invoke(app, ["spec", "check", *args])

    return check


def test_a_good_file_is_ok_and_what_is_not_acted_on_is_said(check):
    result = check("good.yaml", "--env", "TOKEN=x")

    assert result.exit_code == 0
    first, note = result.stdout.splitlines()
    assert first == "good.yaml: ok: service `good`"
    assert "`resources.disk_tier: best` is not acted on yet" in note


def test_problems_of_all_files_are_printed_one_a_line(check):
    result = check("bad.yaml", "good.yaml", "none.yaml", "--env", "TOKEN=x")

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("bad.yaml:2: resources.accelerators: must be `NAME:COUNT`")
    assert lines[1] == "bad.yaml:5: runn: is not a known field. Did you mean `run`?"
    assert lines[2] == "good.yaml: ok: service `good`"
    assert lines[-1].startswith("none.yaml: there is no such file.")


def test_json_has_the_same(check):
    result = check("bad.yaml", "good.yaml", "--env", "TOKEN=x", "--json")

    assert result.exit_code == 1
    bad, good = json.loads(result.stdout)["files"]
    assert (bad["file"], bad["ok"], bad["name"]) == ("bad.yaml", False, None)
    assert bad["problems"][0]["line"] == 2
    assert bad["problems"][0]["field"] == "resources.accelerators"
    assert bad["problems"][0]["value"] == "L4:0"
    assert set(bad["problems"][0]) == {"line", "field", "value", "message", "hint"}
    assert (good["ok"], good["name"], good["problems"]) == (True, "good", [])
    assert len(good["not_acted_on"]) == 1


def test_a_variable_that_no_file_knows(check):
    result = check("good.yaml", "--env", "TOKEN=x", "--env", "TOKN=hunter2")

    assert result.exit_code == 1
    assert "--env: TOKN: is not among the `envs`. Did you mean `TOKEN`?" in result.stdout
    assert "hunter2" not in result.stdout


def test_without_a_file_it_is_a_usage_error(check):
    assert check().exit_code == 2


def test_env_is_parsed_with_the_last_one_winning():
    assert parse_env(["A=1", "B=x=y", "C=", "A=2"]) == {"A": "2", "B": "x=y", "C": ""}
    assert parse_env(None) == {}


def test_a_name_alone_takes_the_value_of_the_shell(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "from-shell")

    assert parse_env(["HF_TOKEN"]) == {"HF_TOKEN": "from-shell"}


@pytest.mark.parametrize(
    "given", ["=hunter2", "1A=hunter2", "A B=hunter2", "hunter2!", "", "NOT_SET_ANYWHERE"]
)
def test_a_malformed_env_says_the_form_and_not_the_value(monkeypatch, given):
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    with pytest.raises(InputError, match=r"(NAME|NOT_SET_ANYWHERE)=VALUE") as e:
        parse_env([given])

    assert "hunter2" not in str(e.value)
