"""`tw wait`: until what is desired serves, or until it is certain that it will not.

A changed bundle that fails ends the waiting at once: the controller goes back to the one before by itself, and this says
which replica failed, why, and what serves on.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cli.context import Context
from cli.log_files import last_lines
from cli.log_lines import Secrets, quoted
from cli.options import StackOption, there
from cli.status import alive, how_many, read_status
from lb.agent.guard import HEADING
from lb.envoy.names import READY_PATH
from spec.desired import Desired, UnusableDesired, parse
from spec.errors import OutsideError
from spec.status import ReplicaState, RolloutPhase, RolloutStatus, ServiceStatus, Status

POLL_S = 0.3
GIVE_UP_AFTER = 3
"""Replicas of one service that fail in a row, none ready on its present bundle, before `wait` stops waiting."""
LEAST_PATIENCE_S = 300.0
LOG_LINES = 5

_GOING_ON = (RolloutPhase.ROLLING, RolloutPhase.PAUSED, RolloutPhase.BACK)

out = Console(highlight=False)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(wait)


def wait(
    stack: StackOption = "dev",
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds to wait at most. [default: what replicas may take, 300 at least]", min=0),
    ] = None,
) -> None:
    """Wait until every service has its replicas ready and the edge answers. Ctrl-C leaves the stack running."""
    context = there(stack)
    wait_until_ready(context, timeout_s=timeout)
    services = read_status(context).services
    out.print(", ".join(f"{s.name}: {s.ready}/{s.desired} ready at {s.endpoint}" for s in services))


def wait_until_ready(context: Context, *, timeout_s: float | None = None) -> None:
    """Returns once the stack serves what is desired; raises OutsideError, which says what is missing and why.

    `timeout_s`: None = as long as the desired services have to get ready, anew with every replica that an update has moved.
    """
    waiting = _Waiting(context)
    started = time.monotonic()
    try:
        with _progress() as progress:
            while not waiting.look(progress):
                if timeout_s is None and waiting.got_further():
                    started = time.monotonic()
                limit_s = patience_s(waiting.desired) if timeout_s is None else timeout_s
                if time.monotonic() - started > limit_s:
                    raise OutsideError(waiting.failure(f"not ready within {limit_s:g} s"))
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        out.print(
            f"stack {context.stack} keeps running and goes on; `./tw wait --stack {context.stack}` waits again, "
            f"`make down STACK={context.stack}` ends it"
        )
        raise


def patience_s(desired: Desired | None) -> float:
    """How long replicas may take: the longest initial delay and a minute for their machine, 300 s at least."""
    delays = [service.probe.initial_delay_s for service in desired.services] if desired else []
    return max([LEAST_PATIENCE_S, *(delay + 60 for delay in delays)])


@dataclass
class _Waiting:
    """What `wait` has seen so far."""

    context: Context
    bars: dict[str, TaskID] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    """The last trouble of each replica, by its id."""
    failures: dict[str, int] = field(default_factory=dict)
    """Failures of each service when waiting began: only further ones say something about now."""
    logs: dict[str, str] = field(default_factory=dict)
    """The last lines of the replica that a rollout failed at, by the rollout's reason: its machine soon runs on."""
    updated: dict[tuple[str, RolloutPhase], int] = field(default_factory=dict)
    """The most replicas that each service's update had moved, by its phase."""
    missing: str = "the controller has said nothing yet"
    last: Status | None = None

    def look(self, progress: Progress) -> bool:
        """One look; True when everything is as desired. Raises OutsideError when waiting is pointless."""
        desired = self.desired
        try:
            found = read_status(self.context)
        except OutsideError as e:
            self.missing = str(e)
            return False
        self.last = found
        for service in found.services:
            self._note(service)
            self._draw(progress, service)
        self.missing = self._lacks(desired, found) or ""
        if self.missing:
            if desired is None or found.generation == desired.generation:
                self._end_if_gone_back(desired, found)
                self._give_up_if_pointless(desired, found)
            return False
        self.missing = _edge_lacks(self.context, found) or ""
        return not self.missing

    def got_further(self) -> bool:
        """Whether an update has moved more replicas than ever before."""
        further = False
        for service in self.last.services if self.last is not None else ():
            rollout = service.rollout
            if rollout is not None and rollout.phase in _GOING_ON:
                key = (service.name, rollout.phase)
                further |= rollout.updated > self.updated.get(key, 0)
                self.updated[key] = max(rollout.updated, self.updated.get(key, 0))
        return further

    def failure(self, headline: str) -> str:
        """The message that `wait` ends with: what is missing, which replica, why, and where to read more."""
        lines = [f"stack {self.context.stack} is {headline}: {self.missing}"]
        lines += [f"  {rid}: {trouble}" for rid, trouble in list(self.troubles.items())[-4:]]
        reasons = self.last.reasons if self.last is not None else ()
        if not self.troubles:
            lines += [f"  {reason}" for reason in reasons[:4]]
        elif not any(trouble.startswith("failed") for trouble in self.troubles.values()):
            lines += [f"  {reason}" for reason in reasons if " failed: " in reason][
                :2
            ]  # too short to be seen
        lines.append(f"  logs: {self.context.home / 'logs'} and {self.context.home / 'machines'}")
        lines.append("  The stack keeps running; `./tw status --watch` shows how it goes on.")
        return "\n".join(lines)

    @property
    def desired(self) -> Desired | None:
        """As the stack has written it; None when that can't be read."""
        try:
            return parse((self.context.state_dir / "desired" / f"{self.context.stack}.json").read_bytes())
        except (OSError, UnusableDesired):
            return None

    def _lacks(self, desired: Desired | None, found: Status) -> str | None:
        """What differs between what is desired and what is; None when nothing does."""
        if not alive(self.context, found):
            return "its controller does not run"
        if found.controller.frozen:
            return f"its controller is frozen: {found.controller.frozen}"
        if desired is not None and found.generation != desired.generation:
            return "its controller has not read the new desired state yet"
        bundles = _bundles(desired)
        for service in found.services:
            ready = [r for r in service.replicas if r.state is ReplicaState.READY]
            if len(ready) < service.desired:
                return f"{service.name} has {len(ready)} of {service.desired} replicas ready"
            goes_on = service.rollout is not None and service.rollout.phase in _GOING_ON
            if goes_on or any(r.bundle != bundles.get(service.name, r.bundle) for r in ready):
                return f"{service.name} is still being updated{_how_far(service.rollout)}"
        return None

    def _note(self, service: ServiceStatus) -> None:
        for replica in service.replicas:
            troubled = replica.state in (ReplicaState.FAILED, ReplicaState.UNREADY, ReplicaState.STARTING)
            if troubled and replica.reason and not self.troubles.get(replica.id, "").startswith("failed"):
                self.troubles[replica.id] = (
                    f"{replica.state.value}: {replica.reason}{self._log_of(replica.id)}"
                )
            elif replica.state is ReplicaState.READY:
                self.troubles.pop(replica.id, None)
        reason = service.rollout.reason if service.rollout else ""
        if ": " in reason and reason not in self.logs:
            self.logs[reason] = self._log_of(reason.partition(": ")[0])

    def _log_of(self, replica_id: str) -> str:
        """The last lines of the machine's logs, while they are there."""
        machine = self.context.home / "machines" / replica_id.rpartition(":")[2]
        for path in (machine / "engine.log", machine / "log"):
            if raw := _of_last_start(last_lines(path, LOG_LINES)):
                secrets = Secrets.of(self.context.home)
                said = (quoted(line, secrets) for line in raw)
                return f"\n    {path}:" + "".join(f"\n    | {line}" for line in said)
        return ""

    def _end_if_gone_back(self, desired: Desired | None, found: Status) -> None:
        bundles = _bundles(desired)
        for service in found.services:
            rollout = service.rollout
            if rollout is None or rollout.to_bundle != bundles.get(service.name, rollout.to_bundle):
                continue
            if rollout.phase in (RolloutPhase.FAILED, RolloutPhase.ABORTED):
                raise OutsideError(self._gone_back(service, rollout))

    def _gone_back(self, service: ServiceStatus, rollout: RolloutStatus) -> str:
        """What became of an update that did not work, and what serves instead."""
        on_it = [r for r in service.replicas if r.bundle == rollout.from_bundle]
        ready = sum(r.state is ReplicaState.READY for r in on_it)
        verb = "failed" if rollout.phase is RolloutPhase.FAILED else "was aborted"
        return "\n".join(
            (
                f"{service.name}: the update to bundle {rollout.to_bundle[:12]} {verb}: {rollout.reason}"
                + self.logs.get(rollout.reason, ""),
                (
                    f"  The version before, bundle {rollout.from_bundle[:12]}, serves on: "
                    f"{ready} of {service.desired} replicas ready."
                ),
                (
                    "  Correct the service and `make up` again, or try the same once more: "
                    f"./tw rollout resume --service {service.name} --stack {self.context.stack}"
                ),
            )
        )

    def _give_up_if_pointless(self, desired: Desired | None, found: Status) -> None:
        bundles = _bundles(desired)
        for service in found.services:
            before = self.failures.setdefault(service.name, service.failures)
            ready = [r for r in service.replicas if r.state is ReplicaState.READY]
            works = any(r.bundle == bundles.get(service.name, r.bundle) for r in ready)
            if not works and service.failures >= GIVE_UP_AFTER and service.failures > before:
                kept = f"; {len(ready)} of the version before serve on" if ready else ""
                raise OutsideError(self.failure(f"failing{kept}"))

    def _draw(self, progress: Progress, service: ServiceStatus) -> None:
        bar = self.bars.get(service.name)
        if bar is None:
            bar = self.bars[service.name] = progress.add_task(service.name, states="")
        states = sorted(r.state.value for r in service.replicas if r.state is not ReplicaState.READY)
        progress.update(bar, completed=service.ready, total=service.desired, states=" ".join(states))


def _bundles(desired: Desired | None) -> dict[str, str]:
    """The bundle that each service should run; empty while that is not known."""
    return {s.name: s.bundle.sha256 for s in desired.services} if desired else {}


def _how_far(rollout: RolloutStatus | None) -> str:
    if rollout is None:
        return ""
    held_up = f"; the last trouble: {rollout.reason}" if rollout.reason else ""
    return f": {rollout.phase.value}, {how_many(rollout)}{held_up}"


def _of_last_start(lines: list[bytes]) -> list[bytes]:
    """Without what an earlier bundle's engine wrote into the same log."""
    starts = [n for n, line in enumerate(lines) if line.startswith(HEADING.encode())]
    return lines[starts[-1] :] if starts else lines


def _edge_lacks(context: Context, found: Status) -> str | None:
    """Why the endpoints do not serve yet; None when they do.

    An edge learns of a ready replica a moment after the controller says so; with the key of a local stack one real
    request tells whether it has.
    """
    import httpx

    for endpoint in sorted({s.endpoint for s in found.services if s.endpoint and s.desired}):
        try:
            answer = httpx.get(f"{endpoint}{READY_PATH}", timeout=2, trust_env=False)
            if answer.is_success and context.key_file.is_file():
                key = {"Authorization": f"Bearer {context.key_file.read_text().strip()}"}
                answer = httpx.get(f"{endpoint}/v1/models", headers=key, timeout=5, trust_env=False)
        except httpx.HTTPError as e:
            return f"its edge at {endpoint} does not answer: {e}"
        if answer.is_server_error:
            return f"its edge at {endpoint} answers {answer.status_code}: {answer.text.strip()[:200]}"
    return None


@contextmanager
def _progress() -> Generator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("ready"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[states]}"),
    )
    with Progress(*columns, console=out, transient=True) as progress:
        yield progress
