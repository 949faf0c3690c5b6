"""`tw local`: what happens in the local cloud of a stack, and how to make trouble in it.

The cloud's state is changed under its own lock, as its machines' launches and ends are; the controller hears of it
as it would hear of a real cloud's doings.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli.options import StackOption, there
from local.cloud import LocalCloud
from local.conditions import LONGEST_NOTICE_S
from local.errors import CloudError
from local.trace import TraceError
from local.views import CloudView, MachineView, PoolView
from spec.errors import InputError, OutsideError, did_you_mean
from spec.names import replica_id

out = Console(highlight=False, soft_wrap=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    local = typer.Typer(
        help="Look at the local cloud of a stack, and make trouble in it.", no_args_is_help=True
    )
    local.command()(show)
    local.command()(preempt)
    local.command()(capacity)
    app.add_typer(local, name="local")


# ---------------------------------------------------------------- tw local show


def show(stack: StackOption = "dev", as_json: JsonOption = False) -> None:
    """Show zones, machines, notices and the trace as they are now."""
    cloud = _open(stack)
    with _translated():
        view = cloud.look()
    if as_json:
        print(json.dumps(_public(view)))
        return
    out.print(_weather(view))
    out.print(_zones(view))
    if machines := _machines(view):
        out.print(_table(machines))


def _public(view: CloudView) -> dict[str, Any]:
    """The object of `--json`. `position_s`: seconds of the trace; `preempt_at` and `launched_at`: epoch seconds."""
    return {
        "trace": {"file": view.trace, "position_s": round(view.position_s, 3), "speed": view.speed},
        "notice_s": view.notice_s,
        "zones": [asdict(zone) for zone in view.zones],
        "machines": [machine.public() for machine in _machines(view)],
    }


def _weather(view: CloudView) -> str:
    speed = "" if view.speed == 1 else f", {view.speed:g} times as fast as time"
    notice = f"{view.notice_s:g} s notice" if view.notice_s else "no notice"
    return f"trace {Path(view.trace).name} at {_clock(view.position_s)}{speed}; {notice} before a preemption"


def _zones(view: CloudView) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("zone")
    for name in ("capacity", "spot machines", "spot $/h", "on demand $/h"):
        table.add_column(name, justify="right")
    table.add_column("")
    for zone in view.zones:
        prices = ("?" if p is None else f"{p:.2f}" for p in (zone.spot, zone.on_demand))
        set_by_hand = "" if zone.override is None else "[yellow]set by hand[/]"
        table.add_row(zone.zone, str(zone.capacity), str(zone.spot_machines), *prices, set_by_hand)
    return table


# ---------------------------------------------------------------- tw local preempt


def preempt(
    stack: StackOption = "dev",
    replica: Annotated[
        str | None, typer.Option(metavar="ID", help="The replica to preempt; the end of its id is enough.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Preempt every spot machine of this zone.")
    ] = None,
    notice: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=LONGEST_NOTICE_S,
            help="Until the kill; as the stack says when left out.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Give spot machines notice of their preemption, then kill them.

    It is an event, not a change of capacity. The edges stop sending to the
    machines at once, and the controller launches others where no machines
    are being lost; after a while it may come back to the zone. To keep it
    away, use `./tw local capacity --zone ZONE 0`. A machine that was told
    before keeps its time. The kill is done by the controller's first look
    at the cloud after the notice, so without a controller there is none.
    """
    if (replica is None) == (zone is None):
        raise InputError("say what to preempt: either --replica ID or --zone ZONE")
    cloud = _open(stack)
    with _translated():
        view = cloud.look()
        before = {m.view.instance_id: m for m in _machines(view)}
        if replica is not None:
            told = [cloud.preempt(_spot_machine(replica, before.values()), notice_s=notice)]
        else:
            assert zone is not None
            told = cloud.preempt_zone(_zone(zone, view), notice_s=notice)
        after = {m.view.instance_id: m for m in _machines(cloud.look())}
    known = after | before  # one that is gone already was there
    machines = [known[m.instance_id].seen_as(m) for m in told if m.instance_id in known]
    if as_json:
        print(json.dumps({"machines": [machine.public() for machine in machines]}))
        return
    for machine in machines:
        earlier = before.get(machine.view.instance_id)
        knew = earlier is not None and earlier.view.preempt_at is not None
        print(
            f"{machine.replica} in {machine.pool.zone}: {'was told before; ' if knew else ''}{_end(machine.view)}"
        )
    if not machines:
        print(f"zone {zone} runs no spot machine")


def _spot_machine(wanted: str, machines: Iterable[Machine]) -> str:
    """The instance id of that replica. Raises InputError."""
    if not wanted:  # a script whose variable is empty; every id ends so
        raise InputError("--replica: is empty; write the id of a replica, or the end of it")
    running = [m for m in machines if not m.view.ending]
    found = [m for m in running if m.replica.endswith(wanted)]
    if not found:
        spot = [m.replica for m in running if m.pool.market == "spot"]
        hint = did_you_mean(wanted, spot) or f"Spot machines: {', '.join(spot) or 'none'}."
        raise InputError(f"--replica {wanted}: no machine runs it. {hint}")
    if len(found) > 1:
        raise InputError(f"--replica {wanted}: which of {', '.join(sorted(m.replica for m in found))}?")
    if found[0].pool.market != "spot":
        raise InputError(f"{found[0].replica} is on demand; only spot machines are preempted")
    return found[0].view.instance_id


# ---------------------------------------------------------------- tw local capacity


def capacity(
    number: Annotated[
        int | None, typer.Argument(metavar="N", min=0, help="Spot machines of the zone.")
    ] = None,
    stack: StackOption = "dev",
    zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The zone; with --reset, all if left out.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="As the trace says again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Set how many spot machines a zone has, instead of the trace.

    It holds until --reset, or until the stack follows another trace. When
    more machines run than that, the controller's next look at the cloud
    gives the newest ones notice.
    """
    if reset == (number is not None) or (number is not None and zone is None):
        raise InputError("say either `--zone ZONE N`, or --reset for the zone or all of them")
    cloud = _open(stack)
    with _translated():
        if zone is not None:
            _zone(zone, cloud.look())
        if number is not None:
            assert zone is not None
            cloud.set_capacity(zone, number)
        else:
            cloud.reset_capacity(zone)
        view = cloud.look()
    if as_json:
        print(json.dumps({"zones": [asdict(z) for z in view.zones]}))
    else:
        out.print(_zones(view))


# ---------------------------------------------------------------- shared


@dataclass(frozen=True)
class Machine:
    """A machine with the pool that it is in."""

    pool: PoolView
    view: MachineView

    @property
    def replica(self) -> str:
        """The id of the replica that it runs."""
        return replica_id(cloud="local", region=self.pool.region, instance=self.view.instance_id)

    def seen_as(self, view: MachineView) -> Machine:
        """The same, looked at again."""
        return Machine(self.pool, view)

    def public(self) -> dict[str, Any]:
        """As JSON tells it."""
        place = {"replica": self.replica, "pool": self.pool.pool_id, "zone": self.pool.zone}
        return place | {"market": self.pool.market} | asdict(self.view)


def _machines(view: CloudView) -> list[Machine]:
    return [Machine(pool, machine) for pool in view.pools for machine in pool.machines]


def _table(machines: Iterable[Machine]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("replica", "zone", "market", ""):
        table.add_column(name, no_wrap=True)
    for m in machines:
        state = "[dim]ending[/]" if m.view.ending else f"[magenta]{end}[/]" if (end := _end(m.view)) else ""
        table.add_row(m.replica, m.pool.zone, m.pool.market, state)
    return table


def _end(machine: MachineView) -> str:
    """When it will be killed, in words."""
    if machine.preempt_at is None:
        return ""
    left_s = machine.preempt_at - time.time()
    return f"will be killed in {left_s:.0f} s" if left_s >= 1 else "will be killed now"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _open(stack: str) -> LocalCloud:
    """The stack's cloud. Raises InputError when it has none, or is not up."""
    context = there(stack)
    if not context.config.is_local:
        raise InputError(
            f"stack `{stack}` runs in {', '.join(context.config.clouds)}, not in the local cloud"
        )
    cloud = LocalCloud(context.home)
    if cloud.weather() is None:
        raise InputError(f"stack `{stack}` has no local cloud yet; `make up STACK={stack}` makes it")
    return cloud


def _zone(zone: str, view: CloudView) -> str:
    """The zone, if there is one. Raises InputError."""
    known = [z.zone for z in view.zones]
    if zone not in known:
        hint = did_you_mean(zone, known) or f"There are: {', '.join(known)}."
        raise InputError(f"--zone {zone}: the trace has no such zone. {hint}")
    return zone


@contextmanager
def _translated() -> Generator[None]:
    """What the cloud can't do, as an error of ours."""
    try:
        yield
    except (CloudError, TraceError, OSError) as e:
        raise OutsideError(f"the local cloud: {e}") from None
