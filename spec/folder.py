"""Folders of this computer that a bundle takes along: small, and the same bytes wherever they are read.

What changes without the service changing is left out, a link must stay inside, and anything but files and links is
refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spec.errors import Problem, SpecError

MAX_BYTES = 64 * 1024 * 1024
MAX_FILES = 10_000
LEFT_OUT = frozenset({".git", ".tradewind", "__pycache__"})
"""What changes without the service changing; `.tradewind` also holds keys."""


@dataclass(frozen=True)
class Entry:
    """One file or link. `name`: how the archive calls it, after the folder's own name there."""

    name: str
    content: bytes = b""
    mode: int = 0o644
    link: str = ""


@dataclass(frozen=True)
class Folder:
    """`written`: the folder as the field of the service file names it, looked for beside that file. `links`: whether it may
    hold symbolic links; one that may not may also be a single file.
    """

    file: str
    field: str
    written: str
    links: bool = True

    def entries(self) -> Iterator[Entry]:
        """Files and links, sorted by name. Raises SpecError."""
        root = (Path(self.file).parent / Path(self.written).expanduser()).resolve()
        if not self.links and root.is_file():
            yield self._bounded(self._entry(root, root, "", room=MAX_BYTES), size=0, count=0)
            return
        if not root.is_dir():
            hint = "It is looked for beside the service file."
            raise self._error(f"there is no directory `{self.written}`.", hint)
        size = 0
        for count, path in enumerate(sorted(self._paths(root))):
            name = path.relative_to(root).as_posix()
            entry = self._entry(root, path, f"/{name}", room=MAX_BYTES - size)
            yield self._bounded(entry, size=size, count=count)
            size += len(entry.content)

    def _bounded(self, entry: Entry, *, size: int, count: int) -> Entry:
        if size + len(entry.content) > MAX_BYTES or count >= MAX_FILES:
            hint = "Fetch large files in `setup`, or put them into a bucket and name that in `file_mounts`."
            limits = f"{MAX_BYTES // 2**20} MiB or {MAX_FILES:,} files"
            raise self._error(f"`{self.written}` has more than {limits}.", hint)
        return entry

    def _paths(self, root: Path) -> Iterator[Path]:
        def refuse(error: OSError) -> None:
            raise self._error(f"`{error.filename}` can't be read: {error.strerror}.") from error

        for folder, folders, files in os.walk(root, onerror=refuse):
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            folders[:] = [name for name in folders if name not in LEFT_OUT and name not in links]
            names = (name for name in (*files, *links) if name not in LEFT_OUT)
            yield from (Path(folder) / name for name in names)

    def _entry(self, root: Path, path: Path, name: str, *, room: int) -> Entry:
        try:
            name.encode()
            if path.is_symlink() and self.links:
                return Entry(name, mode=0o777, link=self._link(root, path, name))
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                what = "neither a file nor a link" if self.links else "no file"
                raise self._error(f"`{_shown(name)}` is {what}.", "Move it out of the directory.")
            with path.open("rb") as f:
                content = f.read(room + 1)
        except (OSError, UnicodeEncodeError) as e:
            reason = e.strerror if isinstance(e, OSError) else "its name is not UTF-8"
            raise self._error(f"`{ascii(_shown(name))[1:-1]}` can't be read: {reason}.") from e
        return Entry(name, content, mode=0o755 if status.st_mode & stat.S_IXUSR else 0o644)

    def _link(self, root: Path, path: Path, name: str) -> str:
        target = path.readlink()
        end = os.path.realpath(path.parent / target)  # unlike Path.resolve it does not mind a circle
        inside = not target.is_absolute() and Path(end).is_relative_to(root)
        if not inside:
            hint = "Replace the link by what it points to."
            raise self._error(f"the link `{_shown(name)}` points out of `{self.written}`.", hint)
        return target.as_posix()

    def _error(self, message: str, hint: str | None = None) -> SpecError:
        return SpecError([Problem(self.file, self.field, message, value=self.written, hint=hint)])


def _shown(name: str) -> str:
    return name.removeprefix("/")
