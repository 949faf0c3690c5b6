"""What is asked of the machine's Docker beside its long calls, and taking away what a killed agent has left."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lb.agent.containers.docker import KEPT, LABEL

_TIMEOUT_S = 60.0


class DockerError(Exception):
    """Docker refuses or does not answer; the message is its own, in one line."""


def ask(*arguments: str, timeout_s: float = _TIMEOUT_S) -> str:
    """What `docker` prints. Raises DockerError."""
    command = ["docker", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=True
        )
    except subprocess.CalledProcessError as e:
        raise DockerError(last_line(e.stderr)) from e
    except subprocess.TimeoutExpired as e:
        raise DockerError(f"docker {arguments[0]} has not answered for {timeout_s:g} s") from e
    except OSError as e:
        raise DockerError(f"docker: {e.strerror or e}") from e
    return done.stdout


def has_image(image: str) -> bool:
    """Whether the machine has it. A Docker that does not answer has none."""
    try:
        return bool(ask("image", "inspect", "--format={{.Id}}", image))
    except DockerError:
        return False


def sweep(machine: str, *, timeout_s: float = _TIMEOUT_S) -> None:
    """Removes all containers of the machine's agent, running or not. Raises DockerError."""
    found = ask("ps", "--all", "--quiet", f"--filter=label={LABEL}={machine}", timeout_s=timeout_s).split()
    if found:
        ask("rm", "--force", *found, timeout_s=timeout_s)


def forget_setups(bundles: Path) -> None:
    """Removes what `setup` made of bundles that the machine no longer has in that folder. Raises DockerError."""
    for sha256 in ask("images", "--format={{.Tag}}", KEPT).split():
        if not (bundles / sha256).is_dir():
            with suppress(DockerError):  # something of the user's own still has it
                ask("rmi", f"{KEPT}:{sha256}")


def last_line(text: str) -> str:
    """What programs end with is mostly the reason."""
    said: Sequence[str] = [line for line in text.strip().splitlines() if not line.startswith("See 'docker")]
    return said[-1].strip() if said else "no reason given"
