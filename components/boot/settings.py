"""A release's settings as the config file of its service: what the stack can't know is filled in here.

`secret:NAME` stands for the file of a secret, `state:NAME` for a place that survives a restart of the machine, `run:NAME`
for one that never reaches a disk, `release:NAME` for a file of this release, and `host:FIELD` for a fact of `host.json`
(null where it has none). So a pointer is the same for all hosts of a role.

    python3 settings.py   writes /etc/tradewind/<role>.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fetch

RELEASE = Path(__file__).resolve().parent.parent


def of_this_release() -> dict[str, Any]:
    """As the pointer named them when this release was fetched."""
    return json.loads((RELEASE / "pointer.json").read_bytes())["settings"]


def secrets(settings: dict[str, Any]) -> list[str]:
    """The names of the secrets that the settings speak of."""
    found: set[str] = set()

    def note(kind: str, rest: str) -> str:
        if kind == "secret":
            found.add(rest)
        return rest

    _walk(settings, note)
    return sorted(found)


def filled_in(settings: dict[str, Any], host: fetch.Host) -> dict[str, Any]:
    """The service's config."""
    folders = {
        "secret": fetch.ROOT / "run/tradewind/secrets",
        "state": fetch.ROOT / "var/lib/tradewind",
        "run": fetch.ROOT / "run/tradewind",
        "release": RELEASE,
    }

    def replace(kind: str, rest: str) -> Any:
        return host.get(rest) if kind == "host" else str(folders[kind] / rest)

    return _walk(settings, replace)


def _walk(value: Any, replace: Any) -> Any:
    if isinstance(value, dict):
        return {key: _walk(inner, replace) for key, inner in value.items()}
    if isinstance(value, list):
        return [_walk(inner, replace) for inner in value]
    if isinstance(value, str):
        kind, colon, rest = value.partition(":")
        if colon and kind in ("secret", "state", "run", "release", "host"):
            return replace(kind, rest)
    return value


def main() -> None:
    """Replaces the file as a whole."""
    host = fetch.read_host()
    path = fetch.ROOT / "etc/tradewind" / f"{host['role']}.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps(filled_in(of_this_release(), host), indent=1, sort_keys=True) + "\n")
    new.replace(path)


if __name__ == "__main__":
    main()
