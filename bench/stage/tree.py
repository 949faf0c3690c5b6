"""What a command and everything that it starts cost: processor time by part, and the most memory at one moment."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.stage.cost import cpu_seconds, pss_mib
from local import proctable

SAMPLE_S = 0.2


@dataclass(frozen=True)
class Usage:
    """`cpu_s`: processor seconds by part, short of what a process did after its last sample. `mib`: proportional, at the peak."""

    cpu_s: Mapping[str, float]
    mib: float


def watch(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], part_of: Callable[[str], str]
) -> Usage:
    """Runs a command to its end. `part_of`: from a command line to the name under which it is counted.

    Sampling takes time itself: nothing that is timed runs under it. Raises CalledProcessError.
    """
    seen: dict[int, tuple[str, float]] = {}
    peak = 0.0
    with subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            alive = _tree(process.pid)
            for pid in alive:
                if line := _command_line(pid):
                    seen[pid] = part_of(line), cpu_seconds(pid)
            peak = max(peak, sum(map(pss_mib, alive)))
            time.sleep(SAMPLE_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu: dict[str, float] = defaultdict(float)
    for part, seconds in seen.values():
        cpu[part] += seconds
    return Usage(cpu, peak)


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for process in proctable.table().values():
        children[process.ppid].append(process.pid)
    found = [root]
    for pid in found:
        found.extend(children[pid])
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""
