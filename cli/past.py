"""The ticks of a stack's journal that tell why, and how they are told: the part of `tw explain` that loads what decides."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.moments import date_and_clock, moment
from cli.state import State
from cli.tick import Told, is_event
from lb.again import compare
from lb.journal import Place, as_json
from lb.replay import Reader, Tick, code_version
from spec.errors import InputError

out = Console(highlight=False, soft_wrap=True)

LOOKED_AT = 5000
"""Entries in which the last events are looked for."""


class Again(StrEnum):
    """What came of deciding once more. `unknown`: the inputs are not all kept."""

    SAME = "same"
    DIFFERS = "differs"
    OTHER_CODE = "other_code"
    UNKNOWN = "unknown"


async def find(state: State, at: str | None, service: str | None, last: int) -> list[Tick]:
    """The ticks to tell of, oldest first. Raises InputError where nothing is kept of the moment or the service."""
    reader, stack = await Reader.open(state.bucket), state.context.stack
    kept = await reader.kept()
    if kept is None:
        raise InputError(
            f"stack {stack} has no journal yet: its controller has decided nothing. "
            f"`./tw logs --controller --stack {stack}` shows what it does."
        )
    now = time.time()
    if at is None:
        ticks = await _events(reader, service, last)
    else:
        asked = moment(at, now=now)
        tick = await reader.at(asked) if asked <= now else None
        if tick is None:
            raise InputError(
                f"--at {at}: the journal of stack {stack} goes from {date_and_clock(kept[0])} "
                f"to {date_and_clock(max(now, kept[1]))}"
            )
        ticks = [tick]
    _check_service(service, ticks)
    return ticks


async def _events(reader: Reader, service: str | None, last: int) -> list[Tick]:
    """The last ticks in which something happened; the newest one of all where nothing did."""
    found: list[Place] = []
    newest: Place | None = None
    looked = 0
    later = None
    async for place, entry in reader.backwards():
        newest = newest or place
        if later is not None and is_event(later[1], later[1].before or entry.memory, service):
            found.append(later[0])
        later = place, entry
        looked += 1
        if len(found) == last or looked == LOOKED_AT:
            break
    else:
        if later is not None and is_event(later[1], later[1].before, service):
            found.append(later[0])
    chosen = found[::-1] or [place for place in (newest,) if place is not None]
    return [await reader.tick(place) for place in chosen]


def _check_service(service: str | None, ticks: list[Tick]) -> None:
    known = sorted({name for tick in ticks for name in Told(tick).services()})
    if service is not None and service not in known:
        raise InputError(
            f"--service {service}: there is no such service here; there are {', '.join(known) or 'none'}"
        )


def decided_again(tick: Tick) -> Again:
    """Whether the same inputs give the same decision; only the code that made it can say so."""
    if tick.entry.code != code_version():
        return Again.OTHER_CODE
    if tick.before is None or tick.desired is None:
        return Again.UNKNOWN
    return Again.SAME if compare(tick) is None else Again.DIFFERS


_AGAIN = {
    Again.SAME: "[dim]decided again from this entry: the same[/]",
    Again.DIFFERS: "[red]decided again from this entry: something else, by the same code; please report this[/]",
    Again.OTHER_CODE: "[dim]other code than today's decided this, so it can't be checked by deciding again[/]",
    Again.UNKNOWN: "[dim]the entries before it are gone, so it can't be checked by deciding again[/]",
}


def as_object(tick: Tick) -> dict[str, Any]:
    """What `--json` says of it."""
    return {"tick": tick.place.tick, "decided_again": decided_again(tick), "entry": as_json(tick.entry)}


def show(tick: Tick, service: str | None) -> None:
    """What is said of it to people."""
    told = Told(tick, service=service)
    out.print(f"[bold]{date_and_clock(tick.entry.at)}[/]  [dim]tick {tick.place.tick}[/]")
    if tick.entry.observed.frozen:
        out.print(f"  [yellow]frozen[/], so nothing is ordered: {escape(tick.entry.observed.frozen)}")
    for name in told.services():
        out.print(f"  [bold]{escape(name)}[/]")
        for title, lines in (("observed", told.observed(name)), ("remembered", told.remembered(name))):
            for number, line in enumerate(lines):
                out.print(f"    [dim]{title if number == 0 else '':10}[/]  {escape(line)}")
    commands, said = told.commands(), told.said()
    for reason in said:
        out.print(f"  [dim]-[/] {escape(reason)}")
    for command, because in commands:
        out.print(f"  [green]>[/] {escape(command)}")
        if because:
            out.print(f"      [dim]because[/] {escape(because)}")
    if not commands:
        out.print("  no command" + ("" if said else ": nothing more is needed now"))
    out.print(f"  {_AGAIN[decided_again(tick)]}\n")
