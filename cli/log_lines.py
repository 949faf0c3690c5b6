"""Lines of logs as people read them: our JSON lines with their fields in order, everything else as it is.

What a line holds was written by engines and callers: control characters are taken out, so that no line can move the
cursor or set a title, and the stack's own secrets are blanked wherever they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from lb.log import blank_secrets

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_ENVOY = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)\]")
_TIMES = ("timestamp", "at", "ts")
_SAID = {*_TIMES, "level", "event"}
_LONG = {"exception", "traceback"}
_LEVELS = {"warning": "yellow", "error": "red", "critical": "red bold"}
_COLOURS = ("cyan", "magenta", "blue", "green", "bright_cyan", "bright_magenta", "bright_blue")


@dataclass(frozen=True)
class Line:
    """One line of a log. `at`: epoch seconds where it tells; `fields`: None where it is no JSON object."""

    source: str
    raw: str
    at: float | None
    fields: dict[str, Any] | None


class Secrets:
    """Values that are never shown, whoever wrote them into a log."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._values = [v for v in (_content(path) for path in files) if v]

    @classmethod
    def of(cls, home: Path) -> Secrets:
        """Those of a local stack."""
        return cls((home / "key", *(home / "secrets").glob("*")))

    def blanked(self, text: str) -> str:
        """The text without them."""
        for value in self._values:
            text = text.replace(value, "***")
        return text


def _content(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def parse(source: str, raw: bytes, secrets: Secrets) -> Line:
    """The line with its time, whatever kind of log it is from."""
    text = secrets.blanked(raw.decode(errors="replace").rstrip("\r\n"))
    fields: dict[str, Any] | None = None
    if text.startswith("{"):
        try:
            found = json.loads(text)
            fields = dict(blank_secrets(None, "", found)) if isinstance(found, dict) else None
        except (ValueError, RecursionError):
            fields = None
    return Line(source, text, _time(text, fields), fields)


def _time(text: str, fields: dict[str, Any] | None) -> float | None:
    try:
        if fields is None:
            envoy = _ENVOY.match(text)
            return datetime.fromisoformat(envoy[1]).timestamp() if envoy else None
        given = next((fields[name] for name in _TIMES if name in fields), None)
        if isinstance(given, str) and "T" in given:
            return datetime.fromisoformat(given).timestamp()
        return None if given is None else float(given)
    except (ValueError, TypeError, OverflowError):
        return None


def as_json(line: Line) -> str:
    """One JSON object: the line's own fields, or its text as `line`, and where it is from, whatever the line says."""
    told = line.fields if line.fields is not None else {"line": line.raw}
    return json.dumps({"source": "", **told} | {"source": line.source})


def plain(line: Line, *, marked: bool) -> str:
    """The line as it was written, with its source in front where several are read."""
    text = line.raw if line.fields is None else json.dumps(line.fields)
    return f"{line.source} | {text}" if marked else text


def quoted(raw: bytes, secrets: Secrets) -> str:
    """The line as it was written, for a message of ours."""
    return _clean(parse("", raw, secrets).raw)


def rendered(line: Line, *, marked: bool) -> Text:
    """The line for a terminal: time, source, level, event, fields."""
    text = Text(no_wrap=False)
    if marked:
        text.append(f"{line.source:<14} ", style=_COLOURS[sum(line.source.encode()) % len(_COLOURS)])
    if line.fields is None:
        return text.append(_clean(line.raw))
    if line.at is not None and 0 <= line.at < 1e11:  # noqa: PLR2004  beyond that no date can be made
        text.append(datetime.fromtimestamp(line.at, UTC).strftime("%H:%M:%S.%f")[:-3] + "Z ", style="dim")
    level = str(line.fields.get("level", ""))
    if level in _LEVELS:
        text.append(f"{level} ", style=_LEVELS[level])
    text.append(_clean(str(line.fields.get("event", ""))), style="bold")
    for name, value in line.fields.items():
        if name not in _SAID | _LONG and value not in (None, ""):
            text.append(f" {_clean(name)}=", style="dim").append(_value(value))
    for name in _LONG & line.fields.keys():
        for below in str(line.fields[name]).splitlines():
            text.append(f"\n    {_clean(below)}", style="dim")
    return text


def _value(value: Any) -> str:
    if isinstance(value, str):
        return (
            _clean(value) if value.replace(" ", "").isprintable() and '"' not in value else json.dumps(value)
        )
    return _clean(json.dumps(value))


def _clean(text: str) -> str:
    return _CONTROL.sub("", text)
