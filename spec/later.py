"""Finds the fields of a file that are known and that nothing acts on yet, so that none is dropped silently."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from spec.problems import shown, written_place
from spec.source import Node
from spec.written import Later


def sentence(root: Node, loc: tuple[str | int, ...], instead: str) -> str:
    """`FIELD: VALUE` is not acted on yet: what happens instead."""
    node, field = written_place(root, loc)
    return f"`{field}: {shown(node)}` is not acted on yet: {instead}."


def not_acted_on(part: BaseModel, root: Node) -> list[str]:
    """A sentence for each field that is marked `Later` and given, in the order of the file."""
    found = sorted(_marked(part, ()), key=lambda item: root.nearest(item[0])[0].line)
    return list(dict.fromkeys(sentence(root, loc, later.instead) for loc, later in found))


def _marked(part: BaseModel, loc: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Later]]:
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name not in part.model_fields_set or value is None:
            continue
        here = (*loc, name)
        later = next((m for m in field.metadata if isinstance(m, Later)), None)
        if later is not None:
            yield here, later
        elif isinstance(value, BaseModel):
            yield from _marked(value, here)
        elif isinstance(value, list | dict):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(item, BaseModel):
                    yield from _marked(item, (*here, key))
