"""`tw explain`: why the controller did what it did, from its journal, with the user's own login to the state bucket."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from cli.options import StackOption, there
from cli.state import state_of


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(explain)


def explain(
    stack: StackOption = "dev",
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Moment to explain: 03:20:11 (UTC), -5m, ISO with a zone, or epoch."
        ),
    ] = None,
    service: Annotated[str | None, typer.Option(help="Only what belongs to this service.")] = None,
    last: Annotated[int, typer.Option(help="How many of the last ticks with events.", min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with the entries.")] = False,
) -> None:
    """Say why each command was given, or why none was: the last events, or the moment of --at."""
    from cli import (
        past,
    )  # loads the controller's decision: the other commands start a sixth of a second sooner

    state = state_of(there(stack))
    with state.looking(), state.told():
        ticks = asyncio.run(past.find(state, at, service, last))
    if as_json:
        print(json.dumps({"ticks": [past.as_object(tick) for tick in ticks]}))
        return
    for tick in ticks:
        past.show(tick, service)
