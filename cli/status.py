"""`tw status`: what the controller says, read from the state bucket with the user's own login.

Works while no controller answers; how old the status is says whether one is alive.
"""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from cli.context import Context
from cli.edges import edge_troubles
from cli.options import StackOption, there
from local.processes import Registry
from spec.errors import OutsideError
from spec.status import ReplicaState, RolloutPhase, RolloutStatus, ServiceStatus, SpendStatus, Status

FRESH_S = 15.0
"""The controller writes every five seconds: after three missed times it does not count as alive."""
WIDE = 110

out = Console(highlight=False)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(status)


def status(
    stack: StackOption = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live until Ctrl-C.")] = False,
    web: Annotated[
        bool,
        typer.Option("--web", help="Print the address of the status page, with the token that it asks for."),
    ] = False,
    open_web: Annotated[bool, typer.Option("--open", help="Open the status page in a browser.")] = False,
) -> None:
    """Show every service with its replicas, what they cost per hour, and how controller and edge are."""
    context = there(stack)
    if web or open_web:
        _web(context, print_it=web, open_it=open_web)
    elif as_json:
        print(json.dumps(as_public(context, read_status(context))))
    elif watch:
        _watch(context)
    else:
        out.print(_page(context, read_status(context)))


def _web(context: Context, *, print_it: bool, open_it: bool) -> None:
    """Raises OutsideError where nobody would answer."""
    from cli.web import address, open_page

    if _runs(context) is False:
        raise OutsideError(f"its controller does not run; `make up STACK={context.stack}` starts it again")
    if print_it:
        print(address(context))
    if open_it:
        open_page(context)


def _watch(context: Context) -> None:
    read_status(context)  # nothing to watch: says so and ends
    try:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                live.update(_page(context, read_status(context)), refresh=True)
                time.sleep(1)
    except KeyboardInterrupt:
        return


def read_status(context: Context) -> Status:
    """The last status that a controller wrote. Raises OutsideError when there is none."""
    path = context.state_dir / "status.json"
    try:
        return Status.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise OutsideError(
            f"stack {context.stack} has no status: {path} is missing, so no controller has run yet. "
            f"Start the stack with `make up STACK={context.stack}`; if it is up, its controller's log is in "
            f"{context.home / 'logs'}."
        ) from None
    except (OSError, ValidationError) as e:
        why = str(e) if isinstance(e, OSError) else "it is torn, or of another version"
        raise OutsideError(
            f"{path} can't be read: {why}. A running controller writes it anew within 5 s."
        ) from None


def alive(context: Context, found: Status) -> bool:
    """Whether the controller that wrote this still runs.

    On a local stack the registry knows at once; elsewhere the age of the status tells, a little later.
    """
    if not found.controller.alive or _age_s(found) > FRESH_S:
        return False
    return _runs(context) is not False


def _runs(context: Context) -> bool | None:
    """Whether the controller's process is there; None where this computer can't tell."""
    registry = Registry(context.home)
    here = [e for e in registry.entries() if e.kind == "controller"]
    return any(registry.alive(e) for e in here) if here else None


def as_public(context: Context, found: Status) -> dict[str, Any]:
    """The object of `tw status --json`. `since`: epoch seconds."""
    lives, ticked = alive(context, found), found.controller.last_tick_age_s
    return {
        "services": [
            service.model_dump(mode="json", exclude={"failures": True, "replicas": {"__all__": {"reason"}}})
            for service in found.services
        ],
        "usd_hour": found.usd_hour,
        "spend": found.spend.model_dump(mode="json") if found.spend else None,
        "controller": {
            "alive": lives,
            "leader": lives and found.controller.leader,
            "last_tick_age_s": None if ticked is None else round(ticked + _age_s(found), 3),
        },
    }


def _age_s(found: Status) -> float:
    return max(0.0, time.time() - found.written_at)


def _page(context: Context, found: Status) -> RenderableType:
    lives = alive(context, found)
    parts: list[RenderableType] = []
    for service in found.services:
        parts += [_table(service), *_traffic(service), *_rollout(service), *_troubles(service)]
    parts.append(f"[bold]${found.usd_hour:.2f}[/] per hour now{_month(found.spend)}")
    if found.spend and found.spend.exhausted:
        parts.append(f"[red]{escape(found.spend.exhausted)}[/]")
    if not lives:
        ago = f"this is what it said {_ago(_age_s(found))} ago"
        again = f"`make up STACK={context.stack}` starts it again; replicas and edges run on without it"
        if found.controller.alive and _runs(context):
            log = f"`./tw logs --controller --stack {context.stack}`"
            parts.append(
                f"[red]controller: runs and writes nothing[/]; {ago}. It hangs, and {again}; "
                f"or it can't write, on a full disk for instance: {log} says so"
            )
        else:
            parts.append(f"[red]controller: not running[/]; {ago}. {again}")
    elif found.controller.frozen:
        parts.append(f"[yellow]controller: frozen[/], changes nothing: {escape(found.controller.frozen)}")
    else:
        parts.append("controller: " + ("leading" if found.controller.leader else "waiting to lead"))
    parts += [f"[red]edge:[/] {escape(trouble)}" for trouble in edge_troubles(context, found)]
    parts += [f"[dim]{escape(reason)}[/]" for reason in found.reasons[:8]]
    return Group(*parts)


def _table(service: ServiceStatus) -> Table:
    """Fits 80 columns; a wider terminal shows accelerators and bundles too."""
    colour = "green" if service.ready >= service.desired else "yellow"
    title = (
        f"[bold]{service.name}[/]  [{colour}]{service.ready}/{service.desired} ready[/]  {service.endpoint}"
    )
    table = Table(title=title, title_justify="left", box=None, header_style="dim", pad_edge=False)
    wide = out.width >= WIDE
    for name in (
        "replica",
        "zone",
        "market",
        "state",
        "since",
        "$/h",
        *(("accelerator", "bundle") if wide else ()),
    ):
        table.add_column(name, justify="right" if name == "$/h" else "left", no_wrap=True)
    for r in service.replicas:
        price = "?" if r.usd_hour is None else f"{r.usd_hour:.2f}"
        state = f"[{_COLOURS[r.state]}]{r.state.value}[/]"
        name = r.id if r.nodes == 1 else f"{r.id} x{r.nodes}"
        row = [name, r.zone or r.region, r.market.value, state, _ago(time.time() - r.since), price]
        table.add_row(*row, *((r.accelerator, r.bundle[:12]) if wide else ()))
    return table


def _month(spend: SpendStatus | None) -> str:
    """What the month has cost so far, and what it may."""
    if spend is None:
        return ""
    budget = "" if spend.budget_usd is None else f" of ${spend.budget_usd:.2f}"
    assumed = f" (${spend.assumed_usd:.2f} assumed: the journal was lost)" if spend.assumed_usd else ""
    return f", [bold]${spend.usd:.2f}[/]{budget} in {spend.month}{assumed}"


def _traffic(service: ServiceStatus) -> list[RenderableType]:
    """What callers ask of it; at most 80 columns."""
    t = service.traffic
    if t is None or t.qps is None:
        return []
    parts = [f"{t.qps:g} requests/s"]
    if t.active is not None:
        parts.append(f"{t.active} active")
    if t.held:
        parts.append(f"[yellow]{t.held} held[/]")
    if t.failed_per_s:
        parts.append(f"[red]{t.failed_per_s:g} failed/s[/]")
    if t.ttft_p50_ms is not None and t.ttft_p95_ms is not None:
        parts.append(f"TTFT {_length(t.ttft_p50_ms)}, p95 {_length(t.ttft_p95_ms)}")
    return [", ".join(parts)]


def _length(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 1000 else f"{ms:.0f} ms"  # noqa: PLR2004


def _rollout(service: ServiceStatus) -> list[RenderableType]:
    """The change of bundle that goes on, or that did not work; nothing to say of one that is done."""
    if service.rollout is None or service.rollout.phase is RolloutPhase.DONE:
        return []
    return [f"[yellow]rollout[/]: {escape(rollout_line(service.rollout))}"]


def rollout_line(rollout: RolloutStatus) -> str:
    """A rollout in one line."""
    line = (
        f"{rollout.phase.value}, {how_many(rollout)}: "
        f"{rollout.from_bundle[:12]} -> {rollout.to_bundle[:12]}, began {_ago(time.time() - rollout.started_at)} ago"
    )
    return line + (f"; {rollout.reason}" if rollout.reason else "")


def how_many(rollout: RolloutStatus) -> str:
    """How many replicas run what they should end up with: in one that went back that is the bundle before."""
    back = rollout.phase in (RolloutPhase.BACK, RolloutPhase.FAILED, RolloutPhase.ABORTED)
    where = "on the bundle before" if back else "done"
    return f"{rollout.updated} of {rollout.total} {where}"


def _troubles(service: ServiceStatus) -> list[RenderableType]:
    return [f"[yellow]{r.id}[/]: {r.state.value}: {escape(r.reason)}" for r in service.replicas if r.reason]


_COLOURS = {
    ReplicaState.PENDING: "cyan",
    ReplicaState.STARTING: "cyan",
    ReplicaState.READY: "green",
    ReplicaState.UNREADY: "yellow",
    ReplicaState.DRAINING: "magenta",
    ReplicaState.FAILED: "red",
    ReplicaState.GONE: "dim",
}


def _ago(seconds: float) -> str:
    whole = max(0, round(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * length:
            return f"{whole // length} {unit}"
    return f"{whole} s"
