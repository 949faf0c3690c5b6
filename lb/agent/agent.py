"""The agent's one loop step: read the assignment, and bring the machine to what it says.

What runs goes on running until the next bundle is fetched, verified and unpacked. An engine that ends by itself is not
started again: the controller sees `failed` with the exit code and decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lb.agent import assignment, guard
from lb.agent.assignment import Assignment, Gang, UnusableAssignment
from lb.agent.bundle import Bundle, BundleError, BundleStore
from lb.agent.config import NodeConfig
from lb.agent.engine import Process, environment, read_secrets, refuse_image
from lb.agent.fetch import BucketError, FolderBucket
from lb.agent.status import Phase, StatusBoard

_RETRY_FIRST_S = 1.0
_RETRY_MOST_S = 60.0


class Running(Protocol):
    """A started script; see engine.Process."""

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        ...

    def stop(self) -> None:
        """Ends it."""
        ...


class Launch(Protocol):
    """Starts `setup` or `run` of a bundle; raises OSError when that is not possible."""

    def __call__(self, script: str, *, bundle: Bundle, env: Mapping[str, str]) -> Running:
        """Returns what it has started."""
        ...


@dataclass
class _Started:
    """What runs on the machine now."""

    bundle: Bundle
    phase: Phase
    process: Running
    env: Mapping[str, str]
    gang: Gang | None

    def is_for(self, wanted: Assignment) -> bool:
        """Whether it is what is wanted; one that runs by itself does not care for a gang."""
        return self.bundle.sha256 == wanted.bundle and self.gang == _gang_of(self.bundle, wanted)


class Agent:
    """One machine's agent. Everything happens in `step`, in the caller's thread."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        bucket: FolderBucket,
        store: BundleStore,
        board: StatusBoard,
        launch: Launch,
        base_env: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._bucket = bucket
        self._store = store
        self._board = board
        self._launch = launch
        self._base_env = base_env
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
        """The part of a step that needs no bucket: sees whether `setup` or `run` has ended."""
        started = self._started
        code = started.process.poll() if started else None
        if started is None or code is None:
            return
        self._started = None
        if started.phase is Phase.SETUP and code == 0:
            started.bundle.mark_setup_done()
            self._start(started.bundle, Phase.RUNNING, started.bundle.run, started.env, started.gang)
            return
        what = "setup" if started.phase is Phase.SETUP else "the engine"
        self._board.enter(
            Phase.FAILED,
            bundle=started.bundle.sha256,
            exit_code=code,
            message=f"{what} has ended with exit code {code}; its output is in {self._config.engine_log}",
        )

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
            self._board.enter(started.phase, bundle=sha256)
            return
        if not started:
            self._board.enter(Phase.FETCHING, bundle=sha256)
        try:
            bundle = self._store.get(sha256)
            refuse_image(bundle)
            secrets = read_secrets(bundle, self._config.secrets_dir)
        except BundleError as e:
            self._retry_at = None
            self._board.enter(Phase.FAILED, bundle=sha256, message=str(e))
            return
        except (BucketError, OSError) as e:
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
        env = environment(self._base_env, config=self._config, bundle=bundle, secrets=secrets, gang=gang)
        if bundle.setup.strip() and not bundle.setup_done:
            self._start(bundle, Phase.SETUP, bundle.setup, env, gang)
        else:
            self._start(bundle, Phase.RUNNING, bundle.run, env, gang)

    def _start(
        self, bundle: Bundle, phase: Phase, script: str, env: Mapping[str, str], gang: Gang | None
    ) -> None:
        try:
            process = self._launch(script, bundle=bundle, env=env)
        except OSError as e:
            self._board.enter(
                Phase.FAILED, bundle=bundle.sha256, message=f"{phase} can't be started: {_why(e)}"
            )
            return
        self._started = _Started(bundle, phase, process, env, gang)
        self._board.enter(phase, bundle=bundle.sha256)
        if phase is Phase.RUNNING:
            self._store.prune({bundle.sha256, self._last_good or bundle.sha256})
            self._last_good = bundle.sha256

    def _stop_what_runs(self) -> None:
        if self._started:
            self._board.enter(Phase.STOPPING, bundle=self._started.bundle.sha256)
            self._started.process.stop()
            self._started = None


def _gang_of(bundle: Bundle, wanted: Assignment) -> Gang | None:
    """The gang that the bundle is to run in: None for one that runs by itself, and while there is no whole one."""
    if bundle.num_nodes == 1 or wanted.gang is None or len(wanted.gang.ips) != bundle.num_nodes:
        return None
    return wanted.gang


def launcher(config: NodeConfig) -> Launch:
    """The real Launch of a machine."""

    def launch(script: str, *, bundle: Bundle, env: Mapping[str, str]) -> Running:
        log = config.engine_log
        what = "run" if script == bundle.run else "setup"
        guard.BoundedLog(log).write(f"{guard.HEADING}bundle {bundle.sha256[:12]}: {what} starts\n".encode())
        return Process(script, cwd=bundle.workdir, env=env, log=log, grace_s=config.grace_s - _AGENT_MARGIN_S)

    return launch


_AGENT_MARGIN_S = 1.0
"""What agent and guard need, beyond the grace of the engine, to be gone within their own."""


def _why(e: Exception) -> str:
    return e.strerror or str(e) if isinstance(e, OSError) else str(e)
