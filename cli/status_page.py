"""How `tw status` looks: one table for each service, then money, controller, edges and the last decisions."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from cli.edges import edge_troubles
from cli.state import State
from cli.told import age_s, alive, runs
from spec.status import ReplicaState, RolloutPhase, RolloutStatus, ServiceStatus, SpendStatus, Status

WIDE = 110

out = Console(highlight=False)


def page(state: State, found: Status) -> RenderableType:
    """The whole of it, for a terminal of 80 columns or more."""
    parts: list[RenderableType] = []
    for service in found.services:
        parts += [_table(service), *_traffic(service), *_rollout(service), *_troubles(service)]
    parts.append(f"[bold]${found.usd_hour:.2f}[/] per hour now{_month(found.spend)}")
    if found.spend and found.spend.exhausted:
        parts.append(f"[red]{escape(found.spend.exhausted)}[/]")
    parts.append(_controller(state, found))
    parts += [f"[red]edge:[/] {escape(trouble)}" for trouble in edge_troubles(state, found)]
    parts += [f"[dim]{escape(reason)}[/]" for reason in found.reasons[:8]]
    return Group(*parts)


def _controller(state: State, found: Status) -> str:
    said = f"this is what it said {_ago(age_s(found))} ago"
    stack = state.context.stack
    if alive(state, found):
        if found.controller.frozen:
            return f"[yellow]controller: frozen[/], changes nothing: {escape(found.controller.frozen)}"
        how = "leading" if found.controller.leader else "waiting to lead"
        return f"controller: {how}" + ("" if state.afar is None else f"; {said}")
    if state.afar is not None:
        return (
            f"[red]controller: silent[/]; {said}, in {escape(state.where)}. Replicas and edges run on without it; "
            f"`./tw logs --stack {stack}` says how to read what its host writes"
        )
    again = f"`make up STACK={stack}` starts it again; replicas and edges run on without it"
    if found.controller.alive and runs(state.context):
        return (
            f"[red]controller: runs and writes nothing[/]; {said}. It hangs, and {again}; or it can't write, on a full "
            f"disk for instance: `./tw logs --controller --stack {stack}` says so"
        )
    return f"[red]controller: not running[/]; {said}. {again}"


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
