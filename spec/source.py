"""YAML that remembers where everything stood: a tree of nodes, each with its line and its place in the file.

Later steps move nodes around (older dialects) and change values (variables), and an error must still name the line
and the field that the user wrote; so line and place travel with the node. Hostile or broken input ends here, as
problems: binary files, huge ones, alias bombs, duplicate keys, bottomless nesting.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.reader import ReaderError

from spec.errors import Problem, SpecError, did_you_mean

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is, for what is said of it. `most`: scalars, lists and maps, after aliases are written out."""

    words: str
    hint: str
    instead: str
    most: int = 10_000


SERVICE_FILE = Kind(
    "service file", "See docs/service-file.md.", "Put data beside the service file, in its `workdir`."
)

Scalar = str | int | float | bool | None


@dataclass(slots=True)
class Node:
    """A value and where it was written. `text` is the scalar as written; `path` is dotted, as written."""

    value: Scalar | list[Node] | dict[str, Node]
    line: int
    path: str = ""
    text: str | None = None

    @property
    def fields(self) -> dict[str, Node]:
        """The entries of a map; nothing for everything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; nothing for everything else."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """The bare Python value."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, *loc: str | int) -> Node | None:
        """The node at that place of the tree; None when there is none or when it is null."""
        found, rest = self.nearest(loc)
        return None if rest or found.value is None else found

    def nearest(self, loc: Sequence[str | int]) -> tuple[Node, tuple[str | int, ...]]:
        """The deepest node on the way to `loc`, and the part of the way that does not exist."""
        node = self
        for i, key in enumerate(loc):
            if isinstance(key, str) and key in node.fields:
                node = node.fields[key]
            elif isinstance(key, int) and key < len(node.items):
                node = node.items[key]
            else:
                return node, tuple(loc[i:])
        return node, ()


def load(path: Path, kind: Kind = SERVICE_FILE, *, file: str = "") -> tuple[Node, list[Problem]]:
    """The file's one document, a map, and the problems that do not keep it from being understood.

    `file`: what errors call it; empty = its path. Raises SpecError when it can't be read or is not such YAML.
    """
    file = file or str(path)
    return _parse(_read(path, kind, file), kind, file)


def _parse(text: str, kind: Kind, file: str) -> tuple[Node, list[Problem]]:
    composer = _Composer(text, kind, file)
    try:
        root = composer.document()
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line = mark.line + 1 if mark else None
        raise SpecError([_syntax_problem(file, line, e.problem or "broken YAML")]) from e
    except ReaderError as e:
        line = text.count("\n", 0, e.position) + 1
        message = "is not a text file: it holds control characters"
        raise SpecError([Problem(file, "", message, line)]) from e
    except (ValueError, OverflowError) as e:  # PyYAML lets these out for escapes beyond Unicode
        raise SpecError([Problem(file, "", "is not valid YAML: an escape in it is no character")]) from e
    return _Placer(kind, file).place(root, path="", line=root.line), composer.problems


def resolve(text: str) -> Scalar:
    """What an unquoted scalar means. YAML 1.1's booleans, but no times, octals or base 60: `1:30` is text."""
    if text in _NULLS:
        return None
    if (word := text.lower()) in _BOOLEANS:
        return _BOOLEANS[word]
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    if word.lstrip("+-") == ".inf":
        return -math.inf if word.startswith("-") else math.inf
    return math.nan if word == ".nan" else text


_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,17})")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]{1,4})?")

_CORE = "tag:yaml.org,2002:"
_RESOLVED_TAGS = {_CORE + kind for kind in ("int", "float", "bool", "null")}
_KNOWN_TAGS = _RESOLVED_TAGS | {_CORE + kind for kind in ("str", "map", "seq", "set")} | {"!"}


def _read(path: Path, kind: Kind, file: str) -> str:
    try:
        if path.is_dir():
            hint = f"Name the files in it: {os.path.join(file, '*.yaml')}"  # noqa: PTH118 - keeps `./` as typed
            message = f"is a directory, not a {kind.words}."
            raise SpecError([Problem(file, "", message, hint=hint if kind is SERVICE_FILE else None)])
        with path.open("rb") as f:
            raw = f.read(MAX_BYTES + 1)
    except FileNotFoundError as e:
        raise SpecError([Problem(file, "", "there is no such file.", hint=_near_file(path))]) from e
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else "its name is not usable"
        raise SpecError([Problem(file, "", f"can't be read: {reason}.")]) from e
    if len(raw) > MAX_BYTES:
        message = f"is larger than 1 MiB: too large for a {kind.words}."
        raise SpecError([Problem(file, "", message, hint=kind.instead)])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        raise SpecError([Problem(file, "", "is not a text file in UTF-8.", line)]) from e


def _near_file(path: Path) -> str | None:
    try:
        siblings = [p.name for p in path.parent.iterdir() if p.suffix in {".yaml", ".yml"}]
    except (OSError, ValueError):
        return None
    return did_you_mean(path.name, siblings)


def _syntax_problem(file: str, line: int | None, problem: str) -> Problem:
    if r"'\t'" in problem or "'\t'" in problem:
        return Problem(
            file, "", "a tab stands where YAML allows only spaces.", line, hint="Indent with spaces."
        )
    hint = None
    if "mapping values are not allowed" in problem:
        hint = "Often a missing line break, wrong indentation, or a text with `: ` that needs quotes."
    return Problem(file, "", f"is not valid YAML: {problem}.", line, hint=hint)


class _Composer:
    """Makes nodes from PyYAML's events, without places: an aliased node is shared."""

    def __init__(self, text: str, kind: Kind, file: str) -> None:
        self.file, self._kind = file, kind
        self.problems: list[Problem] = []
        self._text = text
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def document(self) -> Node:
        events = yaml.parse(self._text, Loader=yaml.SafeLoader)
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    hint = f"One {self._kind.words} each: put the part after `---` into its own file."
                    self._fail(event, "holds more than one YAML document.", hint)
                root = self._node(next(events), events, ())
        if root is None or root.value is None:
            raise SpecError([Problem(self.file, "", "is empty.", hint=self._kind.hint)])
        if not isinstance(root.value, dict):
            message = "must be a map of fields (`name: value`)."
            raise SpecError([Problem(self.file, "", message, root.line, hint=self._kind.hint)])
        return root

    def _node(self, event: Any, events: Iterator[Any], at: tuple[str, ...]) -> Node:
        self._nodes += 1
        if self._nodes > self._kind.most or len(at) > MAX_DEPTH:
            self._fail(event, f"has too many or too deeply nested values for a {self._kind.words}.")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._fail(event, f"the alias `*{event.anchor}` refers to nothing written before it.")
            return self._anchors[event.anchor]
        if event.tag is not None and event.tag not in _KNOWN_TAGS:
            self._fail(event, "uses a YAML tag that has no meaning here.", "Write the value without the tag.")
        line = event.start_mark.line + 1
        if isinstance(event, yaml.SequenceStartEvent):
            node = Node(self._items(events, at), line)
        elif isinstance(event, yaml.MappingStartEvent):
            node = Node(self._pairs(events, at), line)
        else:
            node = self._scalar(event, line)
        if event.anchor:  # only now: an alias inside of its own node would have no end
            self._anchors[event.anchor] = node
        return node

    def _items(self, events: Iterator[Any], at: tuple[str, ...]) -> list[Node]:
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, (*at, f"[{len(items)}]")))
        return items

    def _pairs(self, events: Iterator[Any], at: tuple[str, ...]) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            name = self._node(event, events, (*at, "?")).text
            if name is None:
                self._fail(event, "a key must be a plain word, not a list or a map.")
            line = event.start_mark.line + 1
            value = self._node(next(events), events, (*at, name))
            if name == "<<":
                for source in value.items or [value]:
                    if not isinstance(source.value, dict):
                        self._fail(event, "`<<` takes the alias of a map.")
                    merged = {**source.fields, **merged}
                continue
            if name in own:
                field = ".".join((*at, name)).replace(".[", "[")
                message = f"is given twice, here and in line {own[name].line}."
                self.problems.append(Problem(self.file, field, message, line, hint="Remove one of them."))
            own[name] = Node(value.value, line, text=value.text)
        return {**merged, **own}

    def _scalar(self, event: Any, line: int) -> Node:
        text = event.value
        if "\0" in text or _has_surrogates(text):
            self._fail(event, "a text holds a character that can't be stored (NUL or half a pair).")
        quoted = bool(event.style) or event.tag in {_CORE + "str", "!"}
        value = text if quoted and event.tag not in _RESOLVED_TAGS else resolve(text)
        return Node(value, line, text=text)

    def _fail(self, event: Any, message: str, hint: str | None = None) -> NoReturn:
        line = event.start_mark.line + 1
        raise SpecError([*self.problems, Problem(self.file, "", message, line, hint=hint)])


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


class _Placer:
    """Copies the tree with the place of every node, so that an alias used twice becomes two nodes."""

    def __init__(self, kind: Kind, file: str) -> None:
        self._file, self._kind = file, kind
        self._nodes = 0

    def place(self, node: Node, *, path: str, line: int, depth: int = 0) -> Node:
        self._nodes += 1
        if self._nodes > self._kind.most or depth > MAX_DEPTH:
            message = f"its aliases unfold to more values than a {self._kind.words} may hold."
            raise SpecError([Problem(self._file, "", message, node.line)])
        value: Scalar | list[Node] | dict[str, Node]
        if isinstance(node.value, dict):
            prefix = f"{path}." if path else ""
            value = {
                key: self.place(child, path=prefix + key, line=child.line, depth=depth + 1)
                for key, child in node.value.items()
            }
        elif isinstance(node.value, list):
            value = [
                self.place(child, path=f"{path}[{i}]", line=child.line, depth=depth + 1)
                for i, child in enumerate(node.value)
            ]
        else:
            value = node.value
        return Node(value, line, path, node.text)
