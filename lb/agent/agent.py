"""The agent's one loop step: read the assignment, and bring the machine to what it says.

What runs goes on running until the next bundle is fetched, verified and unpacked. An engine that ends by itself is not
started again: the controller sees `failed` with the exit code and decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lb.agent import assignment, guard
from lb.agent.assignment import Assignment, Gang, UnusableAssignment
from lb.agent.bundle import Bundle, BundleError, BundleStore
from lb.agent.clouds.protocol import CloudError
from lb.agent.config import NodeConfig
from lb.agent.engine import Process, environment, port_of
from lb.agent.fetch import BucketError
from lb.agent.secrets import SecretSource
from lb.agent.status import Phase, StatusBoard
from lb.agent.steps import Launch, Prepare, Running, Step

_RETRY_FIRST_S = 1.0
_RETRY_MOST_S = 60.0


class Reads(Protocol):
    """See `fetch.FolderBucket.read`; a machine in a cloud has `bucket.Follower`."""

    def read(self, key: str, *, limit: int) -> bytes:
        """The whole object; raises BucketError."""
        ...


@dataclass
class _Started:
    """What runs on the machine now. `kept`: earlier steps whose programs stay; `rest`: steps that follow."""

    bundle: Bundle
    gang: Gang | None
    step: Step
    process: Running
    rest: list[Step]
    kept: list[tuple[Step, Running]] = field(default_factory=list)

    def is_for(self, wanted: Assignment) -> bool:
        """Whether it is what is wanted; one that runs by itself does not care for a gang."""
        return self.bundle.sha256 == wanted.bundle and self.gang == _gang_of(self.bundle, wanted)

    def stop(self) -> None:
        """Ends all of it, what came last first."""
        self.process.stop()
        self.stop_kept()

    def stop_kept(self) -> None:
        """Ends what stays beside the present step."""
        for _, process in reversed(self.kept):
            process.stop()


class Agent:
    """One machine's agent. Everything happens in `step`, in the caller's thread.

    Args:
        prepare: the steps before `setup`.
        said: what `setup` or `run`, as started, tells beside its output.
        on_engine: hears where an engine listens that starts, and None when there is none any more; may raise OSError.

    """

    def __init__(
        self,
        config: NodeConfig,
        *,
        bucket: Reads,
        store: BundleStore,
        secrets: SecretSource,
        board: StatusBoard,
        launch: Launch,
        base_env: Mapping[str, str],
        prepare: Prepare = lambda _bundle: [],
        said: Callable[[], str] = str,
        on_engine: Callable[[int | None], None] = lambda _port: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._bucket = bucket
        self._store = store
        self._secrets = secrets
        self._board = board
        self._launch = launch
        self._base_env = base_env
        self._prepare = prepare
        self._said = said
        self._on_engine = on_engine
        self._clock = clock
        self._target: Assignment | None = None
        self._started: _Started | None = None
        self._last_good: str | None = None
        self._retry_at: float | None = None
        self._retry_after_s = _RETRY_FIRST_S

    def step(self) -> None:
        """Does what there is to do now, and returns."""
        self.watch()
        try:
            wanted = self._assigned()
        except UnusableAssignment as e:
            self._board.note(f"{e}; what runs goes on" if self._started else str(e))
            return
        if wanted != self._target:
            self._target, self._retry_at, self._retry_after_s = wanted, None, _RETRY_FIRST_S
            self._switch(wanted)
        elif self._retry_at is not None and self._clock() >= self._retry_at:
            self._switch(wanted)
        elif self._retry_at is None:
            self._board.note("")

    def watch(self) -> None:
        """The part of a step that needs no bucket: sees how far the present step is, and whether it has ended."""
        started = self._started
        if started is None:
            return
        code, now = started.process.poll(), started.step
        gone = next(((s, c) for s, p in started.kept if (c := p.poll()) is not None), None)
        if code is None and gone is not None:
            started.stop()
            self._ended(started, *gone)
        elif code is None and now.ready is not None and now.ready():
            started.kept.append((now, started.process))
            self._next(started)
        elif code is None:
            if said := now.progress():
                self._board.enter(now.phase, bundle=started.bundle.sha256, message=said)
        elif code == 0 and now.ready is None and started.rest:
            now.done()
            self._next(started)
        else:
            self._ended(started, now, code)

    def shut_down(self) -> None:
        """Ends the engine; the agent does nothing afterwards."""
        self._stop_what_runs()

    # ---------------------------------------------------------------- steps

    def _assigned(self) -> Assignment:
        try:
            raw = self._bucket.read(assignment.key(self._config.pool_id), limit=assignment.MAX_BYTES)
        except BucketError as e:
            raise UnusableAssignment(str(e)) from e
        return assignment.read(raw, pool_id=self._config.pool_id, instance_id=self._config.instance_id)

    def _switch(self, wanted: Assignment) -> None:
        started, sha256 = self._started, wanted.bundle
        if started and started.is_for(wanted):  # taken back before the other one ran
            self._board.enter(started.step.phase, bundle=sha256)
            return
        if not started:
            self._board.enter(Phase.FETCHING, bundle=sha256)
        try:
            bundle = self._store.get(sha256)
            port = port_of(bundle, self._config)
            steps = self._prepare(bundle)
            secrets = self._secrets.of(bundle)
        except BundleError as e:
            self._retry_at = None
            self._board.enter(Phase.FAILED, bundle=sha256, message=str(e))
            return
        except (BucketError, CloudError, OSError) as e:
            self._retry_at = self._clock() + self._retry_after_s
            self._board.note(f"bundle {sha256[:12]}: {_why(e)}; trying again in {self._retry_after_s:g} s")
            self._retry_after_s = min(2 * self._retry_after_s, _RETRY_MOST_S)
            return
        self._retry_at = None
        self._stop_what_runs()
        gang = _gang_of(bundle, wanted)
        if bundle.num_nodes > 1 and gang is None:
            why = f"its replica is {bundle.num_nodes} machines, and the others are not there yet"
            self._board.enter(Phase.WAITING, bundle=sha256, message=why)
            return
        base = {} if bundle.image else self._base_env  # an image has variables of its own
        env = environment(base, config=self._config, bundle=bundle, port=port, secrets=secrets, gang=gang)
        self._begin(bundle, gang, [*steps, *self._own_steps(bundle, port, env)])

    def _own_steps(self, bundle: Bundle, port: int, env: Mapping[str, str]) -> list[Step]:
        def run() -> Running:
            self._on_engine(port)
            return self._launch(bundle.run, bundle=bundle, env=env)

        setup = Step(
            phase=Phase.SETUP,
            what="setup",
            start=lambda: self._launch(bundle.setup, bundle=bundle, env=env),
            progress=self._said,
            done=lambda: (
                None if bundle.image else bundle.mark_setup_done()
            ),  # an image is where it was set up
        )
        engine = Step(phase=Phase.RUNNING, what="the engine", start=run, progress=self._said)
        return [engine] if bundle.setup_done or not bundle.setup.strip() else [setup, engine]

    def _begin(self, bundle: Bundle, gang: Gang | None, steps: list[Step]) -> None:
        process = self._start(bundle, steps[0])
        if process is not None:
            self._started = _Started(bundle, gang, steps[0], process, steps[1:])

    def _next(self, started: _Started) -> None:
        step, *rest = started.rest
        process = self._start(started.bundle, step)
        if process is None:
            self._started = None
            started.stop_kept()
        else:
            started.step, started.rest, started.process = step, rest, process

    def _start(self, bundle: Bundle, step: Step) -> Running | None:
        """Starts a step; None when that fails, which has been told then."""
        try:
            process = step.start()
        except (OSError, BundleError) as e:
            why = f"{step.what} can't be started: {_why(e)}"
            self._board.enter(Phase.FAILED, bundle=bundle.sha256, message=why)
            return None
        self._board.enter(step.phase, bundle=bundle.sha256)
        if step.phase is Phase.RUNNING:
            self._store.prune({bundle.sha256, self._last_good or bundle.sha256})
            self._last_good = bundle.sha256
        return process

    def _ended(self, started: _Started, step: Step, code: int) -> None:
        """A program has ended that should not have, or not so."""
        self._started = None
        started.stop_kept()
        said = f": {told}" if (told := step.progress()) else ""
        why = f"{step.what} has ended with exit code {code}{said}; its output is in {self._config.engine_log}"
        self._board.enter(Phase.FAILED, bundle=started.bundle.sha256, exit_code=code, message=why)

    def _stop_what_runs(self) -> None:
        if self._started:
            self._board.enter(Phase.STOPPING, bundle=self._started.bundle.sha256)
            self._started.stop()
            self._started = None
            self._on_engine(None)


def _gang_of(bundle: Bundle, wanted: Assignment) -> Gang | None:
    """The gang that the bundle is to run in: None for one that runs by itself, and while there is no whole one."""
    if bundle.num_nodes == 1 or wanted.gang is None or len(wanted.gang.ips) != bundle.num_nodes:
        return None
    return wanted.gang


def launcher(config: NodeConfig) -> Launch:
    """The real Launch of a machine."""

    def launch(script: str, *, bundle: Bundle, env: Mapping[str, str]) -> Running:
        announce(config, bundle, "run" if script == bundle.run else "setup")
        return Process(
            ["bash", "-c", script],
            cwd=bundle.workdir,
            env=env,
            log=config.engine_log,
            grace_s=config.grace_s - AGENT_MARGIN_S,
        )

    return launch


def announce(config: NodeConfig, bundle: Bundle, what: str) -> None:
    """The line of the log that begins what a program prints."""
    line = f"{guard.HEADING}bundle {bundle.sha256[:12]}: {what} starts\n"
    guard.BoundedLog(config.engine_log).write(line.encode())


AGENT_MARGIN_S = 1.0
"""What agent and guard need, beyond the grace of the engine, to be gone within their own."""


def _why(e: Exception) -> str:
    return e.strerror or str(e) if isinstance(e, OSError) else str(e)
