"""`tw drift`: what differs in the clouds from what Pulumi declared there, less what the controller owns.

Pulumi's own refresh would tell of every pool that has a machine: sizes, and certificates that were renewed, are the
controller's, and no drift.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.context import Context
from cli.options import StackOption
from local.files import write_atomic
from spec import certificates

OWNED = {
    "aws:autoscaling/group:Group": frozenset({"desiredCapacity"}),
    "gcp:compute/instanceGroupManager:InstanceGroupManager": frozenset({"targetSize"}),
    "azure-native:compute:VirtualMachineScaleSet": frozenset({"sku.capacity"}),
}
"""By type of a pool's resource: where its size stands."""
SECRETS = frozenset(
    {
        "aws:secretsmanager/secretVersion:SecretVersion",
        "gcp:secretmanager/secretVersion:SecretVersion",
        "azure-native:keyvault:Secret",
    }
)
_ISSUED = re.compile(rf"-({certificates.LEAF}|{certificates.PUBLIC})-(aws|gcp|azure)(-value)?$")
"""Names of secrets that the controller writes."""
SHOWN_AT_MOST = 200

out = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Difference:
    """One resource. `paths`: its properties that differ; none where it is gone."""

    urn: str
    type: str
    gone: bool
    paths: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """For people."""
        name = self.urn.rsplit("::", 1)[-1]
        return f"{name} ({self.type}): {'is gone' if self.gone else ', '.join(self.paths)}"


@dataclass
class Drift:
    """Takes the events of a refresh that changes nothing; `found` has what differs. Values are never kept."""

    found: list[Difference] = field(default_factory=list)

    def __call__(self, event: Any) -> None:
        """One event of the engine."""
        if not event.res_outputs_event:
            return
        metadata = event.res_outputs_event.metadata
        if metadata.op.value == "delete":
            self.found.append(Difference(metadata.urn, metadata.type, gone=True))
        elif metadata.op.value == "update":
            declared = (p for p, diff in (metadata.detailed_diff or {}).items() if diff.input_diff)
            if paths := sorted(
                p for p in declared if not _is_the_controllers(metadata.urn, metadata.type, p)
            ):
                self.found.append(Difference(metadata.urn, metadata.type, gone=False, paths=tuple(paths)))


def _is_the_controllers(urn: str, kind: str, path: str) -> bool:
    if path in OWNED.get(kind, ()):
        return True
    return kind in SECRETS and _ISSUED.search(urn) is not None


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(drift)


def drift(
    stack: StackOption = "prod",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Show what somebody changed in the clouds behind Pulumi's back. Changes nothing; needs your own Pulumi.

    What differs is also left in `.tradewind/drift/<stack>/issue.md`; without any difference there is no such file.
    """
    from cli.clouds import needs_the_users_own
    from cli.session import Session

    context = Context(stack)
    session = Session.open(context, mend=False)
    needs_the_users_own(session)
    collected = Drift()
    session.drift(collected)
    found = collected.found
    leave(context.root / ".tradewind" / "drift" / stack, stack, found)
    if as_json:
        print(json.dumps({"drift": [asdict(d) for d in found]}, indent=1))
        return
    for difference in found:
        out.print(f"  ~ {difference.line}", markup=False)
    out.print(f"{len(found)} resources differ from what was declared" if found else "nothing differs")


def leave(folder: Path, stack: str, found: Sequence[Difference]) -> None:
    """The text of an issue, or no file."""
    path = folder / "issue.md"
    if not found:
        path.unlink(missing_ok=True)
        return
    lines = [f"- `{d.line}`" for d in found[:SHOWN_AT_MOST]]
    more = [f"- and {len(found) - SHOWN_AT_MOST} more"] if len(found) > SHOWN_AT_MOST else []
    text = "\n".join(
        [
            f"{len(found)} resources of `{stack}` differ from what Pulumi declared:",
            "",
            *lines,
            *more,
            "",
            f"`./tw up --stack {stack}` after `pulumi refresh` puts them back; a change that is meant belongs into the program.",
        ]
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, f"{text}\n".encode())
