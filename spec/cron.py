"""Cron expressions of five fields, as crontab(5) means them: when a schedule begins.

`minute hour day-of-month month day-of-week`, each `*`, a number, a range, a list or a step; months and days of the week
also by name. Where both days are restricted, either is enough, as everywhere. Wrong ones say which field is.

What begins in the hour that the clocks skip in spring begins as long after midnight as usual; in the hour that comes twice,
the first time.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SHORT = 3
_MONTHS = {
    name: n
    for n, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_DAYS = {name: n for n, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_SUNDAY = 7
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, _SUNDAY, _DAYS),
)
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class BadCron(ValueError):
    """An expression that means nothing; the message says which field is wrong and why."""


@dataclass(frozen=True, slots=True)
class Cron:
    """When something begins: minutes of the day in order, and the days on which it does. Sunday is 0."""

    minutes: tuple[int, ...]
    """Of a day, from 0 to 1439."""
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    """Whether the day of the month and the day of the week are both restricted, so that either is enough."""

    def on(self, day: date) -> bool:
        """Whether it begins at all on that day."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (of_month or of_week) if self.either else (of_month and of_week)


@lru_cache(maxsize=1024)
def parse(text: str) -> Cron:
    """The expression of that text; raises BadCron."""
    parts = NICKNAMES.get(text.strip().casefold(), text).split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(name for name, *_ in _FIELDS)
        raise BadCron(f"it needs five fields ({names}) and has {len(parts)}")
    minutes, hours, days, months, weekdays = (
        _field(part, *field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    cron = Cron(
        minutes=tuple(h * 60 + m for h in sorted(hours) for m in sorted(minutes)),
        days=days,
        months=months,
        weekdays=frozenset(d % 7 for d in weekdays),
        either=not parts[2].startswith("*") and not parts[4].startswith("*"),
    )
    if not cron.either and not any(_exists(day, month) for day in days for month in months):
        raise BadCron(f"no year has such a day: day {parts[2]} of month {parts[3]}")
    return cron


def starts_on(cron: str, day: date, zone: tzinfo) -> Iterator[float]:
    """The moments of that day at which it begins by the clocks of the zone, epoch seconds, in order. Raises BadCron."""
    when = parse(cron)
    if not when.on(day):
        return
    for minute in when.minutes:
        yield datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone).timestamp()


def zone_of(name: str) -> tzinfo:
    """The zone of that name; UTC where this computer does not know it, so that nothing that is decided or priced fails by it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _exists(day: int, month: int) -> bool:
    return day <= calendar.monthrange(2024, month)[1]  # a leap year


def _field(text: str, name: str, least: int, most: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d{1,4}))?", part)
        if match is None or (match[1] == "*" and match[2]):
            raise BadCron(f"`{part}` is no {name}: a number from {least} to {most}, `a-b`, `*` or `*/n`")
        step = int(match[3] or 1)
        if step < 1:
            raise BadCron(f"the step of `{part}` must be at least 1")
        if match[1] == "*":
            low, high = least, min(most, 6) if names is _DAYS else most
        else:
            low = _number(match[1], name, least, most, names)
            open_end = most if match[3] else low
            high = _number(match[2], name, least, most, names) if match[2] else open_end
            if names is _DAYS and match[2] and high == 0 and low > 0:
                high = _SUNDAY  # `fri-sun`
        if high < low:
            raise BadCron(f"the {name} `{part}` ends before it begins")
        found.update(range(low, high + 1, step))
    return frozenset(found)


def _number(text: str, name: str, least: int, most: int, names: dict[str, int]) -> int:
    named = names.get(text.casefold()[:_SHORT]) if text.isalpha() and len(text) == _SHORT else None
    if named is not None:
        return named
    if not text.isdecimal() or not least <= int(text) <= most:
        also = f" or {', '.join(names)}" if names else ""
        raise BadCron(f"`{text}` is no {name}: from {least} to {most}{also}")
    return int(text)
