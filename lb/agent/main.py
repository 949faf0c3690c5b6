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
from pathlib import Path
from typing import Any

from lb.agent import api, config, guard
from lb.agent.agent import Agent, launcher
from lb.agent.bundle import BundleStore
from lb.agent.fetch import open_bucket
from lb.agent.notice import NoticeFile, NoticeSource, NoticeWatch
from lb.agent.status import Status, StatusBoard

_POLL_S = 1.0


class _Stop(Exception):
    """SIGTERM arrived in the middle of a long step."""


class _Signals:
    """SIGTERM and SIGINT as a flag, and SIGCHLD as a reason to look; both end a wait at once."""

    def __init__(self) -> None:
        self.stop = False
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for which in (signal.SIGTERM, signal.SIGINT):
            signal.signal(which, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)

    def _on_stop(self, _signum: int, _frame: Any) -> None:
        self.stop = True

    def wait(self, seconds: float) -> None:
        """Returns after that time, or earlier when a signal comes."""
        if select.select([self._reader], [], [], max(seconds, 0.0))[0]:
            os.read(self._reader, 4096)

    def check(self) -> None:
        """Raises _Stop once the agent shall end."""
        if self.stop:
            raise _Stop


def main(config_path: Path) -> int:
    """Runs until SIGTERM; returns the exit code. Problems of the configuration are one line and 1."""
    try:
        node = config.load(config_path)
        bucket = open_bucket(node.bucket)
        signals = _Signals()
        board = StatusBoard(now=time.time, on_change=_log_status)
        api.serve(
            address=node.address,
            port=node.agent_port,
            status=lambda: board.as_json(instance_id=node.instance_id, pool_id=node.pool_id),
        )
        node.work_dir.mkdir(parents=True, exist_ok=True)
    except config.ConfigError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except OSError as e:
        print(f"error: {config_path}: work_dir: {e}", file=sys.stderr)
        return 1
    guard.become_subreaper()
    if node.notice_file is not None:
        _watch_notice(NoticeFile(node.notice_file), board)
    _log("started", instance_id=node.instance_id, pool_id=node.pool_id, pid=os.getpid())
    agent = Agent(
        node,
        bucket=bucket,
        store=BundleStore(node.work_dir / "bundles", bucket, check=signals.check),
        board=board,
        launch=launcher(node),
        base_env=os.environ,
    )
    _loop(agent, signals)
    _log("stopped", instance_id=node.instance_id)
    return 0


def _watch_notice(source: NoticeSource, board: StatusBoard) -> None:
    def tell(preempt_at: float) -> None:
        board.announce(preempt_at)
        _log("preemption announced", preempt_at=preempt_at)

    NoticeWatch(source, tell=tell, warn=lambda why: _log("notice unreadable", error=why)).start()


def _loop(agent: Agent, signals: _Signals) -> None:
    next_step = time.monotonic()
    while not signals.stop:
        try:
            if time.monotonic() >= next_step:
                next_step = time.monotonic() + _POLL_S
                agent.step()
            else:
                agent.watch()
        except _Stop:
            break
        except Exception:  # noqa: BLE001 -- the outermost loop: a defect in one step must not take the engine down
            _log("defect", traceback=traceback.format_exc())
        signals.wait(next_step - time.monotonic())
    agent.shut_down()


def _log_status(status: Status) -> None:
    _log(
        "phase",
        phase=status.phase.value,
        bundle=status.bundle,
        exit_code=status.exit_code,
        message=status.message,
        note=status.note,
    )


def _log(event: str, **fields: Any) -> None:
    line = json.dumps({"at": time.time(), "event": event} | fields)
    with contextlib.suppress(OSError):  # a full disk costs the line, not the engine
        print(line, file=sys.stderr, flush=True)
