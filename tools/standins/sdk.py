"""What the installed SDKs say of a resource: its arguments, their types, which are required, its outputs.

The generated sources are read, not imported: importing `pulumi_gcp.compute` costs 1.5 s and 100 MiB, reading the two
classes of one resource milliseconds, and a preview starts several stand-ins at once.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GETTER = re.compile(
    r'^    @pulumi\.getter(?:\(name="([^"]+)"\))?\n(?:    @_utilities\.deprecated\((?:.|\n)*?\)\n)?'
    r"    def (\w+)\(self\) -> (.+):$",
    re.MULTILINE,
)
_MODULES = re.compile(r'resource_modules="""(.*?)"""', re.DOTALL)
_ALIAS = re.compile(r"^from (\.+)(\w*) import (\w+) as (_\w+)$", re.MULTILINE)
_SCALARS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "Any": "any"}
_ASSETS = {"Asset", "Archive", "AssetOrArchive"}
_WRAPPERS = {"Input", "Output", "InputType", "Optional", "Awaitable"}


@dataclass(frozen=True)
class Type:
    """`kind`: string, integer, number, boolean, any, asset, list, map, object, enum, union.

    `items`: the types inside a list, map (one) or union (several). `place` and `name`: where an object's class is.
    `open`: an enum that takes other strings too (the SDK's `Union[str, SomeEnum]`).
    """

    kind: str
    items: tuple[Type, ...] = ()
    place: Path | None = None
    name: str = ""
    values: tuple[Any, ...] = ()
    open: bool = False

    def fields(self) -> Mapping[str, Field]:
        """The properties of an object type; none of what is no object."""
        return _fields(self.place, self.name) if self.place else {}

    def __str__(self) -> str:
        """As a message names it."""
        inside = [str(item) for item in self.items]
        match self.kind:
            case "list":
                return f"a list of {inside[0]}"
            case "map":
                return f"a map of {inside[0]}"
            case "union":
                return " or ".join(dict.fromkeys(inside))
            case "object":
                return f"an object ({self.name.removesuffix('Args')})"
            case "enum":
                return f"one of {', '.join(map(str, self.values[:12]))}{', ...' if len(self.values) > 12 else ''}"
        return {"integer": "an integer", "asset": "an asset or archive", "any": "anything"}.get(
            self.kind, f"a {self.kind}"
        )


@dataclass(frozen=True)
class Field:
    """One argument or output. `python`: as a program writes it."""

    name: str
    python: str
    type: Type
    required: bool


@dataclass(frozen=True)
class ResourceType:
    """A resource, or the provider itself, as its SDK knows it."""

    inputs: Mapping[str, Field]
    outputs: Mapping[str, Field]


class Sdk:
    """The SDK of one provider. `package`: as in type tokens: aws, gcp, azure-native, ..."""

    def __init__(self, package: str) -> None:
        self.package = package
        module = "pulumi_" + package.replace("-", "_")
        spec = importlib.util.find_spec(module)  # of a top-level name: finds without importing
        if spec is None or spec.origin is None:
            raise LookupError(f"{module} is not installed")
        self.version = importlib.metadata.version(module)
        self._root = Path(spec.origin).parent
        self._resources: dict[str, ResourceType | None] = {}

    def resource(self, token: str) -> ResourceType | None:
        """The resource of a type token; None when the SDK has no such resource."""
        if token not in self._resources:
            self._resources[token] = self._read(token)
        return self._resources[token]

    def provider(self) -> ResourceType:
        """The provider's own configuration."""
        path = self._root / "provider.py"
        return ResourceType(_fields(path, "ProviderArgs"), {})

    def function(self, token: str) -> Mapping[str, bool] | None:
        """The arguments of a function, and whether each is required; None when the SDK has no such function."""
        _, module, name = token.split(":")
        path = self._folder(module.partition("/")[0]) / f"{_snake(name)}.py"
        if not path.exists():
            return None
        text = _text(path)
        passed = re.findall(r"__args__\['([^']+)'\] = (\w+)", text.partition("_output(")[0])
        start = text.find(f"def {_snake(name)}(")
        signature = text[start : text.find(") ->", start)]
        return {
            argument: f"{python}:" in signature and not re.search(rf"\b{python}: .* = None", signature)
            for argument, python in passed
        }

    @functools.cached_property
    def _classes(self) -> dict[str, tuple[str, str]]:
        """Type token -> (module below the package, class)."""
        found = _MODULES.search(_text(self._root / "__init__.py"))
        modules = json.loads(found[1]) if found else []
        prefix = self._root.name
        return {
            token: (module["fqn"].removeprefix(prefix).lstrip("."), name)
            for module in modules
            for token, name in module["classes"].items()
        }

    def _folder(self, module: str) -> Path:
        return self._root / module.replace(".", "/") if module not in ("", "index") else self._root

    def _read(self, token: str) -> ResourceType | None:
        if token not in self._classes:
            return None
        module, name = self._classes[token]
        path = self._file(self._folder(module), name)
        arguments = next(c for c in (f"{name}Args", f"{name}InitArgs") if _class(path, c))
        return ResourceType(_fields(path, arguments), _fields(path, name))

    def _file(self, folder: Path, name: str) -> Path:
        guess = folder / f"{_snake(name)}.py"
        if guess.exists() and _class(guess, name):
            return guess
        return next(p for p in sorted(folder.glob("*.py")) if p.stem != "_inputs" and _class(p, name))


# ---------------------------------------------------------------- reading the generated sources


@functools.lru_cache(maxsize=64)
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _class(path: Path, name: str) -> str:
    """The source of one class; empty when the file has none of that name."""
    text = _text(path)
    start = max(text.find(f"\nclass {name}:\n"), text.find(f"\nclass {name}("))
    if start < 0:
        return ""
    end = re.compile(r"^(?:class |@|if |def |[A-Z_]\w* = )", re.MULTILINE).search(text, start + 2)
    return text[start : end.start()] if end else text[start:]


@functools.lru_cache(maxsize=4096)
def _fields(path: Path, name: str) -> Mapping[str, Field]:
    fields = {}
    for wire, python, annotation in _GETTER.findall(_class(path, name)):
        type_, optional = _annotated(ast.parse(annotation, mode="eval").body, path)
        field = Field(wire or python, python, type_, required=not optional)
        fields[field.name] = field
    return fields


def _annotated(node: ast.expr, path: Path) -> tuple[Type, bool]:
    """The type that an annotation means, and whether it may be left out."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr=wrapper) | ast.Name(id=wrapper), slice=inner):
            if wrapper in _WRAPPERS:
                type_, optional = _annotated(inner, path)
                return type_, optional or wrapper == "Optional"
            if wrapper == "Sequence":
                return Type("list", (_annotated(inner, path)[0],)), False
            if wrapper == "Mapping" and isinstance(inner, ast.Tuple):
                return Type("map", (_annotated(inner.elts[1], path)[0],)), False
            if wrapper == "Literal":
                choices = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return Type("enum", values=tuple(ast.literal_eval(c) for c in choices)), False
            if wrapper == "Union" and isinstance(inner, ast.Tuple):
                parts = [_annotated(element, path) for element in inner.elts]
                return _union([type_ for type_, _ in parts]), any(optional for _, optional in parts)
        case ast.Constant(value=str(name)):
            return _named(name, path), False
        case ast.Attribute(attr=name) | ast.Name(id=name):
            if name in _SCALARS:
                return Type(_SCALARS[name]), False
            if name in _ASSETS:
                return Type("asset"), False
            return _named(ast.unparse(node), path), False
    return Type("any"), False


def _union(parts: list[Type]) -> Type:
    enums = [t for t in parts if t.kind == "enum"]
    if len(enums) == 1 and all(t.kind in ("enum", "string") for t in parts):
        return Type("enum", values=enums[0].values, open=True)
    kinds = dict.fromkeys(t for t in parts)
    return next(iter(kinds)) if len(kinds) == 1 else Type("union", tuple(kinds))


def _named(name: str, path: Path) -> Type:
    """A class by name, as the file `path` sees it: `FooArgs`, `outputs.Foo`, `_meta.v1.ObjectMetaArgs`, an enum."""
    *modules, last = name.split(".")
    folder = path.parent
    if modules and modules[0] != "outputs":
        aliases = {alias: (dots, below, module) for dots, below, module, alias in _ALIAS.findall(_text(path))}
        if modules[0] not in aliases:
            return Type("any")
        dots, below, module = aliases[modules[0]]
        for _ in dots[1:]:
            folder = folder.parent
        folder = folder.joinpath(*filter(None, (below, module)), *modules[1:])
    if modules and modules[0] == "outputs":
        return Type("object", place=folder / "outputs.py", name=last)
    inputs, enums = folder / "_inputs.py", folder / "_enums.py"
    if inputs.exists() and _class(inputs, last):
        return Type("object", place=inputs, name=last)
    if enums.exists() and (source := _class(enums, last)):
        values = re.findall(r"^    \w+ = (.+)$", source, re.MULTILINE)
        return Type("enum", values=tuple(ast.literal_eval(v) for v in values))
    return Type("any")  # another resource, or a class of Pulumi's own


def _snake(name: str) -> str:
    """As Pulumi's code generator names files: `VirtualMachineScaleSetVMRunCommand` -> `..._vm_run_command`."""
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", spaced).lower()
