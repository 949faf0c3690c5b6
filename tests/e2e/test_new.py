"""`pulumi new` of this repository: a project of any name that can be previewed at once."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.checkout import ROOT, copy_of
from tools import pulumi_cli

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_a_project_of_another_name_is_made_planned_and_previewed(tmp_path):
    template, made = tmp_path / "template", tmp_path / "made"
    template.mkdir()
    copy_of(template)
    (template / ".venv").unlink()  # a clone has none
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")},
        "PATH": f"{pulumi_cli.find()}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
    }
    new = [
        "pulumi",
        "new",
        str(template),
        "--generate-only",
        "--offline",
        "--yes",
        "--name",
        "my-llm",
        "--dir",
        str(made),
    ]
    done = subprocess.run(
        new,
        env={**environment, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    project = yaml.safe_load((made / "Pulumi.yaml").read_text())
    assert project["name"] == "my-llm"
    assert "template" not in project

    (made / ".venv").symlink_to(ROOT / ".venv")
    previewed = subprocess.run(
        [made / "tw", "preview", "--stack", "staging"],
        cwd=made,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert previewed.returncode == 0, previewed.stdout + previewed.stderr
    assert "::my-llm::" in (made / ".tradewind/preview/staging/resources.json").read_text()
    assert "new" in previewed.stdout
