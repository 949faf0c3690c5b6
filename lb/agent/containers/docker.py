"""The calls of the program `docker`. Pure: what is run where is told by arguments alone, and holds no secret.

https://docs.docker.com/reference/cli/docker/container/run/
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LABEL = "tradewind.machine"
"""On every container: the machine whose agent started it."""
KEPT = "tradewind-setup"
"""The repository of what `setup` made; tags are hashes of bundles."""
_NAME = re.compile(r"[^a-zA-Z0-9_.-]")
_INIT = Path(__file__).with_name("init.sh")
_LIMITS = ("--ulimit=memlock=-1", "--ulimit=stack=67108864")
"""What NVIDIA's libraries want: https://docs.nvidia.com/deeplearning/frameworks/user-guide/index.html"""
_NEURON = re.compile(r"neuron\d+")


def kept(sha256: str) -> str:
    """The image that the `setup` of a bundle has made of the bundle's own."""
    return f"{KEPT}:{sha256}"


def named(machine: str, sha256: str, what: str) -> str:
    """The container that does this for the bundle on the machine."""
    return f"tradewind-{_NAME.sub('-', machine)}-{sha256[:12]}-{what}"


def accelerators(devices: Path = Path("/dev")) -> list[str]:
    """What lets a container have all accelerators of the machine, by their device files."""
    neuron = sorted(path.name for path in devices.iterdir() if _NEURON.fullmatch(path.name))
    nvidia = ["--gpus=all", *_LIMITS] if has_nvidia(devices) else []
    return [*nvidia, *(f"--device=/dev/{name}" for name in neuron)]


def has_nvidia(devices: Path = Path("/dev")) -> bool:
    """Whether the machine has a GPU of NVIDIA with its driver."""
    return (devices / "nvidia0").exists()


@dataclass(frozen=True, kw_only=True)
class Container:
    """`paths`: of the machine, there under the same names; the first is the working directory."""

    name: str
    machine: str
    image: str
    paths: tuple[Path, ...]
    remove: bool

    def command(self, script: str, *, grace_s: int, accelerators: Iterable[str]) -> list[str]:
        """`docker run`, which lasts as long as the container and ends with its exit code."""
        return [
            *("docker", "run", "--interactive", f"--name={self.name}", f"--label={LABEL}={self.machine}"),
            *(("--rm",) if self.remove else ()),
            "--pull=never",  # the image is there; one that `setup` made must not come from elsewhere
            "--log-driver=none",  # the agent keeps a bounded log; Docker's own one would fill the disk
            "--no-healthcheck",
            "--user=0:0",  # the working directory and mounts are root's
            "--network=host",  # the machine's firewall and Envoy stand before the engine
            "--ipc=host",  # shared memory of the machine's size: engines with several GPUs use it
            *accelerators,
            *(f"--mount={_bind(path)}" for path in self.paths),
            f"--workdir={self.paths[0]}",
            *("--entrypoint=bash", self.image, "-c", _INIT.read_text(), "tradewind", script, str(grace_s)),
        ]


def _bind(path: Path) -> str:
    """Docker reads it as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["type=bind", f"source={path}", f"target={path}"])
    return line.getvalue()
