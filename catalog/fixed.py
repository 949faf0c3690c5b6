"""Prices of what an environment has beside its replicas: hosts, addresses, balancers, disks, secrets, health checks.

List prices of a region of the eastern or central US; other regions cost up to 40 % more. `catalog/fixed.csv` has a date
and a source for each.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Mapping
from pathlib import Path

from spec.errors import InputError

FILE = Path(__file__).with_name("fixed.csv")
HOURS = {"hour": 1.0, "month": 730.0}


@functools.cache
def load_fixed(path: Path = FILE) -> Mapping[tuple[str, str], float]:
    """USD per hour by cloud and item. Raises InputError that names the row."""
    prices: dict[tuple[str, str], float] = {}
    with path.open(newline="", encoding="utf-8") as f:
        for number, row in enumerate(csv.DictReader(f), start=2):
            try:
                usd, hours = float(row["usd"]), HOURS[row["per"]]
                key = (row["cloud"], row["item"])
            except (KeyError, TypeError, ValueError):
                raise InputError(
                    f"{path.name}: row {number}: needs cloud, item, usd (a number) and per (hour or month)"
                ) from None
            if not math.isfinite(usd) or usd < 0 or key in prices:
                raise InputError(f"{path.name}: row {number}: {key[0]} {key[1]}: twice, or no price")
            prices[key] = usd / hours
    return prices
