"""`python -m lb node`: wires the agent to its machine, and wakes it for its timer, a signal or an ended process."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lb.agent import api, config, guard, machine
from lb.agent.agent import AGENT_MARGIN_S, Agent, announce, launcher
from lb.agent.bundle import BundleStore
from lb.agent.clouds.protocol import CloudError
from lb.agent.config import CloudNode, NodeConfig
from lb.agent.containers.refuse import refuse_image
from lb.agent.containers.steps import Containers
from lb.agent.fetch import open_bucket
from lb.agent.files import PrivateFolder
from lb.agent.gpu import Gpus
from lb.agent.leaving import SETTLED_S, Approval, Quiet
from lb.agent.mounts.steps import Mounts
from lb.agent.notice import NoticeFile, NoticeSource, NoticeWatch
from lb.agent.secrets import FolderSecrets
from lb.agent.sidecar.leaf import Leaf
from lb.agent.sidecar.process import Sidecar
from lb.agent.status import Phase, Status, StatusBoard
from lb.agent.steps import in_turn

_POLL_S = 1.0
_IDENTITY_AGAIN_S = 5.0


class _Stop(Exception):
    """SIGTERM arrived in the middle of a long step."""


class _Signals:
    """SIGTERM and SIGINT as a count, and SIGCHLD as a reason to look; all end a wait at once."""

    def __init__(self) -> None:
        self.stops = 0
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for which in (signal.SIGTERM, signal.SIGINT):
            signal.signal(which, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)

    def _on_stop(self, _signum: int, _frame: Any) -> None:
        self.stops += 1

    def wait(self, seconds: float) -> None:
        """Returns after that time, or earlier when a signal comes."""
        if select.select([self._reader], [], [], max(seconds, 0.0))[0]:
            os.read(self._reader, 4096)

    def check(self) -> None:
        """Raises _Stop once the agent shall end."""
        if self.stops:
            raise _Stop


def main(config_path: Path) -> int:
    """Runs until SIGTERM; returns the exit code. Problems of the configuration are one line and 1."""
    try:
        node = config.load(config_path)
        signals = _Signals()
        board = StatusBoard(now=time.time, on_change=_log_status, on_remark=_log_remark)
        try:
            if isinstance(node, CloudNode):
                _in_cloud(node, signals, board)
            else:
                _here(node, signals, board)
        except OSError as e:
            raise config.ConfigError(f"{config_path}: {e.filename or 'work_dir'}: {e.strerror or e}") from e
    except _Stop:
        return 0
    except config.ConfigError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


def _here(node: NodeConfig, signals: _Signals, board: StatusBoard) -> None:
    """A machine of the local cloud: its engine is reached directly."""
    bucket = open_bucket(node.bucket)
    _serve(node, board, active=lambda: None)
    if node.notice_file is not None:
        _watch_notice(NoticeFile(node.notice_file), board)
    agent = Agent(
        node,
        bucket=bucket,
        store=BundleStore(node.work_dir / "bundles", bucket, check=signals.check),
        secrets=FolderSecrets(node.secrets_dir),
        board=board,
        launch=launcher(node),
        prepare=refuse_image,
        base_env=os.environ,
    )
    _live(node, agent, signals, watch=agent.watch)


def _in_cloud(given: CloudNode, signals: _Signals, board: StatusBoard) -> None:
    """A machine of a real cloud: its engine and this agent are reached through an Envoy with certificates."""
    found = _identified(given, signals)
    node, folder = found.config, PrivateFolder(given.run_dir / "sidecar", owner=given.sidecar.user)
    folder.make()
    leaf = Leaf(found.leaf, read=found.cloud.secret, folder=folder, note=partial(board.remark, "leaf"))
    sidecar = Sidecar(
        given.sidecar,
        folder=folder,
        log=node.work_dir / "envoy.log",
        agent_port=node.agent_port,
        leaf=leaf,
        note=partial(board.remark, "envoy"),
    )
    quiet = Quiet(sidecar.active)
    approval = Approval(Quiet(sidecar.active))
    _serve(node, board, active=sidecar.active, needed=approval.needed)
    for source in found.cloud.notices(lambda said: _log("cloud", said=said)):
        _watch_notice(source, board, approval)
    leaf.start()
    found.assignment.start()
    mounts = Mounts(
        cloud=node.cloud,
        store=given.store,
        folder=node.work_dir / "mounts",
        log=node.engine_log,
        grace_s=node.grace_s - AGENT_MARGIN_S,
    )
    containers = Containers(
        machine=node.instance_id,
        folder=node.work_dir / "containers",
        private=PrivateFolder(given.run_dir / "containers"),
        log=node.engine_log,
        grace_s=node.grace_s - AGENT_MARGIN_S,
        secrets=found.secrets,
        begins=partial(announce, node),
    )
    board.remark("containers", containers.sweep())
    agent = Agent(
        node,
        bucket=found.assignment,
        store=BundleStore(node.work_dir / "bundles", found.bucket, check=signals.check),
        secrets=found.secrets,
        board=board,
        launch=containers.around(launcher(node)),
        prepare=in_turn(containers, mounts),
        base_env=os.environ,
        said=containers.said,
        on_engine=sidecar.point_at,
    )

    def watch() -> None:
        sidecar.watch()
        agent.watch()

    try:
        _live(node, agent, signals, watch=watch, drain=lambda: _drain(node, board, quiet, signals, watch))
    finally:
        sidecar.stop()


def _identified(given: CloudNode, signals: _Signals) -> machine.Machine:
    """Waits until the cloud says who this machine is: nothing can be done before, and nobody can be told."""
    cloud, said = machine.open_cloud(given), ""
    while True:
        try:
            return machine.identified(given, cloud)
        except CloudError as e:
            if str(e) != said:
                said = str(e)
                _log("waiting", why=said)
        signals.wait(_IDENTITY_AGAIN_S)
        signals.check()


def _serve(
    node: NodeConfig,
    board: StatusBoard,
    *,
    active: Callable[[], int | None],
    needed: Callable[[], None] = lambda: None,
) -> None:
    def status() -> dict[str, Any]:
        told = board.as_json(instance_id=node.instance_id, pool_id=node.pool_id)
        return told | {"active_requests": active()}

    api.serve(
        address=node.agent_address, port=node.agent_port, status=status, gpus=Gpus().share, needed=needed
    )
    node.work_dir.mkdir(parents=True, exist_ok=True)


def _watch_notice(source: NoticeSource, board: StatusBoard, approval: Approval | None = None) -> None:
    def tell(preempt_at: float) -> None:
        board.announce(preempt_at)
        if approval is not None:
            approval.heard()
        _log("preemption announced", preempt_at=preempt_at)

    NoticeWatch(
        source,
        tell=tell,
        warn=lambda why: _log("notice unreadable", error=why),
        drained=lambda: approval is not None and approval.given(),
    ).start()


# ---------------------------------------------------------------- its life


def _live(
    node: NodeConfig,
    agent: Agent,
    signals: _Signals,
    *,
    watch: Callable[[], None],
    drain: Callable[[], None] = lambda: None,
) -> None:
    guard.become_subreaper()
    _log("started", instance_id=node.instance_id, pool_id=node.pool_id, pid=os.getpid())
    next_step = time.monotonic()
    while not signals.stops:
        try:
            watch()
            if time.monotonic() >= next_step:
                next_step = time.monotonic() + _POLL_S
                agent.step()
        except _Stop:
            break
        except Exception:  # noqa: BLE001 -- the outermost loop: a defect in one step must not take the engine down
            _log("defect", traceback=traceback.format_exc())
        signals.wait(next_step - time.monotonic())
    drain()
    agent.shut_down()
    _log("stopped", instance_id=node.instance_id)


def _drain(
    node: NodeConfig, board: StatusBoard, quiet: Quiet, signals: _Signals, watch: Callable[[], None]
) -> None:
    """A machine that is shut down tells so, and answers what it was asked before that.

    Google shuts a machine down in the moment of its notice, so that this is the only time there is. A second signal
    means at once.
    """
    end = time.monotonic() + node.drain_s
    board.announce(time.time() + node.drain_s, leaving=True)
    _log("draining", within_s=node.drain_s)
    while (
        board.status.phase is Phase.RUNNING
        and time.monotonic() < end
        and quiet.look() < SETTLED_S
        and signals.stops == 1
    ):
        watch()
        signals.wait(0.2)


def _log_status(status: Status) -> None:
    _log(
        "phase",
        phase=status.phase.value,
        bundle=status.bundle,
        exit_code=status.exit_code,
        message=status.message,
        note=status.note,
    )


def _log_remark(about: str, text: str) -> None:
    _log("remark", about=about, text=text)


def _log(event: str, **fields: Any) -> None:
    line = json.dumps({"at": time.time(), "event": event} | fields)
    with contextlib.suppress(OSError):  # a full disk costs the line, not the engine
        print(line, file=sys.stderr, flush=True)
