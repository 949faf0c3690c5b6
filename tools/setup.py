"""`python3 tools/setup.py [--dev]`: makes `.venv` with the pinned dependencies, and gets the Pulumi CLI.

Runs before anything is installed, so: standard library only, and no syntax that an old Python could not parse, or
its user would never see the message. Safe to run again: a stamp of what was installed makes that take milliseconds.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this very line tells an old Python's user what to do
    sys.exit(
        "error: Python %d.%d is too old, 3.11 or newer is needed (%s).\n"  # noqa: UP031 - as above
        "Install one, or name it: make PYTHON=/path/to/python3.12 up"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

import hashlib
import os
import shutil
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
if not __package__:  # run by its path
    sys.path.insert(0, str(ROOT))

from tools import pulumi_cli, venv  # noqa: E402 - an old Python has been told by now

VENV = ROOT / ".venv"
STAMP = VENV / ".tradewind-stamp"
NEEDED_GIB = 3.0
"""1.3 GiB of packages, their bytecode, and room for the state of the local cloud."""


def main() -> int:
    """Exit code 0 when everything is there, 1 for a machine that can't hold it, 3 when something outside failed."""
    try:
        with _locked() as lock:
            _bring_up_to_date(lock, dev="--dev" in sys.argv[1:])
        pulumi_cli.get(VENV / "bin" / "python")
    except venv.Stop as e:
        venv.say(f"error: {e}")
        return e.code
    except (pulumi_cli.NoPulumi, OSError) as e:  # OSError: a read-only checkout, a full disk
        venv.say(f"error: {e}")
        return 3
    return 0


def is_current(*, dev: bool = False) -> bool:
    """Whether `.venv` holds what the lock files of today say."""
    return set(_wanted(dev)) <= _installed()


def _bring_up_to_date(lock: IO[str], *, dev: bool) -> None:
    wanted, installed = _wanted(dev), _installed()
    if set(wanted) <= installed:
        return
    if not installed or not installed <= set(wanted):
        _make_environment(lock)
        installed = set()
    for line in wanted:
        if line not in installed:
            _install(line, lock)


def _locked() -> IO[str]:
    """Two set-ups at once: the second waits, finds everything done and goes on."""
    state = ROOT / ".tradewind"
    state.mkdir(exist_ok=True)
    return venv.locked(state / "setup.lock", "waiting for another set-up of this checkout to end ...")


def _wanted(dev: bool) -> list[str]:
    """`<hash of interpreter and lock> <lock>` for each lock file, in the order in which they are installed.

    The base interpreter counts, not an environment that happens to be active, least of all `.venv` itself.
    """
    python = f"{sys.version_info[:2]} {sys.base_prefix}".encode()
    names = ["requirements.txt", "requirements-dev.txt"] if dev else ["requirements.txt"]
    return [
        f"{hashlib.sha256(python + (ROOT / name).read_bytes()).hexdigest()[:16]} {name}" for name in names
    ]


def _installed() -> set[str]:
    """The lines of the stamp; nothing when the environment has lost its interpreter to an upgrade of the system."""
    try:
        return set(STAMP.read_text().splitlines()) if (VENV / "bin" / "python").exists() else set()
    except OSError:
        return set()


def _make_environment(lock: IO[str]) -> None:
    """A fresh one, when there is none, it belongs to other locks, or a killed set-up left it unfinished."""
    if VENV.is_symlink():
        VENV.unlink()  # somebody else's environment is left alone
    elif VENV.exists():
        venv.say(f"{VENV.name} is of another or an unfinished set-up: making it anew")
        STAMP.unlink(missing_ok=True)  # first: what is half removed must not look finished
        shutil.rmtree(VENV)
    venv.need_space(ROOT, NEEDED_GIB, "Free some space, or clone to a larger disk.")
    venv.make(VENV, lock)  # pip is inside: the Pulumi language host asks it for the program's packages


def _install(line: str, lock: IO[str]) -> None:
    """Installs the lock file of one line of the stamp, and adds the line when that is done."""
    name = line.split()[1]
    size = " (about 1.3 GiB; some minutes the first time)" if name == "requirements.txt" else ""
    venv.install(VENV, ROOT / name, lock, note=size)
    with STAMP.open("a") as f:
        f.write(line + "\n")


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        venv.say("interrupted; run the same command again to go on")
        sys.exit(130)
