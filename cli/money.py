"""A stack's plan and its money table, as `tw preview` prints it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from catalog.load import load
from cli.context import Context
from local.trace import Trace, TraceError
from planner.constraints import Constraints
from planner.plan import Plan
from planner.planner import plan
from planner.pricing import Cost
from spec.errors import InputError
from spec.read import read_services
from spec.service import ServiceSpec

FIGURES = ("expected_usd_hour", "worst_usd_hour", "runaway_usd_hour", "idle_usd_month", "expected_usd_month")


def specs_of(context: Context) -> tuple[ServiceSpec, ...]:
    """The stack's service files. Raises SpecError."""
    return read_services([context.root / path for path in context.config.services])


def plan_of(context: Context) -> Plan:
    """The plan that the stack program will compute: same inputs, same function.

    Raises InputError, also for what can be planned and not be brought up.
    """
    config = context.config
    if not config.is_local:
        raise InputError(
            f"Pulumi.{context.stack}.yaml: tradewind:clouds: `{', '.join(config.clouds)}` is planned for and priced "
            "(`./tw plan`), but only `[local]` can be brought up yet."
        )
    planned = plan(specs_of(context), load(), Constraints.of(config), env=context.stack)
    _check_trace(context, planned)
    return planned


def _check_trace(context: Context, planned: Plan) -> None:
    """The local cloud's capacity comes from a file of the user's: without its zones nothing would ever start."""
    where = f"Pulumi.{context.stack}.yaml: tradewind:local.trace"
    try:
        zones = Trace.load(context.root / context.config.local.trace).zones()
    except TraceError as e:
        raise InputError(f"{where}: {e}") from None
    for pool in (pool for service in planned.services for pool in service.pools):
        if pool.zone not in zones:
            raise InputError(
                f"{where}: {context.config.local.trace} has no row for the zone {pool.zone}, in which the plan puts "
                f"{pool.id}. Add one, or stay in regions that it has with tradewind:regions; it has {', '.join(zones)}."
            )


def first_model(context: Context) -> str:
    """A model name that the endpoint answers to, for the example that `tw up` prints."""
    spec = specs_of(context)[0]
    return (*spec.routing.models, spec.model, spec.name)[0] or spec.name


def as_json(planned: Plan) -> dict[str, Any]:
    """`{"services": [{"name", "pools", <figures>}], "total": {<figures>}}`."""
    return {
        "services": [
            {"name": s.name, "pools": [p.id for p in s.pools], **_figures(s.cost)} for s in planned.services
        ],
        "total": _figures(planned.cost),
    }


def print_table(out: Console, planned: Plan) -> None:
    """One line per service, and the total with fixed costs."""
    table = Table(box=None, pad_edge=False)
    for column in (
        "service",
        "pools",
        "expected $/h",
        "worst $/h",
        "runaway $/h",
        "idle $/month",
        "expected $/month",
    ):
        table.add_column(column, justify="left" if column == "service" else "right")
    for s in planned.services:
        table.add_row(s.name, str(len(s.pools)), *_row(s.cost))
    table.add_row(
        "total", str(sum(len(s.pools) for s in planned.services)), *_row(planned.cost), style="bold"
    )
    out.print(table)


def _figures(cost: Cost) -> dict[str, float]:
    return {name: round(getattr(cost, name), 6) for name in FIGURES}


def _row(cost: Cost) -> list[str]:
    return [f"{getattr(cost, name):,.2f}" for name in FIGURES]
