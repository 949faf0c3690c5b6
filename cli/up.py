"""`tw up`, `tw preview` and `tw down`: the life of a stack.

What needs Pulumi's SDK is imported when one of them runs: the other commands start a third of a second sooner.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli import money, secrets
from cli.context import Context
from cli.options import StackOption
from local.files import write_atomic
from local.processes import Registry
from planner.plan import Plan
from spec.secrets import how_to_set, missing

if TYPE_CHECKING:
    from cli.events import Report
    from cli.session import Session

WIDTH_WITHOUT_TERMINAL = 160
LISTED_AT_MOST = 60
"""More changes than that are counted by kind."""

out = Console(highlight=False, soft_wrap=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(up)
    app.command()(preview)
    app.command()(down)


def up(
    stack: StackOption = "dev",
    wait: Annotated[bool, typer.Option(help="Wait until every service is ready.")] = True,
) -> None:
    """Bring the stack up: preview, judge, change what differs, wait, print how to use it.

    A stack in the clouds is not waited for, and needs your own Pulumi.
    """
    from cli.repair import update_lock
    from cli.session import Session

    context = Context(stack)
    plan = money.plan_of(context)  # wrong input ends here, before anything is started
    if not context.config.is_local:
        from cli import clouds

        clouds.up(context, plan)
        return
    with update_lock(context):
        key = secrets.ensure(context)
        session = Session.open(context)
        planned = session.preview()
        planned.refuse()
        if planned.changes:
            session.up()
        _leave_for_scripts(context, key)
    if wait:
        from cli.state import state_of
        from cli.wait import wait_until_ready

        wait_until_ready(state_of(context))
    _print_ready(context, plan, key, changed=bool(planned.changes))


def preview(stack: StackOption = "dev", as_json: JsonOption = False) -> None:
    """Show what `tw up` would change, in resources and dollars, and what the policies say. Changes nothing.

    A stack in the clouds is previewed without credentials where you have none. What a pull request needs is left in
    `.tradewind/preview/<stack>/`: resources.json, cost.json, comment.md.
    """
    from cli import preview_files
    from cli.forecast import kept
    from cli.session import Session

    context = Context(stack)
    planned = money.planned_of(context)
    if context.config.is_local:
        secrets.ensure(context)
    notes = (*planned.notes, *_missing_secrets(context))
    session = Session.open(context, mend=False)
    report = session.preview()
    ahead = () if context.config.is_local else kept(planned.plan, context.root, stack=stack)
    costs = money.Money(planned.plan, session.expected_before(), outlooks=ahead)
    folder = context.root / ".tradewind" / "preview" / stack
    preview_files.write(folder, stack, report, costs, context.config, notes=notes, offline=session.offline)
    if as_json:
        out.print_json(json.dumps({**_as_json(report, costs), "notes": list(notes)}))
    else:
        _print_preview(session, report, costs, notes)
        out.print(f"left in {folder}: resources.json, cost.json, comment.md")
    report.refuse()


def down(stack: StackOption = "dev") -> None:
    """Remove everything that the stack started, and its state. Safe to run when nothing is there."""
    from cli.repair import update_lock
    from cli.session import Session

    context = Context(stack)
    if not context.config.is_local:
        from cli import clouds

        clouds.down(context)
        return
    if not context.home.exists():
        out.print(f"stack {stack}: nothing is there")
        return
    with update_lock(context):
        session = Session.open(context)
        session.destroy()
        swept = Registry(context.home).sweep()
        if swept:
            out.print(f"ended what no state knew: {', '.join(swept)}")
        for name in ("endpoint", "key"):
            shared, own = context.root / ".tradewind" / name, context.home / name
            if shared.exists() and own.exists() and shared.read_bytes() == own.read_bytes():
                shared.unlink()
        shutil.rmtree(context.home, ignore_errors=True)
    out.print(f"stack {stack}: everything is removed")


def _missing_secrets(context: Context) -> tuple[str, ...]:
    """A preview may come before them, an update may not."""
    if context.config.is_local:
        return ()
    lacking = missing(context.config, money.specs_of(context))
    return tuple(
        f"no value yet for {name} ({lacking[name]}): {command}"
        for name, command in zip(sorted(lacking), how_to_set(lacking, context.stack), strict=True)
    )


def _print_preview(session: Session, report: Report, costs: money.Money, notes: Sequence[str]) -> None:
    from cli.preview_files import policies

    if session.offline:
        out.print(
            f"no credentials: stand-ins for {', '.join(session.cli.backend.stood_in)}, and nothing is deployed as far "
            "as they know (docs/previews.md)"
        )
    _print_changes(report)
    if not out.is_terminal:
        out.width = WIDTH_WITHOUT_TERMINAL
    money.print_table(out, costs, pools=not session.context.config.is_local)
    passed = {p["name"] for p in policies(report, session.context.config) if p["passed"]}
    out.print(f"policies: {len(passed)} passed, {len({v.policy for v in report.violations})} broken")
    for note in notes:
        out.print(f"note: {note}", markup=False)


def _print_changes(report: Report) -> None:
    if not report.changes:
        out.print("no change")
    if len(report.changes) > LISTED_AT_MOST:
        _print_counts(report)
    else:
        for c in report.changes:
            out.print(f"  {c.symbol} {c.name} [dim]{c.type}[/]")
            for line in c.diff:
                out.print(f"      {line}", markup=False)
    for v in report.violations:
        out.print(f"  {'refused' if v.mandatory else 'note'}: {v.policy}: {v.message}", markup=False)


def _print_counts(report: Report) -> None:
    """By kind: hundreds of lines would hide the money below them. All of them are in resources.json."""
    counts = Counter((c.symbol, c.type) for c in report.changes)
    for (symbol, kind), number in sorted(counts.items(), key=lambda item: (item[0][1], item[0][0])):
        out.print(f"  {symbol} {number:4} [dim]{kind}[/]")


def _as_json(report: Report, costs: money.Money) -> dict[str, Any]:
    return {
        "changes": [
            {"op": c.op.value, "urn": c.urn, "type": c.type, "diff": list(c.diff)} for c in report.changes
        ],
        "cost": costs.as_json(),
        "policies": [
            {"name": v.policy, "level": "mandatory" if v.mandatory else "advisory", "message": v.message}
            for v in report.violations
        ],
    }


def _leave_for_scripts(context: Context, key: str) -> None:
    """`.tradewind/{endpoint,key}` are of the stack that came up last; each stack keeps its own beside its state."""
    for folder in (context.home, context.root / ".tradewind"):
        write_atomic(folder / "endpoint", f"{context.config.local.endpoint}\n".encode())
        write_atomic(folder / "key", f"{key}\n".encode(), mode=0o600)


def _print_ready(context: Context, plan: Plan, key: str, *, changed: bool) -> None:
    """What one needs to use the stack; the curl line works as pasted, from any folder."""
    local, cost = context.config.local, plan.cost
    key_file = context.root / ".tradewind" / "key"
    of_stack = "" if context.stack == "dev" else f" --stack {context.stack}"
    body = json.dumps(
        {"model": money.first_model(context), "messages": [{"role": "user", "content": "Hello"}]}
    )
    lines = (
        f"stack {context.stack}: {'up' if changed else 'up, no change'}",
        f"  endpoint  {local.endpoint}/v1",
        f"  API key   {key}",
        f"            in {key_file}; ./tw keys show{of_stack} prints it",
        (
            f"  status    ./tw status{of_stack}; {local.controller_url}/v1/status with the token in "
            f"{context.home / 'secrets' / 'controller-token'}"
        ),
        f"  price     {cost.expected_usd_hour:.2f} USD/hour expected, {cost.worst_usd_hour:.2f} at worst",
        "  try it:",
        (
            f'curl -s {local.endpoint}/v1/chat/completions -H "Authorization: Bearer $(cat {shlex.quote(str(key_file))})" '
            f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
        ),
    )
    for line in lines:
        out.print(line, markup=False)
