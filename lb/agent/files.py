"""Files that another program reads while they change: replaced whole, and for nobody else to read."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PrivateFolder:
    """`owner`: the user who reads it beside this one; None = nobody."""

    path: Path
    owner: str | None = None

    def make(self) -> None:
        """Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self._give(self.path)

    def write(self, name: str, content: str | bytes) -> Path:
        """Makes the file hold that, so that nobody ever reads half of it; nothing happens when it did already. Raises OSError."""
        path, data = self.path / name, content.encode() if isinstance(content, str) else content
        if path.exists() and path.read_bytes() == data:
            return path
        new = self.path / f".{name}.new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        self._give(new)
        return new.replace(path)

    def _give(self, path: Path) -> None:
        if self.owner is not None:
            shutil.chown(path, self.owner)
