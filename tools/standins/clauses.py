"""Pieces that rules of several clouds are made of. Each gives back failures, and says nothing of unknown values."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from collections.abc import Iterator
from typing import Any

from tools.standins.check import Failure
from tools.standins.cloud import Made, known
from tools.standins.live import Live
from tools.standins.wire import UNKNOWN, is_unknown


def at_most_one(made: Made, *paths: str) -> Iterator[Failure]:
    """Properties that exclude each other."""
    given = [path for path in paths if known(made.get(path))]  # what is unknown may turn out to be nothing
    if len(given) > 1:
        yield Failure(given[1], f"conflicts with {given[0]}")


def exactly_one(made: Made, *paths: str) -> Iterator[Failure]:
    """Properties of which one must be given, and one only."""
    if all(made.get(path) is None for path in paths):
        yield Failure(paths[0], f"one of {', '.join(paths)} is required")
    yield from at_most_one(made, *paths)


def between(made: Made, path: str, least: float, most: float, unit: str = "") -> Iterator[Failure]:
    """A number within its limits."""
    value = made.get(path)
    if isinstance(value, (int, float)) and not least <= value <= most:
        yield Failure(path, f"{value} is not within {least} to {most}{unit}")


def one_of(made: Made, path: str, *choices: Any) -> Iterator[Failure]:
    """A value of a list that the SDK's types don't have."""
    value = made.get(path)
    if known(value) and value not in choices:
        yield Failure(path, f"{value!r} is none of {', '.join(map(str, choices))}")


def in_base64(made: Made, path: str, most: int) -> Iterator[Failure]:
    """Text in base64 of at most `most` bytes before it was encoded."""
    value = made.get(path)
    if not isinstance(value, str):
        return
    try:
        size = len(base64.b64decode(value, validate=True))
    except binascii.Error:
        yield Failure(path, "is not base64: encode it")
        return
    if size > most:
        yield Failure(path, f"has {size} bytes before base64, {most} are allowed")


def network(text: Any, path: str, smallest: int = 32, largest: int = 0) -> Iterator[Failure]:
    """An IPv4 range in CIDR form, without bits of a host, with a prefix of `largest` to `smallest`."""
    if not isinstance(text, str):
        return
    try:
        found = ipaddress.ip_network(text)
    except ValueError as e:
        yield Failure(path, f"{text!r} is no network in CIDR form: {e}")
        return
    if found.version == 4 and not largest <= found.prefixlen <= smallest:
        yield Failure(
            path, f"{text} has a prefix of /{found.prefixlen}, /{largest} to /{smallest} are allowed"
        )


def overlap(one: str, others: list[tuple[str, Live]]) -> Iterator[str]:
    """The names of live networks that share addresses with a range."""
    wanted = ipaddress.ip_network(one)
    for range_, live in others:
        theirs = ipaddress.ip_network(range_)
        if theirs.version == wanted.version and wanted.overlaps(theirs):
            yield f"{one} overlaps {range_} of {live.name}"


def within(one: str, outer: list[str]) -> bool:
    """Whether a range lies in one of the others."""
    wanted = ipaddress.ip_network(one)
    ranges = [ipaddress.ip_network(text) for text in outer]
    return any(r.version == wanted.version and wanted.subnet_of(r) for r in ranges)  # ty: ignore[invalid-argument-type]


def policy(made: Made, path: str, *, trust: bool, most: int) -> Iterator[Failure]:
    """A policy document of AWS: JSON with the fields that AWS demands, at most `most` characters without spaces.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    text = made.get(path)
    if not isinstance(text, str):
        return
    try:
        document = json.loads(text)
    except ValueError as e:
        yield Failure(path, f"is no JSON: {e}")
        return
    if not isinstance(document, dict) or "Statement" not in document:
        yield Failure(path, "is no policy document: it has no Statement")
        return
    if document.get("Version") not in ("2012-10-17", "2008-10-17", None):
        yield Failure(path, f"Version {document['Version']!r} is no version of the policy language")
    statements = document["Statement"]
    for number, statement in enumerate(statements if isinstance(statements, list) else [statements]):
        yield from _statement(statement, f"{path}: Statement[{number}]", trust=trust)
    size = len("".join(text.split()))
    if size > most:
        yield Failure(path, f"has {size} characters without spaces, {most} are allowed")


def _statement(statement: Any, path: str, *, trust: bool) -> Iterator[Failure]:
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield Failure(path, "Effect must be Allow or Deny")
    if not {"Action", "NotAction"} & set(statement):
        yield Failure(path, "has no Action")
    who = {"Principal", "NotPrincipal"} & set(statement)
    if trust and not who:
        yield Failure(path, "a trust policy names a Principal")
    if trust and {"Resource", "NotResource"} & set(statement):
        yield Failure(path, "a trust policy names no Resource")
    if not trust and who:
        yield Failure(path, "a policy of an identity names no Principal")
    if not trust and not {"Resource", "NotResource"} & set(statement):
        yield Failure(path, "has no Resource")
    unknown = set(statement) - {
        "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"
    }  # fmt: skip
    for name in sorted(unknown):
        yield Failure(path, f"{name} is no element of a policy statement")


def settled(*values: Any) -> bool:
    """Whether all are given and wholly known."""
    return all(known(v) and not is_unknown(v) and v is not UNKNOWN for v in values)
