"""Making a virtual environment and installing a lock file into it, for `setup.py` and `vllm_env.py`.

One set-up at a time: installers inherit the lock, so one that outlives a killed set-up is waited for as well.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO


class Stop(Exception):
    """The set-up can't go on; `code` is the exit code."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


def locked(path: Path, waiting: str) -> IO[str]:
    """Holds the lock until the file is closed. Two set-ups at once: the second says `waiting`, and waits."""
    f = path.open("w")
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(waiting)
        fcntl.flock(f, fcntl.LOCK_EX)
    return f


def need_space(folder: Path, gib: float, way_out: str) -> None:
    """Raises Stop when the disk of `folder` has less than that free."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < gib:
        raise Stop(
            f"{folder} has {free:.1f} GiB free, the dependencies need {gib:.0f} GiB. {way_out}", code=1
        )


def make(place: Path, lock: IO[str]) -> None:
    """A fresh environment. Raises Stop."""
    say(f"making {place.name} with Python {sys.version_info[0]}.{sys.version_info[1]}")
    if not _run([_base_python(), "-m", "venv", str(place)], lock):
        raise Stop(
            "python -m venv failed; on Debian and Ubuntu install the package python3-venv, "
            "then run the same command again",
            code=3,
        )


def install(
    place: Path,
    requirements: Path,
    lock: IO[str],
    *,
    note: str = "",
    whole: bool = False,
    tmp: str | None = None,
) -> None:
    """Installs a lock file, whose hashes are checked, and says how long it took. Raises Stop.

    `whole`: the file names all that is wanted, whatever the packages themselves ask for. `tmp`: where the installer
    unpacks.
    """
    say(f"installing {requirements.name}{note}")
    started = time.monotonic()
    quiet = [] if sys.stderr.isatty() else ["-q"]
    only = ["--no-deps"] if whole else []
    if not _run(
        [*_installer(place), *quiet, *only, "--require-hashes", "-r", str(requirements)],
        lock,
        **({"TMPDIR": tmp} if tmp else {}),
    ):
        raise Stop(
            f"{requirements.name} could not be installed; see the installer's message above, "
            "then run the same command again",
            code=3,
        )
    say(f"installed {requirements.name} in {time.monotonic() - started:.0f} s")


def _base_python() -> str:
    """The interpreter beneath an active environment: that one may be the one that is being replaced."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return str(base) if base.exists() else sys.executable


def _installer(place: Path) -> list[str]:
    python = str(place / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", python]
    progress = "on" if sys.stderr.isatty() else "off"
    return [python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", progress]


def _run(command: list[str], lock: IO[str], **variables: str) -> bool:
    """Whether it ended well. Its output is ours for people; programs read our standard output.

    A user's own `pip install --user` habit, set for good, would fail in an environment.
    """
    environment = {**os.environ, "PIP_USER": "0", **variables}
    done = subprocess.run(
        command,
        check=False,
        pass_fds=[lock.fileno()],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )
    return done.returncode == 0


def say(text: str) -> None:
    """To people."""
    print(text, file=sys.stderr, flush=True)
