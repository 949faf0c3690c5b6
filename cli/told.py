"""What the controller has told: the status in the state bucket, and whether whoever wrote it still does."""

from __future__ import annotations

import time

from pydantic import ValidationError

from cli.afar import logs_of
from cli.context import Context
from cli.state import NotThere, Silent, State
from local.processes import Registry
from spec.status import Status

FRESH_S = 15.0
"""The controller writes every five seconds: after three missed times it does not count as alive."""
FRESH_AFAR_S = 60.0
"""Of a stack in the clouds: its clock and this computer's are not the same one."""


def read_status(state: State) -> Status:
    """The last status that a controller wrote. Raises NotThere, Silent where the next look may see more, or OutsideError."""
    try:
        found = Status.model_validate_json(state.get("status.json"))
    except NotThere:
        raise NotThere(_not_there(state)) from None
    except ValidationError:
        again = "A running controller writes it anew within 5 s."
        raise Silent(
            f"{state.where}/status.json can't be read: it is torn, or of another version. {again}"
        ) from None
    if state.afar is None:
        return found
    # The desired state is written before the addresses of edges are known.
    endpoint = state.afar.endpoint
    services = tuple(s.model_copy(update={"endpoint": endpoint}) for s in found.services)
    return found.model_copy(update={"services": services})


def _not_there(state: State) -> str:
    stack, context = state.context.stack, state.context
    if state.afar is None:
        return (
            f"stack {stack} has no status: {state.where}/status.json is missing, so no controller has run yet. "
            f"Start the stack with `make up STACK={stack}`; if it is up, its controller's log is in {context.home / 'logs'}."
        )
    return (
        f"stack {stack} has no status: status.json is not in {state.where}, so its controller has not begun yet. Its host boots "
        f"in some minutes: `./tw wait --stack {stack}` waits for it. What the host writes:\n  {logs_of(context)}"
    )


def alive(state: State, found: Status) -> bool:
    """Whether the controller that wrote this still runs.

    On a local stack the registry knows at once; elsewhere the age of the status tells, a little later.
    """
    fresh_s = FRESH_S if state.afar is None else FRESH_AFAR_S
    if not found.controller.alive or age_s(found) > fresh_s:
        return False
    return runs(state.context) is not False


def runs(context: Context) -> bool | None:
    """Whether the controller's process is there; None where this computer can't tell."""
    registry = Registry(context.home)
    here = [e for e in registry.entries() if e.kind == "controller"]
    return any(registry.alive(e) for e in here) if here else None


def age_s(found: Status) -> float:
    """Seconds since it was written."""
    return max(0.0, time.time() - found.written_at)
