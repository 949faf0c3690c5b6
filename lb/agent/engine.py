"""Starting and ending what a bundle says: its `setup`, then its `run`, as the agent sees them through the guard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lb.agent import guard
from lb.agent.assignment import Gang
from lb.agent.bundle import Bundle, BundleError
from lb.agent.config import NodeConfig

_GUARD_MARGIN_S = 0.5
"""What the guard itself needs, beyond the grace of the engine, to end."""


class Process:
    """One running program with everything that it has started. Start it from the agent's main thread only."""

    def __init__(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, grace_s: float
    ) -> None:
        self._grace_s = max(grace_s, 0.0)
        reader, self._lifeline = os.pipe()
        command = [sys.executable, "-I", guard.__file__, str(reader), str(log), str(self._grace_s)]
        try:
            self._guard = subprocess.Popen(
                [*command, *argv],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                pass_fds=(reader,),
                start_new_session=True,
            )
        except OSError:
            os.close(self._lifeline)
            raise
        finally:
            os.close(reader)

    def poll(self) -> int | None:
        """The program's exit code (128 + n for signal n) once all of it is gone; None while it runs."""
        code = self._guard.poll()
        if code is None:
            return None
        self._clean_up()
        return code if code >= 0 else 128 - code

    def stop(self) -> None:
        """Ends it: SIGTERM, then SIGKILL after the grace; returns when nothing of it is left."""
        if self._guard.poll() is None:
            self._guard.send_signal(signal.SIGTERM)
            try:
                self._guard.wait(self._grace_s + _GUARD_MARGIN_S)
            except subprocess.TimeoutExpired:
                self._guard.kill()
                self._guard.wait()
        self._clean_up()

    def _clean_up(self) -> None:
        """If somebody has killed the guard, its children are the agent's now (a subreaper), and end here."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
            deadline = time.monotonic() + _GUARD_MARGIN_S
            while self._guard.returncode == -signal.SIGKILL and guard.kill_descendants(os.getpid()):
                _collect_orphans()
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)


def environment(
    base: Mapping[str, str],
    *,
    config: NodeConfig,
    bundle: Bundle,
    port: int,
    secrets: Mapping[str, str],
    gang: Gang | None,
) -> dict[str, str]:
    """What `setup` and `run` see: the machine's own variables, the bundle's, its secrets, and the well-known ones.

    The names that start with SKYPILOT_ are SkyPilot's, so that its service files run unchanged.
    """
    gang = gang or Gang(head=config.instance_id, rank=0, ips=(config.address,))
    gpus = config.accelerator_count if config.accelerator_count is not None else bundle.num_gpus
    return {
        **base,
        **bundle.envs,
        **secrets,
        "TRADEWIND_PORT": str(port),
        "SKYPILOT_NUM_GPUS_PER_NODE": str(1 if gpus is None else gpus),
        "SKYPILOT_NODE_RANK": str(gang.rank),
        "SKYPILOT_NODE_IPS": "\n".join(gang.ips),
        "SKYPILOT_NUM_NODES": str(len(gang.ips)),
        "SKYPILOT_TASK_ID": f"{gang.head}-{bundle.sha256[:12]}",
    }


def port_of(bundle: Bundle, config: NodeConfig) -> int:
    """Where the engine is to listen: the machine's port for it, or the bundle's own. Raises BundleError."""
    port = config.port or bundle.port
    if port is None:
        raise BundleError("the bundle does not say on which port its engine listens")
    if port in (config.agent_port, config.sidecar_port):
        raise BundleError(f"port {port} is taken on every machine: choose another one in `resources.ports`")
    return port


def _collect_orphans() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return
