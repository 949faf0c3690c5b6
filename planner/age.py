"""How old the prices of a plan are, against what `tradewind:catalog` allows. The day is given, so that plans stay the same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from catalog.age import days_old, oldest
from spec.clouds import CatalogAge
from spec.desired import Pool
from spec.errors import Problem, SpecError
from spec.stack import NAMESPACE

REFRESH = "./tw catalog refresh"


def age_notes(pools: Iterable[Pool], allowed: CatalogAge, today: date, *, env: str) -> tuple[str, ...]:
    """A sentence for each cloud whose prices are older than `warn_days`. Raises SpecError above `fail_days`."""
    dates: dict[str, set[str]] = {}
    for pool in pools:
        dates.setdefault(pool.cloud, set()).add(pool.prices.as_of)
    notes, problems = [], []
    for cloud, found in sorted(dates.items()):
        as_of = oldest(found)
        age = days_old(as_of, today)
        words = "nobody knows how old" if age is None else f"up to {age} days old (as of {as_of})"
        if allowed.fail_days is not None and (age is None or age > allowed.fail_days):
            problems.append(
                Problem(
                    f"Pulumi.{env}.yaml",
                    f"{NAMESPACE}:catalog.failDays",
                    f"prices of {cloud} are {words}, and {allowed.fail_days} days are allowed.",
                    hint=f"{REFRESH} gets today's.",
                )
            )
        elif age is None or age > allowed.warn_days:
            notes.append(f"prices of {cloud} are {words}: {REFRESH} gets today's")
    if problems:
        raise SpecError(problems)
    return tuple(notes)
