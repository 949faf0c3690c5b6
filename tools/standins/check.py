"""Judges values by the SDK's types: unknown and missing properties, wrong types, values that an enum doesn't have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.standins.sdk import Field, Sdk, Type
from tools.standins.wire import ARCHIVE, ASSET, SIGNATURE, UNKNOWN, Secret

_OF_THE_ENGINE = {"__internal", "__defaults", "version", "pluginDownloadURL"}
_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "list": list,
    "map": dict,
    "object": dict,
}


@dataclass(frozen=True)
class Failure:
    """One reason to refuse. `path`: of the property, as Pulumi writes it: `tags[0].key`."""

    path: str
    reason: str


def check(sdk: Sdk, fields: Mapping[str, Field], values: Mapping[str, Any]) -> list[Failure]:
    """Everything that is wrong with the arguments of a resource, a function or a provider."""
    return list(_object(sdk, fields, values, ""))


def near(name: str, names: list[str]) -> str:
    """` (did you mean x?)`, or the names there are when there are few, or nothing."""
    folded = {n.lower().replace("_", ""): n for n in names}
    close = difflib.get_close_matches(name.lower().replace("_", ""), list(folded), 1, 0.6)
    if close:
        return f"; did you mean {folded[close[0]]}?"
    return f"; there are {', '.join(sorted(names))}" if 0 < len(names) <= 10 else ""


def _object(sdk: Sdk, fields: Mapping[str, Field], values: Mapping[str, Any], path: str) -> Iterator[Failure]:
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        if name in fields:
            yield from _value(sdk, fields[name].type, value, here)
        elif name not in _OF_THE_ENGINE and value is not None:
            yield Failure(here, f"{name} is no property here{near(name, list(fields))}")
    for name, field in fields.items():
        if field.required and _open(values.get(name)) is None:
            here = f"{path}.{name}" if path else name
            python = "" if name == field.python else f" ({field.python})"
            yield Failure(here, f"{name}{python} is required: {field.type}")


def _value(sdk: Sdk, type_: Type, value: Any, path: str) -> Iterator[Failure]:
    value = _open(value)
    if value is None or value is UNKNOWN or type_.kind == "any":
        return
    if type_.kind == "union":
        reasons = [list(_value(sdk, option, value, path)) for option in type_.items]
        if all(reasons):  # none fits: the option that came nearest says why
            yield from min(reasons, key=lambda r: (any(f.path == path for f in r), len(r)))
        return
    if type_.kind == "asset":
        if not (isinstance(value, dict) and value.get(SIGNATURE) in (ASSET, ARCHIVE)):
            yield _wrong(type_, value, path)
    elif type_.kind == "enum":
        yield from _choice(sdk, type_, value, path)
    elif not isinstance(value, _KINDS[type_.kind]) or (isinstance(value, bool) and type_.kind != "boolean"):
        yield _wrong(type_, value, path)
    elif type_.kind == "list":
        for number, item in enumerate(value):
            yield from _value(sdk, type_.items[0], item, f"{path}[{number}]")
    elif type_.kind == "map":
        for key, item in value.items():
            yield from _value(
                sdk, type_.items[0], item, f"{path}[{key!r}]" if "." in key else f"{path}.{key}"
            )
    elif type_.kind == "object":
        yield from _object(sdk, type_.fields(), value, path)


_OUTDATED = frozenset({"hardwareProfile.vmSize"})
"""Azure's enum of machine sizes ends in 2019, and its own description says not to use it."""


def _choice(sdk: Sdk, type_: Type, value: Any, path: str) -> Iterator[Failure]:
    """Azure's API refuses what its enums don't list; the open enums of AWS and GCP are only the values of a day."""
    if type_.open and (sdk.package != "azure-native" or path in _OUTDATED):
        if not isinstance(value, str):
            yield _wrong(Type("string"), value, path)
    elif value not in type_.values:
        choices = [str(v) for v in type_.values]
        yield Failure(path, f"expected {type_}, got {value!r}{near(str(value), choices)}")


def _wrong(type_: Type, value: Any, path: str) -> Failure:
    """Never the value itself: it may be secret."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", dict: "an object"}
    return Failure(path, f"expected {type_}, got {names.get(type(value), 'a list')}")


def _open(value: Any) -> Any:
    return value.value if isinstance(value, Secret) else value
