"""Properties on the wire and inside: plain values, with marks for what is secret and for what is not known yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import empty_pb2, json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct  # ty: ignore[import-not-found]  generated when it is imported

Values = dict[str, Any]

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key that marks a value which JSON has no type for; its value says which."""
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  Pulumi's mark, not a secret
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class _Unknown:
    """What only an update will tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine must keep encrypted."""

    value: Any


def from_struct(struct: Message) -> Values:
    """What a request carries."""
    return {name: _inside(value) for name, value in json_format.MessageToDict(struct).items()}


def to_struct(values: Mapping[str, Any]) -> Message:
    """The same for an answer."""
    struct = Struct()
    struct.update({name: _outside(value) for name, value in values.items()})
    return struct


def empty() -> Message:
    """The answer that says nothing."""
    return empty_pb2.Empty()  # ty: ignore[missing-attribute]  generated when it is imported


def plain(value: Any) -> Any:
    """Without the marks of secrets; unknown values stay, absent ones (null) go."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {k: p for k, v in value.items() if (p := plain(v)) is not None}
    return [plain(v) for v in value] if isinstance(value, list) else value


def sealed(value: Any) -> Any:
    """For files: a digest in place of each secret, so that two can be compared and none can be read."""
    if isinstance(value, Secret):
        text = json.dumps(plain(value), sort_keys=True, default=repr)
        return {"secret_sha256": hashlib.sha256(text.encode()).hexdigest()}
    if value is UNKNOWN:
        return {"unknown": True}
    if isinstance(value, dict):
        if value.get(SIGNATURE) in (ASSET, ARCHIVE):
            return {"asset_sha256": value.get("hash", "")}
        return {k: sealed(v) for k, v in value.items() if v is not None}
    return [sealed(v) for v in value] if isinstance(value, list) else value


def has(value: Any, found: Callable[[Any], bool]) -> bool:
    """Whether a value or one inside it is `found`."""
    if found(value):
        return True
    if isinstance(value, Secret):
        return has(value.value, found)
    if isinstance(value, dict):
        return any(has(v, found) for v in value.values())
    return isinstance(value, list) and any(has(v, found) for v in value)


def is_unknown(value: Any) -> bool:
    """Whether a value, or a part of it, is not known yet."""
    return has(value, lambda v: v is UNKNOWN)


def is_secret(value: Any) -> bool:
    """Whether a value, or a part of it, is secret."""
    return has(value, lambda v: isinstance(v, Secret))


def _inside(value: Any) -> Any:
    if value == _UNKNOWN:
        return UNKNOWN
    if isinstance(value, float) and value.is_integer():
        return int(value)  # numbers arrive as floats
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return Secret(_inside(value.get("value")))
        return {k: _inside(v) for k, v in value.items()}
    return [_inside(v) for v in value] if isinstance(value, list) else value


def _outside(value: Any) -> Any:
    if value is UNKNOWN:
        return _UNKNOWN
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET, "value": _outside(value.value)}
    if isinstance(value, dict):
        return {k: _outside(v) for k, v in value.items()}
    return [_outside(v) for v in value] if isinstance(value, list) else value
