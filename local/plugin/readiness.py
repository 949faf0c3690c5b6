"""Whether a process answers: waited for after its start, until it ends, runs out of time, or somebody cancels; and
looked at later, because a process may be alive and do nothing any more.
"""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from local.plugin.resource import CancelledError, OperationError
from local.processes import Entry, running

_POLL_S = 0.05
_ANSWER_TIMEOUT_S = 1.0
_SILENCE_S = 5.0
"""Nobody who works is silent for so long, on a busy machine neither."""
_SETTLE_S = 0.3
"""A program that can't start at all (wrong arguments, a port in use) ends within this time."""
_TAIL_LINES = 10
_TAIL_BYTES = 8192


def wait_ready(
    entry: Entry, *, url: str, timeout_s: float, log: Path, log_start: int, cancelled: Event
) -> None:
    """Returns when `url` answers 200; without a URL, when the process still runs after a moment.

    Raises CancelledError, or OperationError with the last lines that the process logged after byte `log_start`.
    """
    began = time.monotonic()
    while True:
        if not running(entry.pid, entry.start_time):
            raise OperationError(
                f"{entry.name} (pid {entry.pid}) ended before it was ready{_tail(log, log_start)}"
            )
        if (
            _status(url, _ANSWER_TIMEOUT_S) == http.HTTPStatus.OK
            if url
            else time.monotonic() - began >= _SETTLE_S
        ):
            return
        if url and time.monotonic() - began >= timeout_s:
            late = f"{entry.name} (pid {entry.pid}) did not answer {url} with 200 within {timeout_s:g} s"
            raise OperationError(f"{late}{_tail(log, log_start)}")
        if cancelled.wait(_POLL_S):
            raise CancelledError(f"{entry.name} was starting")


def hangs(entry: Entry, *, url: str, grace_s: float) -> bool:
    """Whether the process answers nothing at all at `url`, though it was started more than `grace_s` seconds ago.

    Any status is an answer: what the process thinks of itself is its own business. False without a URL.
    """
    if not url or time.time() < entry.launched_at + grace_s:
        return False
    return _status(url, _SILENCE_S) is None


def _status(url: str, timeout_s: float) -> int | None:
    """The status of the answer; None when there is none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_s)
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else "") or "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def log_size(log: Path) -> int:
    """Bytes in the log; 0 when there is none."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def _tail(log: Path, start: int) -> str:
    try:
        with log.open("rb") as f:
            size = f.seek(0, 2)
            begin = start if start <= size else 0  # rotated when the process started
            f.seek(max(begin, size - _TAIL_BYTES))
            lines = f.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    if not lines:
        return f"; it logged nothing ({log})"
    return "\n".join([f"; the end of {log}:", *(f"  {line}" for line in lines)])
