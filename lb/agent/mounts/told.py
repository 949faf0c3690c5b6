"""How far a program beside the agent is: a small file that it replaces and the agent reads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_EVERY_S = 10.0
"""Every word of it goes into logs and the controller's journal."""


class Told:
    """`say`: in words, for people; what fails to be written is only not told."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._again_at = -1.0

    def forget(self) -> None:
        """Nothing is told any more."""
        self.path.unlink(missing_ok=True)

    def say(self, text: str, *, ready: bool = False, seldom: bool = False) -> None:
        """`seldom`: only when the last words are some seconds old."""
        now = self._clock()
        if seldom and now < self._again_at:
            return
        self._again_at = now + _EVERY_S
        new = self.path.with_suffix(".new")
        with suppress(OSError):
            new.write_text(json.dumps({"said": text, "ready": ready}))
            new.replace(self.path)

    @property
    def said(self) -> str:
        """The last words, "" when there are none."""
        return str(self._read().get("said", ""))

    @property
    def ready(self) -> bool:
        """Whether what was to be done is done."""
        return self._read().get("ready") is True

    def _read(self) -> dict[str, object]:
        with suppress(OSError, ValueError):
            found = json.loads(self.path.read_bytes())
            return found if isinstance(found, dict) else {}
        return {}
