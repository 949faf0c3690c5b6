"""`tw sim replay`: a controller's journal decided once more, with the user's own login where it lies in a cloud."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from cli.options import there
from cli.state import state_of
from spec.errors import InputError


def replay(
    journal: Annotated[
        Path | None,
        typer.Argument(
            metavar="JOURNAL", help="A state or journal folder, a part or a copy of one, or an entry."
        ),
    ] = None,
    *,
    stack: Annotated[
        str | None, typer.Option(help="The journal of this stack; dev when nothing is named.")
    ] = None,
    show: Annotated[int, typer.Option(min=0, metavar="N", help="How many differences to show.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide a live controller's recorded observations again: are the commands the same? Exit code 1 when not."""
    from cli import again  # loads the controller's decision and its bucket: only who replays pays for it

    if journal is not None and stack is not None:
        raise InputError(f"name either a journal, {journal}, or --stack {stack}")
    if journal is not None:
        recording = again.recorded(journal)
        result = asyncio.run(again.run(recording, show))
    else:
        state = state_of(there(stack or "dev"))
        with state.told():
            recording, result = asyncio.run(again.run_in(state, show))
    again.check(recording, result)
    if as_json:
        print(json.dumps(again.as_object(recording, result), indent=1))
    else:
        again.tell(recording, result)
    if result.different:
        raise typer.Exit(1)
