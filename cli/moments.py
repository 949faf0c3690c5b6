"""Moments as people write them, and as the logs say them: UTC unless a zone is given."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from spec.errors import InputError

_AGO = re.compile(r"-(\d+(?:\.\d+)?)(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_EPOCH = re.compile(r"\d{9,11}(?:\.\d+)?")
_CLOCK = re.compile(r"\d{1,2}:\d{2}")


def moment(text: str, *, now: float) -> float:
    """Epoch seconds of `1796000000`, `2026-11-28T03:20:00Z`, `03:20[:11][+02:00]` or `-5m`.

    A time of day is the last one that has been. Raises InputError for anything else.
    """
    given = text.strip()
    if ago := _AGO.fullmatch(given):
        return now - float(ago[1]) * _SECONDS[ago[2]]
    if _EPOCH.fullmatch(given):
        return float(given)
    try:
        if _CLOCK.match(given):
            return _of_today(time.fromisoformat(given.zfill(5) if len(given) < 5 else given), now)  # noqa: PLR2004
        found = datetime.fromisoformat(given)
    except ValueError:
        raise InputError(
            f"--at {text}: is not a time; write 03:20, 03:20:11, 2026-11-28T03:20:11Z, 14:20+02:00, "
            "-5m (five minutes ago) or seconds since 1970. Times without a zone are UTC, as in the logs."
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _of_today(at: time, now: float) -> float:
    zone = at.tzinfo or UTC
    today = datetime.fromtimestamp(now, zone).date()
    found = datetime.combine(today, at.replace(tzinfo=None), zone)
    if found.timestamp() > now:
        found -= timedelta(days=1)
    return found.timestamp()


def clock(at: float) -> str:
    """`03:20:11Z`, as in the logs."""
    return _written(at, "%H:%M:%SZ")


def date_and_clock(at: float) -> str:
    """`2026-11-28 03:20:11Z`."""
    return _written(at, "%Y-%m-%d %H:%M:%SZ")


def _written(at: float, how: str) -> str:
    """A moment that no calendar has, as an agent or a damaged file may name it, stays a number."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime(how)
    except (ValueError, OverflowError, OSError):
        return f"{at:g}"
