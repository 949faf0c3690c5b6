"""Secrets of a local stack: made once, each in a file of mode 0600, never in arguments, state or logs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from cli.context import Context
from local.files import write_atomic
from spec.keys import hashed, new_key
from spec.snapshot import Keys

KEY_ID = "default"


def ensure(context: Context) -> str:
    """Makes what is missing or empty, and returns the caller's API key."""
    folder = context.home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    context.home.chmod(0o700)  # bundles, logs and the state hold what services are given and are asked
    _ensure(folder / "controller-token", lambda: secrets.token_urlsafe(32))
    key = _ensure(context.key_file, new_key)
    keys = Keys(keys=(hashed(key, key_id=KEY_ID),)).model_dump_json().encode()
    path = context.home / "keys.json"
    if not path.exists() or path.read_bytes() != keys:
        write_atomic(path, keys, mode=0o600)
    return key


def _ensure(path: Path, make: Callable[[], str]) -> str:
    """An empty secret would let everybody in, so it counts as missing."""
    value = path.read_text().strip() if path.exists() else ""
    if not value:
        value = make()
        write_atomic(path, value.encode() + b"\n", mode=0o600, durable=True)
    return value
