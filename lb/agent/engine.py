"""Starting and ending what a bundle says: its `setup`, then its `run`, as the agent sees them through the guard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from lb.agent import guard
from lb.agent.assignment import Gang
from lb.agent.bundle import Bundle, BundleError
from lb.agent.config import NodeConfig

_GUARD_MARGIN_S = 0.5
"""What the guard itself needs, beyond the grace of the engine, to end."""


class Process:
    """One running script with everything that it has started. Start it from the agent's main thread only."""

    def __init__(self, script: str, *, cwd: Path, env: Mapping[str, str], log: Path, grace_s: float) -> None:
        self._grace_s = max(grace_s, 0.0)
        reader, self._lifeline = os.pipe()
        command = [sys.executable, "-I", guard.__file__, str(reader), str(log), str(self._grace_s)]
        try:
            self._guard = subprocess.Popen(
                [*command, "bash", "-c", script],
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
        """The script's exit code (128 + n for signal n) once all of it is gone; None while it runs."""
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
        "TRADEWIND_PORT": str(config.port),
        "SKYPILOT_NUM_GPUS_PER_NODE": str(1 if gpus is None else gpus),
        "SKYPILOT_NODE_RANK": str(gang.rank),
        "SKYPILOT_NODE_IPS": "\n".join(gang.ips),
        "SKYPILOT_NUM_NODES": str(len(gang.ips)),
        "SKYPILOT_TASK_ID": f"{gang.head}-{bundle.sha256[:12]}",
    }


def read_secrets(bundle: Bundle, folder: Path | None) -> dict[str, str]:
    """The values of the bundle's secrets; raises BundleError that names one that this machine does not have."""
    values = {}
    for name in bundle.secrets:
        if folder is None:
            raise BundleError(
                f"the secret {name} is wanted, but this machine has no secrets (node.json: secrets_dir)"
            )
        if "/" in name or name.startswith("."):
            raise BundleError(f"{name!r} is not the name of a secret")
        try:
            values[name] = (folder / name).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as e:
            reason = "not there" if isinstance(e, FileNotFoundError) else e
            raise BundleError(f"the secret {name} can't be read from {folder}: {reason}") from e
    return values


def refuse_image(bundle: Bundle) -> None:
    """Raises BundleError when the bundle wants to run in a container: the agent runs commands."""
    if bundle.image:
        raise BundleError(
            f"the bundle wants the image {bundle.image}, and this machine runs commands, not containers; "
            "leave `image_id` out, or start the container in `run` (docker run ...)"
        )


def _collect_orphans() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return
