"""How old prices are: as old as their date allows, because many rows only tell their year."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from catalog.cells import UNKNOWN


def earliest(as_of: str) -> date:
    """The first day that `2024`, `2024-05` or `2024-05-06` can mean."""
    year, month, day = ([*map(int, as_of.split("-")), 1, 1])[:3]
    return date(year, month, day)


def oldest(dates: Iterable[str]) -> str:
    """The one that may be the longest ago; `unknown` is longer ago than any."""
    return min(dates, key=lambda text: date.min if text == UNKNOWN else earliest(text))


def days_old(as_of: str, today: date) -> int | None:
    """At most so many days; None = nobody knows."""
    return None if as_of == UNKNOWN else (today - earliest(as_of)).days
