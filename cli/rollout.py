"""`tw rollout`: how the change to another bundle goes, and an operator's say in it.

What is asked for is an object in the state bucket, so it needs no way to the controller but the user's own login; the
answer comes in the status.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from cli.options import StackOption, there
from cli.state import Silent, State, state_of
from cli.status_page import rollout_line
from cli.told import alive, read_status
from spec.errors import InputError, OutsideError
from spec.status import ServiceStatus, Status
from spec.wish import Action, WishFile, new_id, path_of

ANSWER_WITHIN_S = 10.0
ANSWER_AFAR_WITHIN_S = 30.0
POLL_S = 0.2
POLL_AFAR_S = 1.0

out = Console(highlight=False, soft_wrap=True)

ServiceOption = Annotated[
    str | None, typer.Option("--service", help="Service that is meant; may be left out where there is one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    rollout = typer.Typer(help="The change of a service to another bundle.", no_args_is_help=True)
    for command in (status, pause, resume, abort):
        rollout.command()(command)
    app.add_typer(rollout, name="rollout")


def status(stack: StackOption = "dev", service: ServiceOption = None, as_json: JsonOption = False) -> None:
    """Show each service's last rollout: its phase, how far it is, and why it stopped where it did."""
    found = _look(state_of(there(stack))).services
    chosen = found if service is None else (_chosen(found, service),)
    if as_json:
        told = {s.name: s.rollout.model_dump(mode="json") if s.rollout else None for s in chosen}
        print(json.dumps({"services": told}))
        return
    for s in chosen:
        out.print(f"{s.name}: " + (rollout_line(s.rollout) if s.rollout else "no rollout yet"), markup=False)


def pause(stack: StackOption = "dev", service: ServiceOption = None, as_json: JsonOption = False) -> None:
    """Move no further replica; one that is in the middle of it finishes."""
    _ask(state_of(there(stack)), service, Action.PAUSE, as_json=as_json)


def resume(stack: StackOption = "dev", service: ServiceOption = None, as_json: JsonOption = False) -> None:
    """Go on with a paused rollout, or try one that failed or was aborted once more."""
    _ask(state_of(there(stack)), service, Action.RESUME, as_json=as_json)


def abort(stack: StackOption = "dev", service: ServiceOption = None, as_json: JsonOption = False) -> None:
    """Go back to the bundle before, on every replica."""
    _ask(state_of(there(stack)), service, Action.ABORT, as_json=as_json)


def _look(state: State) -> Status:
    with state.looking():
        return read_status(state)


def _ask(state: State, service: str | None, action: Action, *, as_json: bool) -> None:
    found = _look(state)
    name = _chosen(found.services, service).name
    wish_id = new_id()
    content = WishFile(schema=1, service=name, action=action).model_dump_json(by_alias=True)
    state.put(path_of(wish_id), content.encode())
    answer = None
    try:
        answer = _answer(state, wish_id)
    finally:  # also at Ctrl-C: nothing is to happen hours later
        if answer is None:
            state.delete(path_of(wish_id))
    if answer is None:
        raise OutsideError(_unanswered(state, runs=alive(state, found)))
    if as_json:
        print(json.dumps({"service": name, "action": action.value, "answer": answer}))
    else:
        out.print(answer, markup=False)


def _unanswered(state: State, *, runs: bool) -> str:
    stack, here = state.context.stack, state.afar is None
    why = "it runs but is busy" if runs else "none runs"
    within_s = ANSWER_WITHIN_S if here else ANSWER_AFAR_WITHIN_S
    starts = f"; `make up STACK={stack}` starts one" if here else ""
    return (
        f"stack {stack}: no controller has answered within {within_s:g} s ({why}), and the request is withdrawn. "
        f"`./tw status --stack {stack}` shows how the controller is{starts}."
    )


def _chosen(services: Sequence[ServiceStatus], name: str | None) -> ServiceStatus:
    """The service of that name, or the only one; raises InputError."""
    names = ", ".join(s.name for s in services) or "none"
    if name is None and len(services) == 1:
        return services[0]
    for service in services:
        if service.name == name:
            return service
    if name is None:
        raise InputError(f"--service NAME: say which one is meant; there are: {names}")
    raise InputError(f"--service {name}: no such service; there are: {names}")


def _answer(state: State, wish_id: str) -> str | None:
    """What the controller says of the wish; None when it says nothing in time."""
    here = state.afar is None
    deadline = time.monotonic() + (ANSWER_WITHIN_S if here else ANSWER_AFAR_WITHIN_S)
    mark = f" (wish {wish_id})"
    while time.monotonic() < deadline:
        for reason in _reasons(state):
            if mark in reason:
                return reason.replace(mark, "").partition(" ")[2]  # without the time of day
        time.sleep(POLL_S if here else POLL_AFAR_S)
    return None


def _reasons(state: State) -> tuple[str, ...]:
    try:
        return read_status(state).reasons
    except Silent:
        return ()
