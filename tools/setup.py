"""`python3 tools/setup.py [--dev]`: makes `.venv` with the pinned dependencies, and gets the Pulumi CLI.

Runs before anything is installed, so: standard library only, and nothing before the version check that an old
Python could not parse. Safe to run again: a stamp of what was installed makes the second run take milliseconds.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this very line tells an old Python's user what to do
    sys.exit(
        "error: Python %d.%d is too old, 3.11 or newer is needed (%s).\n"  # noqa: UP031 - as above
        "Install one, or name it: make PYTHON=/path/to/python3.12 up"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".tradewind-stamp"
NEEDED_GIB = 3.0
"""1.3 GiB of packages, their bytecode, and room for the state of the local cloud."""


def main() -> int:
    """Exit code 0 when everything is there, 1 for a machine that can't hold it, 3 when something outside failed."""
    dev = "--dev" in sys.argv[1:]
    sys.path.insert(0, str(ROOT))
    from tools import pulumi_cli

    with _locked():
        wanted = _wanted(dev)
        if not wanted <= _installed():
            if not VENV.exists() and not _has_space(ROOT):
                return 1
            if not _install(wanted):
                return 3
    try:
        pulumi_cli.get(VENV / "bin" / "python")
    except pulumi_cli.NoPulumi as e:
        print(f"error: {e}", file=sys.stderr)
        return 3
    return 0


def _locked() -> IO[str]:
    """Two set-ups at once: the second waits, finds everything done and goes on."""
    state = ROOT / ".tradewind"
    state.mkdir(exist_ok=True)
    f = (state / "setup.lock").open("w")
    fcntl.flock(f, fcntl.LOCK_EX)
    return f


def _wanted(dev: bool) -> set[str]:
    """`<hash of interpreter and lock> <lock>` for each lock file that should be installed."""
    python = f"{sys.version_info[:2]} {sys.prefix}".encode()
    names = ["requirements.txt", "requirements-dev.txt"] if dev else ["requirements.txt"]
    return {
        f"{hashlib.sha256(python + (ROOT / name).read_bytes()).hexdigest()[:16]} {name}" for name in names
    }


def _installed() -> set[str]:
    try:
        return set(STAMP.read_text().splitlines())
    except OSError:
        return set()


def _has_space(where: Path) -> bool:
    free = shutil.disk_usage(where).free / 2**30
    if free >= NEEDED_GIB:
        return True
    print(
        f"error: {where} has {free:.1f} GiB free, the dependencies need {NEEDED_GIB:.0f} GiB. "
        "Free some space, or clone to a larger disk.",
        file=sys.stderr,
    )
    return False


def _install(wanted: set[str]) -> bool:
    """A fresh environment when there is none or it belongs to other locks; else only what is missing is added."""
    missing = sorted(wanted - _installed())
    if not _installed() <= wanted or not (VENV / "bin" / "python").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        missing = sorted(wanted)
        _say(f"making {VENV.name} with Python {sys.version_info[0]}.{sys.version_info[1]}")
        # pip must be inside: the Pulumi language host asks it for the program's packages.
        if subprocess.run([sys.executable, "-m", "venv", VENV], check=False).returncode != 0:
            _say("error: python -m venv failed; on Debian and Ubuntu install the package python3-venv")
            return False
    uv = shutil.which("uv")
    for line in missing:
        name = line.split()[1]
        started = time.monotonic()
        _say(
            f"installing {name} (about 1.3 GiB and two minutes the first time)"
            if name == "requirements.txt"
            else f"installing {name}"
        )
        installer = (
            [uv, "pip", "install", "--python", VENV / "bin" / "python"]
            if uv
            else [
                VENV / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--progress-bar",
                "on" if sys.stderr.isatty() else "off",
            ]
        )
        quiet = [] if sys.stderr.isatty() else ["-q"]
        done = subprocess.run([*installer, *quiet, "--require-hashes", "-r", ROOT / name], check=False)
        if done.returncode != 0:
            _say(
                f"error: {name} could not be installed; see the installer's message above, then run the same command again"
            )
            return False
        _say(f"installed {name} in {time.monotonic() - started:.0f} s")
        with STAMP.open("a") as f:
            f.write(line + "\n")
    return True


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _say("interrupted; run the same command again to go on")
        sys.exit(130)
