"""`tw catalog`: look at the price table, and bring it up to date."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.accelerators import kind_of
from catalog.load import PRICES_CSV, Offer, load
from catalog.quotes import PROVIDERS, fetch
from catalog.refresh import Change, Refreshed, refresh, write
from spec.errors import InputError, did_you_mean
from spec.names import Market

LINES_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Adds `catalog` and its commands."""
    group = typer.Typer(name="catalog", help="The price table.", no_args_is_help=True)
    group.command("show")(show)
    group.command("refresh")(refresh_prices)
    app.add_typer(group)


def show(
    accelerator: Annotated[
        str | None, typer.Argument(metavar="[ACCELERATOR]", help="Any spelling; without it, all.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what is sold: every shape with its cheapest prices."""
    offers: Sequence[Offer] = load(PRICES_CSV).offers
    if accelerator:
        name = kind_of(accelerator).name
        offers = [o for o in offers if o.accelerator == name]
        if not offers:
            raise InputError(f"nobody in the price table has {name}.")
    shapes = list(_shapes(offers))
    if as_json:
        print(json.dumps({"shapes": shapes}, indent=1))
        return
    print(f"{'ACCELERATOR':18}{'CLOUD':10}{'PLACES':>7}{'ON DEMAND':>12}{'SPOT':>10}")
    for s in shapes:
        shape = f"{s['accelerator']}:{s['accelerator_count']}"
        on_demand, spot = (
            "-" if p is None else f"{p:.2f}" for p in (s["on_demand_usd_hour"], s["spot_usd_hour"])
        )
        print(f"{shape:18}{s['cloud']:10}{s['places']:>7}{on_demand:>12}{spot:>10}")


def _shapes(offers: Iterable[Offer]) -> Iterable[dict[str, Any]]:
    groups: dict[tuple[str, int, str], list[Offer]] = {}
    for o in offers:
        groups.setdefault((o.accelerator, o.accelerator_count, o.cloud), []).append(o)
    for (name, count, cloud), members in sorted(groups.items()):
        yield {
            "accelerator": name,
            "accelerator_count": count,
            "cloud": cloud,
            "places": len(members),
            "on_demand_usd_hour": _cheapest(members, Market.ON_DEMAND),
            "spot_usd_hour": _cheapest(members, Market.SPOT),
        }


def _cheapest(offers: Iterable[Offer], market: Market) -> float | None:
    return min((p for o in offers if (p := o.price(market)) is not None), default=None)


def refresh_prices(
    *,
    cloud: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(PROVIDERS)}; repeatable. Default: all.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, write nothing.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every line of the difference.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring the price table up to date with gpuhunt; implausible rows are refused and listed."""
    clouds = _checked(cloud)
    table: Path = PRICES_CSV
    old = load(table).offers
    fetched = fetch(clouds)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    new = refresh(old, fetched.quotes, as_of=today, source=fetched.source)
    if not dry_run and new.offers != old:
        write(table, new.offers)
    if as_json:
        print(json.dumps(_as_dict(new, fetched.missing, written=not dry_run), indent=1))
    else:
        _print(new, fetched.missing, at_most=None if everything else LINES_SHOWN, dry_run=dry_run)


def _checked(clouds: Sequence[str] | None) -> list[str]:
    wanted = [c.casefold() for c in clouds or PROVIDERS]
    for name in wanted:
        if name not in PROVIDERS:
            hint = did_you_mean(name, PROVIDERS) or f"Known: {', '.join(PROVIDERS)}."
            raise InputError(f"--cloud: gpuhunt has no prices of `{name}` that fit the table. {hint}")
    return list(dict.fromkeys(wanted))


def _as_dict(new: Refreshed, missing: Sequence[str], *, written: bool) -> dict[str, Any]:
    return {
        "written": written,
        "confirmed": new.confirmed,
        "added": [_key(o) for o in new.added],
        "removed": [_key(o) for o in new.removed],
        "changed": [
            {
                **_key(c.new),
                "on_demand_usd_hour": [c.old.on_demand_usd_hour, c.new.on_demand_usd_hour],
                "spot_usd_hour": [c.old.spot_usd_hour, c.new.spot_usd_hour],
            }
            for c in new.changed
        ],
        "refused": [{"row": r.key, "reason": r.reason} for r in new.refused],
        "missing": list(missing),
    }


def _key(o: Offer) -> dict[str, Any]:
    return {
        "cloud": o.cloud,
        "region": o.region,
        "zone": o.zone,
        "instance_type": o.instance_type,
        "accelerator": o.accelerator,
        "accelerator_count": o.accelerator_count,
    }


def _print(new: Refreshed, missing: Sequence[str], *, at_most: int | None, dry_run: bool) -> None:
    _section("added", [f"+ {_words(o)}" for o in new.added], at_most)
    _section("removed", [f"- {_words(o)}" for o in new.removed], at_most)
    _section("changed", [f"~ {_words(c.new)}{_percents(c)}" for c in new.changed], at_most)
    _section("refused", [f"! {r.key}: {r.reason}" for r in new.refused], at_most)
    for name in missing:
        print(f"nothing came of {name}; its rows stay as they are")
    print(
        f"{len(new.added)} added, {len(new.removed)} removed, {len(new.changed)} changed, "
        f"{len(new.refused)} refused, {new.confirmed} confirmed"
        + ("; nothing written (--dry-run)" if dry_run else "")
    )


def _section(title: str, lines: Sequence[str], at_most: int | None) -> None:
    if not lines:
        return
    print(f"{title}:")
    for line in lines[:at_most]:
        print(f"  {line}")
    if at_most is not None and len(lines) > at_most:
        print(f"  and {len(lines) - at_most} more (--all)")


def _words(o: Offer) -> str:
    return f"{o.cloud} {o.zone or o.region} {o.instance_type} {o.accelerator}:{o.accelerator_count}"


def _percents(change: Change) -> str:
    said = ""
    for market in (Market.ON_DEMAND, Market.SPOT):
        old, new, percent = change.old.price(market), change.new.price(market), change.percent(market)
        if old != new:
            moved = f" ({percent:+.1f} %)" if percent is not None else ""
            said += f", {market.replace('_', ' ')} {_price(old)} -> {_price(new)}{moved}"
    return said


def _price(price: float | None) -> str:
    return "unknown" if price is None else f"{price:g}"
