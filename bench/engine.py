"""How many small requests the simulated engine answers per second: `python -m bench.engine`.

The engine is pinned to one core and the callers to the others where the system can do that. The engine's own times are
0, so what is measured is the cost of HTTP, JSON and bookkeeping.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

CALLERS = 64
SECONDS = 3.0


async def call_until(deadline: float, port: int, request: bytes) -> list[float]:
    """One keep-alive caller; returns the latency of each answer in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies = []
    while (began := time.perf_counter()) < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        if b"transfer-encoding: chunked" in head.lower():
            await reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
        latencies.append(time.perf_counter() - began)
    writer.close()
    return latencies


async def measure(port: int, body: dict) -> tuple[float, float, float]:
    """Requests per second, and the median and 99th percentile of the latency in milliseconds."""
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    deadline = time.perf_counter() + SECONDS
    results = await asyncio.gather(
        *(call_until(deadline, port, head.encode() + data) for _ in range(CALLERS))
    )
    latencies = sorted(latency for result in results for latency in result)
    p50, p99 = (1000 * latencies[int(len(latencies) * q)] for q in (0.5, 0.99))
    return len(latencies) / SECONDS, p50, p99


def wait_for(engine: subprocess.Popen[bytes], port: int) -> None:
    """Returns once the engine listens; RuntimeError when it has ended instead."""
    while engine.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise RuntimeError(f"the engine ended with {engine.returncode}")


def main() -> None:
    """Prints one line per kind of request."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    flags = ["--model", "m", "--port", str(port), "--ttft-ms", "0", "--time-per-token-ms", "0"]
    engine = subprocess.Popen([sys.executable, "-m", "engines.sim", *flags], stderr=subprocess.DEVNULL)
    try:
        if hasattr(os, "sched_setaffinity") and len(cores := sorted(os.sched_getaffinity(0))) > 1:
            os.sched_setaffinity(engine.pid, cores[:1])
            os.sched_setaffinity(0, cores[1:])
        wait_for(engine, port)
        body = {"model": "m", "max_tokens": 8, "messages": [{"role": "user", "content": "Hello there"}]}
        print(
            f"{CALLERS} callers, engine on one core\n{'request':24}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}"
        )
        for name, more in (
            ("8 tokens", {}),
            ("8 tokens, streamed", {"stream": True}),
            ("512 tokens", {"max_tokens": 512}),
        ):
            rate, p50, p99 = asyncio.run(measure(port, body | more))
            print(f"{name:24}{rate:12.0f}{p50:9.1f}{p99:9.1f}")
    finally:
        engine.terminate()
        engine.wait()


if __name__ == "__main__":
    main()
