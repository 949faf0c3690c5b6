"""The Makefile: `make help` tells the truth, and nothing in a path or a name trips it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Makefile").read_text()

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


def make(*args, cwd=ROOT):
    # The tests themselves may run below `make test`, whose make would announce this one as its child.
    env = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "STACK", "TESTS")
    }
    return subprocess.run(
        ["make", *args], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def elsewhere(tmp_path):
    """The Makefile in a path with spaces, beside a `tw` and a set-up that only say how they were called."""
    root = tmp_path / "a checkout"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", root)
    (root / "tools" / "setup.py").write_text("")
    (root / "tw").write_text('#!/bin/sh\nfor a in "$@"; do printf "<%s>" "$a"; done; echo\n')
    (root / "tw").chmod(0o755)
    return root


def test_help_is_what_make_alone_prints_with_a_line_for_each_target():
    done = make()
    assert done.returncode == 0
    assert done.stdout == make("help").stdout
    listed = re.findall(r"(?m)^  make ([a-z-]+) +\S", done.stdout)
    targets = re.findall(r"(?m)^([a-z-]+):", TEXT)
    assert listed == [t for t in targets if t != "setup-dev"]
    assert {"up", "down", "preview", "status", "test", "check", "bench", "clean"} <= set(listed)
    assert "STACK=name" in done.stdout


def test_no_target_is_mistaken_for_a_file():
    phony = re.search(r"(?m)^\.PHONY: (.*)", TEXT)[1].split()
    assert set(phony) == set(re.findall(r"(?m)^([a-z-]+):", TEXT))


@pytest.mark.parametrize("target", ["up", "down", "preview", "status"])
def test_the_stack_is_handed_on_as_one_word(elsewhere, target):
    assert make(target, cwd=elsewhere).stdout == f"<{target}><--stack><dev>\n"
    assert make(target, "STACK=my stack", cwd=elsewhere).stdout == f"<{target}><--stack><my stack>\n"


def test_clean_brings_every_stack_down_before_it_removes_what_it_knows_of_them(elsewhere):
    for stack in ("dev", "other"):
        (elsewhere / ".tradewind" / stack).mkdir(parents=True)
        (elsewhere / ".tradewind" / stack / "update.lock").touch()
    (elsewhere / ".tradewind" / "backend").mkdir()
    (elsewhere / ".venv").mkdir()
    done = make("clean", cwd=elsewhere)
    assert done.stdout == "<down><--stack><dev>\n<down><--stack><other>\n"
    assert not (elsewhere / ".tradewind").exists()
    assert not (elsewhere / ".venv").exists()


def test_clean_keeps_everything_when_a_stack_will_not_come_down(elsewhere):
    (elsewhere / ".tradewind" / "dev").mkdir(parents=True)
    (elsewhere / ".tradewind" / "dev" / "update.lock").touch()
    (elsewhere / "tw").write_text("#!/bin/sh\nexit 3\n")
    assert make("clean", cwd=elsewhere).returncode != 0
    assert (elsewhere / ".tradewind" / "dev").exists()


def test_clean_of_a_fresh_clone_installs_nothing(elsewhere):
    done = make("clean", "PYTHON=/nowhere", cwd=elsewhere)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_interpreter_may_be_named(elsewhere):
    python = elsewhere / "my python"
    python.write_text('#!/bin/sh\necho "mine: $1"\n')
    python.chmod(0o755)
    assert make("setup", f"PYTHON={python}", cwd=elsewhere).stdout == "mine: tools/setup.py\n"
