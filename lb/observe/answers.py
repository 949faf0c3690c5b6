"""Whether a probe's 200 is an answer at all: an engine behind a broken proxy, or without its model, may say 200 to anything.

What calls itself JSON must be JSON, and on the routes of the OpenAI interface it must hold what their answers hold. What a
service's own `/health` says otherwise is its own affair.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from spec.desired import Probe

MOST_BYTES = 1 << 20
"""Of an answer that are looked at; a longer one is believed."""

_HOLDS: Mapping[str, str] = {
    "/v1/models": "data",
    "/v1/chat/completions": "choices",
    "/v1/completions": "choices",
    "/v1/embeddings": "data",
}
_SHOWN = 100


def trouble_with(probe: Probe, content_type: str, body: bytes) -> str | None:
    """What is wrong with a successful answer, in words that go on after its status; None when nothing is."""
    field = _HOLDS.get(probe.path.partition("?")[0])
    called_json = content_type.startswith("application/json") and body != b""
    if len(body) > MOST_BYTES or not (field or called_json):
        return None
    text = body.decode(errors="replace").strip()
    if content_type.startswith("text/event-stream"):
        text = _first_event(text)
    try:
        answer: Any = json.loads(text)
    except ValueError:
        what = "calls JSON what is none" if called_json else "is not JSON"
        return f"and {what}: {text[:_SHOWN]!a}"
    if field is None or (isinstance(answer, dict) and isinstance(answer.get(field), list) and answer[field]):
        return None
    return f"without `{field}`: {text[:_SHOWN]!a}"


def _first_event(text: str) -> str:
    """The data of the first server-sent event; the text itself when there is none."""
    for line in text.splitlines():
        if line.startswith("data:"):
            return line.removeprefix("data:").strip()
    return text
