"""`tw up`, `tw preview` and `tw down`: the life of a stack, through Pulumi's Automation API."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pulumi import automation as auto
from rich.console import Console

from cli import money, pulumi, secrets
from cli.context import Context
from cli.events import VERBS, Report
from cli.repair import repair, update_lock
from local.files import write_atomic
from local.processes import Registry
from planner.plan import Plan
from policies.config import policy_config
from spec.errors import OutsideError, RefusedError

out = Console(highlight=False, soft_wrap=True)

StackOption = Annotated[str, typer.Option(help="Stack, named after its file Pulumi.<stack>.yaml.")]
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
    """Bring the stack up: preview, judge, change what differs, wait, print how to use it."""
    context = Context(stack)
    plan = money.plan_of(context)  # wrong input ends here, before anything is started
    with update_lock(context):
        key = secrets.ensure(context)
        session = _Session.open(context)
        planned = session.preview()
        _refuse(planned)
        if planned.changes:
            session.up()
        _leave_for_scripts(context, key)
    if wait:
        from cli.status import wait_until_ready

        wait_until_ready(context)
    _print_ready(context, plan, key, changed=bool(planned.changes))


def preview(stack: StackOption = "dev", as_json: JsonOption = False) -> None:
    """Show what `tw up` would change, in resources and dollars, and what the policies say. Changes nothing."""
    context = Context(stack)
    plan = money.plan_of(context)
    secrets.ensure(context)
    report = _Session.open(context, mend=False).preview()
    if as_json:
        out.print_json(json.dumps(_as_json(report, plan)))
    else:
        _print_changes(report)
        money.print_table(out, plan)
    _refuse(report)


def down(stack: StackOption = "dev") -> None:
    """Remove everything that the stack started, and its state. Safe to run when nothing is there."""
    context = Context(stack)
    if not context.home.exists():
        out.print(f"stack {stack}: nothing is there")
        return
    with update_lock(context):
        session = _Session.open(context)
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


@dataclass
class _Session:
    """One stack, selected, with the CLI to work on it."""

    context: Context
    cli: pulumi.Cli
    stack: auto.Stack

    @classmethod
    def open(cls, context: Context, *, mend: bool = True) -> _Session:
        cli = pulumi.command(context)
        with _translated(), cli.interruptible(_say):
            stack = pulumi.select(context, cli)
            if mend and (mended := repair(context, stack)):
                out.print(mended)
        return cls(context, cli, stack)

    def preview(self) -> Report:
        """Runs the preview with the policy pack. Raises OutsideError when it fails for another reason than a policy."""
        report = Report()
        with out.status("preview ..."), _translated(report):
            try:
                with self.cli.interruptible(_say):
                    self.stack.preview(
                        on_event=report,
                        diff=True,
                        policy_packs=self._packs,
                        policy_pack_configs=self._limits(),
                    )
            except auto.CommandError:
                if not report.refusals:
                    raise
        return report

    def up(self) -> Report:
        """Changes what differs. Raises OutsideError."""
        started = time.monotonic()
        report = Report(
            on_done=lambda c: (
                out.print(f"  {c.symbol} {c.name} [dim]{c.type}[/] {VERBS[c.op]}")
                if not c.type.startswith("pulumi:")
                else None
            )
        )
        with out.status("update ..."), _translated(report), self.cli.interruptible(_say):
            self.stack.up(on_event=report, policy_packs=self._packs, policy_pack_configs=self._limits())
        out.print(f"  done in {time.monotonic() - started:.1f} s")
        return report

    def destroy(self) -> None:
        report = Report()
        with out.status("removing ..."), _translated(report), self.cli.interruptible(_say):
            self.stack.destroy(on_event=report)
            self.stack.workspace.remove_stack(self.context.stack, preserve_config=True)

    @property
    def _packs(self) -> list[str]:
        """An executable, which every CLI can run; the folder form needs a current language host."""
        return [str(self.context.root / "policies" / "pack")]

    def _limits(self) -> list[str]:
        """The pack's configuration comes from the stack's."""
        path = self.context.home / "policy-config.json"
        write_atomic(path, json.dumps(policy_config(self.context.config.limits), indent=1).encode())
        return [str(path)]


def _say(text: str) -> None:
    out.print(text)


@contextmanager
def _translated(report: Report | None = None) -> Generator[None]:
    """Pulumi's failures as ours: what its diagnostics said, without its transcript."""
    try:
        yield
    except auto.CommandError as e:
        said = list(report.errors) if report else []
        if not said:
            said = [line for line in str(e).splitlines() if "error:" in line][:5] or [str(e)[-2000:]]
        raise OutsideError("\n".join(said)) from None


def _refuse(report: Report) -> None:
    if report.refusals:
        raise RefusedError(
            "refused by policy:\n" + "\n".join(f"  {v.policy}: {v.message}" for v in report.refusals)
        )


def _print_changes(report: Report) -> None:
    if not report.changes:
        out.print("no change")
    for c in report.changes:
        out.print(f"  {c.symbol} {c.name} [dim]{c.type}[/]")
        for line in c.diff:
            out.print(f"      {line}", markup=False)
    for v in report.violations:
        out.print(f"  {'refused' if v.mandatory else 'note'}: {v.policy}: {v.message}", markup=False)


def _as_json(report: Report, plan: Plan) -> dict[str, Any]:
    return {
        "changes": [
            {"op": c.op.value, "urn": c.urn, "type": c.type, "diff": list(c.diff)} for c in report.changes
        ],
        "cost": money.as_json(plan),
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
    body = json.dumps(
        {"model": money.first_model(context), "messages": [{"role": "user", "content": "Hello"}]}
    )
    lines = (
        f"stack {context.stack}: {'up' if changed else 'up, no change'}",
        f"  endpoint  {local.endpoint}/v1",
        f"  API key   {key}",
        f"            in {key_file}; ./tw keys show prints it",
        (
            f"  status    ./tw status; {local.controller_url}/v1/status with the token in "
            f"{context.home / 'secrets' / 'controller-token'}"
        ),
        f"  price     {cost.expected_usd_hour:.2f} USD/hour expected, {cost.worst_usd_hour:.2f} at worst",
        "  try it:",
        (
            f'curl -s {local.endpoint}/v1/chat/completions -H "Authorization: Bearer $(cat {key_file})" '
            f"-H 'Content-Type: application/json' -d '{body}'"
        ),
    )
    for line in lines:
        out.print(line, markup=False)
