"""What `tw plan --json` prints: names that others rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cli.forecast import Outlook
from cli.rightsize import Sized
from cli.rightsize import as_dict as sizing_as_dict
from planner.plan import LeftOut, Plan, Row, ServicePlan
from planner.pricing import Cost

UNSIZED = Sized({})
"""Of a service of whose speed nothing is known."""
NOTHING_KNOWN: Mapping[str, Sized] = MappingProxyType({})


def as_dict(
    planned: Plan, known: Mapping[str, Sized] = NOTHING_KNOWN, outlooks: Sequence[Outlook] = ()
) -> dict[str, Any]:
    """What `--json` prints; the names in it are stable. Rows are in rank order; `sizing` is there when a load was given, and
    `forecast` when one was asked for.
    """
    ahead = {o.service: o for o in outlooks}
    return {
        "services": [_service(s, known.get(s.name, UNSIZED), ahead.get(s.name)) for s in planned.services]
    }


def _service(s: ServicePlan, known: Sized, outlook: Outlook | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": s.name,
        "rows": [_row(r, known) for r in s.rows],
        "left_out": [_left_out(x) for x in s.left_out],
        "cost": cost_as_dict(s.cost),
    }
    if known.sizing is not None:
        said["sizing"] = sizing_as_dict(known.sizing)
    if outlook is not None:
        said["forecast"] = outlook.as_dict()
    return said


def _row(r: Row, known: Sized) -> dict[str, Any]:
    tokens = known.rates.get((r.accelerator, r.accelerator_count))
    return {
        "cloud": r.cloud,
        "region": r.region,
        "zone": r.zone,
        "instance_type": r.instance_type,
        "accelerator": r.accelerator,
        "accelerator_count": r.accelerator_count,
        "vcpus": r.vcpus,
        "memory_gib": r.memory_gib,
        "market": r.market.value,
        "price_usd_hour": r.price_usd_hour,
        "usd_per_million_tokens": tokens and round(tokens.usd_per_million(r.price_usd_hour), 6),
        "throughput": tokens and tokens.speed.label,
        "chosen": r.chosen,
    }


def _left_out(x: LeftOut) -> dict[str, Any]:
    return {
        "cloud": x.cloud,
        "region": x.region,
        "zone": x.zone,
        "instance_type": x.instance_type,
        "accelerator": x.accelerator,
        "accelerator_count": x.accelerator_count,
        "market": x.market.value,
        "price_usd_hour": x.price_usd_hour,
        "reason": x.reason,
    }


def cost_as_dict(cost: Cost) -> dict[str, float]:
    """The figures of the money table, USD."""
    return {
        "expected_usd_hour": round(cost.expected_usd_hour, 6),
        "worst_usd_hour": round(cost.worst_usd_hour, 6),
        "runaway_usd_hour": round(cost.runaway_usd_hour, 6),
        "idle_usd_month": round(cost.idle_usd_month, 6),
        "expected_usd_month": round(cost.expected_usd_month, 6),
    }
