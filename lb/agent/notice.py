"""Whether the cloud has announced that it will take this machine away, asked again and again on a thread of its own.

Nothing here stops anything: the agent tells the controller, which drains the replica. An announcement stays, whatever
the source says later; one that can't be read is none.
"""

from __future__ import annotations

import json
import math
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_MOST_BYTES = 4096


class UnreadableNotice(Exception):
    """There is something, but it does not say when; the message says why."""


class NoticeSource(Protocol):
    """Where a cloud tells a machine of its preemption. `poll_s`: from one look to the next, as that cloud wants it."""

    @property
    def poll_s(self) -> float:
        """Seconds."""
        ...

    def preempt_at(self) -> float | None:
        """Epoch seconds of the announced end; None = none is announced. Raises UnreadableNotice."""
        ...

    def approve(self) -> None:
        """Lets the cloud go on at once with an end that it would wait with. Raises UnreadableNotice."""
        ...


class NoticeFile:
    """The local cloud's: `{"preempt_at": SECONDS}` in a file that appears when there is something to tell."""

    poll_s = 0.25
    """Controllers ask agents twice a second; more often than that would help nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def approve(self) -> None:
        """Nothing: the local cloud keeps to the moment that it has named."""

    def preempt_at(self) -> float | None:
        """See NoticeSource."""
        try:
            raw = _read(self._path)
        except FileNotFoundError:
            return None
        except OSError as e:
            raise UnreadableNotice(f"{self._path}: {e.strerror or e}") from e
        try:
            return _moment(json.loads(raw)["preempt_at"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as e:
            raise UnreadableNotice(f"{self._path} names no moment: {type(e).__name__}") from e


class NoticeWatch:
    """Asks a source again and again, and tells each moment that is earlier than those before.

    `drained`: whether an announced end may come at once.
    """

    def __init__(
        self,
        source: NoticeSource,
        *,
        tell: Callable[[float], None],
        warn: Callable[[str], None],
        drained: Callable[[], bool] = lambda: False,
    ) -> None:
        self._source = source
        self._tell = tell
        self._warn = warn
        self._drained = drained
        self._warned = ""
        self._earliest = math.inf

    def start(self) -> None:
        """Asks beside the caller, until the program ends."""
        threading.Thread(target=self._run, name="notice", daemon=True).start()

    def look(self) -> bool:
        """Asks once; whether there was an answer, which has been told by then. What is unreadable is warned of once."""
        try:
            preempt_at = self._source.preempt_at()
            if preempt_at is not None and self._drained():
                self._source.approve()
        except UnreadableNotice as e:
            if str(e) != self._warned:
                self._warned = str(e)
                self._warn(self._warned)
            return False
        if preempt_at is None:
            return False
        if preempt_at < self._earliest:
            self._earliest = preempt_at
            self._tell(preempt_at)
        return True

    def _run(self) -> None:
        while True:
            self.look()
            time.sleep(self._source.poll_s)


def _read(path: Path) -> bytes:
    """The start of a regular file; whoever put a pipe there does not hold the agent up. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError("is no regular file")
        return os.read(fd, _MOST_BYTES)
    finally:
        os.close(fd)


def _moment(value: object) -> float:
    """Raises TypeError, ValueError or OverflowError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    moment = float(value)
    if not math.isfinite(moment) or moment < 0:
        raise ValueError(value)
    return moment
