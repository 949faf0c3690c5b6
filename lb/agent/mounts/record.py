"""What is already on the machine of a copy, so that one that was interrupted goes on where it was.

Lines are only added, and a broken one is left out: whatever ends the program, what was recorded is there. It holds for one
start of the machine, because files whose bytes had not reached the disk before a crash have their right size and wrong
content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Record:
    """One target's. A `stamp` stands for the content of a file: another content has another one.

    Args:
        path: the file; made when it is not there. Raises OSError.
        target: what it is about; "" = as the file says.

    """

    def __init__(self, path: Path, *, target: str = "", boot: Path = _BOOT) -> None:
        self._path = path
        self._whole: dict[str, str] = {}
        self._parts: dict[str, tuple[str, set[int]]] = {}
        head, *lines = [*_lines(path)] or [{}]
        self._head = {"target": target or str(head.get("target", "")), "boot": _start(boot)}
        for line in lines:
            self._take(line)
        if head != self._head or not self._head["boot"]:  # of another start of the machine
            self._whole = dict.fromkeys(self.names, "")
            self._parts = {}
            self._write()

    @property
    def target(self) -> str:
        """Where the files are."""
        return self._head["target"]

    @property
    def names(self) -> set[str]:
        """All files that were ever begun here."""
        return self._whole.keys() | self._parts.keys()

    def is_whole(self, name: str, stamp: str) -> bool:
        """Whether the file was finished with that content."""
        return self._whole.get(name) == stamp

    def parts(self, name: str, stamp: str) -> set[int]:
        """The parts of that content which have been written."""
        known, parts = self._parts.get(name, ("", set()))
        return set(parts) if known == stamp else set()

    def add_part(self, name: str, stamp: str, number: int) -> None:
        """Remembers one part. Raises OSError."""
        self._add({"name": name, "stamp": stamp, "part": number})

    def add_whole(self, name: str, stamp: str) -> None:
        """Remembers that a file is finished. Raises OSError."""
        self._add({"name": name, "stamp": stamp})

    def keep(self, names: set[str]) -> None:
        """Forgets all others; of a copy that is done. Raises OSError."""
        self._whole = {name: stamp for name, stamp in self._whole.items() if name in names}
        self._parts = {}
        self._write()

    def _add(self, line: dict[str, str | int]) -> None:
        self._take(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(line)}\n")  # the line before may have been cut off

    def _write(self) -> None:
        lines = [self._head, *({"name": n, "stamp": s} for n, s in self._whole.items())]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        new.replace(self._path)

    def _take(self, line: dict[str, Any]) -> None:
        name, stamp, part = (line.get(k) for k in ("name", "stamp", "part"))
        if not isinstance(name, str) or not isinstance(stamp, str):
            return
        if isinstance(part, int):
            known, parts = self._parts.get(name, (stamp, set()))
            self._parts[name] = (stamp, (parts if known == stamp else set()) | {part})
        else:
            self._parts.pop(name, None)
            self._whole[name] = stamp


def _start(boot: Path) -> str:
    """Another text after each start of the machine; "" where nobody says."""
    try:
        return boot.read_text().strip()
    except OSError:
        return ""


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found
