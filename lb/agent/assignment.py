"""`assignments/<pool_id>.json`: which bundle each machine of a pool runs. The controller writes it."""

from __future__ import annotations

import json
import re

SCHEMA = 1
MAX_BYTES = 4 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class UnusableAssignment(Exception):
    """There is no assignment for this machine that it understands; the message says why."""


def key(pool_id: str) -> str:
    """Where the assignment of a pool is in the bucket."""
    return f"assignments/{pool_id}.json"


def bundle_for(raw: bytes, *, pool_id: str, instance_id: str) -> str:
    """The hash of the bundle that this machine shall run; raises UnusableAssignment."""
    try:
        content = json.loads(raw)
    except ValueError as e:
        raise UnusableAssignment(f"{key(pool_id)}: not JSON: {e}") from e
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise UnusableAssignment(f"{key(pool_id)}: schema {found!r}, but this agent reads {SCHEMA}")
    if content.get("pool_id") != pool_id:
        raise UnusableAssignment(f"{key(pool_id)}: it is for the pool {content.get('pool_id')!r}")
    instances = content.get("instances") or {}
    own = instances.get(instance_id) if isinstance(instances, dict) else None
    chosen = own or content.get("default")
    if chosen is None:
        raise UnusableAssignment(f"{key(pool_id)}: it names no bundle for this machine")
    if not isinstance(chosen, str) or not _SHA256.fullmatch(chosen):
        raise UnusableAssignment(f"{key(pool_id)}: {chosen!r} is not the SHA-256 of a bundle")
    return chosen
