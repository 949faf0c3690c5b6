"""Turns what pydantic found into problems for people: line and field as written, what is expected, the way out.

No value of an environment variable, a secret or a header is ever shown, and none of a field that is not known: it may
be a secret under a misspelt key.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from spec.errors import Problem, did_you_mean
from spec.quantities import Wrong
from spec.source import Node

_HIDDEN = {"envs", "secrets", "headers"}
_LONGEST = 60

_EXPECTED = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be `true` or `false`",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "model_type": "must be a map of fields",
    "dict_type": "must be a map of names and values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be above {gt:g}",
    "less_than_equal": "must be at most {le:g}",
}
_HINTS = {"string_type": "Put it in quotes."}


def problems_of(error: ValidationError, root: Node, model: type[BaseModel], *, file: str) -> list[Problem]:
    """One problem per error of pydantic; `root` is the tree that was validated as `model`."""
    return [
        _problem(dict(e), root, model, file) for e in error.errors(include_url=False, include_input=False)
    ]


def shown(node: Node) -> str:
    """The value in one short line, as written."""
    if isinstance(node.value, dict) and node.text is None:
        text = "{" + ", ".join(f"{_clean(k)}: {shown(v)}" for k, v in node.value.items()) + "}"
    elif isinstance(node.value, list):
        text = "[" + ", ".join(map(shown, node.value)) + "]"
    else:
        text = _clean(str(node.value) if node.text is None else node.text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def written_place(root: Node, loc: Sequence[str | int]) -> tuple[Node, str]:
    """The nearest node to a place of the model, and the dotted name of that place as the user wrote it."""
    node, rest = root.nearest(loc)
    name = node.path
    for key in rest:
        name += f"[{key}]" if isinstance(key, int) else f".{key}" if name else key
    return node, _clean(name)


def _problem(error: dict[str, Any], root: Node, model: type[BaseModel], file: str) -> Problem:
    loc = tuple(key for key in error["loc"] if key != "[key]")
    node, field = written_place(root, loc)
    line = node.line
    if error["type"] == "extra_forbidden":
        hint = _where_it_belongs(str(loc[-1]), loc[:-1], model)
        return Problem(file, field, "is not a known field.", line, hint=hint)
    message, hint = expected(error)
    if error["type"] == "missing" or not _may_be_shown(node, loc):
        return Problem(file, field, f"{message}.", line, hint=hint)
    if isinstance(node.value, dict | list) and node.text is None:
        found = "a map" if isinstance(node.value, dict) else "a list"
        return Problem(file, field, f"{message}, not {found}.", line, hint=hint)
    value = node.text if node.text is not None else node.value
    return Problem(file, field, f"{message}, not `{shown(node)}`.", line, value, _nearer(error, node) or hint)


def expected(error: Mapping[str, Any]) -> tuple[str, str | None]:
    """One error of pydantic as the end of "FIELD ...", and the way out where there is one."""
    context = error.get("ctx") or {}
    cause = context.get("error")
    if isinstance(cause, Wrong):
        return str(cause), cause.hint
    if error["type"] in {"literal_error", "enum"}:
        return f"must be one of {_choices(error)}", None
    known = _EXPECTED.get(error["type"])
    message = known.format(**context) if known else str(error["msg"])
    return message, _HINTS.get(error["type"])


def _choices(error: Mapping[str, Any]) -> str:
    return error["ctx"]["expected"].replace("'", "`")


def _nearer(error: Mapping[str, Any], node: Node) -> str | None:
    if error["type"] not in {"literal_error", "enum"}:
        return None
    return did_you_mean(str(node.value), _choices(error).replace(" or ", ", ").replace("`", "").split(", "))


def _may_be_shown(node: Node, loc: tuple[str | int, ...]) -> bool:
    return not _HIDDEN & {*map(str, loc), *node.path.split(".")}


def _clean(text: str) -> str:
    """No line breaks and no control characters, which would garble a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _where_it_belongs(name: str, parent: Sequence[str | int], model: type[BaseModel]) -> str | None:
    here = _model_at(model, parent)
    known = [field.alias or name for name, field in here.model_fields.items()] if here else []
    if near := did_you_mean(name, known):
        return near
    elsewhere = [path for path in _paths(model) if path.rpartition(".")[2] == name]
    if elsewhere:
        section = elsewhere[0].rpartition(".")[0]
        return (
            f"It belongs in `{section}`." if section else "It belongs at the top of the file, not indented."
        )
    return f"Known here: {', '.join(known)}." if known else None


def _model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel] | None:
    found: type[BaseModel] | None = model
    for key in loc:
        field = found.model_fields.get(str(key)) if found else None
        if field is not None:  # otherwise an index, or a user's own key in a map of models
            found = _model_in(field.annotation)
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside of `M`, `M | None`, `list[M]`, `dict[str, M]` and `Annotated` ones of these."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in {typing.Annotated, typing.Union, types.UnionType, list, dict, tuple}:
        return next((m for a in typing.get_args(annotation) if (m := _model_in(a))), None)
    return None


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        inner = _model_in(field.annotation)
        if inner is not None and name not in {"any_of", "ordered", "accelerators", "file_mounts"}:
            yield from _paths(inner, f"{prefix}{name}.")
