"""The mount programs from their makers' own packages, where the machine's image has none.

The archive of a host can't bring them: they are not Python, and only services that mount need one. Ubuntu and Debian, which
the images of all three clouds are.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lb.agent import packages
from lb.agent.mounts.mount import MountError
from lb.agent.mounts.tools import PROGRAMS

_MOUNTPOINT = "https://s3.amazonaws.com/mountpoint-s3-release/latest/{arch}/mount-s3.deb"
_GOOGLE_KEY = "https://packages.cloud.google.com/apt/doc/apt-key.gpg"
_GOOGLE = "deb [signed-by=/usr/share/keyrings/cloud.google.asc] https://packages.cloud.google.com/apt gcsfuse-{codename} main\n"
_MICROSOFT = "https://packages.microsoft.com/config/{id}/{version}/packages-microsoft-prod.deb"


@dataclass(frozen=True)
class Installer:
    """`root`: of the file system; `fetch`: what is at a URL; `run`: a command to its good end."""

    root: Path = Path("/")
    fetch: Callable[[str], bytes] = packages.fetch
    run: Callable[[Sequence[str]], None] = packages.run

    def install(self, cloud: str, *, pause: Callable[[float], None]) -> None:
        """Raises MountError when it does not succeed; what the commands print goes where this program's output goes."""

        def bring() -> None:
            with tempfile.TemporaryDirectory() as folder:
                {"aws": self._aws, "gcp": self._gcp, "azure": self._azure}[cloud](Path(folder))

        try:
            packages.tried(bring, pause=pause)
        except packages.FAILED as e:
            way_out = "install it in the machine's image, or use `mode: COPY`"
            raise MountError(f"{PROGRAMS[cloud]} can't be installed: {e}; {way_out}") from e

    def _aws(self, folder: Path) -> None:
        arch = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
        package = folder / "mount-s3.deb"
        package.write_bytes(self.fetch(_MOUNTPOINT.format(arch=arch)))
        self._apt(str(package))

    def _gcp(self, _folder: Path) -> None:
        release = self._release()
        key = self.root / "usr/share/keyrings/cloud.google.asc"
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(self.fetch(_GOOGLE_KEY))
        source = self.root / "etc/apt/sources.list.d/gcsfuse.list"
        source.write_text(_GOOGLE.format(codename=release["VERSION_CODENAME"]))
        self._apt("gcsfuse")

    def _azure(self, folder: Path) -> None:
        release = self._release()
        package = folder / "packages-microsoft-prod.deb"
        package.write_bytes(self.fetch(_MICROSOFT.format(id=release["ID"], version=release["VERSION_ID"])))
        self.run(["dpkg", "--install", "--force-confold", str(package)])
        self._apt("fuse3", "blobfuse2")

    def _apt(self, *names: str) -> None:
        self.run([*packages.APT, "update"])
        self.run([*packages.APT, "install", "-y", *names])

    def _release(self) -> dict[str, str]:
        """https://www.freedesktop.org/software/systemd/man/os-release.html"""
        lines = (self.root / "etc/os-release").read_text().splitlines()
        found = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
        if missing := {"ID", "VERSION_ID", "VERSION_CODENAME"} - found.keys():
            raise OSError(f"/etc/os-release has no {min(missing)}")
        return found


def is_here(cloud: str) -> bool:
    """Whether the machine has the program of its cloud."""
    return shutil.which(PROGRAMS[cloud]) is not None
