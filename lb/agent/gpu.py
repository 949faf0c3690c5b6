"""How busy the machine's GPUs are: from NVIDIA's DCGM exporter where one runs, or else from `nvidia-smi`.

Looked up only while somebody asks, and never while he waits: an answer is what was found last.
"""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable

EXPORTER = "http://127.0.0.1:9400/metrics"
"""https://docs.nvidia.com/datacenter/dcgm/latest/gpu-telemetry/dcgm-exporter.html"""
EVERY_S = 5.0
TOO_OLD_S = 30.0
_TIMEOUT_S = 3.0
_LINE = re.compile(r"^(DCGM_FI_PROF_GR_ENGINE_ACTIVE|DCGM_FI_DEV_GPU_UTIL)\{[^}]*\}\s+(\S+)", re.MULTILINE)
_SMI = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


class Gpus:
    """The mean of all GPUs of this machine. `look`: finds it out, which may take seconds; None = there are none."""

    def __init__(
        self,
        look: Callable[[], float | None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look or look_up
        self._clock = clock
        self._lock = threading.Lock()
        self._looking = False
        self._looked_at = -math.inf
        self._share: float | None = None

    def share(self) -> float | None:
        """Share of the time in which they worked lately, 0 to 1; None = not known. Starts another look when one is due."""
        with self._lock:
            now = self._clock()
            known = self._share if now < self._looked_at + TOO_OLD_S else None
            if self._looking or now < self._looked_at + EVERY_S:
                return known
            self._looking = True
        threading.Thread(target=self._refresh, name="gpus", daemon=True).start()
        return known

    def _refresh(self) -> None:
        found = None
        try:
            found = self._look()
        finally:
            with self._lock:
                self._share, self._looked_at, self._looking = found, self._clock(), False


def look_up(exporter: str = EXPORTER) -> float | None:
    """The mean over the GPUs now; None where neither way tells."""
    with contextlib.suppress(OSError, ValueError):
        with urllib.request.urlopen(exporter, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - always HTTP
            found = from_exporter(answer.read(1 << 20).decode(errors="replace"))
        if found is not None:
            return found
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            (program, *_SMI), capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        return from_smi(done.stdout)
    return None


def from_exporter(text: str) -> float | None:
    """The share of time in which the engines work where that is told (0 to 1), or else the utilization (percent)."""
    values: dict[str, list[float]] = {}
    for name, value in _LINE.findall(text):
        with contextlib.suppress(ValueError):
            values.setdefault(name, []).append(float(value))
    exact = _mean(values.get("DCGM_FI_PROF_GR_ENGINE_ACTIVE", []))
    return exact if exact is not None else _mean([v / 100 for v in values.get("DCGM_FI_DEV_GPU_UTIL", [])])


def from_smi(text: str) -> float | None:
    """One line of percent per GPU; `[N/A]` for one that does not tell, as with MIG."""
    return _mean([float(line) / 100 for line in text.splitlines() if line.strip().isdecimal()])


def _mean(values: list[float]) -> float | None:
    known = [min(1.0, max(0.0, v)) for v in values if math.isfinite(v)]
    return round(sum(known) / len(known), 2) if known else None
