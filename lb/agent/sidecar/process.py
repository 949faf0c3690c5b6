"""Running the replica's own Envoy, and asking it how many requests are under way.

It is started when there is a certificate, and again whenever it ends; it stays while engines come and go. Like an
engine it can't outlive the agent.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lb.agent.config import SidecarConfig
from lb.agent.engine import Process
from lb.agent.files import PrivateFolder
from lb.agent.sidecar import render
from lb.agent.sidecar.leaf import Leaf

_AGAIN_FIRST_S, _AGAIN_MOST_S = 1.0, 30.0
_LASTED_S = 60.0
_GRACE_S = 2.0
_ASK_TIMEOUT_S = 0.5
_ACTIVE = f"cluster.{render.ENGINE}.upstream_rq_active"


class Sidecar:
    """The Envoy of one machine. Everything happens in the caller's thread, but `active` may be asked by any."""

    def __init__(
        self,
        config: SidecarConfig,
        *,
        folder: PrivateFolder,
        log: Path,
        agent_port: int,
        leaf: Leaf,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._folder = folder
        self._directory = folder.path
        self._log = log
        self._agent_port = agent_port
        self._leaf = leaf
        self._note = note
        self._clock = clock
        self._process: Process | None = None
        self._started_at = 0.0
        self._again_at = 0.0
        self._again_after_s = _AGAIN_FIRST_S

    def point_at(self, port: int | None) -> None:
        """Where the engine listens from now on; None = there is none. Raises OSError."""
        self._folder.write(render.ENGINE_FILE, render.engine(port))

    def watch(self) -> None:
        """Starts Envoy when it can and should run and does not."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._ended(code)
        if self._leaf.issued.is_set() and self._clock() >= self._again_at:
            self._start()

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def active(self) -> int | None:
        """Requests that the engine is working on now; None while nobody can tell."""
        try:
            content = _asked(render.admin_socket(self._directory), f"/stats?filter=^{_ACTIVE}$&format=json")
            return next(int(s["value"]) for s in json.loads(content)["stats"] if s.get("name") == _ACTIVE)
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, StopIteration):
            return None

    def _start(self) -> None:
        try:
            text = render.bootstrap(
                directory=self._directory,
                address=self._config.address,
                port=self._config.port,
                agent_port=self._agent_port,
            )
            path = self._folder.write("bootstrap.json", text)
            if not (self._directory / render.ENGINE_FILE).exists():
                self.point_at(None)
            self._process = Process(
                argv(self._config.envoy, path, user=self._config.user),
                cwd=self._directory,
                env=_environment(os.environ),
                log=self._log,
                grace_s=_GRACE_S,
            )
        except OSError as e:
            self._later(f"Envoy can't be started: {e.strerror or e}")
            return
        self._started_at = self._clock()

    def _ended(self, code: int) -> None:
        self._process = None
        if self._clock() - self._started_at > _LASTED_S:
            self._again_after_s = _AGAIN_FIRST_S
        self._later(f"Envoy has ended with exit code {code}; its output is in {self._log}")

    def _later(self, why: str) -> None:
        self._note(f"{why}; tried again in {self._again_after_s:g} s")
        self._again_at = self._clock() + self._again_after_s
        self._again_after_s = min(2 * self._again_after_s, _AGAIN_MOST_S)


def argv(envoy: Path, bootstrap: Path, *, user: str | None) -> list[str]:
    """The command that runs Envoy. `user`: whom it runs as, without any right beyond; None = as the agent."""
    less = []
    if user is not None:
        setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
        less = [setpriv, f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", "--"]
    return [
        *less,
        str(envoy),
        "--config-path",
        str(bootstrap),
        "--concurrency",
        str(min(os.cpu_count() or 1, 4)),  # it only passes on: the engine needs the processors
        "--reject-unknown-dynamic-fields",
        "--disable-hot-restart",
        "--log-level",
        "warning",
    ]


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Nothing that was meant for the agent or an engine."""
    return {name: own[name] for name in ("PATH", "LANG", "TMPDIR") if name in own}


def _asked(path: Path, target: str) -> bytes:
    connection = _OverSocket(path)
    try:
        connection.request("GET", target)
        return connection.getresponse().read(1 << 20)
    finally:
        connection.close()


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=_ASK_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
