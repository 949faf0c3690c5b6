"""One object in several forms: as arguments, as outputs, and as its cloud has it."""

from __future__ import annotations

from typing import Any

from tools.standins.sdk import ResourceType, Type
from tools.standins.wire import Secret, Values, plain, sealed


def without_notes(inputs: Values) -> Values:
    """Without what a provider noted in the arguments for itself."""
    return {k: v for k, v in inputs.items() if not k.startswith("__")}


def merged(values: Values, defaults: Values) -> Values:
    """`values` with `defaults` where nothing is given, also inside objects."""
    both = dict(values)
    for name, default in defaults.items():
        value = both.get(name)
        if value is None:
            both[name] = default
        elif isinstance(value, dict) and isinstance(default, dict):
            both[name] = merged(value, default)
    return both


def put_at(values: Values, path: str, value: Any) -> None:
    """Sets the value at a dotted path."""
    *parents, last = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def plausible(type_: Type, text: str) -> Any:
    """Something of the right type, for outputs that no table knows."""
    simple = {
        "string": text,
        "integer": 0,
        "number": 0,
        "boolean": False,
        "list": [],
        "map": {},
        "object": {},
    }
    if type_.kind == "enum":
        return type_.values[0]
    return plausible(type_.items[0], text) if type_.kind == "union" else simple.get(type_.kind)


def shaped(resource: ResourceType, values: Values) -> Values:
    """In the form of outputs: Azure takes some lists of ids, and gives back maps of what it knows of each."""
    fields = resource.outputs
    return {k: _shape(v, fields[k].type) if k in fields else v for k, v in values.items()}


def _shape(value: Any, type_: Type) -> Any:
    if isinstance(value, Secret):
        return Secret(_shape(value.value, type_))
    if type_.kind == "map" and isinstance(value, list):
        return {str(item): {} for item in value}
    if type_.kind == "list" and isinstance(value, list):
        return [_shape(item, type_.items[0]) for item in value]
    if type_.kind == "object" and isinstance(value, dict):
        fields = type_.fields()
        return {k: _shape(v, fields[k].type) if k in fields else v for k, v in value.items()}
    return value


def refreshed(values: Any, live: Any, *, add: bool) -> Any:
    """`values` with what differs live; `add`: also what they did not have. Digests of secrets are never copied."""
    if sealed(values) == live or (isinstance(live, dict) and {"secret_sha256", "asset_sha256"} & set(live)):
        return values
    if isinstance(values, dict) and isinstance(live, dict):
        notes = {k: v for k, v in values.items() if k.startswith("__")}
        known = {k: refreshed(v, live[k], add=add) for k, v in values.items() if k in live}
        return {**notes, **{k: v for k, v in live.items() if add and k not in values}, **known}
    if isinstance(values, list) and isinstance(live, list) and len(values) == len(live):
        return [refreshed(v, item, add=add) for v, item in zip(values, live, strict=True)]
    return live


def followed(arguments: Values, state: Values, now: Values, live: Values) -> Values:
    """Arguments with every value that is other `now` than in the state, in the form of arguments (`live`)."""
    given = dict(arguments)
    for name, value in live.items():
        before, after, mine = state.get(name), now.get(name), given.get(name)
        if before == after or isinstance(mine, Secret):
            continue
        if isinstance(value, dict) and isinstance(after, dict) and isinstance(mine, dict):
            given[name] = followed(mine, before if isinstance(before, dict) else {}, after, value)
        else:
            given[name] = plain(value)
    return given
