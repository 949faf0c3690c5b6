"""Properties of resources as plain values: what is missing, and what a preview can't know, is told and never guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Unpriceable(ValueError):
    """Why a resource's cost can't be told."""


def walk(props: Any, path: str) -> Any:
    """What is at a dotted path, still able to say that it is unknown; None where nothing is.

    Raises UnknownValueError for what is on the way, whatever is unknown beside it.
    """
    found = props
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in set(found):  # `in` alone would ask for the value
            return None
        found = found[part]
    return found


def given(props: Mapping[str, Any], path: str, otherwise: str | None = None) -> Any:
    """The plain value of a property that must be there, or of one inside of it: `policy.template.overrides`.

    Pulumi drops nulls. Raises Unpriceable, and UnknownValueError for that property.
    """
    value = plain(walk(props, path))
    if value is None:
        raise Unpriceable(otherwise or f"it has no {path}.")
    return value


def plain(value: Any) -> Any:
    """Without the wrappers that raise UnknownValueError: raises it here, for any unknown part."""
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value
