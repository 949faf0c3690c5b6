"""Pulumi's engine events, collected for our own report: changes, policy results, errors.

Properties are never printed whole: inputs of a resource may be long, and in real clouds secret. A change shows as
the names of what changed, with values for numbers and short texts outside of the known-long inputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pulumi.automation.events import EngineEvent, OpType, StepEventMetadata

from spec.errors import RefusedError

SYMBOLS = {
    OpType.CREATE: "+",
    OpType.UPDATE: "~",
    OpType.DELETE: "-",
    OpType.REPLACE: "±",
    OpType.CREATE_REPLACEMENT: "+",
    OpType.DELETE_REPLACED: "-",
}
VERBS = {
    OpType.CREATE: "created",
    OpType.UPDATE: "updated",
    OpType.DELETE: "deleted",
    OpType.CREATE_REPLACEMENT: "created again",
    OpType.DELETE_REPLACED: "deleted",
}
QUIET = {"argv", "env", "content", "contentBase64", "codeHash", "sha256"}
"""Inputs that are too long to read; their name says enough."""
SHOWN = 48
"""Longest value that is shown."""
COLOURS = re.compile(r"<\{%.*?%\}>")
"""Pulumi's own marks, which it leaves to whoever prints."""


@dataclass(frozen=True)
class Change:
    """One resource that an update creates, changes or deletes. `diff`: what changed, ready to print."""

    op: OpType
    urn: str
    type: str
    diff: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The resource's own name."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def symbol(self) -> str:
        """`+`, `~`, `-` or `±`."""
        return SYMBOLS.get(self.op, " ")


@dataclass(frozen=True)
class Step:
    """What the engine does with one resource, also when that is nothing (`same`)."""

    op: str
    urn: str
    type: str


@dataclass(frozen=True)
class Violation:
    """One message of a policy."""

    policy: str
    mandatory: bool
    message: str


@dataclass
class Report:
    """What a preview or an update did. `on_done` is called with each resource that is finished."""

    on_done: Callable[[Change], None] = lambda _change: None
    steps: list[Step] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __call__(self, event: EngineEvent) -> None:
        """Takes one event of the engine."""
        if event.resource_pre_event:
            self._step(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            metadata = event.res_outputs_event.metadata
            if metadata.op in VERBS and not event.res_outputs_event.planning:
                self.on_done(_change(metadata))
        elif event.policy_event:
            p = event.policy_event
            message = " ".join(COLOURS.sub("", p.message).split())
            self.violations.append(Violation(p.policy_name, p.enforcement_level == "mandatory", message))
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self._error(event.diagnostic_event.message)

    @property
    def refusals(self) -> list[Violation]:
        """The violations that must stop an update."""
        return [v for v in self.violations if v.mandatory]

    def refuse(self) -> None:
        """Raises RefusedError with everything that must stop an update."""
        if self.refusals:
            told = "\n".join(f"  {v.policy}: {v.message}" for v in self.refusals)
            raise RefusedError(f"refused by policy:\n{told}")

    def _step(self, metadata: StepEventMetadata) -> None:
        self.steps.append(Step(metadata.op.value, metadata.urn, metadata.type))
        if metadata.op in SYMBOLS and not (
            metadata.op in (OpType.CREATE_REPLACEMENT, OpType.DELETE_REPLACED) or _is_plumbing(metadata)
        ):
            self.changes.append(_change(metadata))

    def _error(self, message: str) -> None:
        text = COLOURS.sub("", message).strip()
        if text and text not in self.errors and not text.startswith(("update failed", "preview failed")):
            self.errors.append(text)


def _is_plumbing(metadata: StepEventMetadata) -> bool:
    return metadata.type.startswith(("pulumi:pulumi:", "pulumi:providers:"))


def _change(metadata: StepEventMetadata) -> Change:
    lines = []
    for path in sorted(metadata.detailed_diff or metadata.diffs or ()):
        key = path.split(".")[0].split("[")[0]
        if key in QUIET or path != key:
            lines.append(path)
        else:
            old, new = (_shown(side, key) for side in (metadata.old, metadata.new))
            lines.append(f"{path}: {old} => {new}")
    return Change(metadata.op, metadata.urn, metadata.type, tuple(lines))


def _shown(state: Any, key: str) -> str:
    values = {**((state and state.outputs) or {}), **((state and state.inputs) or {})}
    text = str(values.get(key, "?"))
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
