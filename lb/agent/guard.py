"""A small process between the agent and the engine, so that no end of the agent leaves an engine behind.

It is the parent of the engine and holds one end of a pipe whose other end only the agent has. When the agent dies, by
`kill -9` too, the kernel closes that end and the guard kills the engine with everything that it has started. A pipe
works on every Unix, and unlike PDEATHSIG it does not care which of the agent's threads started what. On Linux the
guard is also a subreaper: a process that detaches itself still becomes its child. It copies the engine's output into a
log of bounded size.

    python -I guard.py LIFELINE_FD LOG GRACE_S COMMAND...

SIGTERM = end the engine (SIGTERM, then SIGKILL after GRACE_S). Exit code: the engine's, 128 + n for signal n.
Run by path and with `-I`: it must depend neither on the engine's environment nor on where the agent's code is.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

LOG_BYTES = 16 * 1024 * 1024
_KILL_EVERY_S = 0.05
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


HEADING = "[tradewind] "
"""Begins the line of the log that says what starts: a machine runs several bundles in its life, into one log."""


class BoundedLog:
    """A log file that is moved to `<name>.1` when it is full; what can't be written is lost, the engine goes on."""

    def __init__(self, path: Path, *, limit: int = LOG_BYTES) -> None:
        self._path = path
        self._limit = limit

    def write(self, data: bytes) -> None:
        """Appends; never raises for a full or read-only disk."""
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_size + len(data) > self._limit:
                self._path.replace(f"{self._path}.1")
            with self._path.open("ab") as log:
                log.write(data)


class Guard:
    """Watches one engine until it and all that it has started are gone."""

    def __init__(self, *, lifeline: int, log: BoundedLog, grace_s: float) -> None:
        self._lifeline = lifeline
        self._log = log
        self._grace_s = grace_s
        self._exit_code: int | None = None
        self._kill_at: float | None = None  # set once the engine is asked to end

    def run(self, argv: list[str]) -> int:
        """Starts the engine and returns its exit code when nothing of it is left."""
        become_subreaper()
        woken = _signals_to_pipe()
        engine = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        assert engine.stdout is not None
        output = engine.stdout.fileno()
        os.set_blocking(output, False)
        sources = [self._lifeline, woken, output]
        while self._reap(engine.pid):
            ready, _, _ = select.select(sources, [], [], self._patience())
            if output in ready and not self._copy(output):
                sources.remove(output)
            if woken in ready and signal.SIGTERM in os.read(woken, 1024):
                self._ask_to_end(engine.pid)
            if self._lifeline in ready and not os.read(self._lifeline, 1):
                sources.remove(self._lifeline)
                self._kill_at = time.monotonic()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                _kill_all(engine.pid)
        if output in sources:
            self._copy(output)
        assert self._exit_code is not None
        return self._exit_code

    def _reap(self, engine: int) -> bool:
        """Collects ended children; False when there are none left. The engine's end is the end of what it started."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == engine:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = code if code >= 0 else 128 - code
                self._ask_to_end(engine)

    def _ask_to_end(self, engine: int) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace_s
            _signal_group(engine, signal.SIGTERM)

    def _patience(self) -> float | None:
        if self._kill_at is None:
            return None
        return max(self._kill_at - time.monotonic(), _KILL_EVERY_S)

    def _copy(self, output: int) -> bool:
        """Copies what there is; False at the end of the output."""
        while True:
            try:
                data = os.read(output, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._log.write(data)


def become_subreaper() -> None:
    """On Linux, lets orphans below this process become its children instead of those of process 1."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_descendants(pid: int) -> bool:
    """Sends SIGKILL to all processes below one; True when there were any. Linux only, elsewhere it finds none."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = stat.read_bytes().rpartition(b")")[2].split()  # after the name, which may hold anything
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = list(children.get(pid, ()))
    for child in found:  # grows while it is walked
        found.extend(children.get(child, ()))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return bool(found)


def _kill_all(engine: int) -> None:
    if not kill_descendants(os.getpid()):
        _signal_group(engine, signal.SIGKILL)  # only where there is no /proc


def _signal_group(leader: int, which: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says the second for a group of zombies
        os.killpg(leader, which)


def _signals_to_pipe() -> int:
    """Makes SIGTERM and SIGCHLD readable on the returned descriptor."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for which in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(which, lambda _signum, _frame: None)
    return reader


def main() -> None:
    """Runs what the command line says."""
    lifeline, log, grace_s, *argv = sys.argv[1:]
    guard = Guard(lifeline=int(lifeline), log=BoundedLog(Path(log)), grace_s=float(grace_s))
    sys.exit(guard.run(argv))


if __name__ == "__main__":
    main()
