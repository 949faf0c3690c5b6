"""The inputs of a resource, declared once: checked, compared and published from the same declaration."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pulumi.runtime.rpc import UNKNOWN

Type = Literal["string", "integer", "number", "list", "map"]

_WORDS: dict[Type, str] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "list": "a list of texts",
    "map": "texts by name",
}


@dataclass(frozen=True)
class Field:
    """One input. `replaces`: a change makes a new resource. `minimum`, `maximum` and `choices` limit the value."""

    name: str
    type: Type
    required: bool = False
    default: Any = None
    replaces: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def problem(self, value: Any) -> str | None:
        """What is wrong with the value, or None. What a preview does not know yet is right."""
        if unknown(value):
            return None
        if not _is(self.type, value):
            return f"expected {_WORDS[self.type]}, got {_shown(value)}"
        if self.minimum is not None and value < self.minimum:
            return f"must be at least {self.minimum:g}, got {value:g}"
        if self.maximum is not None and value > self.maximum:
            return f"must be at most {self.maximum:g}, got {value:g}"
        if self.choices and value not in self.choices:
            near = _near(value, self.choices)
            return f"must be one of {', '.join(self.choices)}, got {value!r}{near}"
        return None


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong with the inputs, as the engine shows it."""

    property: str
    reason: str


def unknown(value: Any) -> bool:
    """Whether a preview does not know the value, or a part of it, yet."""
    if isinstance(value, dict):
        return any(unknown(v) for v in value.values())
    if isinstance(value, list):
        return any(unknown(v) for v in value)
    return value == UNKNOWN


def check(
    fields: tuple[Field, ...], outputs: Collection[str], raw: Mapping[str, Any], type_name: str
) -> tuple[dict[str, Any], list[Failure]]:
    """The inputs with their defaults, and everything that is wrong with them.

    A null counts as left out, and so do the resource's outputs, which an SDK may send along as placeholders.
    """
    given = {k: v for k, v in raw.items() if v is not None and k not in outputs and not k.startswith("__")}
    known = {f.name for f in fields}
    failures = [
        Failure(name, f"is not a property of {type_name}{_near(name, known)}")
        for name in given
        if name not in known
    ]
    inputs: dict[str, Any] = {}
    for field in fields:
        value = given.get(field.name, field.default)
        if value is None:
            if field.required:
                failures.append(Failure(field.name, f"is missing: {type_name} needs it"))
            continue
        inputs[field.name] = value
        if problem := field.problem(value):
            failures.append(Failure(field.name, problem))
    return inputs, failures


def compare(
    fields: tuple[Field, ...], olds: Mapping[str, Any], news: Mapping[str, Any]
) -> dict[str, tuple[str, Field]]:
    """The exact places that differ: property path -> ('add' | 'delete' | 'update', field)."""
    changed: dict[str, tuple[str, Field]] = {}
    for field in fields:
        for path, kind in _differences(field.name, olds.get(field.name), news.get(field.name)):
            changed[path] = (kind, field)
    return changed


def schema_type(field: Field) -> dict[str, Any]:
    """The field's type in a Pulumi package schema."""
    if field.type == "list":
        return {"type": "array", "items": {"type": "string"}}
    if field.type == "map":
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": field.type}


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, str]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(f'{path}["{key}"]', old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            yield from _differences(f"{path}[{i}]", _at(old, i), _at(new, i))
    else:
        yield path, "add" if old is None else "delete" if new is None else "update"


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _is(type_: Type, value: Any) -> bool:
    if type_ == "string":
        return isinstance(value, str)
    if type_ == "list":
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    if type_ == "map":
        return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    return type_ == "number" or isinstance(value, int)


def _shown(value: Any) -> str:
    """The kind of a list or map, never its values: an environment may hold what nobody should read."""
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "a map"
    return repr(value)[:80]


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""
