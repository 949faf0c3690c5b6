"""A stack's plan and its money table, as `tw preview` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from catalog.fixed import load_fixed
from catalog.load import load
from cli.context import Context
from cli.forecast import Outlook, lines
from local.trace import Trace, TraceError
from planner.environment import Planned, plan_stack
from planner.plan import Plan, ServicePlan
from planner.pricing import ZERO, Cost, cost_of_service
from spec.desired import Pool
from spec.errors import InputError
from spec.lock import Lock, read_lock
from spec.read import read_stack
from spec.service import ServiceSpec

FIGURES = (
    ("expected_usd_hour", "expected $/h"),
    ("worst_usd_hour", "worst $/h"),
    ("runaway_usd_hour", "runaway $/h"),
    ("idle_usd_month", "idle $/month"),
    ("expected_usd_month", "expected $/month"),
)
COST = ("expected_usd_hour", "worst_usd_hour", "runaway_usd_hour", "idle_usd_month")
TOTAL = "total"


def specs_of(context: Context, *, locked: bool = True) -> tuple[ServiceSpec, ...]:
    """The stack's service files; with `locked` also of services that it had and whose pools it still holds. Raises SpecError."""
    lock = lock_of(context) if locked else None
    return read_stack(context.root, context.config.services, lock, env=context.env)


def lock_of(context: Context) -> Lock | None:
    """None of a local stack, and where there is none. Raises SpecError."""
    return None if context.config.is_local else read_lock(context.root, context.env)


def planned_of(context: Context, *, locked: bool = True) -> Planned:
    """What the stack program will compute: same inputs, same function; and what is to be said of the prices' age.

    `locked`: with the pools of the stack's lock, where it has one; else with those that today's prices choose.

    Raises InputError, also for what can be planned and not be brought up.
    """
    config, today = context.config, datetime.now(UTC).date()
    planned = plan_stack(
        specs_of(context, locked=locked),
        load(),
        config,
        env=context.env,
        prices=load_fixed(),
        lock=lock_of(context) if locked else None,
        today=today,
    )
    if config.is_local:
        _check_trace(context, planned.plan)
    return planned


def plan_of(context: Context) -> Plan:
    """The plan alone."""
    return planned_of(context).plan


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


@dataclass(frozen=True)
class Money:
    """What a stack costs by its plan. `before`: USD per hour that were expected when it was last deployed, by service and
    as `total`; None = it never was, or nobody knows. `compared`: whether tables have a column for the change. `outlooks`: what is
    forecast of its services; empty = nobody asked.
    """

    plan: Plan
    before: Mapping[str, float] | None = None
    compared: bool = True
    outlooks: Sequence[Outlook] = ()

    def as_json(self) -> dict[str, Any]:
        """`{"services": [{"name", "pools", <figures>, "change_usd_hour"}], "total": {<figures>, "change_usd_hour"}}`.

        A service that something is forecast of has a `forecast` too.
        """
        ahead = {o.service: {"forecast": o.as_dict()} for o in self.outlooks}
        return {
            "services": [
                {
                    "name": s.name,
                    "pools": [_pool(s, p) for p in s.pools],
                    **_figures(s.cost),
                    "change_usd_hour": self._change(s.name, s.cost),
                    **ahead.get(s.name, {}),
                }
                for s in self.plan.services
            ],
            "total": {**_figures(self.plan.cost), "change_usd_hour": self._change(TOTAL, self.plan.cost)},
        }

    def header(self) -> list[str]:
        """Of `rows`."""
        return ["service", *(words for _, words in FIGURES), *(["change $/h"] if self.compared else [])]

    def rows(self, *, pools: bool = False) -> Iterator[list[str]]:
        """A line per service, below it with `pools` one for each of its pools, what is fixed, and the total."""
        for s in self.plan.services:
            yield [f"{s.name} ({len(s.pools)} pools)", *_row(s.cost), *self._words(s.name, s.cost)]
            for p in s.pools if pools else ():
                yield [f"  {p.id}", *_row(_cost_in(s, p)), *self._words()]
        if (others := self._others()) != ZERO:
            yield ["hosts, addresses, endpoints", *_row(others), *self._words()]
        yield [TOTAL, *_row(self.plan.cost), *self._words(TOTAL, self.plan.cost)]

    def _others(self) -> Cost:
        """What no service is to blame for."""
        parts = [
            getattr(self.plan.cost, f) - sum(getattr(s.cost, f) for s in self.plan.services) for f in COST
        ]
        return Cost(*(round(p, 9) for p in parts))

    def _change(self, name: str, cost: Cost) -> float | None:
        if self.before is None:
            return None
        return round(cost.expected_usd_hour - self.before.get(name, 0.0), 6)

    def _words(self, name: str = "", cost: Cost = ZERO) -> list[str]:
        if not self.compared:
            return []
        change = self._change(name, cost) if name else 0.0
        return ["new" if change is None else f"{change:+.2f}"] if name else [""]


def print_table(out: Console, money: Money, *, pools: bool = False) -> None:
    """The rows, in columns, and below them what is forecast."""
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(money.header()):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in money.rows(pools=pools):
        table.add_row(*row, style="bold" if row[0] == TOTAL else "dim" if row[0].startswith(" ") else "")
    out.print(table)
    for line in lines(money.outlooks):
        out.print(line, markup=False)


def _pool(service: ServicePlan, pool: Pool) -> dict[str, Any]:
    figures = _figures(_cost_in(service, pool))
    return {"id": pool.id, "price_usd_hour": pool.price_usd_hour, **figures}


def _cost_in(service: ServicePlan, pool: Pool) -> Cost:
    """What the service would cost if that were its only pool."""
    return cost_of_service(service.scaling, [pool])


def _figures(cost: Cost) -> dict[str, float]:
    return {name: round(getattr(cost, name), 6) for name, _ in FIGURES}


def _row(cost: Cost) -> list[str]:
    return [f"{getattr(cost, name):,.2f}" for name, _ in FIGURES]
