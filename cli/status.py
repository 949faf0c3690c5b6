"""`tw status` and `tw wait`: what the controller says, read from the state bucket with the user's own login.

Both work while no controller answers; how old the status is says whether one is alive.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.context import Context
from cli.options import StackOption, there
from local.processes import Registry
from spec.desired import Desired, UnusableDesired, parse
from spec.errors import OutsideError
from spec.status import ReplicaState, ReplicaStatus, ServiceStatus, SpendStatus, Status

FRESH_S = 15.0
"""The controller writes every five seconds: after three missed times it does not count as alive."""
POLL_S = 0.3
GIVE_UP_AFTER = 3
"""Replicas of one service that fail in a row, none ready on its present bundle, before `wait` stops waiting."""
LOG_LINES = 5
WIDE = 110

out = Console(highlight=False)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(status)
    app.command()(wait)


# ---------------------------------------------------------------- tw status


def status(
    stack: StackOption = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live until Ctrl-C.")] = False,
) -> None:
    """Show every service with its replicas, what they cost per hour, and how the controller is."""
    context = there(stack)
    if as_json:
        print(json.dumps(as_public(context, read_status(context))))
    elif watch:
        _watch(context)
    else:
        out.print(_page(context, read_status(context)))


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
        parts += [_table(service), *_traffic(service), *_troubles(service)]
    parts.append(f"[bold]${found.usd_hour:.2f}[/] per hour now{_month(found.spend)}")
    if found.spend and found.spend.exhausted:
        parts.append(f"[red]{escape(found.spend.exhausted)}[/]")
    if not lives:
        how = "does not answer" if found.controller.alive and _runs(context) else "not running"
        parts.append(
            f"[red]controller: {how}[/]; this is what it said {_ago(_age_s(found))} ago. "
            f"`make up STACK={context.stack}` starts it again; replicas and edges run on without it"
        )
    elif found.controller.frozen:
        parts.append(f"[yellow]controller: frozen[/], changes nothing: {escape(found.controller.frozen)}")
    else:
        parts.append("controller: " + ("leading" if found.controller.leader else "waiting to lead"))
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
        row = [r.id, r.zone or r.region, r.market.value, state, _ago(time.time() - r.since), price]
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


# ---------------------------------------------------------------- tw wait


def wait(
    stack: StackOption = "dev",
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 300,
) -> None:
    """Wait until every service has its replicas ready and the edge answers. Ctrl-C leaves the stack running."""
    context = there(stack)
    wait_until_ready(context, timeout_s=timeout)
    services = read_status(context).services
    out.print(", ".join(f"{s.name}: {s.ready}/{s.desired} ready at {s.endpoint}" for s in services))


def wait_until_ready(context: Context, *, timeout_s: float = 300) -> None:
    """Returns once the stack serves what is desired; raises OutsideError, which says what is missing and why."""
    waiting = _Waiting(context)
    deadline = time.monotonic() + timeout_s
    try:
        with _progress() as progress:
            while not waiting.look(progress):
                if time.monotonic() > deadline:
                    raise OutsideError(waiting.failure(f"not ready within {timeout_s:g} s"))
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        out.print(
            f"stack {context.stack} keeps running and goes on; `./tw wait --stack {context.stack}` waits again, "
            f"`make down STACK={context.stack}` ends it"
        )
        raise


@dataclass
class _Waiting:
    """What `wait` has seen so far."""

    context: Context
    bars: dict[str, TaskID] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    """The last trouble of each replica, by its id."""
    failures: dict[str, int] = field(default_factory=dict)
    """Failures of each service when waiting began: only further ones say something about now."""
    missing: str = "the controller has said nothing yet"
    last: Status | None = None

    def look(self, progress: Progress) -> bool:
        """One look; True when everything is as desired. Raises OutsideError when waiting is pointless."""
        desired = self._desired()
        try:
            found = read_status(self.context)
        except OutsideError as e:
            self.missing = str(e)
            return False
        self.last = found
        for service in found.services:
            self._note(service)
            self._draw(progress, service)
        self.missing = self._lacks(desired, found) or ""
        if self.missing:
            self._give_up_if_pointless(desired, found)
            return False
        self.missing = _edge_lacks(self.context, found) or ""
        return not self.missing

    def failure(self, headline: str) -> str:
        """The message that `wait` ends with: what is missing, which replica, why, and where to read more."""
        lines = [f"stack {self.context.stack} is {headline}: {self.missing}"]
        lines += [f"  {rid}: {trouble}" for rid, trouble in list(self.troubles.items())[-4:]]
        reasons = self.last.reasons if self.last is not None else ()
        if not self.troubles:
            lines += [f"  {reason}" for reason in reasons[:4]]
        elif not any(trouble.startswith("failed") for trouble in self.troubles.values()):
            lines += [f"  {reason}" for reason in reasons if " failed: " in reason][
                :2
            ]  # too short to be seen
        lines.append(f"  logs: {self.context.home / 'logs'} and {self.context.home / 'machines'}")
        lines.append("  The stack keeps running; `./tw status --watch` shows how it goes on.")
        return "\n".join(lines)

    def _desired(self) -> Desired | None:
        try:
            return parse((self.context.state_dir / "desired" / f"{self.context.stack}.json").read_bytes())
        except (OSError, UnusableDesired):
            return None

    def _lacks(self, desired: Desired | None, found: Status) -> str | None:
        """What differs between what is desired and what is; None when nothing does."""
        if not alive(self.context, found):
            return "its controller does not run"
        if found.controller.frozen:
            return f"its controller is frozen: {found.controller.frozen}"
        if desired is not None and found.generation != desired.generation:
            return "its controller has not read the new desired state yet"
        bundles = _bundles(desired)
        for service in found.services:
            ready = [r for r in service.replicas if r.state is ReplicaState.READY]
            if len(ready) < service.desired:
                return f"{service.name} has {len(ready)} of {service.desired} replicas ready"
            if any(r.bundle != bundles.get(service.name, r.bundle) for r in ready):
                return f"{service.name} is still being updated"
        return None

    def _note(self, service: ServiceStatus) -> None:
        for replica in service.replicas:
            troubled = replica.state in (ReplicaState.FAILED, ReplicaState.UNREADY, ReplicaState.STARTING)
            if troubled and replica.reason and not self.troubles.get(replica.id, "").startswith("failed"):
                self.troubles[replica.id] = f"{replica.state.value}: {replica.reason}{self._log_of(replica)}"
            elif replica.state is ReplicaState.READY:
                self.troubles.pop(replica.id, None)

    def _log_of(self, replica: ReplicaStatus) -> str:
        """The last lines of the machine's logs, while they are there."""
        machine = self.context.home / "machines" / replica.id.rpartition(":")[2]
        for path in (machine / "engine.log", machine / "log"):
            lines = _tail(path)
            if lines:
                return f"\n    {path}:" + "".join(f"\n    | {line}" for line in lines)
        return ""

    def _give_up_if_pointless(self, desired: Desired | None, found: Status) -> None:
        if desired is not None and found.generation != desired.generation:
            return
        bundles = _bundles(desired)
        for service in found.services:
            before = self.failures.setdefault(service.name, service.failures)
            ready = [r for r in service.replicas if r.state is ReplicaState.READY]
            works = any(r.bundle == bundles.get(service.name, r.bundle) for r in ready)
            if not works and service.failures >= GIVE_UP_AFTER and service.failures > before:
                kept = f"; {len(ready)} of the version before serve on" if ready else ""
                raise OutsideError(self.failure(f"failing{kept}"))

    def _draw(self, progress: Progress, service: ServiceStatus) -> None:
        bar = self.bars.get(service.name)
        if bar is None:
            bar = self.bars[service.name] = progress.add_task(service.name, states="")
        states = sorted(r.state.value for r in service.replicas if r.state is not ReplicaState.READY)
        progress.update(bar, completed=service.ready, total=service.desired, states=" ".join(states))


def _bundles(desired: Desired | None) -> dict[str, str]:
    """The bundle that each service should run; empty while that is not known."""
    return {s.name: s.bundle.sha256 for s in desired.services} if desired else {}


def _edge_lacks(context: Context, found: Status) -> str | None:
    """Why the endpoints do not serve yet; None when they do.

    An edge learns of a ready replica a moment after the controller says so; with the key of a local stack one real
    request tells whether it has.
    """
    import httpx

    for endpoint in sorted({s.endpoint for s in found.services if s.endpoint and s.desired}):
        try:
            answer = httpx.get(f"{endpoint}/edge/ready", timeout=2, trust_env=False)
            if answer.is_success and context.key_file.is_file():
                key = {"Authorization": f"Bearer {context.key_file.read_text().strip()}"}
                answer = httpx.get(f"{endpoint}/v1/models", headers=key, timeout=5, trust_env=False)
        except httpx.HTTPError as e:
            return f"its edge at {endpoint} does not answer: {e}"
        if answer.is_server_error:
            return f"its edge at {endpoint} answers {answer.status_code}: {answer.text.strip()[:200]}"
    return None


def _tail(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []


@contextmanager
def _progress() -> Generator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("ready"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[states]}"),
    )
    with Progress(*columns, console=out, transient=True) as progress:
        yield progress
