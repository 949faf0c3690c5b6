"""What processes cost, as the kernel and their own metrics say."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def pss_mib(pid: int) -> float:
    """Its own pages, and its share of the shared ones. 0 when it has ended, and where there is no /proc."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def tick_seconds(url: str, token: str) -> dict[str, tuple[float, float]]:
    """By phase of a controller's tick: seconds so far, and how often."""
    answer = httpx.get(
        f"{url}/metrics", headers={"authorization": f"Bearer {token}"}, timeout=5, trust_env=False
    )
    answer.raise_for_status()
    samples = {
        (s.name, s.labels.get("phase", "")): s.value
        for family in text_string_to_metric_families(answer.text)
        if family.name == "tradewind_tick_seconds"
        for s in family.samples
    }
    total, count = "tradewind_tick_seconds_sum", "tradewind_tick_seconds_count"
    return {
        phase: (value, samples[count, phase]) for (name, phase), value in samples.items() if name == total
    }
