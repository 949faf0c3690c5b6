"""What differs between two sets of arguments, property by property, and which changes need a new object."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.standins.wire import SIGNATURE, UNKNOWN, Secret


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Path -> `add`, `delete` or `update`, as Pulumi writes paths. A value that is not known yet is a change."""
    return dict(_objects(old, new, ""))


def pattern(path: str) -> str:
    """The path without positions: `disks[0].source` -> `disks.source`, as the tables write it."""
    return re.sub(r"\[\d+\]", "", path)


def _objects(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name in sorted({*old, *new}):
        if name.startswith("__"):
            continue
        key = name if re.fullmatch(r"[A-Za-z_][\w-]*", name) else f'["{name}"]'
        here = key if not path else f"{path}{key}" if key[0] == "[" else f"{path}.{key}"
        yield from _values(old.get(name), new.get(name), here)


def _values(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    old, new = _open(old), _open(new)
    if new is UNKNOWN:
        yield path, "update" if old is not None else "add"
    elif old == new:
        return
    elif old is None:
        yield path, "add"
    elif new is None:
        yield path, "delete"
    elif isinstance(old, dict) and isinstance(new, dict):
        if SIGNATURE in old or SIGNATURE in new:  # an asset: its hash is what it is
            if old.get("hash") != new.get("hash"):
                yield path, "update"
        else:
            yield from _objects(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        for number in range(max(len(old), len(new))):
            before = old[number] if number < len(old) else None
            after = new[number] if number < len(new) else None
            yield from _values(before, after, f"{path}[{number}]")
    else:
        yield path, "update"


def _open(value: Any) -> Any:
    return value.value if isinstance(value, Secret) else value
