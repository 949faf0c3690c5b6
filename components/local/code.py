"""The hash of the code that controller and edge agents run: the input that makes an edit show up in a preview.

One hash of every room that they may import, instead of a list per process that would go stale in silence: a restart
too many costs a second and no request, one too few leaves old code running.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOMS = ("spec", "planner", "local", "engines", "lb")


def code_hash(root: Path, settings: str) -> str:
    """Of the rooms, of what pip installed, and of the settings that a process reads at its start."""
    digest = hashlib.sha256((root / "requirements.txt").read_bytes())
    digest.update(settings.encode() + b"\0")
    for room in ROOMS:
        for path in sorted(
            p for p in (root / room).rglob("*") if p.suffix in (".py", ".lua", ".html", ".css", ".js")
        ):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
