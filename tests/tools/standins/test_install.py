"""Where stand-ins are put, and that they never take the place of a real plugin."""

import importlib.metadata
import os
import sys
from pathlib import Path

import pytest

from tools.standins.install import find_missing, install, remove

PYTHON = Path(sys.executable)
AWS = f"resource-aws-v{importlib.metadata.version('pulumi-aws')}"


@pytest.fixture
def empty_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def real_plugin(home, name=AWS):
    place = home / "plugins" / name
    place.mkdir(parents=True)
    (place / "pulumi-resource-aws").write_text("the real one")
    return place / "pulumi-resource-aws"


def test_providers_without_a_plugin_are_missing(tmp_path, empty_path):
    assert find_missing(["aws", "gcp"], home=tmp_path) == ["aws", "gcp"]
    real_plugin(tmp_path, "resource-aws-v7.0.0")
    assert find_missing(["aws", "gcp"], home=tmp_path) == ["gcp"]


def test_a_plugin_on_the_path_is_there(tmp_path, empty_path):
    empty_path.mkdir()
    plugin = empty_path / "pulumi-resource-aws"
    plugin.touch()
    plugin.chmod(0o755)
    assert find_missing(["aws"], home=tmp_path) == []


def test_a_stand_in_is_no_plugin(tmp_path, empty_path):
    install(tmp_path, PYTHON, ["aws"])
    assert find_missing(["aws"], home=tmp_path) == ["aws"]


def test_the_users_own_pulumi_home_is_looked_at(tmp_path, empty_path, monkeypatch):
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    real_plugin(tmp_path)
    assert find_missing(["aws"]) == []


def test_stand_ins_are_installed_for_those_that_have_one(tmp_path):
    assert install(tmp_path, PYTHON, ["aws", "tls", "random", "aws"]) == ["aws", "tls"]
    program = tmp_path / "plugins" / AWS / "pulumi-resource-aws"
    assert os.access(program, os.X_OK)
    before = program.stat().st_mtime_ns
    assert install(tmp_path, PYTHON, ["aws"]) == ["aws"]
    assert program.stat().st_mtime_ns == before


def test_a_real_plugin_is_left_alone(tmp_path):
    program = real_plugin(tmp_path)
    assert install(tmp_path, PYTHON, ["aws"]) == []
    assert program.read_text() == "the real one"
    install(tmp_path, PYTHON, ["gcp"])
    remove(tmp_path)
    assert program.read_text() == "the real one"
    assert [place.name for place in (tmp_path / "plugins").iterdir()] == [AWS]
