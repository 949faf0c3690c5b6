"""Packages that a machine's image lacks, from their makers or its distribution. Ubuntu and Debian, which the images of
all three clouds are.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

from lb.agent import web

APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=600")
_MOST_BYTES = 256 << 20
_TRIES = 3
_AGAIN_S = 10.0

FAILED = (OSError, web.Refused, web.Unreachable, subprocess.CalledProcessError)
"""What bringing a package may raise."""


def fetch(url: str) -> bytes:
    """What is at a URL. Raises web.Refused and web.Unreachable."""
    return web.PATIENCE.within(lambda: web.ask(web.Request(url), limit=_MOST_BYTES)).body


def run(command: Sequence[str]) -> None:
    """A command to its good end; its output goes where this program's goes. Raises OSError and CalledProcessError."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, stdin=subprocess.DEVNULL, env=env, check=True)


def tried(bring: Callable[[], None], *, pause: Callable[[float], None]) -> None:
    """Brings something, again if that fails. Raises the last of FAILED."""
    for left in reversed(range(_TRIES)):
        try:
            bring()
        except FAILED:
            if not left:
                raise
            pause(_AGAIN_S)
        else:
            return
