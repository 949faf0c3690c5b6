"""What a stand-in must know of one provider beyond its SDK: names, ids, rules, what can't be changed, how it updates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.standins.check import Failure
from tools.standins.live import Live, Session
from tools.standins.sdk import ResourceType
from tools.standins.wire import UNKNOWN, Values


@dataclass(frozen=True, kw_only=True)
class Made:
    """A resource that is checked, created or updated. `inputs`: plain, unknown values marked; `config`: the provider's."""

    type: str
    name: str
    urn: str
    inputs: Values
    config: Values
    resource: ResourceType = field(default_factory=lambda: ResourceType({}, {}))

    def get(self, path: str) -> Any:
        """The value at a dotted path; None where there is none, UNKNOWN where it is not known yet."""
        return at(self.inputs, path)


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Which property names an object in its cloud, and what the cloud allows there.

    `scope`: properties within whose values the name must be unique; None: it need not be. `generated`: whether the
    provider invents a name when none is given. `source`: where the rule is written.
    """

    property: str = "name"
    pattern: str = r".+"
    longest: int = 255
    shortest: int = 1
    scope: tuple[str, ...] | None = ()
    generated: bool = True
    source: str = ""

    def refuse(self, name: str) -> str | None:
        """Why the cloud would not take the name."""
        if not self.shortest <= len(name) <= self.longest:
            return f"{name!r} has {len(name)} characters, {self.shortest} to {self.longest} are allowed"
        if not re.fullmatch(self.pattern, name):
            return f"{name!r} must match {self.pattern}"
        return None


Rule = Callable[[Made], Iterable[Failure]]
"""A rule that arguments alone can break: judged at Check, so that a preview fails."""
LiveRule = Callable[[Made, Session], Iterable[Failure]]
"""A rule that only other live objects can break: judged before a create or update."""
Hold = Callable[[Live, Session], str | None]
"""Why an object can't be deleted now; None when it can."""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One provider. `whole`: an update sends the whole object (azure-native), not only what changed (bridged).

    `fixed`: type -> patterns of properties whose change needs a new object; "" is for every type;
    `fixed_when`: the same where it depends on the arguments. `renewed`: type ->
    outputs that are not known before any update of it. `secret`: type -> outputs that are secret. `kept`: type ->
    properties that a whole update leaves as they are when it does not carry them. `local`: types without a cloud.
    `reference`: what an id looks like that must name a live object; `canonical` turns it into that object's id.
    `unchangeable`: type -> properties whose change the cloud refuses, although its provider tries.
    `defaults`: what the cloud fills in by itself. `updated`: what else a cloud changes on an update.
    `deployed`: the objects that a resource writes beside itself, each with what is sent (Azure's resource templates). `removes`: what goes away with a deleted object.
    `keeps_name`: why the name of a deleted object can't be had again yet; `takes_back`: whether a resource asks for it.
    `answers`: functions that can be answered without a cloud.
    """

    package: str
    identify: Callable[[Made], str]
    outputs: Callable[[Made, str], Values]
    naming: Callable[[str], Naming | None]
    whole: bool = False
    fixed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fixed_when: Mapping[str, Callable[[Values], frozenset[str]]] = field(default_factory=dict)
    renewed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    secret: Mapping[str, frozenset[str]] = field(default_factory=dict)
    kept: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unchangeable: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    live_rules: Mapping[str, tuple[LiveRule, ...]] = field(default_factory=dict)
    holds: Mapping[str, tuple[Hold, ...]] = field(default_factory=dict)
    deployed: Callable[[Made, Session], Iterable[tuple[Live, Values]]] = lambda _made, _session: ()
    updated: Callable[[Made, Live, Values], None] = lambda _made, _live, _sent: None
    removes: Callable[[Live, Session], list[Live]] = lambda _live, _session: []
    keeps_name: Callable[[Live], str | None] = lambda _live: None
    takes_back: Callable[[Made], bool] = lambda _made: False
    local: frozenset[str] = frozenset()
    reference: re.Pattern[str] | None = None
    canonical: Callable[[str], str] = lambda reference: reference
    defaults: Callable[[Made], Values] = lambda _made: {}
    answers: Mapping[str, Callable[[Values, Values], Values]] = field(default_factory=dict)

    def is_fixed(self, type_: str, pattern: str, inputs: Values) -> bool:
        """Whether a change of the property needs a new object. What no table names can be changed in place."""
        names = self.fixed.get(type_, frozenset()) | self.fixed.get("", frozenset())
        if type_ in self.fixed_when:
            names |= self.fixed_when[type_](inputs)
        naming = self.naming(type_)
        if naming is not None:
            names |= {naming.property, *(naming.scope or ())} if self.whole else {naming.property}
        parts = pattern.split(".")
        return any(".".join(parts[:n]) in names for n in range(1, len(parts) + 1))

    def references(self, values: Any) -> frozenset[str]:
        """The ids of other objects that the arguments name."""
        found: set[str] = set()
        if self.reference is not None:
            _collect(values, self.reference, found)
        return frozenset(self.canonical(reference) for reference in found)

    def scope(self, made: Made, naming: Naming) -> tuple[Any, ...]:
        """The values within which a name must be unique: the resource's own, else its provider's."""
        return tuple(
            made.get(name) if made.get(name) is not None else made.config.get(name)
            for name in naming.scope or ()
        )


def at(values: Any, path: str) -> Any:
    """The value at a dotted path of names; None where there is none, UNKNOWN where it is not known yet."""
    for name in path.split("."):
        if values is UNKNOWN:
            return UNKNOWN
        values = values.get(name) if isinstance(values, dict) else None
    return values


def known(value: Any) -> bool:
    """Whether there is a value to judge."""
    return value is not None and value is not UNKNOWN


def items(value: Any) -> list[Any]:
    """The known items of a list; nothing when the list itself is absent or unknown."""
    return [item for item in value if known(item)] if isinstance(value, list) else []


def _collect(value: Any, pattern: re.Pattern[str], found: set[str]) -> None:
    if isinstance(value, str):
        if pattern.fullmatch(value):
            found.add(value)
    elif isinstance(value, dict):
        for inside in value.values():
            _collect(inside, pattern, found)
    elif isinstance(value, list):
        for inside in value:
            _collect(inside, pattern, found)
