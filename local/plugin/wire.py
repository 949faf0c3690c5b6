"""Properties on the wire: protobuf structs outside, plain dictionaries inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import empty_pb2, json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct  # ty: ignore[import-not-found]  generated when it is imported

from local.plugin.resource import Properties


def from_struct(struct: Message) -> Properties:
    """A copy; unknown values of a preview stay Pulumi's sentinel."""
    return {name: _integers(value) for name, value in json_format.MessageToDict(struct).items()}


def to_struct(properties: Mapping[str, Any]) -> Message:
    """The same as the engine reads it."""
    struct = Struct()
    struct.update(properties)
    return struct


def empty() -> Message:
    """The answer that says nothing."""
    return empty_pb2.Empty()  # ty: ignore[missing-attribute]  generated when it is imported


def _integers(value: Any) -> Any:
    """JSON numbers arrive as floats; whole ones are integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {k: _integers(v) for k, v in value.items()}
    return [_integers(v) for v in value] if isinstance(value, list) else value
