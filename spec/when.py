"""The notations of time inside of a service file: `10h`, `Europe/Berlin`, `0 8 * * 1-5`.

Readers as in `spec.quantities`. Time zones are those of the IANA database, as Python finds it on this computer.
"""

from __future__ import annotations

import re
import zoneinfo
from typing import Any

from spec.cron import BadCron, parse
from spec.errors import did_you_mean
from spec.quantities import Wrong

MAX_DURATION_S = 7 * 86400
_TIME_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}


def duration_s(value: Any) -> float:
    """Seconds, above 0 and up to a week: `10h`, `1h30m`, `90m` or a number of seconds."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    parts = re.findall(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)([dhms]?)", text)
    total = sum(float(number) * _TIME_UNITS[unit] for number, unit in parts)
    bare = any(not unit for _, unit in parts)
    if (
        "".join(n + u for n, u in parts) != text
        or (bare and len(parts) > 1)
        or not 0 < total <= MAX_DURATION_S
    ):
        raise Wrong("must be a time above 0 and up to 7 days", "For example `10h`, `1h30m` or `3600`.")
    return total


def cron(value: Any) -> str:
    """A cron expression of five fields."""
    try:
        parse(value if isinstance(value, str) else "")
    except BadCron as e:
        hint = 'For example `"0 8 * * 1-5"`: at 8 on working days.'
        raise Wrong(f"is no cron expression: {e}", hint) from e
    return " ".join(value.split())


def timezone(value: Any) -> str:
    """A name of the IANA time zone database."""
    try:
        zoneinfo.ZoneInfo(value)
    except (ValueError, TypeError, AttributeError, OSError, zoneinfo.ZoneInfoNotFoundError) as e:
        near = did_you_mean(str(value), zoneinfo.available_timezones()) or _zone_of_city(str(value))
        raise Wrong("is no known time zone", near or "For example `Europe/Berlin` or `UTC`.") from e
    return value


def _zone_of_city(word: str) -> str | None:
    """The zone of a city that was named alone, `Berlin`."""
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(zoneinfo.available_timezones()) if "/" in zone}
    near = {city.casefold(): zone for city, zone in cities.items()}.get(
        word.strip().replace(" ", "_").casefold()
    )
    return f"Did you mean `{near}`?" if near else None
