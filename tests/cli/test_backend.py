"""Whose Pulumi a stack is previewed with, and that nothing of the user's is touched where it is not theirs."""

import json
import shutil

import pytest
import yaml

from cli import backend
from cli.context import Context
from tests.e2e.checkout import ROOT

SECRET = {"secure": "v1:abc:def"}


@pytest.fixture
def root(tmp_path):
    """A checkout with the committed stacks."""
    for path in (*ROOT.glob("Pulumi*.yaml"),):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path


@pytest.fixture
def user(monkeypatch, tmp_path):
    """Somebody who is logged in nowhere and has no plugins."""
    home = tmp_path / "users-pulumi"
    home.mkdir()
    monkeypatch.setenv("PULUMI_HOME", str(home))
    monkeypatch.setenv("PATH", "/usr/bin")
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return home


def with_plugins(home, *providers):
    for provider in providers:
        (home / "plugins" / f"resource-{provider}-v1.2.3").mkdir(parents=True)


def logged_in(home):
    (home / "credentials.json").write_text(json.dumps({"current": "https://api.pulumi.com"}))


def test_a_local_stack_has_everything_of_its_own(root, user):
    logged_in(user)
    found = backend.backend_of(Context("dev", root))
    assert (found.work_dir, found.users, found.stood_in) == (root, False, ())
    assert found.env["PULUMI_BACKEND_URL"] == (root / ".tradewind" / "backend").as_uri()


def test_a_stack_in_the_clouds_is_the_users_who_is_logged_in_and_has_all_plugins(root, user):
    logged_in(user)
    with_plugins(user, "aws", "tls")
    found = backend.backend_of(Context("staging", root))
    assert (found.work_dir, found.users, found.stood_in) == (root, True, ())
    assert not {"PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE"} & found.env.keys()


@pytest.mark.parametrize("lacks", ["login", "plugin"])
def test_without_a_login_or_one_of_the_plugins_stand_ins_take_their_place(root, user, lacks):
    if lacks == "plugin":
        logged_in(user)
        with_plugins(user, "tls")
    else:
        with_plugins(user, "aws", "tls")
    before = sorted(p for p in user.rglob("*"))
    found = backend.backend_of(Context("staging", root))
    assert not found.users
    assert set(found.stood_in) == {"aws", "tls"}
    assert found.work_dir.is_relative_to(root / ".tradewind")
    assert sorted(p for p in user.rglob("*")) == before, "nothing is put into the user's home"


def test_offline_the_committed_files_stay_as_they_are_and_no_secret_is_taken_along(root, user):
    path = root / "Pulumi.staging.yaml"
    content = yaml.safe_load(path.read_text())
    content["config"] |= {
        "tradewind:secrets": {"openai": SECRET},
        "aws:token": SECRET,
        "tradewind:regions": ["us-east-2"],
    }
    content["secretsprovider"] = "awskms://alias/x"
    path.write_text(yaml.safe_dump(content))
    before = {p.name: p.read_bytes() for p in root.glob("Pulumi*.yaml")}
    project = backend.backend_of(Context("staging", root)).work_dir
    copied = yaml.safe_load((project / "Pulumi.staging.yaml").read_text())
    assert copied["config"]["tradewind:regions"] == ["us-east-2"]
    assert "secure" not in str(copied)
    assert "secretsprovider" not in copied
    assert (project / "program").resolve() == root.resolve()
    assert {p.name: p.read_bytes() for p in root.glob("Pulumi*.yaml")} == before


def test_the_providers_of_a_stack_are_those_of_its_clouds_hosts_and_name(root):
    assert backend.providers_of(Context("staging", root)) == ("aws", "tls")
    assert backend.providers_of(Context("prod", root)) == ("aws", "azure-native", "gcp", "tls")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"current": ""}'])
def test_a_broken_login_is_none(root, user, content):
    (user / "credentials.json").write_text(content)
    with_plugins(user, "aws", "tls")
    assert not backend.backend_of(Context("staging", root)).users
