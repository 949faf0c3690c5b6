"""State on disk that several processes share: whole or not at all, and changed by one at a time.

Every writer goes through a temporary file and a rename, so a reader never sees half a file; who reads, changes
and writes back holds an flock. Locks are advisory and die with their holder, so a killed program leaves none.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp-"
"""Prefix of the files that a killed writer may leave behind."""


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Replaces the file in one step; `durable` also survives a power loss (fsync of file and folder).

    Makes the folder when it is missing. The mode holds from the first byte. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY}{os.urandom(8).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as f:
            os.fchmod(fd, mode)
            f.write(content)
            f.flush()
            if durable:
                os.fsync(fd)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Atomic, private (0600), not fsynced: what the local cloud's files describe does not survive a power loss."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n", mode=0o600)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file; None when it is missing, or unusable (torn, foreign), which is logged by name."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        warn(f"{path} can't be read and is ignored: {e}")
        return None
    if not isinstance(value, dict):
        warn(f"{path} does not hold a JSON object and is ignored")
        return None
    return value


_said: set[str] = set()


def warn(message: str) -> None:
    """Says on the log of the local cloud what was found and left alone; once, however often it is found."""
    import logging  # late: the launcher imports this module at every start of a process

    if message in _said:
        return
    _said.add(message)
    logging.getLogger("tradewind.local").warning(message)


@contextlib.contextmanager
def locked(path: Path) -> Generator[int]:
    """Holds the lock file exclusively, among threads too; yields its descriptor.

    The descriptor may be handed to a child: the lock then lasts until the child closes it as well. The holder
    may remove the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_still(path, fd):
                yield fd
                return
        finally:
            os.close(fd)


def _is_still(path: Path, fd: int) -> bool:
    """Whether the path names the file that was locked: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
