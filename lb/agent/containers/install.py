"""Docker, and what gives containers NVIDIA's GPUs, where the machine's image has none.

Only for services with an image, which is why no boot script does it. Of the clouds' images AWS's and Azure's bring both, and
Google's and Azure's plain one neither.
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lb.agent import packages
from lb.agent.containers.machine import DockerError, ask

_NVIDIA_KEY = "https://nvidia.github.io/libnvidia-container/gpgkey"
_NVIDIA = (
    "deb [signed-by=/usr/share/keyrings/nvidia-container-toolkit.asc] "
    "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n"
)


class CannotInstall(Exception):
    """The message says what, why, and the way out."""


def _answers() -> bool:
    try:
        return bool(ask("version", "--format={{.Server.Version}}"))
    except DockerError:
        return False


@dataclass(frozen=True)
class Installer:
    """`root`: of the file system. The others are how it looks and acts."""

    root: Path = Path("/")
    fetch: Callable[[str], bytes] = packages.fetch
    run: Callable[[Sequence[str]], None] = packages.run
    which: Callable[[str], str | None] = shutil.which
    answers: Callable[[], bool] = _answers

    def ensure(self, *, nvidia: bool, say: Callable[[str], None], pause: Callable[[float], None]) -> None:
        """A Docker that answers, with NVIDIA's GPUs if there are some. Raises CannotInstall."""
        if self.which("docker") is None:
            self._try("Docker", self._docker, say, pause)
        if nvidia and self.which("nvidia-container-runtime-hook") is None:
            self._try("NVIDIA's container toolkit", self._toolkit, say, pause)
        if not self.answers():
            self._try("Docker's service", lambda: self.run(["systemctl", "start", "docker"]), say, pause)
            if not self.answers():
                raise CannotInstall("Docker does not answer, although its service was started")

    def _try(
        self, what: str, do: Callable[[], None], say: Callable[[str], None], pause: Callable[[float], None]
    ) -> None:
        say(f"bringing {what}")
        try:
            packages.tried(do, pause=pause)
        except packages.FAILED as e:
            way_out = "leave `image_id` out and install the engine in `setup`"
            raise CannotInstall(f"{what} can't be brought to this machine: {e}; {way_out}") from e

    def _docker(self) -> None:
        self._apt("docker.io")

    def _toolkit(self) -> None:
        key = self.root / "usr/share/keyrings/nvidia-container-toolkit.asc"
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(self.fetch(_NVIDIA_KEY))
        source = self.root / "etc/apt/sources.list.d/nvidia-container-toolkit.list"
        source.write_text(_NVIDIA)
        self._apt("nvidia-container-toolkit")
        self.run(["nvidia-ctk", "runtime", "configure", "--runtime=docker"])
        self.run(["systemctl", "restart", "docker"])  # it looks for the toolkit when it starts

    def _apt(self, package: str) -> None:
        self.run([*packages.APT, "update"])
        self.run([*packages.APT, "install", "-y", package])
