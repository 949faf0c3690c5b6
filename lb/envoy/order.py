"""In which order files must change, so that no request ever meets a half-made configuration.

Envoy follows each file by itself. A route must not name a cluster before it exists, nor a cluster a file of endpoints
that is not there: so endpoints, clusters, routes when something is added, and the reverse when something goes. A service
that loses its last endpoint does so after its route has learned to hold requests, and it gets its first one before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lb.envoy.names import BODY_LIMIT_FILE, CDS_FILE, KEYS_FILE, RDS_FILE


@dataclass(frozen=True)
class Write:
    """Replace the file by this text, by rename."""

    file: str
    text: str


@dataclass(frozen=True)
class Remove:
    """Remove the file."""

    file: str


def steps(old: Mapping[str, str], new: Mapping[str, str]) -> list[Write | Remove]:
    """What leads from the files `old` to the files `new`; only what differs is touched.

    While services come and go in one change, the clusters of both are there until the routes have changed. Keys go
    first: a revoked one must not wait.
    """
    found: list[Write | Remove] = []

    def write(file: str, text: str, *, before: str | None) -> None:
        if text != before:
            found.append(Write(file, text))

    ordered = (CDS_FILE, RDS_FILE, KEYS_FILE, BODY_LIMIT_FILE)
    for file in (KEYS_FILE, BODY_LIMIT_FILE):
        write(file, new[file], before=old.get(file))
    endpoints = sorted(new.keys() - set(ordered))
    last = [file for file in endpoints if file in old and not _serves(new[file])]
    for file in endpoints:
        if file not in last:
            write(file, new[file], before=old.get(file))
    both = _clusters_of_both(old.get(CDS_FILE), new[CDS_FILE])
    write(CDS_FILE, both, before=old.get(CDS_FILE))
    write(RDS_FILE, new[RDS_FILE], before=old.get(RDS_FILE))
    write(CDS_FILE, new[CDS_FILE], before=both)
    for file in last:
        write(file, new[file], before=old.get(file))
    found.extend(Remove(file) for file in sorted(old.keys() - new.keys()))
    return found


def _serves(text: str) -> bool:
    """Whether a file of endpoints has one that takes new requests."""
    localities = json.loads(text)["resources"][0].get("endpoints", [])
    return any(e["health_status"] == "HEALTHY" for place in localities for e in place["lb_endpoints"])


def _clusters_of_both(old: str | None, new: str) -> str:
    """The new clusters, and after them the old ones that have no place in the new file."""
    resources = json.loads(new)["resources"]
    names = {r["name"] for r in resources}
    try:
        leaving = [r for r in json.loads(old)["resources"] if r["name"] not in names] if old else []
    except (ValueError, KeyError, TypeError):
        return new  # somebody else's or torn: nothing in it is worth keeping
    if not leaving:
        return new
    return json.dumps({"resources": [*resources, *leaving]}, indent=1, sort_keys=True) + "\n"
