"""`tw status`: what the controller says, read from the state bucket with the user's own login.

Works while no controller answers; how old the status is says whether one is alive.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

import typer
from rich.live import Live

from cli import afar
from cli.context import Context
from cli.options import StackOption, there
from cli.state import Silent, State, state_of
from cli.status_page import out, page
from cli.told import age_s, alive, read_status, runs
from spec.errors import OutsideError
from spec.status import Status

LOOK_S = 1.0
LOOK_AFAR_S = 5.0
"""As often as a controller in the clouds writes."""


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
        return
    state = state_of(context)
    with state.looking():
        found = read_status(state)
    if watch:
        _watch(state, found)
    elif as_json:
        _warn_of_age(state, found)
        print(json.dumps(as_public(state, found)))
    else:
        out.print(page(state, found))


def _web(context: Context, *, print_it: bool, open_it: bool) -> None:
    """Raises OutsideError where nobody would answer, and InputError where the page can't be reached."""
    from cli.web import address, open_page

    if not context.is_local:
        raise afar.no_page(context)
    if runs(context) is False:
        raise OutsideError(f"its controller does not run; `make up STACK={context.stack}` starts it again")
    if print_it:
        print(address(context))
    if open_it:
        open_page(context)


def _watch(state: State, found: Status) -> None:
    try:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                live.update(page(state, found), refresh=True)
                time.sleep(LOOK_S if state.afar is None else LOOK_AFAR_S)
                try:
                    found = read_status(state)
                except Silent:
                    continue  # the page says how old it is
    except KeyboardInterrupt:
        return


def _warn_of_age(state: State, found: Status) -> None:
    """A program that reads the object must not take old news for new."""
    if state.afar is not None and not alive(state, found):
        print(
            f"warning: {state.where}/status.json is {age_s(found):.0f} s old; its controller writes it every 5 s",
            file=sys.stderr,
        )


def as_public(state: State, found: Status) -> dict[str, Any]:
    """The object of `tw status --json`. `since`: epoch seconds."""
    lives, ticked = alive(state, found), found.controller.last_tick_age_s
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
            "last_tick_age_s": None if ticked is None else round(ticked + age_s(found), 3),
        },
    }
