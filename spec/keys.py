"""Callers' API keys: made here, kept in clear only in a file of mode 0600, known by hash everywhere else."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from pydantic import ValidationError

from spec.errors import InputError
from spec.snapshot import Key, Keys

PREFIX = "sk-tw-"
"""Recognisable to secret scanners, and to a person who finds one in a log."""


def new_key() -> str:
    """A key of 256 random bits: too long to guess, so a plain hash of it protects it."""
    return PREFIX + secrets.token_urlsafe(32)


def hashed(key: str, *, key_id: str) -> Key:
    """What the stack, the state bucket and the edges know of a key."""
    return Key(id=key_id, sha256=hashlib.sha256(key.encode()).hexdigest())


def read_keys(path: Path) -> Keys:
    """Reads hashes of keys from a JSON file. Raises InputError."""
    try:
        return Keys.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no API key yet ({path} is missing); `./tw up` makes one") from None
    except (OSError, ValidationError) as e:
        raise InputError(f"{path} can't be read; delete it and run ./tw up to make it again: {e}") from None
