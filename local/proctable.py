"""Which processes there are, and whose: a process is its pid and its start time, for pids are used again.

Linux reads /proc (microseconds per process, nothing is started); elsewhere `ps` answers the same questions.
The start time is opaque: compare it, never compute with it.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

MARKER = "TRADEWIND_PROCESS"
"""Environment variable `<home>#<name>#<token>` of everything that the local cloud starts, inherited by children."""

_PROC = Path("/proc")
_LINUX = sys.platform == "linux"


class Proc(NamedTuple):
    """One process as the kernel sees it."""

    pid: int
    ppid: int
    pgid: int
    state: str
    start_time: str
    threads: int = 1

    @property
    def dead(self) -> bool:
        """A zombie only waits for its parent to notice; where nothing reaps orphans it stays for ever.

        One whose other threads still end is not dead: they hold its files and ports.
        """
        return self.state[:1] in ("Z", "X") and self.threads <= 1


class Marker(NamedTuple):
    """The value of the marker variable."""

    home: str
    name: str
    token: str

    def __str__(self) -> str:
        return "#".join(self)


def read(pid: int) -> Proc | None:
    """That process, a zombie too; None when there is none."""
    return _read_proc(pid) if _LINUX else next(iter(_ps(["-p", str(pid)])), None)


def table() -> dict[int, Proc]:
    """Every process of the computer by pid."""
    if not _LINUX:
        return {p.pid: p for p in _ps(["-ax"])}
    found = (_read_proc(int(name)) for name in os.listdir(_PROC) if name.isdigit())  # noqa: PTH208  half the time of iterdir
    return {p.pid: p for p in found if p is not None}


def markers(pids: Iterable[int]) -> dict[int, Marker]:
    """The markers of those of the processes that have one and that this user may look into."""
    if not _LINUX:
        wanted = set(pids)
        return {pid: marker for pid, marker in _ps_markers() if pid in wanted}
    found = ((pid, _read_marker(pid)) for pid in pids)
    return {pid: marker for pid, marker in found if marker is not None}


# ---------------------------------------------------------------- Linux


def _read_proc(pid: int) -> Proc | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:  # noqa: PTH123  three times as fast as Path.read_bytes
            stat = f.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, parentheses too; proc_pid_stat(5) counts the fields.
    fields = stat[stat.rindex(b")") + 2 :].split()
    start = f"{_boot_id()}:{int(fields[19])}"
    return Proc(pid, int(fields[1]), int(fields[2]), fields[0].decode(), start, int(fields[17]))


@functools.cache
def _boot_id() -> str:
    """Start times count from boot, so after a reboot the same figures may come again."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]


def _read_marker(pid: int) -> Marker | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:  # noqa: PTH123  as above
            environ = f.read()
    except OSError:
        return None
    prefix = f"{MARKER}=".encode()
    for item in environ.split(b"\0"):
        if item.startswith(prefix):
            return _parse(os.fsdecode(item[len(prefix) :]))
    return None


def _parse(value: str) -> Marker | None:
    parts = value.rsplit("#", 2)
    return Marker(*parts) if len(parts) == len(Marker._fields) else None


# ---------------------------------------------------------------- elsewhere


def _ps(which: list[str]) -> list[Proc]:
    columns = ["-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "stat=", "-o", "lstart="]
    rows = (line.split(None, 4) for line in _run_ps([*which, *columns]))
    return [
        Proc(int(pid), int(ppid), int(pgid), state, start.strip()) for pid, ppid, pgid, state, start in rows
    ]


def _ps_markers() -> list[tuple[int, Marker]]:
    pattern = re.compile(rf"^\s*(\d+) .*?\b{MARKER}=(.*?#[^#\s]+#[0-9a-f]+)")
    matches = (pattern.match(line) for line in _run_ps(["-axEww", "-o", "pid=", "-o", "command="]))
    found = ((int(m[1]), _parse(m[2])) for m in matches if m)
    return [(pid, marker) for pid, marker in found if marker is not None]


def _run_ps(args: list[str]) -> list[str]:
    import subprocess  # late: the launcher imports this module at every start of a process

    done = subprocess.run(
        ["ps", *args],
        env={"LC_ALL": "C", "PATH": "/bin:/usr/bin"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stdout.splitlines()
