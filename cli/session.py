"""One stack and Pulumi's Automation API to work on it: preview, update, destroy, as `tw` reports them.

Apart from the commands, so that only what works on a stack pays for loading Pulumi.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pulumi import automation as auto
from pulumi.automation.events import EngineEvent
from rich.console import Console

from cli import pulumi
from cli.context import Context
from cli.events import VERBS, Report
from cli.outputs import outputs_of
from cli.repair import clear, repair
from local.files import write_atomic
from policies.config import policy_config
from spec.errors import OutsideError

out = Console(highlight=False, soft_wrap=True)


@dataclass
class Session:
    """One stack, selected, with the CLI to work on it."""

    context: Context
    cli: pulumi.Cli
    stack: auto.Stack

    @classmethod
    def open(cls, context: Context, *, mend: bool = True) -> Session:
        """Selects the stack. `mend`: what a killed command left is put in order first; needs the update lock."""
        cli = pulumi.command(context)
        with _translated(), cli.interruptible(_say):
            cleared = clear(context) if mend else []
            stack = pulumi.select(context, cli)
            if mend and (mended := repair(context, stack, cleared)):
                out.print(mended)
        return cls(context, cli, stack)

    @property
    def offline(self) -> bool:
        """Whether stand-ins take the place of the clouds' plugins."""
        return bool(self.cli.backend.stood_in)

    def outputs(self, stack: str | None = None) -> dict[str, Any]:
        """Of the last update of this stack, or of another one of the environment; secrets stay hidden."""
        return outputs_of(self.cli.backend, stack or self.context.stack)

    def expected_before(self) -> dict[str, float] | None:
        """USD per hour that were expected when the stack was last deployed, by service and as `total`; None = never."""
        cost = self.outputs().get("cost")
        if not isinstance(cost, dict) or "expected_usd_hour" not in cost:
            return None
        services = {name: c["expected_usd_hour"] for name, c in cost.get("services", {}).items()}
        return {**services, "total": cost["expected_usd_hour"]}

    def preview(self) -> Report:
        """Runs the preview with the policy pack. Raises OutsideError when it fails for another reason than a policy."""
        report = Report()
        with out.status("preview ..."), _translated(report):
            try:
                with self.cli.interruptible(_say):
                    self.stack.preview(
                        on_event=report,
                        policy_packs=self._packs,
                        policy_pack_configs=self._limits(),
                    )
            except auto.CommandError:
                if not report.refusals:
                    raise
        return report

    def up(self) -> Report:
        """Changes what differs. Raises OutsideError.

        Without the policy pack: policies of a whole stack are asked before anything is done in a preview only, and
        here after everything is done.
        """
        started = time.monotonic()
        report = Report(
            on_done=lambda c: (
                out.print(f"  {c.symbol} {c.name} [dim]{c.type}[/] {VERBS[c.op]}")
                if not c.type.startswith("pulumi:")
                else None
            )
        )
        with out.status("update ..."), _translated(report), self.cli.interruptible(_say):
            self.stack.up(on_event=report)
        out.print(f"  done in {time.monotonic() - started:.1f} s")
        return report

    def drift(self, collect: Callable[[EngineEvent], None]) -> None:
        """Looks at every resource in its cloud, tells `collect`, and changes nothing. Raises OutsideError."""
        report = Report()

        def both(event: EngineEvent) -> None:
            report(event)
            collect(event)

        with out.status("refresh ..."), _translated(report), self.cli.interruptible(_say):
            self.stack.preview_refresh(on_event=both)

    def destroy(self) -> None:
        """Removes every resource and the stack itself. Raises OutsideError."""
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
        write_atomic(path, json.dumps(policy_config(self.context.config), indent=1).encode())
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
