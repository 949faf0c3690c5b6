"""The workflows: understood by actionlint, pinned, with no more rights than they use, and calling what is there."""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.pulumi_cli import cache_dir

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
LINTER = "1.7.12"
BY_NAME = pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda p: f"{p.parent.name}/{p.name}")


def parsed(path):
    content = yaml.safe_load(path.read_text())
    return {
        ("on" if key is True else key): value for key, value in content.items()
    }  # YAML 1.1 takes `on` for a truth value


def steps(path):
    content = parsed(path)
    jobs = content["jobs"].values() if "jobs" in content else [content["runs"]]
    return [step for job in jobs for step in job.get("steps", ())]


@pytest.fixture(scope="session")
def actionlint():
    """Built once into the cache, from its Go module."""
    folder = cache_dir() / f"actionlint-{LINTER}"
    program = folder / "actionlint"
    if not program.exists():
        if shutil.which("go") is None:
            pytest.skip("Go is not on PATH")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = subprocess.run(
                ["go", "install", f"github.com/rhysd/actionlint/cmd/actionlint@v{LINTER}"],
                env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "", "CGO_ENABLED": "0"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                pytest.skip(f"actionlint can't be built here: {done.stderr.strip().splitlines()[-1:]}")
    return program


@pytest.mark.timeout(300)
def test_actionlint_finds_nothing(actionlint):
    done = subprocess.run(
        [actionlint, "-color=false", *WORKFLOWS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


@pytest.mark.timeout(300)
def test_actionlint_would_find_something(actionlint, tmp_path):
    wrong = WORKFLOWS[0].read_text().replace("github.ref", "github.reff").replace("runs-on", "runz-on")
    (tmp_path / "wrong.yml").write_text(wrong)
    done = subprocess.run(
        [actionlint, "-color=false", tmp_path / "wrong.yml"], capture_output=True, check=False
    )
    assert done.returncode == 1


@BY_NAME
def test_every_action_of_others_is_pinned_to_a_commit_with_its_version_beside_it(path):
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    for name, rest in used:
        if not name.startswith("./"):
            assert re.search(r"@[0-9a-f]{40}$", name), name
            assert re.search(r"# v\d+\.\d+\.\d+", rest), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_a_workflow_may_read_and_each_job_says_what_more_it_may(path):
    content = parsed(path)
    assert content["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in content["on"], "code of a fork would run with the repository's rights"
    for job in content["jobs"].values():
        assert "write-all" not in str(job.get("permissions"))
        if "uses" not in job:
            assert job["timeout-minutes"] <= 120


def test_code_of_a_fork_meets_neither_a_login_nor_a_backend():
    by_name = {
        step.get("uses", step.get("name", "")): step for step in steps(ROOT / ".github/workflows/preview.yml")
    }
    assert "env.OWN == 'true'" in by_name["./.github/actions/login"]["if"]
    assert by_name["preview"]["env"]["PULUMI_BACKEND_URL"].startswith("${{ env.OWN == 'true' && ")


@BY_NAME
def test_what_a_step_runs_is_there(path):
    runs = [step["run"] for step in steps(path) if "run" in step]
    for text in runs:
        for module in re.findall(r"python3 -m (\S+)", text):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
        for command in re.findall(r"\./tw (\w+)", text):
            help_text = subprocess.run(
                [ROOT / "tw", command, "--help"], capture_output=True, text=True, check=False
            )
            assert help_text.returncode == 0, command
        for target in re.findall(r"make (\w+)", text):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        assert "${{ github.event.pull_request.title" not in text
        assert "head_ref" not in text


def test_nothing_is_named_that_holds_a_key_of_a_cloud():
    text = "\n".join(path.read_text() for path in (*WORKFLOWS, *ACTIONS))
    named = set(re.findall(r"secrets\.(\w+)", text))
    assert named == {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN", "PRICES_TOKEN"}
