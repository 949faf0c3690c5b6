"""Set-up of a checkout: what is too old or too full is said, what was killed is done again, and never twice at once."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FAKE_UV = """\
#!/bin/sh
# Stands in for an installer: notes what it was asked for.
echo "$@" >> "{log}"
{body}
"""

FAKE_VENV = """\
import os, pathlib, sys
place = pathlib.Path(sys.argv[1])
(place / "bin").mkdir(parents=True, exist_ok=True)
(place / "bin" / "python").unlink(missing_ok=True)
(place / "bin" / "python").symlink_to(sys.executable)
(place / "bin" / "pip").touch()
(place / "pyvenv.cfg").write_text(f"home = {os.path.dirname(sys.executable)}\\n")
"""


@pytest.fixture
def checkout(tmp_path):
    """One with an empty environment in place of a real one, which takes seconds."""
    place = Checkout(tmp_path / "a checkout")
    (tmp_path / "fakes" / "venv").mkdir(parents=True)
    (tmp_path / "fakes" / "venv" / "__init__.py").touch()
    (tmp_path / "fakes" / "venv" / "__main__.py").write_text(FAKE_VENV)
    place.env["PYTHONPATH"] = str(tmp_path / "fakes")
    return place


class Checkout:
    """Two tiny lock files, an installer that only takes notes, and a Pulumi CLI."""

    def __init__(self, root):
        self.root, self.log, self.bin = root, root / "uv.log", root / "bin"
        (root / "tools").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("__init__.py", "setup.py", "venv.py"):
            shutil.copy(ROOT / "tools" / name, root / "tools" / name)
        (root / "tools" / "pulumi_cli.py").write_text(
            "class NoPulumi(Exception): pass\ndef get(python): assert python.exists()\n"
        )
        (root / "requirements.txt").write_text("one\n")
        (root / "requirements-dev.txt").write_text("two\n")
        self.installer("exit 0")
        self.env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}

    @property
    def stamp(self):
        return self.root / ".venv" / ".tradewind-stamp"

    def installer(self, body):
        uv = self.bin / "uv"
        uv.write_text(FAKE_UV.format(log=self.log, body=body))
        uv.chmod(0o755)

    @property
    def installed(self):
        """The lock files that were installed, in order."""
        return [Path(x.split(" -r ")[1]).name for x in self.log.read_text().splitlines()]

    def command(self, *args):
        return [sys.executable, self.root / "tools" / "setup.py", *args]

    def setup(self, *args, rc=0):
        done = subprocess.run(
            self.command(*args), check=False, env=self.env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == rc, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def patched(self, patch):
        """Runs the set-up in an interpreter in which something was changed before."""
        code = (
            f"import runpy, sys\n{textwrap.dedent(patch)}\nrunpy.run_path(sys.argv[1], run_name='__main__')"
        )
        command = [sys.executable, "-c", code, self.root / "tools" / "setup.py"]
        return subprocess.run(command, check=False, env=self.env, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One with a real environment."""
    place = Checkout(tmp_path_factory.mktemp("done") / "checkout")
    place.setup("--dev")
    return place


def test_what_is_asked_for_is_installed_the_product_first(finished):
    assert finished.installed[:2] == ["requirements.txt", "requirements-dev.txt"]
    assert "--require-hashes" in finished.log.read_text()


def test_the_environment_has_pip_whatever_installs_into_it(finished):
    # The Pulumi language host asks pip for the program's packages.
    subprocess.run(
        [finished.root / ".venv/bin/python", "-m", "pip", "--version"], check=True, capture_output=True
    )


def test_again_installs_nothing_and_says_nothing(finished):
    before = finished.log.read_text()
    assert finished.setup("--dev") == ""
    assert finished.setup() == ""
    assert finished.log.read_text() == before


def test_from_inside_of_its_own_environment_it_is_the_same_environment(finished):
    command = [finished.root / ".venv/bin/python", *finished.command("--dev")[1:]]
    done = subprocess.run(command, check=False, env=finished.env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_tests_tools_are_added_to_what_is_there(checkout):
    checkout.setup()
    made = checkout.stamp.stat().st_ctime_ns, (checkout.root / ".venv/pyvenv.cfg").stat().st_ino
    checkout.setup("--dev")
    assert checkout.installed == ["requirements.txt", "requirements-dev.txt"]
    assert (checkout.root / ".venv/pyvenv.cfg").stat().st_ino == made[1]


def test_another_lock_file_gets_a_fresh_environment_also_from_inside_of_the_old_one(checkout):
    checkout.setup("--dev")
    (checkout.root / ".venv" / "old").touch()
    (checkout.root / "requirements.txt").write_text("three\n")
    command = [checkout.root / ".venv/bin/python", *checkout.command()[1:]]
    done = subprocess.run(command, check=False, env=checkout.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (checkout.root / ".venv" / "old").exists()
    assert checkout.stamp.read_text().split()[1::2] == ["requirements.txt"]
    assert checkout.installed[-1] == "requirements.txt"


def test_a_killed_installation_is_begun_anew_by_the_next_run(checkout):
    checkout.installer("touch .venv/half; kill -9 $PPID")
    killed = subprocess.run(checkout.command(), check=False, env=checkout.env, capture_output=True)
    assert killed.returncode < 0
    assert (checkout.root / ".venv" / "half").exists()
    checkout.installer("exit 0")
    assert "unfinished" in checkout.setup()
    assert not (checkout.root / ".venv" / "half").exists()
    assert checkout.stamp.exists()


def test_a_killed_making_of_the_environment_is_begun_anew(checkout):
    (checkout.root / ".venv" / "bin").mkdir(parents=True)
    (checkout.root / ".venv" / "bin" / "python").symlink_to(sys.executable)  # and no pip
    checkout.setup()
    assert (checkout.root / ".venv" / "bin" / "pip").exists()


def test_an_environment_whose_interpreter_was_removed_is_made_anew(checkout):
    checkout.setup()
    (checkout.root / ".venv" / "bin" / "python").unlink()
    checkout.setup()
    assert (checkout.root / ".venv" / "bin" / "python").exists()


def test_a_failed_installation_is_no_success_and_names_the_way_out(checkout):
    checkout.installer("echo 'no network' >&2; exit 2")
    text = checkout.setup(rc=3)
    assert "no network" in text
    assert "error: requirements.txt could not be installed" in text
    assert "run the same command again" in text
    assert not checkout.stamp.exists()


def test_an_environment_of_somebody_else_behind_a_link_is_left_alone(checkout, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "precious").touch()
    (checkout.root / ".venv").symlink_to(theirs)
    checkout.setup()
    assert (theirs / "precious").exists()
    assert not (checkout.root / ".venv").is_symlink()


def test_a_second_set_up_waits_for_the_first_and_finds_everything_done(checkout):
    checkout.installer("while [ ! -e go ]; do sleep 0.02; done")
    first = subprocess.Popen(checkout.command(), env=checkout.env, stderr=subprocess.PIPE, text=True)
    while not checkout.log.exists():
        assert first.poll() is None
    second = subprocess.Popen(checkout.command(), env=checkout.env, stderr=subprocess.PIPE, text=True)
    assert "waiting for another set-up" in second.stderr.readline()
    (checkout.root / "go").touch()
    _, said = second.communicate(timeout=30)
    first.communicate(timeout=30)
    assert (first.returncode, second.returncode, said) == (0, 0, "")
    assert checkout.installed == ["requirements.txt"]


def test_an_installer_that_outlives_a_killed_set_up_is_waited_for(checkout):
    checkout.installer("[ -e go ] && exit 0; kill -9 $PPID; while [ ! -e go ]; do sleep 0.02; done")
    subprocess.run(checkout.command(), check=False, env=checkout.env, stderr=subprocess.DEVNULL)
    second = subprocess.Popen(checkout.command(), env=checkout.env, stderr=subprocess.PIPE, text=True)
    assert "waiting for another set-up" in second.stderr.readline()
    (checkout.root / "go").touch()
    second.communicate(timeout=30)
    assert second.returncode == 0


def test_too_little_space_is_said_before_anything_is_made(checkout):
    done = checkout.patched(
        """
        import shutil
        shutil.disk_usage = lambda where: shutil._ntuple_diskusage(10**12, 10**12, 2**30)
        """
    )
    assert done.returncode == 1
    assert "has 1.0 GiB free, the dependencies need 3 GiB" in done.stderr
    assert "Free some space" in done.stderr
    assert not (checkout.root / ".venv").exists()
    assert not checkout.log.exists()


def test_an_old_python_is_told_what_is_needed_and_how_to_name_another(checkout):
    done = checkout.patched("sys.version_info = (3, 10, 4, 'final', 0)")
    assert done.returncode == 1
    assert "Python 3.10 is too old, 3.11 or newer is needed" in done.stderr
    assert "make PYTHON=/path/to/python3.12 up" in done.stderr
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("name", ["python3.6", "python3.8", "python3.9", "python3.10"])
def test_a_real_old_python_understands_the_file_far_enough_to_say_so(name, checkout):
    old = next(working(name), None)
    if old is None:
        pytest.skip(f"no {name} on this machine")
    done = subprocess.run([old, *checkout.command()[1:]], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is too old" in done.stderr
    assert "SyntaxError" not in done.stderr


def working(name):
    """Interpreters of that name that run: on PATH, or of pyenv (whose links on PATH run nothing by themselves)."""
    for path in [shutil.which(name), *sorted(Path.home().glob(f".pyenv/versions/*/bin/{name}"))]:
        if path and subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0:
            yield path


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_checkout_that_nobody_may_write_to_is_said(checkout):
    checkout.root.chmod(0o555)
    try:
        assert "Permission denied" in checkout.setup(rc=3)
    finally:
        checkout.root.chmod(0o755)


def test_without_uv_pip_installs(finished):
    for name in ("requirements.txt", "requirements-dev.txt"):
        (finished.root / name).write_text("# nothing to install\n")
    done = finished.patched("import shutil; shutil.which = lambda name: None")
    assert done.returncode == 0, done.stderr
    assert "installed requirements.txt" in done.stderr


def test_tw_before_the_set_up_says_what_to_run(checkout):
    shutil.copy(ROOT / "tw", checkout.root / "tw")
    done = subprocess.run([checkout.root / "tw", "status"], check=False, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr == f"error: not set up yet; run: make -C '{checkout.root}' setup\n"
