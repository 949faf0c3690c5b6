"""What is mounted on this machine, and ending it: also what a program has left that was killed.

A mount outlives its program; then every look at it fails (`Transport endpoint is not connected`) until it is unmounted.
"""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_POINT = 4
"""The field of the mount point. https://docs.kernel.org/filesystems/proc.html"""
_TIMEOUT_S = 10.0


def is_mounted(path: Path) -> bool:
    """Whether something is mounted at exactly that path, alive or not; it is not looked into."""
    lines = _TABLE.read_text(errors="surrogateescape").splitlines()
    return any(
        _OCTAL.sub(lambda m: chr(int(m[1], 8)), line.split(" ")[_POINT]) == str(path) for line in lines
    )


def unmount(path: Path) -> None:
    """Takes all mounts at that path away, those that are still in use as soon as they are not."""
    for how in ((), ("--lazy",), ("--lazy",)):
        if not is_mounted(path):
            return
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["umount", *how, str(path)], stdin=subprocess.DEVNULL, check=False, timeout=_TIMEOUT_S
            )


class Made:
    """The mounts that were made here, remembered in a file until they are gone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def remember(self, paths: list[Path]) -> None:
        """Before they are made. Raises OSError."""
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps([str(p) for p in paths]))
        new.replace(self._path)

    def release(self) -> None:
        """Unmounts what there is of them."""
        try:
            paths = [Path(p) for p in json.loads(self._path.read_bytes())]
        except (OSError, ValueError, TypeError):
            return
        for path in reversed(paths):
            unmount(path)
        self._path.unlink(missing_ok=True)
