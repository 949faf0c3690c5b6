"""The launcher: a script of its own that becomes the program it starts, so that a server full of threads may use it.

`python -I -S launch.py` reads one JSON order from stdin, forks and ends; its child belongs to nobody then, makes a
session of its own, writes the registry entry and only then executes the program. Killed at any point it leaves
either no process or one that the registry knows. The order comes through stdin, for arguments are public.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # -I leaves the checkout out of the path

from local.files import write_json
from local.proctable import read

LOG_LIMIT = 10 * 1024 * 1024
"""Bytes; a log that is longer when a process starts becomes `<log>.1`, of which there is one."""
ORPHAN_DEADLINE_S = 10.0


def main() -> None:
    """Forks; the parent ends at once, the child carries the order out."""
    order = json.load(sys.stdin)
    helper = os.getpid()
    if os.fork():
        os._exit(0)
    report = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
    os.set_inheritable(order["lock_fd"], False)  # held until exec: nobody starts this name twice meanwhile
    try:
        become(order, helper, report)
    except (OSError, TimeoutError) as e:
        _tell(report, {"error": str(e)})
    os._exit(127)


def become(order: dict, helper: int, report: int) -> None:
    """Turns this process into the ordered program; returns never, raises OSError or TimeoutError."""
    _wait_for_other_parent(helper)
    os.setsid()
    _forget_signals()
    _redirect(order["log"])
    os.chdir(order["cwd"])
    me = read(os.getpid())
    if me is None:
        raise OSError("the process table does not show this process")
    identity = {"pid": me.pid, "start_time": me.start_time}
    entry = Path(order["entry_path"])
    write_json(entry, {**order["entry"], **identity, "launched_at": time.time()})
    _tell(report, identity)
    try:
        os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606  that is what a launcher is for
    except OSError as e:
        entry.unlink(missing_ok=True)
        raise OSError(f"{order['argv'][0]} can't be executed: {e.strerror}") from e


def _wait_for_other_parent(helper: int) -> None:
    """Some programs (Envoy) ask to die with the parent that they find when they start."""
    deadline = time.monotonic() + ORPHAN_DEADLINE_S
    while os.getppid() == helper:
        if time.monotonic() > deadline:
            raise TimeoutError("the launcher did not end")
        time.sleep(0.001)


def _forget_signals() -> None:
    """Ignored and blocked signals outlive exec: a program started from a background job would miss its Ctrl-C."""
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _redirect(log: str) -> None:
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(f"{path}.1")
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(null)
    os.close(out)


def _tell(report: int, message: dict) -> None:
    with contextlib.suppress(
        BrokenPipeError
    ):  # who asked is gone; the registry knows this process all the same
        os.write(report, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
