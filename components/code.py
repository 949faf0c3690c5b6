"""Hashes of the code that a process runs: the input that makes an edit show up in a preview."""

from __future__ import annotations

import hashlib
from pathlib import Path

CONTROLLER = ("spec", "planner", "local", "engines/presets.py", "lb")
EDGE_AGENT = ("spec", "lb/__init__.py", "lb/__main__.py", "lb/edge", "lb/envoy")
_OTHERS = ("lb/agent", "lb/edge", "lb/envoy", "local/plugin", "local/traces")
"""Below the rooms of the controller, but never imported by it."""


def controller_hash(root: Path) -> str:
    """Of everything that the controller imports from the checkout, and of what pip installed."""
    return _hash(root, CONTROLLER, _OTHERS)


def edge_agent_hash(root: Path) -> str:
    """Of everything that the edge agent imports from the checkout, and of what pip installed."""
    return _hash(root, EDGE_AGENT, ())


def _hash(root: Path, rooms: tuple[str, ...], leave_out: tuple[str, ...]) -> str:
    digest = hashlib.sha256((root / "requirements.txt").read_bytes())
    skipped = tuple(root / name for name in leave_out)
    for room in rooms:
        top = root / room
        for path in sorted(top.rglob("*.py") if top.is_dir() else [top]) + sorted(top.rglob("*.lua")):
            if not any(path.is_relative_to(s) for s in skipped):
                digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
