"""What a plan's services are likely to cost and how often they will be short: forecast once, kept, and shown in one line each.

A forecast takes seconds, and a preview has none to spare. So `tw plan --forecast` keeps what it found below `.tradewind/`, under a
hash of everything that it follows from, and a preview shows what is kept for the very plan that it previews, or nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cli.bars import bars
from local.files import write_atomic
from planner.expected import replicas_over
from planner.filters import LOCAL
from planner.plan import Plan, ServicePlan
from planner.pricing import cost_of_service
from sim.forecast import DAYS, DIGITS, LAW, Case, Forecast, Range, forecast, has_spot
from spec.desired import Pool, PoolState, Prices
from spec.names import Market

FOLDER = Path(".tradewind") / "forecast"
COMMAND = "./tw plan --stack {stack} --forecast"
_HUNDRED, _TEN = 100, 10
_CODE = ("sim", "lb/decide")
"""Folders whose change makes another forecast."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One service.

    Attributes:
        spot: what its pools are likely to cost; None = there is no such forecast, and `why` says why.
        on_demand_usd_day: of the same replicas on demand only, at the cheapest place of the plan; None = it has no price.
        replicas: how many are assumed, in words.

    """

    service: str
    spot: Forecast | None
    on_demand_usd_day: float | None
    replicas: str
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints of it; the names are stable."""
        return {
            "spot": self.spot.as_dict() if self.spot else None,
            "on_demand_usd_day": self.on_demand_usd_day,
            "replicas": self.replicas,
            "why": self.why,
            "assumed": assumed(self.spot) if self.spot else "",
        }


def forecasts(plan: Plan, root: Path, *, weeks: int | None = None) -> tuple[Outlook, ...]:
    """Of every service, with a bar on a terminal; what is not kept yet takes some seconds each, and is kept.

    `weeks`: as `sim.forecast.forecast` has it.
    """
    paths = {s.name: _path(root, s, weeks) for s in plan.services}
    known = {name: _read(path) for name, path in paths.items() if path}
    with bars([name for name, made in known.items() if made is None], 1.0) as told:
        for service in plan.services:
            path = paths[service.name]
            if path is not None and known[service.name] is None:
                made = forecast(_case(service), weeks=weeks, progress=partial(told, service.name))
                _keep(path, made)
                known[service.name] = made
    return tuple(_outlook(s, known.get(s.name)) for s in plan.services)


def kept(plan: Plan, root: Path, *, stack: str) -> tuple[Outlook, ...]:
    """Of every service, as far as it was forecast before for just this plan."""
    found = []
    for service in plan.services:
        path = _path(root, service, None)
        known = _read(path) if path else None
        why = f"{COMMAND.format(stack=stack)} makes it" if path and known is None else ""
        found.append(_outlook(service, known, why))
    return tuple(found)


# ---------------------------------------------------------------- what is asked


def _why_not(service: ServicePlan) -> str:
    """Why nothing can be forecast; empty when something can."""
    staying = [p for p in service.pools if p.state is PoolState.ACTIVE]
    if service.scaling.max_replicas == 0 or not staying:
        return "it leaves"
    if all(p.cloud == LOCAL for p in staying):
        return "the local cloud has what its trace says (./tw sim --trace FILE)"
    if not has_spot(staying):
        return "it has no spot pools, and the model takes no other machines away"
    return ""


def _case(service: ServicePlan) -> Case:
    return Case(service.pools, service.scaling, replicas_over(service.scaling, DAYS))


def _outlook(service: ServicePlan, spot: Forecast | None, why: str = "") -> Outlook:
    numbers = sorted({n for _, n in replicas_over(service.scaling, DAYS)})
    return Outlook(
        service.name,
        spot,
        _on_demand_usd_day(service),
        _in_words(numbers, service.scaling.num_overprovision),
        "" if spot else why or _why_not(service),
    )


def _on_demand_usd_day(service: ServicePlan) -> float | None:
    """By the plan's own formula, in one pool at the cheapest on-demand price that the plan knows."""
    staying = [p for p in service.pools if p.state is PoolState.ACTIVE]
    if not staying or service.scaling.max_replicas == 0:
        return None
    nodes = 1 / staying[0].capacity_units
    prices = [r.price_usd_hour * nodes for r in service.rows if r.market is Market.ON_DEMAND]
    prices += [p.prices.on_demand / p.capacity_units for p in staying if p.prices.on_demand is not None]
    if not prices:
        return None
    cost = cost_of_service(service.scaling, [_on_demand(staying[0], min(prices))])
    return round(24 * cost.expected_usd_hour, DIGITS)


def _on_demand(pool: Pool, usd_hour: float) -> Pool:
    prices = Prices(on_demand=usd_hour)
    return pool.model_copy(update={"market": Market.ON_DEMAND, "prices": prices, "capacity_units": 1.0})


# ---------------------------------------------------------------- what is kept


def _path(root: Path, service: ServicePlan, weeks: int | None) -> Path | None:
    """Where the forecast of this plan is; None where there can be none."""
    if _why_not(service):
        return None
    case = _case(service)
    pools = sorted(
        (p.model_dump(mode="json", exclude={"resource"}) for p in case.pools), key=lambda p: p["id"]
    )
    follows_from = [pools, case.scaling.model_dump(mode="json"), case.targets, weeks, _code()]
    name = hashlib.sha256(json.dumps(follows_from, sort_keys=True).encode()).hexdigest()
    return root / FOLDER / f"{name[:32]}.json"


@lru_cache(maxsize=1)
def _code() -> str:
    """Hash of the simulator and of the decisions: a change of either makes other figures."""
    root, found = Path(__file__).resolve().parent.parent, hashlib.sha256()
    for path in sorted(path for folder in _CODE for path in (root / folder).rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def _keep(path: Path, made: Forecast) -> None:
    """Where nothing can be written it is made again next time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, f"{json.dumps(made.as_dict(), indent=1)}\n".encode())


def _read(path: Path) -> Forecast | None:
    """None where there is none, and where it can't be read: then it is made again."""
    try:
        return TypeAdapter(Forecast).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


# ---------------------------------------------------------------- for people


def lines(outlooks: Sequence[Outlook]) -> list[str]:
    """One for each service, and what is assumed below; empty when there is nothing."""
    if not outlooks:
        return []
    said = [f"{o.service}: {_said(o)}" for o in outlooks]
    made = next((o.spot for o in outlooks if o.spot), None)
    return said if made is None else [*said, f"assumed: {assumed(made)}"]


def assumed(made: Forecast) -> str:
    """What a forecast can't know, in one sentence."""
    return (
        f"{LAW}, prices stay, on demand is always given, the load asks for no more than min_replicas and schedules; "
        f"mean of {made.weeks} simulated weeks, 5th to 95th percentile (docs/planning.md)"
    )


def _said(o: Outlook) -> str:
    on_demand = "unknown" if o.on_demand_usd_day is None else f"${_usd(o.on_demand_usd_day)}/day"
    if o.spot is None:
        return f"no forecast: {o.why}; on demand {on_demand} ({o.replicas})"
    usd, share = o.spot.usd_day, o.spot.available
    money = f"spot: ${_usd(usd.expected)}/day ({_usd(usd.low, usd)}-{_usd(usd.high, usd)})"
    part = f", {100 * o.spot.on_demand_part:.0f} % of it on demand" if o.spot.on_demand_part else ""
    ready = f"{_percent(share.expected)} % ({_percent(share.low)}-{_percent(share.high)})"
    return f"{money}{part}, {ready}; on demand {on_demand} ({o.replicas})"


def _usd(amount: float, like: Range | None = None) -> str:
    """With as many decimals as say something; `like`: as the figure that it stands beside."""
    size = amount if like is None else like.expected
    decimals = 0 if size >= _HUNDRED else 1 if size >= _TEN else 2
    return f"{amount:,.{decimals}f}"


def _percent(share: float) -> str:
    """Rounded down: what was short once is not always ready."""
    return f"{math.floor(share * 10_000 + 1e-6) / 100:.2f}"


def _in_words(numbers: Sequence[int], spares: int) -> str:
    low, high = numbers[0], numbers[-1]
    said = (
        f"{low} replica{'' if low == 1 else 's'}" if low == high else f"{low} to {high} replicas by the clock"
    )
    return f"{said} and {spares} spare" if spares else said
