"""Names and rules: what can be refused before anything is created, so that a preview already fails."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

from tools.standins.check import Failure
from tools.standins.cloud import Cloud, Made, Naming, known
from tools.standins.sdk import ResourceType
from tools.standins.wire import UNKNOWN, Values, is_unknown, plain

_DEFAULTS = "__defaults"
"""Where providers note in the arguments which of them they filled in by themselves."""
_SUFFIX = 7


class Planned:
    """The names that resources of this run ask for: two with one name would fail only in the cloud."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._urns: dict[tuple[Any, ...], str] = {}

    def taken(self, key: tuple[Any, ...], urn: str) -> str | None:
        """Notes that `urn` wants the name; gives back who had asked for it before."""
        with self._lock:
            first = self._urns.setdefault(key, urn)
        return None if first == urn else first


def named(naming: Naming, resource: ResourceType, news: Values, olds: Values, name: str) -> Values:
    """The arguments with a name: given, or kept from the state, or invented from the resource's name."""
    prefix = f"{naming.property}Prefix"
    given = news.get(naming.property) is not None or news.get(prefix) is not None
    if given or not naming.generated or naming.property not in resource.inputs:
        return news
    invented = olds.get(naming.property) if _DEFAULTS in olds else None
    return {**news, naming.property: invented or _invent(naming, name), _DEFAULTS: [naming.property]}


def _invent(naming: Naming, name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:_SUFFIX]
    if naming.refuse("a-a"):  # no hyphens there
        return f"{''.join(filter(str.isalnum, name.lower()))[: naming.longest - _SUFFIX]}{digest}"
    return f"{name[: naming.longest - _SUFFIX - 1]}-{digest}"


def deletes_first(cloud: Cloud, type_: str, old: Values, new: Values) -> bool:
    """Whether a replacement must wait until the old object, of the same given name, is gone.

    pulumi-azure-native always waits, but for names that it invented.
    """
    naming = cloud.naming(type_)
    if naming is None or naming.scope is None or naming.property in new.get(_DEFAULTS, []):
        return False
    before, after = plain(old).get(naming.property), plain(new).get(naming.property)
    return cloud.whole or (before is not None and before == after)


def judge(cloud: Cloud, made: Made, planned: Planned) -> list[Failure]:
    """What the cloud would refuse of these arguments."""
    failures = list(_names(cloud, made, planned))
    for rule in cloud.rules.get(made.type, ()):
        failures.extend(rule(made))
    for rule in cloud.rules.get("", ()):  # of every type
        failures.extend(rule(made))
    return failures


def _names(cloud: Cloud, made: Made, planned: Planned) -> Iterator[Failure]:
    naming = cloud.naming(made.type)
    name = made.get(naming.property) if naming else None
    if naming is None or not known(name) or not isinstance(name, str):
        return
    reason = naming.refuse(name)
    if reason:
        yield Failure(naming.property, f"{reason} ({naming.source})" if naming.source else reason)
    if naming.scope is None:
        return
    scope = cloud.scope(made, naming)
    if is_unknown(list(scope)) or UNKNOWN in scope:
        return
    other = planned.taken((made.type, scope, name), made.urn)
    if other:
        yield Failure(
            naming.property,
            f"{name!r} is also the name of {other.rpartition('::')[2]}: a name can be had once",
        )
