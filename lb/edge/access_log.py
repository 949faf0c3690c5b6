"""Follows Envoy's access log through its rotations, and rotates it: Envoy itself would let it grow for ever.

Each line is given out once by one agent. A new agent begins at the end of the file: what was written before belongs to
the agent before it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import structlog

_log = structlog.get_logger()

LIMIT_BYTES = 64 * 1024 * 1024
"""A longer log becomes `<log>.1`, of which there is one."""
_CHUNK = 256 * 1024
_LONGEST_LINE = 1024 * 1024


class AccessLog:
    """The log at one path. Blocking, but never for long: a local file, a chunk at a time."""

    def __init__(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit = limit_bytes
        self._file: int | None = None
        self._inode: int | None = None
        self._at = 0
        self._rest = b""
        self._torn = False
        self._open(at_end=True)

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def lines(self) -> Iterator[list[bytes]]:
        """The whole lines that came since the last call, in portions; a line without its end waits for it."""
        if self._file is None:
            self._open(at_end=False)
        replaced = self._replaced()  # asked first: once the next file is there, nothing is added to this one
        yield from self._read()
        if replaced:
            self._open(at_end=False)
            yield from self._read()

    def missing(self) -> bool:
        """Whether there is no file at the path: Envoy then writes to one of another name, or none."""
        return not self._path.exists()

    def rotate(self) -> bool:
        """Puts a log that is too long aside; True when it did, and Envoy must be told to open the next one."""
        if self._file is None:
            self._open(at_end=False)  # it would be out of sight
        try:
            if self._path.stat().st_size <= self._limit:
                return False
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        except OSError as e:
            _log.warning("access_log_not_rotated", reason=str(e))
            return False
        _log.info("access_log_rotated", limit_bytes=self._limit)
        return True

    def _open(self, *, at_end: bool) -> None:
        self.close()
        self._rest, self._torn = b"", False
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # Envoy has not made it yet
        found = os.fstat(self._file)
        self._inode, self._at = found.st_ino, 0
        if at_end and found.st_size:
            self._at = found.st_size
            self._torn = os.pread(self._file, 1, found.st_size - 1) != b"\n"

    def _replaced(self) -> bool:
        if self._file is None:
            return False
        try:
            return self._path.stat().st_ino != self._inode
        except OSError:
            return False  # put aside; the next one is not there yet

    def _read(self) -> Iterator[list[bytes]]:
        if self._file is None:
            return
        if os.fstat(self._file).st_size < self._at:  # emptied in place by somebody
            self._at, self._rest, self._torn = 0, b"", False
        while chunk := os.pread(self._file, _CHUNK, self._at):
            self._at += len(chunk)
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            if self._torn and whole:  # the end of a line whose beginning was not for us
                del whole[0]
                self._torn = False
            if len(self._rest) > _LONGEST_LINE:
                self._rest, self._torn = b"", True
            yield whole
