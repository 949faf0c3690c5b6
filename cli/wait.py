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
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cli.afar import logs_of
from cli.edges import not_serving
from cli.last_words import last_words
from cli.options import StackOption, there
from cli.state import NotThere, Silent, State, state_of
from cli.status_page import how_many
from cli.told import alive, read_status
from spec.desired import Desired, UnusableDesired, parse
from spec.errors import OutsideError
from spec.status import ReplicaState, RolloutPhase, RolloutStatus, ServiceStatus, Status

POLL_S = 0.3
POLL_AFAR_S = 3.0
GIVE_UP_AFTER = 3
"""Replicas of one service that fail in a row, none ready on its present bundle, before `wait` stops waiting."""
LEAST_PATIENCE_S = 300.0
LEAST_PATIENCE_AFAR_S = 1800.0
"""In the clouds: the controller's host boots, a machine with accelerators is found and boots, and a model is loaded."""

_GOING_ON = (RolloutPhase.ROLLING, RolloutPhase.PAUSED, RolloutPhase.BACK)

out = Console(highlight=False)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(wait)


def wait(
    stack: StackOption = "dev",
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds to wait at most. [default: what replicas may take; 300 at least, 1800 in the clouds]",
            min=0,
        ),
    ] = None,
) -> None:
    """Wait until every service has its replicas ready and the edge answers. Ctrl-C leaves the stack running.

    In the clouds as many replicas as its `min_replicas` are enough, and what the state bucket says counts.
    """
    state = state_of(there(stack))
    wait_until_ready(state, timeout_s=timeout)
    services = read_status(state).services
    out.print(", ".join(f"{s.name}: {s.ready}/{s.desired} ready at {s.endpoint}" for s in services))


def wait_until_ready(state: State, *, timeout_s: float | None = None) -> None:
    """Returns once the stack serves what is desired; raises OutsideError, which says what is missing and why.

    `timeout_s`: None = as long as the desired services have to get ready, anew with every replica that an update has moved.
    """
    waiting, stack = _Waiting(state), state.context.stack
    started = time.monotonic()
    try:
        with _progress() as progress:
            while not waiting.look(progress):
                if timeout_s is None and waiting.got_further():
                    started = time.monotonic()
                limit_s = patience_s(state, waiting.desired) if timeout_s is None else timeout_s
                if time.monotonic() - started > limit_s:
                    raise OutsideError(waiting.failure(f"not ready within {limit_s:g} s"))
                time.sleep(POLL_S if state.afar is None else POLL_AFAR_S)
    except KeyboardInterrupt:
        ends = "" if state.afar is not None else f", `make down STACK={stack}` ends it"
        out.print(f"stack {stack} keeps running and goes on; `./tw wait --stack {stack}` waits again{ends}")
        raise


def patience_s(state: State, desired: Desired | None) -> float:
    """How long replicas may take: the longest initial delay and a minute for their machine, 300 s at least.

    In the clouds a machine takes what its pool's cold start is, and all together half an hour at least.
    """
    delays = [service.probe.initial_delay_s for service in desired.services] if desired else []
    if state.afar is None:
        return max([LEAST_PATIENCE_S, *(delay + 60 for delay in delays)])
    machines = max((pool.cold_start_s for pool in desired.pools), default=0) if desired else 0
    return max([LEAST_PATIENCE_AFAR_S, *(machines + delay for delay in delays)])


@dataclass
class _Waiting:
    """What `wait` has seen so far."""

    state: State
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
            found = read_status(self.state)
        except (NotThere, Silent) as e:
            self._lacking(str(e))
            return False
        self.last = found
        for service in found.services:
            self._note(service)
            self._draw(progress, service)
        if self._lacking(self._lacks(desired, found) or ""):
            if desired is None or _answers(found, desired):
                self._end_if_gone_back(desired, found)
                self._give_up_if_pointless(desired, found)
            return False
        return not self._lacking(not_serving(self.state, found) or "")

    def _lacking(self, what: str) -> str:
        """Keeps it. In the clouds it takes minutes, so it is also said, once."""
        if what and what != self.missing and self.state.afar is not None:
            out.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {escape(what.splitlines()[0])}", soft_wrap=True)
        self.missing = what
        return what

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
        context = self.state.context
        lines = [f"stack {context.stack} is {headline}: {self.missing}"]
        lines += [f"  {rid}: {trouble}" for rid, trouble in list(self.troubles.items())[-4:]]
        reasons = self.last.reasons if self.last is not None else ()
        if not self.troubles:
            lines += [f"  {reason}" for reason in reasons[:4]]
        elif not any(trouble.startswith("failed") for trouble in self.troubles.values()):
            lines += [f"  {reason}" for reason in reasons if " failed: " in reason][
                :2
            ]  # too short to be seen
        if self.state.afar is None:
            lines.append(f"  logs: {context.home / 'logs'} and {context.home / 'machines'}")
        elif (command := logs_of(context)) not in self.missing:
            lines.append(f"  what the controller's host writes: {command}")
        of_stack = "" if context.stack == "dev" else f" --stack {context.stack}"
        lines.append(f"  The stack keeps running; `./tw status --watch{of_stack}` shows how it goes on.")
        return "\n".join(lines)

    @property
    def desired(self) -> Desired | None:
        """As the stack has written it; None when that can't be read."""
        try:
            return parse(self.state.get(f"desired/{self.state.env}.json"))
        except (NotThere, Silent, UnusableDesired):
            return None

    def _lacks(self, desired: Desired | None, found: Status) -> str | None:
        """What differs between what is desired and what is; None when nothing does."""
        if not alive(self.state, found):
            return "its controller does not run" if self.state.afar is None else "its controller is silent"
        if found.controller.frozen:
            return f"its controller is frozen: {found.controller.frozen}"
        if desired is not None and not _answers(found, desired):
            return "its controller has not read the new desired state yet"
        bundles = _bundles(desired)
        for service in found.services:
            ready = [r for r in service.replicas if r.state is ReplicaState.READY]
            needed = self._needed(service)
            if len(ready) < needed:
                return f"{service.name} has {len(ready)} of {needed} replicas ready"
            goes_on = service.rollout is not None and service.rollout.phase in _GOING_ON
            if goes_on or any(r.bundle != bundles.get(service.name, r.bundle) for r in ready):
                return f"{service.name} is still being updated{_how_far(service.rollout)}"
        return None

    def _needed(self, service: ServiceStatus) -> int:
        """In the clouds what its file asks for at least: more may be wanted than there is to be had."""
        if self.state.afar is None or service.min_replicas is None:
            return service.desired
        return service.min_replicas

    def _note(self, service: ServiceStatus) -> None:
        for replica in service.replicas:
            troubled = replica.state in (ReplicaState.FAILED, ReplicaState.UNREADY, ReplicaState.STARTING)
            if troubled and replica.reason and not self.troubles.get(replica.id, "").startswith("failed"):
                self.troubles[replica.id] = (
                    f"{replica.state.value}: {replica.reason}{last_words(self.state.context.home, replica.id)}"
                )
            elif replica.state is ReplicaState.READY:
                self.troubles.pop(replica.id, None)
        reason = service.rollout.reason if service.rollout else ""
        if ": " in reason and reason not in self.logs:
            self.logs[reason] = last_words(self.state.context.home, reason.partition(": ")[0])

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
                    "  Correct the service and bring it up again, or try the same once more: "
                    f"./tw rollout resume --service {service.name} --stack {self.state.context.stack}"
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
        progress.update(bar, completed=service.ready, total=self._needed(service), states=" ".join(states))


def _answers(found: Status, desired: Desired) -> bool:
    """Whether it was written with that desired state; one that was put together of several stacks' has a name that begins so."""
    read = found.generation or ""
    return read == desired.generation or read.startswith(f"{desired.generation}-")


def _bundles(desired: Desired | None) -> dict[str, str]:
    """The bundle that each service should run; empty while that is not known."""
    return {s.name: s.bundle.sha256 for s in desired.services} if desired else {}


def _how_far(rollout: RolloutStatus | None) -> str:
    if rollout is None:
        return ""
    held_up = f"; the last trouble: {rollout.reason}" if rollout.reason else ""
    return f": {rollout.phase.value}, {how_many(rollout)}{held_up}"


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
