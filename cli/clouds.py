"""`tw up` and `tw down` of a stack in the clouds: the user's own Pulumi, never a stand-in.

The update ends when everything is declared. Hosts boot in minutes, machines with models in more: nothing waits for
them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from cli import money
from cli.backend import providers_of
from cli.context import Context
from cli.deployed import states
from cli.guard import began, pools_that_go, refuse_busy, refuse_unretired
from cli.outputs import whereabouts
from cli.repair import update_lock
from cli.state import CloudState
from planner.plan import Plan
from spec import secrets
from spec.errors import InputError, OutsideError
from spec.lock import renew_command

if TYPE_CHECKING:
    from cli.events import Report
    from cli.session import Session

out = Console(highlight=False, soft_wrap=True)


def up(context: Context, plan: Plan) -> None:
    """Previews, judges, changes what differs, and says where callers go. Raises OutsideError where nothing can be deployed."""
    from cli.session import Session

    with update_lock(context):
        session = Session.open(context, mend=False)
        needs_the_users_own(session)
        secrets.check(context.config, money.specs_of(context), env=context.stack)
        planned = session.preview()
        money.print_table(out, money.Money(plan, session.expected_before()))
        planned.refuse()
        refuse_unretired(planned, states(session.outputs()), renew=renew_command(context.env))
        _spare_busy_pools(session, planned)
        if planned.changes:
            session.up()
        _print_ready(context, session.outputs(), changed=bool(planned.changes))


def _spare_busy_pools(session: Session, planned: Report) -> None:
    """Raises RefusedError; the state bucket is asked only when a pool goes."""
    if going := pools_that_go(planned):
        try:
            state: CloudState | None = CloudState(session.context, whereabouts(session.context))
        except InputError:  # no update has ended well
            state = None
        refuse_busy(going, state, began=began(planned))


def down(context: Context) -> None:
    """Removes every resource. Raises OutsideError where nothing can be deployed, or something is guarded."""
    from cli.session import Session

    with update_lock(context):
        session = Session.open(context, mend=False)
        needs_the_users_own(session)
        session.destroy()
    out.print(f"stack {context.stack}: everything is removed")


def needs_the_users_own(session: Session) -> None:
    """Raises OutsideError where stand-ins would answer."""
    if not session.offline:
        return
    context = session.context
    plugins = ", ".join(session.cli.backend.stood_in or providers_of(context))
    raise OutsideError(
        f"stack {context.stack} can only be previewed from here: it needs your own Pulumi. Log in (`pulumi login`, or "
        f"PULUMI_BACKEND_URL), and install the provider plugins that are missing (of {plugins}; `pulumi install` does it). "
        "docs/first-real-deployment.md has the whole list."
    )


def _print_ready(context: Context, outputs: Mapping[str, Any], *, changed: bool) -> None:
    cname, stack = outputs.get("cname"), context.stack
    lines = (
        f"stack {stack}: {'declared' if changed else 'declared, no change'}",
        f"  endpoint  {outputs.get('endpoint')}/v1",
        f"  state     {outputs.get('state_url')}; status.json is there when the controller has booted",
        *([f"  name      set this record where your zone is: {cname}"] if cname else []),
        f"  next      ./tw wait --stack {stack}     until its replicas are ready and its edge answers: hosts boot in minutes",
        f"            ./tw status --stack {stack}   how it is; ./tw explain --stack {stack} says why",
    )
    for line in lines:
        out.print(line, markup=False)
