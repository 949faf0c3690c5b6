"""The last snapshot that this edge accepted, on its own disk: it starts on that when nobody answers.

It also holds the epoch below which nothing is accepted any more, across restarts.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lb.edge.write import write_file
from spec.snapshot import Snapshot

_FILE = "snapshot.json"


def load(directory: Path) -> Snapshot | None:
    """The last snapshot; None when there is none or it can't be read."""
    try:
        return Snapshot.model_validate_json((directory / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def save(directory: Path, snapshot: Snapshot) -> None:
    """Keeps it for the next start."""
    write_file(directory / _FILE, snapshot.model_dump_json(indent=1) + "\n")
