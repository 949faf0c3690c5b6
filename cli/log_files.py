"""The logs of a local stack as files: which there are, their last lines, and what is added to them.

Files are replaced (a long log becomes `<log>.1` when its process starts, the access log while Envoy runs), and machines
come and go. So a file is followed by what is open until nothing more comes, then by its name anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from spec.errors import InputError, did_you_mean

BLOCK = 64 * 1024
LONGEST = 1024 * 1024
"""Bytes of a line without an end after which it counts as one."""
SHOWN_IDS = 5


@dataclass(frozen=True, order=True)
class Source:
    """One log. `name`: what its lines are marked with."""

    name: str
    path: Path


Choice = Callable[[], list[Source]]
"""The sources of this moment; asked again and again, because machines come and go."""


def processes(home: Path, *endings: str) -> list[Source]:
    """The logs of the stack's own processes whose names end so; all but the access log when no ending is given."""
    found = sorted((home / "logs").glob("*.log"))
    return [
        Source(path.stem, path)
        for path in found
        if (path.stem.endswith(endings) if endings else path.stem != "access")
    ]


def machines(home: Path) -> list[Source]:
    """What agents and engines of all machines write, those that are gone included."""
    return [s for folder in _folders(home) for s in _of_machine(folder)]


def machine(home: Path, replica: str) -> list[Source]:
    """Agent and engine of one replica, by its id or the end of it. Raises InputError where that is not exactly one."""
    ids = {folder.name: folder for folder in _folders(home)}
    wanted = replica.rpartition(":")[2]
    found = [wanted] if wanted in ids else [i for i in ids if wanted and i.endswith(wanted)]
    if len(found) == 1:
        return [s for i in gang_of(home, found[0]) if i in ids for s in _of_machine(ids[i])]
    if found:
        raise InputError(
            f"--replica {replica}: {len(found)} replicas end so: {_some(found)}; write more of it"
        )
    if not ids:
        raise InputError(f"--replica {replica}: no replica of this stack has logs yet")
    hint = did_you_mean(wanted, ids) or f"Newest first: {_some(sorted(ids, key=lambda i: -_age(ids[i])))}."
    raise InputError(
        f"--replica {replica}: has no logs here; the newest 20 of those that are gone are kept. {hint}"
    )


def gang_of(home: Path, instance: str) -> list[str]:
    """The machines that are one replica together with that one, when it is the first of them, whose id the replica has."""
    for path in (home / "state" / "assignments").glob("*.json"):
        try:
            gangs = [list(gang["nodes"]) for gang in json.loads(path.read_bytes()).get("gangs", ())]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for nodes in gangs:
            if nodes[:1] == [instance]:
                return nodes
    return [instance]


def _folders(home: Path) -> list[Path]:
    return sorted(f for f in (home / "machines").glob("*") if f.is_dir())


def _of_machine(folder: Path) -> list[Source]:
    return [Source(folder.name, folder / "log"), Source(f"{folder.name}/engine", folder / "engine.log")]


def _age(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:SHOWN_IDS]) + (", ..." if len(ids) > SHOWN_IDS else "")


def last_lines(path: Path, number: int, *, until: int | None = None) -> list[bytes]:
    """The last lines of a file, together with the one before it was replaced; none where there is no file.

    `until`: byte at which the file counts as ended; None = all of it.
    """
    lines = _tail(path, number, until)
    if len(lines) < number:
        lines = _tail(path.with_name(f"{path.name}.1"), number - len(lines)) + lines
    return lines


def _tail(path: Path, number: int, until: int | None = None) -> list[bytes]:
    try:
        with path.open("rb") as f:
            at = f.seek(0, os.SEEK_END) if until is None else until
            data = b""
            while at > 0 and data.count(b"\n") <= number:
                step = min(BLOCK, at)
                at -= step
                f.seek(at)
                data = f.read(step) + data
    except OSError:
        return []
    return data.splitlines()[-number:] if number else []


class Following:
    """What is added to one log from now on. `from_start`: what it holds already counts as added."""

    def __init__(self, path: Path, *, from_start: bool) -> None:
        self._path = path
        self._from_start = from_start
        self._file: IO[bytes] | None = None
        self._rest = b""
        self._open()

    @property
    def at(self) -> int:
        """The byte of the open file from which on lines count as added."""
        return self._file.tell() if self._file is not None else 0

    def new_lines(self) -> Iterator[bytes]:
        """Whole lines that came since the last call, over a replacement of the file too."""
        self._open()
        yield from self._read()
        if self._replaced():
            yield from self._read()  # written to the old one until just now
            self.close()
            if self._rest:
                yield self._rest
                self._rest = b""
            self._from_start = True
            self._open()
            yield from self._read()

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        if self._file is not None:
            return
        try:
            self._file = self._path.open("rb")
        except OSError:
            self._from_start = True  # whatever comes is new
            return
        if not self._from_start:
            self._file.seek(0, os.SEEK_END)

    def _read(self) -> Iterator[bytes]:
        if self._file is None:
            return
        if self._file.tell() > os.fstat(self._file.fileno()).st_size:
            self._file.seek(0)  # emptied in place
        while block := self._file.read(BLOCK):
            *lines, self._rest = (self._rest + block).split(b"\n")
            yield from lines
            if len(self._rest) > LONGEST:
                yield self._rest
                self._rest = b""

    def _replaced(self) -> bool:
        if self._file is None:
            return False
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            return True
