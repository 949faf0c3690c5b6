"""Files as Envoy must see them: whole, private, and by rename, which is the only thing that it watches for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from lb.envoy.order import Remove, Write

_TEMPORARY = ".new"


def write_file(path: Path, text: str) -> None:
    """Replaces the file as a whole, readable by its owner only; it survives a crash of the computer."""
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def carry_out(folder: Path, steps: Iterable[Write | Remove]) -> int:
    """Takes the steps in their order; gives their number. Raises OSError, e.g. when the disk is full."""
    taken = 0
    for step in steps:
        if isinstance(step, Write):
            write_file(folder / step.file, step.text)
        else:
            (folder / step.file).unlink(missing_ok=True)
        taken += 1
    return taken


def read_files(folder: Path) -> dict[str, str]:
    """Name -> text of the files that are there; what can't be read counts as absent, so it is written anew."""
    found: dict[str, str] = {}
    for path in folder.iterdir():
        if path.name.endswith(_TEMPORARY):
            path.unlink(missing_ok=True)  # of a run that was killed while it wrote
        elif path.suffix == ".json":
            with contextlib.suppress(OSError, UnicodeDecodeError):
                found[path.name] = path.read_text(encoding="utf-8")
    return found


def make_private(folder: Path) -> None:
    """Makes the folder, or takes everybody else's rights to it away."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
