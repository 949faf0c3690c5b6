"""The real vLLM on this machine's CPU, asked through the edge: `python -m bench.vllm`, two to three minutes.

In a private copy of the checkout, with vLLM installed already (the first run installs it, untimed). The tiny model has
random weights, so the figures say what the engine and the way to it cost, not how fast a real model would be.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.stage.cost import pss_mib
from tests.e2e.checkout import Checkout, eventually, private_checkout
from tools import vllm_env

ASKS = 30
TOKENS = 500
STREAMS = 32
LIMIT_S = 600


def ask(place: Checkout, key: str) -> tuple[float, float]:
    """One stream of exactly TOKENS tokens; seconds to its first token, and to its end."""
    question = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Tell me a story about the sea"}],
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "stream": True,
    }
    started, first, usage = time.perf_counter(), None, {}
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.stream(
        "POST", f"{place.endpoint}/v1/chat/completions", json=question, headers=headers, timeout=LIMIT_S
    ) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[len("data: ") :])
            usage = chunk.get("usage") or usage
            if first is None and any(c["delta"].get("content") for c in chunk["choices"]):
                first = time.perf_counter() - started
    if first is None or usage.get("completion_tokens") != TOKENS:
        raise RuntimeError(f"an answer was cut: {usage}")
    return first, time.perf_counter() - started


def engine(place: Checkout) -> dict[int, str]:
    """vLLM's processes by pid, with their names: they run in the machine's folder."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = process.joinpath("cwd").readlink().is_relative_to(place.home / "machines")
            command = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile, or is somebody else's
        if inside and ("VLLM::" in command or "/bin/vllm serve" in command):
            found[int(process.name)] = command
    return found


def up(place: Checkout) -> float:
    started = time.perf_counter()
    place.tw("up", check=0, timeout=LIMIT_S)
    return time.perf_counter() - started


def kill(place: Checkout) -> float:
    """Seconds from the SIGKILL of the engine's core to the next ready replica."""
    [machine] = place.machines()
    core = next(pid for pid, command in engine(place).items() if command.startswith("VLLM::EngineCore"))
    started = time.perf_counter()
    os.kill(core, signal.SIGKILL)
    eventually(lambda: machine not in place.machines(), within=LIMIT_S, what="the end of the machine")
    place.tw("wait", check=0, timeout=LIMIT_S)
    return time.perf_counter() - started


def main() -> int:
    """Prints one table."""
    vllm_env.main([])
    table = Table(
        title=f"vLLM {vllm_env.VERSION}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        title_justify="left",
    )
    table.add_column("what")
    table.add_column("measured", justify="right")
    with (
        tempfile.TemporaryDirectory(prefix="tw") as folder,
        private_checkout(Path(folder) / "c", "vllm") as place,
    ):
        table.add_row("tw up, from nothing until it answers", f"{up(place):.0f} s")
        key = place.key
        alone = [ask(place, key) for _ in range(ASKS)]
        ttft = sorted(first * 1000 for first, _ in alone)
        table.add_row(
            "time to first token through the edge, median and p95",
            f"{statistics.median(ttft):.0f}, {ttft[int(0.95 * len(ttft))]:.0f} ms",
        )
        rate = TOKENS / statistics.median(end - first for first, end in alone)
        table.add_row("tokens per second, one stream", f"{rate:.0f}")
        started = time.perf_counter()
        with ThreadPoolExecutor(STREAMS) as pool:
            list(pool.map(lambda _: ask(place, key), range(STREAMS)))
        rate = STREAMS * TOKENS / (time.perf_counter() - started)
        table.add_row(f"tokens per second, {STREAMS} streams at a time", f"{rate:.0f}")
        memory = sum(pss_mib(pid) for pid in engine(place)) / 1024
        table.add_row("memory of its processes (proportional)", f"{memory:.1f} GiB")
        table.add_row("killed engine process to the next ready replica", f"{kill(place):.0f} s")
    Console(width=110).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
