"""A new price table out of the old one and today's quotes, with everything implausible refused.

A wrong price moves money, so a row changes only when its new price is believable next to the old table; what is
refused keeps its old row and is listed. Rows that gpuhunt does not cover (other accelerators, other clouds) stay
untouched. Pure, but for `write`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.accelerators import kind_of
from catalog.load import Offer, dump
from catalog.quotes import Quote
from spec.errors import OutsideError
from spec.names import Market

MAX_CHANGE = 5.0
"""A price that grew or shrank by more than this factor is taken for an error."""
BAND = 3.0
"""A price per accelerator may be this many times below or above the range of the old table."""
MAX_VANISHED = 0.5
"""When a larger share of a cloud's rows is gone, the source is taken to be incomplete and nothing is removed."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row whose price moved."""

    old: Offer
    new: Offer

    def percent(self, market: Market) -> float | None:
        """By how much, in percent of the old price; None when either is unknown."""
        old, new = self.old.price(market), self.new.price(market)
        return None if old is None or new is None else (new / old - 1) * 100


@dataclass(frozen=True, slots=True)
class Refusal:
    """A quote that was not believed. `key`: cloud, place and instance type."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The new table and how it differs. `confirmed`: rows whose prices are the same and now dated today."""

    offers: tuple[Offer, ...]
    added: tuple[Offer, ...]
    removed: tuple[Offer, ...]
    changed: tuple[Change, ...]
    refused: tuple[Refusal, ...]
    confirmed: int


_Key = tuple[str, str, str, str, int]


@dataclass(slots=True)
class _Prices:
    """Both prices of one machine in one location."""

    quote: Quote
    on_demand: float | None = None
    spot: float | None = None


def refresh(old: Sequence[Offer], quotes: Iterable[Quote], *, as_of: str, source: str) -> Refreshed:
    """The table after today's quotes. `as_of`: ISO date.

    Rows of clouds without any quote stay as they are. Where the source has no spot price of a cloud at all, the old
    ones stay, and with them the older date of the row.
    """
    priced = _by_machine(quotes)
    clouds = {key[0] for key in priced}
    with_spot = {key[0] for key, prices in priced.items() if prices.spot is not None}
    band = _bands(old)
    kept: list[Offer] = []
    vanished: list[Offer] = []
    changed: list[Change] = []
    refused: list[Refusal] = []
    used: set[_Key] = set()
    confirmed = 0
    lowest_spot = _lowest_spot(old)
    for offer in old:
        if offer.cloud not in clouds or kind_of(offer.accelerator).vendor != "nvidia":
            kept.append(offer)
            continue
        key = next((k for k in _keys(offer) if k in priced), None)
        if key is None:
            vanished.append(offer)
            continue
        used.add(key)
        new = _priced(offer, priced[key], lowest_spot.get(key), as_of=as_of, source=source)
        if offer.cloud not in with_spot and offer.spot_usd_hour is not None:
            new = replace(new, spot_usd_hour=offer.spot_usd_hour, as_of=offer.as_of, source=offer.source)
        if reason := _implausible(new, band) or _jumped(offer, new):
            refused.append(Refusal(_words(offer), reason))
            kept.append(offer)
            continue
        kept.append(new)
        if all(_same(offer.price(m), new.price(m)) for m in (Market.ON_DEMAND, Market.SPOT)):
            confirmed += 1
        else:
            changed.append(Change(offer, new))
    removed, spared, more = _removals(old, vanished)
    added, not_added = _additions(old, priced, used, band, as_of=as_of, source=source)
    return Refreshed(
        offers=tuple(sorted((*kept, *spared, *added), key=lambda o: o.key)),
        added=tuple(added),
        removed=tuple(removed),
        changed=tuple(changed),
        refused=(*refused, *more, *not_added),
        confirmed=confirmed,
    )


def write(path: Path, offers: Iterable[Offer]) -> None:
    """Replaces the table in one step: a reader sees the old one or the new one. Raises OutsideError."""
    name = ""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as f:
            name = f.name
            f.write(dump(offers))
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as e:
        if name:
            Path(name).unlink(missing_ok=True)
        raise OutsideError(f"the price table {path} can't be written: {e.strerror}") from None


# ---------------------------------------------------------------- matching rows and quotes


def _by_machine(quotes: Iterable[Quote]) -> dict[_Key, _Prices]:
    found: dict[_Key, _Prices] = {}
    for q in quotes:
        key = (q.cloud, q.location, q.instance_type, q.accelerator, q.accelerator_count)
        prices = found.setdefault(key, _Prices(q))
        if q.spot:
            prices.spot = q.price
        else:
            prices.on_demand = q.price
    return found


def _keys(offer: Offer) -> Iterable[_Key]:
    """Where a row's quote may be found: under its zone, or else under its region."""
    for location in (offer.zone, offer.region):
        if location:
            yield offer.cloud, location, offer.instance_type, offer.accelerator, offer.accelerator_count


def _lowest_spot(old: Iterable[Offer]) -> dict[_Key, float]:
    """The lowest spot price of each region's zones in the old table, which is what a region's quote tells."""
    lowest: dict[_Key, float] = {}
    for offer in old:
        if offer.spot_usd_hour is not None:
            *_, key = _keys(offer)
            lowest[key] = min(offer.spot_usd_hour, lowest.get(key, math.inf))
    return lowest


def _priced(offer: Offer, prices: _Prices, lowest: float | None, *, as_of: str, source: str) -> Offer:
    """The row with its new prices; a region's spot price keeps the old proportions between its zones."""
    spot = prices.spot
    if spot is not None and offer.zone and prices.quote.location == offer.region:
        ratio = offer.spot_usd_hour / lowest if offer.spot_usd_hour and lowest else 1.0
        spot = round(spot * ratio, 4)
        if prices.on_demand is not None and prices.spot is not None and prices.spot <= prices.on_demand:
            spot = min(spot, prices.on_demand)
    return replace(offer, on_demand_usd_hour=prices.on_demand, spot_usd_hour=spot, source=source, as_of=as_of)


def _removals(
    old: Sequence[Offer], vanished: Sequence[Offer]
) -> tuple[list[Offer], list[Offer], list[Refusal]]:
    """What may go, what is spared, and why."""
    removed: list[Offer] = []
    spared: list[Offer] = []
    refused: list[Refusal] = []
    for cloud in sorted({o.cloud for o in vanished}):
        gone = [o for o in vanished if o.cloud == cloud]
        before = sum(o.cloud == cloud for o in old)
        if len(gone) > before * MAX_VANISHED:
            spared += gone
            refused.append(
                Refusal(cloud, f"{len(gone)} of {before} rows would vanish; the source looks incomplete")
            )
        else:
            removed += gone
    return removed, spared, refused


def _additions(
    old: Sequence[Offer],
    priced: dict[_Key, _Prices],
    used: set[_Key],
    band: dict[tuple[str, Market], tuple[float, float]],
    *,
    as_of: str,
    source: str,
) -> tuple[list[Offer], list[Refusal]]:
    added: list[Offer] = []
    refused: list[Refusal] = []
    hosts = {(o.instance_type, o.accelerator, o.accelerator_count) for o in old}
    for key, prices in sorted(priced.items()):
        q = prices.quote
        attached = q.cloud == "gcp" and q.instance_type.startswith("n1-")
        if key in used or (attached and (q.instance_type, q.accelerator, q.accelerator_count) not in hosts):
            continue
        if q.cloud == "aws":
            refused.append(
                Refusal(f"aws {q.location} {q.instance_type}", "new, and its zones are not in the source")
            )
            continue
        zoned = q.cloud == "gcp"
        offer = Offer(
            cloud=q.cloud,
            region=q.location.rpartition("-")[0] if zoned else q.location,
            zone=q.location if zoned else None,
            instance_type=q.instance_type,
            vcpus=q.vcpus,
            memory_gib=q.memory_gib,
            accelerator=q.accelerator,
            accelerator_count=q.accelerator_count,
            accelerator_memory_gib=kind_of(q.accelerator).memory_gib,
            on_demand_usd_hour=prices.on_demand,
            spot_usd_hour=prices.spot,
            source=source,
            as_of=as_of,
        )
        if reason := _implausible(offer, band):
            refused.append(Refusal(_words(offer), reason))
        else:
            added.append(offer)
    return added, refused


# ---------------------------------------------------------------- what is believed


def _same(old: float | None, new: float | None) -> bool:
    """Sources round differently; a hundredth of a percent is no change."""
    if old is None or new is None:
        return old is new
    return math.isclose(old, new, rel_tol=1e-4)


def _bands(old: Iterable[Offer]) -> dict[tuple[str, Market], tuple[float, float]]:
    """Per accelerator and market: the believable USD per accelerator and hour."""
    seen: dict[tuple[str, Market], list[float]] = {}
    for offer in old:
        for market in (Market.SPOT, Market.ON_DEMAND):
            if (price := offer.price(market)) is not None:
                seen.setdefault((offer.accelerator, market), []).append(price / offer.accelerator_count)
    return {key: (min(prices) / BAND, max(prices) * BAND) for key, prices in seen.items()}


def _implausible(offer: Offer, band: dict[tuple[str, Market], tuple[float, float]]) -> str | None:
    for market in (Market.ON_DEMAND, Market.SPOT):
        price = offer.price(market)
        if price is None:
            continue
        words = f"{market.replace('_', ' ')} {price:g} USD/hour"
        if not 0 < price < math.inf:
            return f"{words} is no price"
        low, high = band.get((offer.accelerator, market), (0.0, math.inf))
        if not low <= price / offer.accelerator_count <= high:
            each = price / offer.accelerator_count
            return f"{words}: {each:.4g} per {offer.accelerator}, outside {low:.4g} to {high:.4g}"
    on_demand, spot = offer.on_demand_usd_hour, offer.spot_usd_hour
    if on_demand is not None and spot is not None and spot > on_demand:
        return f"spot {spot:g} is dearer than on demand {on_demand:g}"
    if on_demand is None and spot is None:
        return "no price at all"
    return None


def _jumped(old: Offer, new: Offer) -> str | None:
    for market in (Market.ON_DEMAND, Market.SPOT):
        before, now = old.price(market), new.price(market)
        if before and now and not 1 / MAX_CHANGE <= now / before <= MAX_CHANGE:
            return f"{market.replace('_', ' ')} {before:g} -> {now:g} USD/hour is more than a factor of {MAX_CHANGE:g}"
    return None


def _words(offer: Offer) -> str:
    return f"{offer.cloud} {offer.zone or offer.region} {offer.instance_type}"
