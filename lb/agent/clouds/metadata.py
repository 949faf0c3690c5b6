"""Asking a metadata service: it is one hop away and answers in a millisecond, or it is not there yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lb.agent import web
from lb.agent.clouds.protocol import CloudError

TIMEOUT_S = 2.0
PATIENCE = web.Patience(tries=5, first_s=0.2, most_s=2.0)


def told(what: str, request: Callable[[], web.Request]) -> bytes:
    """The body of an answer; `request` makes each try's own. Raises CloudError, which names `what`."""
    try:
        return PATIENCE.within(lambda: web.ask(request(), timeout_s=TIMEOUT_S)).body
    except (web.Refused, web.Unreachable) as e:
        raise CloudError(f"{what}: {e}") from e


def fields(what: str, body: bytes) -> dict[str, Any]:
    """A JSON object. Raises CloudError, which does not show the body: it may hold a token."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CloudError(f"{what}: the answer is no JSON object")
    return found


def text(what: str, found: dict[str, Any], *path: str | int) -> str:
    """A text (or number) inside of an answer. Raises CloudError."""
    value: Any = found
    try:
        for step in path:
            value = value[step]
    except (LookupError, TypeError):
        value = None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise CloudError(f"{what}: the answer has no {'.'.join(map(str, path))}")
    return str(value)


def maybe(found: dict[str, Any], *path: str | int) -> str | None:
    """The same; None where there is none."""
    try:
        return text("", found, *path)
    except CloudError:
        return None
