"""Secrets of a local stack: made once, each in a file of mode 0600, never in arguments, state or logs."""

from __future__ import annotations

import secrets
from pathlib import Path

from cli.context import Context
from local.files import write_atomic
from spec.keys import hashed, new_key
from spec.snapshot import Keys

KEY_ID = "default"


def ensure(context: Context) -> str:
    """Makes what is missing, and returns the caller's API key."""
    context.home.mkdir(parents=True, exist_ok=True)
    folder = context.home / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    token = folder / "controller-token"
    if not token.exists():
        _write(token, secrets.token_urlsafe(32))
    if not context.key_file.exists():
        _write(context.key_file, new_key())
    key = context.key_file.read_text().strip()
    keys = Keys(keys=(hashed(key, key_id=KEY_ID),)).model_dump_json().encode()
    path = context.home / "keys.json"
    if not path.exists() or path.read_bytes() != keys:
        write_atomic(path, keys, mode=0o600)
    return key


def _write(path: Path, value: str) -> None:
    write_atomic(path, value.encode() + b"\n", mode=0o600, durable=True)
