"""`commands/<id>.json`: what an operator asks of a service's rollout, from `tw` to the controller by way of the bucket."""

from __future__ import annotations

import secrets
import time
from enum import StrEnum
from typing import Literal

from pydantic import Field

from spec.base import Wire

FOLDER = "commands"

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: https://github.com/ulid/spec
_TIME_DIGITS, _RANDOM_DIGITS = 10, 16


class Action(StrEnum):
    """What an operator may ask of a service's rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


class WishFile(Wire):
    """The content of one such object."""

    schema_: Literal[1] = Field(1, alias="schema")
    service: str = Field(max_length=100)
    action: Action


def new_id() -> str:
    """A ULID: 26 characters that sort by the time at which they were made."""
    milliseconds = time.time_ns() // 1_000_000
    return _digits(milliseconds, _TIME_DIGITS) + _digits(secrets.randbits(5 * _RANDOM_DIGITS), _RANDOM_DIGITS)


def path_of(wish_id: str) -> str:
    """Where the wish of that id is in the bucket."""
    return f"{FOLDER}/{wish_id}.json"


def _digits(number: int, count: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(count)))
