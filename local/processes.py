"""The processes of one stack: started once per name, known by pid and start time, ended without remains.

A process outlives whoever started it (`pulumi up`, a test, a controller), so what runs is written down in
`<home>/processes/` and checked against the kernel; nothing here is anybody's child. Everything started carries an
environment marker that its children inherit: what the registry lost, or a dead leader left behind, is still found.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import proctable
from local.files import TEMPORARY, locked, read_json
from local.proctable import MARKER, Marker, Proc

KINDS = ("controller", "edge-agent", "envoy", "machine")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names are file names too."""

_LAUNCHER = Path(__file__).with_name("launch.py")
_LAUNCH_DEADLINE_S = 30.0
_KILL_DEADLINE_S = 10.0
_LEFTOVER_GRACE_S = 1.0
_POLL_S = 0.02
_SCHEMA = 1


class ProcessError(Exception):
    """A process could not be started or ended; the message says which and why."""


@dataclass(frozen=True)
class Launch:
    """What to start. `env` is the whole environment: nothing is inherited. `log` gets stdout and stderr, appended."""

    name: str
    kind: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    log: str
    meta: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} can't name a process: letters, digits, `.`, `_`, `-`, at most 100"
            )
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of process, only {', '.join(KINDS)} are")
        if not self.argv:
            raise ValueError(f"process {self.name} has an empty argv")


@dataclass(frozen=True)
class Entry:
    """What was started. `launched_at`: epoch seconds; `start_time`: the kernel's, opaque; `pid` leads its group."""

    name: str
    kind: str
    pid: int
    start_time: str
    token: str
    launched_at: float
    meta: dict[str, str] = field(default_factory=dict)


class Registry:
    """The processes of one home; safe to use from several threads and programs at once."""

    def __init__(self, home: Path) -> None:
        self.home = Path(home).resolve()
        self._folder = self.home / "processes"

    # ------------------------------------------------------------ looking

    def entries(self) -> list[Entry]:
        """Everything written down, dead ones too, by name; unusable files are left out."""
        found = (self.get(path.stem) for path in sorted(self._folder.glob("[!.]*.json")))
        return [entry for entry in found if entry is not None]

    def get(self, name: str) -> Entry | None:
        """The entry of that name, whether or not it still runs."""
        raw = read_json(self._path(name))
        try:
            return None if raw is None else _entry(raw, name)
        except (KeyError, TypeError, ValueError):
            return None  # somebody else's file: like a lost entry, its process is found by the marker

    def alive(self, entry: Entry) -> bool:
        """Whether that very process runs; a zombie does not. Costs one read in /proc."""
        return running(entry.pid, entry.start_time)

    def anything_runs(self, name: str) -> bool:
        """Whether the process, or something that it started, runs; also when the registry lost its entry."""
        entry = self.get(name)
        return bool(self._members([] if entry is None else [entry], {name}))

    def forget_unusable(self) -> list[str]:
        """Removes entries that can't be read, torn or foreign; returns their names.

        Nothing is lost with them: their processes are found by the marker, as those of entries that are missing.
        """
        names = [p.stem for p in sorted(self._folder.glob("[!.]*.json")) if self.get(p.stem) is None]
        for name in names:
            self._path(name).unlink(missing_ok=True)
        return names

    # ------------------------------------------------------------ starting

    def launch(self, launch: Launch) -> Entry:
        """Starts it, or returns the one of that name that runs already; leftovers of a dead one are ended first.

        Returns when the program has been executed (about 50 ms), not when it is ready. Raises ProcessError.
        """
        with locked(self._lock(launch.name)) as lock_fd:
            entry = self.get(launch.name)
            if entry is not None and self.alive(entry):
                return entry
            self._end_members([launch.name], _LEFTOVER_GRACE_S)
            return self._start(launch, lock_fd)

    def _start(self, launch: Launch, lock_fd: int) -> Entry:
        token = secrets.token_hex(8)
        env = {
            **launch.env,
            MARKER: str(Marker(str(self.home), launch.name, token)),
            "SPT_NOENV": "1",  # setproctitle, as some engines use it, would write over the marker
        }
        written = {"schema": _SCHEMA, "name": launch.name, "kind": launch.kind, "token": token}
        order = {
            "argv": launch.argv,
            "env": env,
            "cwd": launch.cwd,
            "log": launch.log,
            "lock_fd": lock_fd,
            "entry_path": str(self._path(launch.name)),
            "entry": {**written, "meta": launch.meta},
        }
        answer = _run_launcher(json.dumps(order), env, lock_fd)
        if "error" in answer:
            self._lock(launch.name).unlink(missing_ok=True)
            raise ProcessError(f"{launch.name} can't be started: {answer['error']}")
        entry = self.get(launch.name)
        return entry or Entry(
            name=launch.name,
            kind=launch.kind,
            token=token,
            launched_at=time.time(),
            meta=launch.meta,
            pid=answer["pid"],
            start_time=answer["start_time"],
        )

    # ------------------------------------------------------------ ending

    def end(self, name: str, grace_s: float = 5.0) -> bool:
        """Ends the process with its group and everything that it started: SIGTERM, SIGKILL after `grace_s`; forgets it.

        Returns whether anything was still running; nothing there is fine. Raises ProcessError when something
        survives SIGKILL.
        """
        return bool(self.end_all([name], grace_s))

    def end_all(self, names: Iterable[str], grace_s: float = 5.0) -> list[str]:
        """Ends several at once, so that their graces run together; returns the names of which something ran."""
        names = sorted(set(names))
        with contextlib.ExitStack() as held:
            for name in names:  # always in the same order: two callers can't block each other
                held.enter_context(locked(self._lock(name)))
            ended = self._end_members(names, grace_s)
            for name in names:
                self._path(name).unlink(missing_ok=True)
                self._lock(name).unlink(missing_ok=True)
        return sorted(ended)

    def sweep(self, grace_s: float = 5.0) -> list[str]:
        """Ends everything that was ever started from this home, with or without an entry; returns the names.

        Takes no lock, so it also ends what is just being started; call it when nobody starts things any more.
        """
        ended = self._end_members(None, grace_s)
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.suffix in (".json", ".lock") or path.name.startswith(TEMPORARY):
                    path.unlink(missing_ok=True)
        return sorted(ended)

    def _end_members(self, names: list[str] | None, grace_s: float) -> set[str]:
        """Ends all processes of these names (None: of all); returns the names that had any."""
        wanted = None if names is None else set(names)
        ended: set[str] = set()

        def members() -> list[Proc]:
            entries = self.entries() if names is None else [e for e in map(self.get, names) if e is not None]
            found = self._members(entries, wanted)
            ended.update(found.values())
            return list(found)

        _end(members, grace_s)
        return ended

    def _members(self, entries: list[Entry], names: set[str] | None) -> dict[Proc, str]:
        """The living processes of these entries and names, each with the name that it belongs to.

        A group and its descendants are known while their leader is in the table (a zombie is enough: its pid can't
        have been used again). Everything else is known by its marker only.
        """
        table = proctable.table()
        leaders = {
            e.pid: e.name for e in entries if e.pid in table and table[e.pid].start_time == e.start_time
        }
        found: dict[int, str] = {}
        for pid, marker in proctable.markers(pid for pid, p in table.items() if not p.dead).items():
            if marker.home == str(self.home) and (names is None or marker.name in names):
                found[pid] = marker.name
        for pid, proc in table.items():
            leader = _leader(proc, table, leaders)
            if leader is not None:
                found.setdefault(pid, leader)
        found.pop(os.getpid(), None)
        return {table[pid]: name for pid, name in found.items() if not table[pid].dead}

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _lock(self, name: str) -> Path:
        return self._folder / f".{name}.lock"


def running(pid: int, start_time: str) -> bool:
    """Whether the process with that pid and start time is there and no zombie."""
    proc = proctable.read(pid)
    return proc is not None and proc.start_time == start_time and not proc.dead


def _leader(proc: Proc, table: dict[int, Proc], leaders: dict[int, str]) -> str | None:
    """The name of the leader whose group or whose descendant the process is."""
    seen: set[int] = set()
    current: Proc | None = proc
    while current is not None and current.pid not in seen:
        for pid in (current.pid, current.pgid):
            if pid in leaders:
                return leaders[pid]
        seen.add(current.pid)
        current = table.get(current.ppid)
    return None


def _end(members: Callable[[], list[Proc]], grace_s: float) -> None:
    """SIGTERM, time to end, SIGKILL until nobody is left."""
    alive = members()
    if alive and grace_s > 0:
        _signal(alive, signal.SIGTERM)
        _wait(lambda: any(running(p.pid, p.start_time) for p in alive), grace_s)
        alive = members()  # who was started meanwhile, too
    deadline = time.monotonic() + _KILL_DEADLINE_S
    while alive:
        if time.monotonic() > deadline:
            pids = ", ".join(str(p.pid) for p in alive)
            raise ProcessError(f"these processes do not end, not even by SIGKILL: {pids}")
        _signal(alive, signal.SIGKILL)
        killed = alive
        _wait(lambda killed=killed: any(running(p.pid, p.start_time) for p in killed), 1.0)
        alive = members()


def _signal(procs: list[Proc], number: signal.Signals) -> None:
    for proc in procs:
        if running(proc.pid, proc.start_time):
            with contextlib.suppress(ProcessLookupError):
                os.kill(proc.pid, number)


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    """Returns when the condition no longer holds, or after the time."""
    deadline = time.monotonic() + seconds
    while condition() and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _run_launcher(order: str, env: dict[str, str], lock_fd: int) -> dict:
    """Gives the order to the launcher; its answer is complete when the program has been executed."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LAUNCHER)],
        env=env,  # the launcher carries the marker from its first moment
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(lock_fd,),
        start_new_session=True,
    ) as launcher:
        try:
            out, err = launcher.communicate(order, timeout=_LAUNCH_DEADLINE_S)
        except subprocess.TimeoutExpired:
            launcher.kill()
            return {"error": f"the launcher did not answer within {_LAUNCH_DEADLINE_S:.0f} s"}
    answer: dict = {}
    for line in out.splitlines():
        answer |= json.loads(line)
    return answer or {"error": f"the launcher ended without an answer: {err.strip()[-500:]}"}


def _entry(raw: dict[str, Any], name: str) -> Entry:
    """Raises KeyError, TypeError or ValueError when the object is not an entry of that name."""
    if raw["schema"] != _SCHEMA or raw["name"] != name:
        raise ValueError(name)
    return Entry(
        name=name,
        kind=str(raw["kind"]),
        pid=int(raw["pid"]),
        start_time=str(raw["start_time"]),
        token=str(raw["token"]),
        launched_at=float(raw["launched_at"]),
        meta=dict(raw["meta"]),
    )
