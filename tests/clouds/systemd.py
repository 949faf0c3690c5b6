"""`systemctl` for hosts that boot under a prefix: runs what the units of that prefix say, as this user.

It is a program of its own, put first on PATH, because the hosts' scripts call it by name. Services are started
apart from their caller, and known by pid and start time; nothing is restarted by itself.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

STOP_WITHIN_S = 15.0


def install(folder):
    """Puts `systemctl` into the folder."""
    path = folder / "systemctl"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} "$@"\n')
    path.chmod(0o755)


def end_all(root):
    """Ends every service of a prefix."""
    for path in sorted((root / "run/units").glob("*.pid")):
        _end(path)


def output(root, unit):
    """What a service has printed."""
    path = root / "run/units" / f"{unit}.log"
    return path.read_text(errors="replace") if path.exists() else ""


def pid(root, unit):
    """Of the running service; None when it does not run."""
    return _running(root / "run/units" / f"{unit}.pid")


def main(arguments):
    root = Path(os.environ["TRADEWIND_ROOT"])
    flags = {a for a in arguments if a.startswith("-")}
    verb, *units = [a.removesuffix(".service") for a in arguments if not a.startswith("-")]
    (root / "run/units").mkdir(parents=True, exist_ok=True)
    for unit in units:
        if verb == "is-active":
            if pid(root, unit) is None:
                return 3
        elif verb == "restart" or (verb == "enable" and "--now" in flags) or verb == "start":
            if verb == "restart":
                _end(root / "run/units" / f"{unit}.pid")
            if pid(root, unit) is None:
                _start(root, unit)
        elif verb == "stop":
            _end(root / "run/units" / f"{unit}.pid")
    return 0


def _start(root, unit):
    lines = (root / "etc/systemd/system" / f"{unit}.service").read_text().splitlines()
    fields = [line.split("=", 1) for line in lines if "=" in line]
    environment = dict(value.split("=", 1) for name, value in fields if name == "Environment")
    given = dict(fields)
    with (root / "run/units" / f"{unit}.log").open("ab") as log:
        process = subprocess.Popen(
            shlex.split(given["ExecStart"]),
            cwd=given.get("WorkingDirectory", "/"),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (root / "run/units" / f"{unit}.pid").write_text(f"{process.pid} {_started(process.pid)}")


def _end(path):
    number = _running(path)
    if number is not None:
        for child in below(number):  # systemd ends all that a service has started
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        os.kill(number, signal.SIGTERM)
        end = time.monotonic() + STOP_WITHIN_S
        while _running(path) is not None:
            if time.monotonic() > end:
                os.kill(number, signal.SIGKILL)
            time.sleep(0.02)
    path.unlink(missing_ok=True)


def below(number):
    """Its children and theirs."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [number]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def alive(number):
    """Whether there is such a process, and no zombie."""
    return _started(number) is not None


def _running(path):
    try:
        number, started = path.read_text().split()
    except (OSError, ValueError):
        return None
    return int(number) if _started(int(number)) == started else None


def _started(number):
    """The start time of a process that is neither gone nor a zombie."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
