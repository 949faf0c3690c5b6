"""What a policy is here: a name, a sentence, where it comes from, and a function that says what is wrong.

A rule judges one resource at a time, so that what a preview can't know of one hides nothing of another: a property that
a rule needs and that is unknown is itself a finding. Messages name resources and properties, never values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError

from policies.cost import Stack
from policies.values import plain, walk

Config = Mapping[str, Any]
"""Parameters of a policy, as `tradewind:policies` gives them."""

Judge = Callable[[PolicyResource, Config], Iterable[str]]
"""From one resource to what is wrong with it, each in one line without the resource's name. May raise UnknownValueError."""

JudgeAll = Callable[[Stack, Sequence[PolicyResource], Config], Iterable[str]]
"""From everything to what is wrong with it, each in one line."""


@dataclass(frozen=True)
class Rule:
    """`words`: what holds when it passes. `source`: where the rule comes from. One of the two functions is given, or both."""

    name: str
    words: str
    source: str
    each: Judge | None = None
    whole: JudgeAll | None = None


@dataclass(frozen=True)
class Finding:
    """One message; `urn`: of the resource that it is about, if of one."""

    message: str
    urn: str | None = None


def judge(rule: Rule, stack: Stack, resources: Sequence[PolicyResource], config: Config) -> Iterator[Finding]:
    """Everything that the rule finds, in the order of the resources' names."""
    if rule.whole is not None:
        yield from (Finding(message) for message in rule.whole(stack, resources, config))
    if rule.each is None:
        return
    for resource in sorted(resources, key=lambda r: r.urn):
        try:
            messages = list(rule.each(resource, config))
        except UnknownValueError as e:
            messages = [
                f"its {'.'.join(map(str, e.props))} is known only after the update, and this policy needs it."
            ]
        yield from (Finding(f"{resource.name}: {message}", resource.urn) for message in messages)


def type_of(urn: str) -> str:
    """A resource's own type, without those of its parents."""
    return urn.split("::")[2].rpartition("$")[2]


def at(props: Any, path: str, default: Any = None) -> Any:
    """The plain value at a dotted path, or the default. Raises UnknownValueError for that value only."""
    value = plain(walk(props, path))
    return default if value is None else value


def items(props: Any, path: str) -> list[Any]:
    """The items of a list at a path, each still able to say that it is unknown; empty when there is none."""
    found = walk(props, path)
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []


def has(props: Mapping[str, Any], key: str) -> bool:
    """Whether a property is there, known or not: `in` would ask for its value."""
    return key in set(props)


def computed(resource: PolicyResource, key: str) -> bool:
    """Whether the provider makes up a property by itself: the program gave nothing for it, so nothing unknown hides in it."""
    return key not in resource.property_dependencies


def true(value: Any) -> bool:
    """Bridged providers have `true` and `"true"`."""
    return value is True or value == "true"
