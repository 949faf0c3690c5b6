"""What is already on the machine of a copy, so that one that was interrupted goes on where it was.

Lines are only added, and a broken last one is left out: whatever ends the program, what was recorded is there. It holds
for one start of the machine, because files whose bytes had not reached the disk before a crash have their right size
and wrong content.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Record:
    """One target's. A `stamp` stands for the content of a file: another content has another one."""

    def __init__(self, path: Path, *, boot: Path = _BOOT) -> None:
        self._path = path
        self._whole: dict[str, str] = {}
        self._parts: dict[str, tuple[str, set[int]]] = {}
        try:
            now = boot.read_text().strip()
        except OSError:
            now = ""
        lines = self._lines()
        self._known = bool(now) and lines[:1] == [{"boot": now}]
        self._left = {str(line["name"]) for line in lines if "name" in line}
        if self._known:
            for line in lines[1:]:
                self._take(line)
        if not self._known:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")
            self._add({"boot": now})
            for name in sorted(self._left):
                self._add({"name": name, "stamp": ""})

    @property
    def names(self) -> set[str]:
        """All files that were ever begun here."""
        return self._left | self._whole.keys() | self._parts.keys()

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

    def close(self, *, kept: set[str]) -> None:
        """Forgets all but those; of a copy that is done."""
        lines = [{"boot": _first(self._lines())}]
        lines += [{"name": n, "stamp": s} for n, s in self._whole.items() if n in kept]
        new = self._path.with_suffix(".new")
        new.write_text("".join(json.dumps(line) + "\n" for line in lines))
        new.replace(self._path)

    def _add(self, line: dict[str, str | int]) -> None:
        self._take(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(line)}\n")  # the line before may have been cut off

    def _take(self, line: dict[str, str | int]) -> None:
        name, stamp, part = (line.get(k) for k in ("name", "stamp", "part"))
        if not isinstance(name, str) or not isinstance(stamp, str):
            return
        if isinstance(part, int):
            known, parts = self._parts.get(name, (stamp, set()))
            self._parts[name] = (stamp, (parts if known == stamp else set()) | {part})
        else:
            self._parts.pop(name, None)
            self._whole[name] = stamp

    def _lines(self) -> list[dict[str, str | int]]:
        found: list[dict[str, str | int]] = []
        with suppress(OSError):
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError):
                    read = json.loads(line)
                    if isinstance(read, dict):
                        found.append(read)
        return found


def _first(lines: list[dict[str, str | int]]) -> str | int:
    return lines[0].get("boot", "") if lines else ""
