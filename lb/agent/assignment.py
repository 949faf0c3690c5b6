"""`assignments/<pool_id>.json`: which bundle each machine of a pool runs, and with which others. The controller writes it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

SCHEMA = 1
MAX_BYTES = 4 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class UnusableAssignment(Exception):
    """There is no assignment for this machine that it understands; the message says why."""


@dataclass(frozen=True)
class Gang:
    """The machines that are one replica together with this one, which has the `rank`; `head` is the instance of rank 0."""

    head: str
    rank: int
    ips: tuple[str, ...]


@dataclass(frozen=True)
class Assignment:
    """What this machine shall do: the hash of its bundle; and its gang, None while it is in none."""

    bundle: str
    gang: Gang | None = None


def key(pool_id: str) -> str:
    """Where the assignment of a pool is in the bucket."""
    return f"assignments/{pool_id}.json"


def read(raw: bytes, *, pool_id: str, instance_id: str) -> Assignment:
    """What this machine shall do; raises UnusableAssignment."""
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
    return Assignment(chosen, _gang(content.get("gangs") or [], pool_id, instance_id))


def _gang(gangs: Any, pool_id: str, instance_id: str) -> Gang | None:
    try:
        gang = next((g for g in gangs if instance_id in g["nodes"]), None)
        nodes, ips = (list(gang["nodes"]), tuple(gang["ips"])) if gang else ([], ())
    except (TypeError, KeyError) as e:
        raise UnusableAssignment(f"{key(pool_id)}: gangs: {gangs!r} is not what this agent expects") from e
    if len(nodes) != len(ips) or not all(isinstance(x, str) and x for x in (*nodes, *ips)):
        raise UnusableAssignment(f"{key(pool_id)}: gangs: {gang!r} does not have one address for each node")
    return Gang(nodes[0], nodes.index(instance_id), ips) if nodes else None
