"""What the edge costs a request: a whole edge beside a plain Envoy proxy, on the same upstream, in the same run.

python -m bench.edge

The rounds of all variants are interleaved, each proxy has one worker, and the upstream is a third Envoy. On a shared
machine requests per second say little; the processor time of the proxy per request, and both as ratios to the plain
proxy, hold still best. Latencies include the callers, which are Python.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import structlog
from rich.console import Console
from rich.table import Table

from bench.stage.cost import cpu_seconds
from lb.edge.edge import Edge
from lb.edge.metrics import Metrics
from lb.envoy import binary, bootstrap, names
from lb.envoy.names import type_url
from spec.desired import Routing
from spec.snapshot import Endpoint, Key, Snapshot, SnapshotService
from tests.ports import free_port

CALLERS = 32
ROUND_S = 0.6
ROUNDS = 3
BODIES = {"300 B": 300, "32 KiB": 32 * 1024, "400 KiB": 400 * 1024}
SECRET = "sk-bench-0123456789abcdef0123456789abcdef"
KEYS = 1000


@dataclass
class Variant:
    """One proxy under test and what was measured of it, by body."""

    name: str
    port: int
    pid: int
    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)
    latencies_ms: dict[str, list[float]] = field(default_factory=dict)


def main() -> None:
    """Prints the table."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tw-bench-")))
        upstream = free_port()
        stack.enter_context(envoy(folder, "upstream", proxy_config(upstream, None), upstream))
        plain = free_port()
        pid = stack.enter_context(envoy(folder, "plain", proxy_config(plain, upstream), plain))
        variants = [Variant("plain Envoy", plain, pid)]
        for name, services in (("edge, one service", 1), ("edge, by model", 2)):
            port, pid = stack.enter_context(edge(folder / f"edge{services}", upstream, services))
            variants.append(Variant(name, port, pid))
        for _ in range(ROUNDS):
            for label, size in BODIES.items():
                for variant in variants:
                    asyncio.run(measure(variant, label, request(size)))
    Console(width=100).print(table(variants))


def table(variants: list[Variant]) -> Table:
    out = Table(title=f"{CALLERS} connections, medians of {ROUNDS} rounds of {ROUND_S} s, {KEYS} keys")
    for column in ("body", "proxy", "requests/s", "ratio", "CPU us each", "ratio", "p50 ms", "p99 ms"):
        out.add_column(column, justify="left" if column in ("body", "proxy") else "right")
    for label in BODIES:
        base = variants[0]
        for v in variants:
            rate, cpu = statistics.median(v.rates[label]), statistics.median(v.cpu_us[label])
            base_rate = statistics.median(base.rates[label])
            base_cpu = statistics.median(base.cpu_us[label])
            cuts = statistics.quantiles(v.latencies_ms[label], n=100)
            out.add_row(
                label,
                v.name,
                f"{rate:,.0f}",
                f"{rate / base_rate:.2f}",
                f"{cpu:,.0f}" if cpu else "-",
                f"{cpu / base_cpu:.1f}" if cpu and base_cpu else "-",
                f"{cuts[49]:.1f}",
                f"{cuts[98]:.1f}",
            )
        out.add_section()
    return out


async def measure(variant: Variant, label: str, text: bytes) -> None:
    """One round: callers send as fast as they are answered."""
    before, began = cpu_seconds(variant.pid), time.perf_counter()
    deadline = began + ROUND_S
    found = await asyncio.gather(*(call(variant.port, text, deadline) for _ in range(CALLERS)))
    took = time.perf_counter() - began
    latencies = [ms for one in found for ms in one]
    spent = cpu_seconds(variant.pid) - before
    variant.rates.setdefault(label, []).append(len(latencies) / took)
    variant.cpu_us.setdefault(label, []).append(1e6 * spent / len(latencies))
    variant.latencies_ms.setdefault(label, []).extend(latencies)


async def call(port: int, text: bytes, deadline: float) -> list[float]:
    """One keep-alive caller; its latencies in ms."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies = []
    while (began := time.perf_counter()) < deadline:
        writer.write(text)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
        latencies.append(1e3 * (time.perf_counter() - began))
    writer.close()
    return latencies


def request(size: int) -> bytes:
    """A chat completion with a body of that many bytes, its model at the end, as some clients write it."""
    shell = {"messages": [{"role": "user", "content": ""}], "stream": False, "model": "code"}
    shell["messages"][0]["content"] = "word " * ((size - len(json.dumps(shell))) // 5)
    body = json.dumps(shell).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {SECRET}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextlib.contextmanager
def edge(directory: Path, upstream: int, services: int) -> Generator[tuple[int, int]]:
    """A whole edge: the bootstrap and files that the stack and the agent write."""
    port = free_port()
    files = Edge(edge_id="bench", directory=directory, metrics=Metrics())
    files.open()
    endpoints = (Endpoint(replica_id="r", address="127.0.0.1", port=upstream),)
    made = tuple(
        SnapshotService(name=name, routing=Routing(models=(name,)), endpoints=endpoints)
        for name in ("code", "chat")[:services]
    )
    hashes = [hashlib.sha256(f"{n}".encode()).hexdigest() for n in range(KEYS - 1)]
    hashes.append(hashlib.sha256(SECRET.encode()).hexdigest())
    keys = tuple(Key(id=f"key-{n}", sha256=h) for n, h in enumerate(hashes))
    files.take_over(Snapshot(epoch=1, seq=1, edge_id="bench", services=made, keys=keys), source="bench")
    text = bootstrap.render(
        edge_id="bench",
        directory=directory,
        host="127.0.0.1",
        port=port,
        access_log=directory / "access.log",
    )
    with envoy(directory, "edge", text, port) as pid:
        yield port, pid
    files.close()


@contextlib.contextmanager
def envoy(folder: Path, name: str, config: str, port: int) -> Generator[int]:
    """A running Envoy with one worker; its pid."""
    path = folder / f"{name}.json"
    path.write_text(config)
    command = bootstrap.argv(binary.find(), path, concurrency=1, log_level="error")
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(process, port, folder / f"{name}.log")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}{names.READY_PATH}", trust_env=False).is_success:
                return
        time.sleep(0.02)
    raise SystemExit(f"Envoy did not start:\n{log.read_text()}")


def proxy_config(port: int, upstream: int | None) -> str:
    """A plain proxy to `upstream`; without one, an Envoy that reads the request and answers by itself."""
    filters = [
        {"name": "router", "typed_config": {"@type": type_url("extensions.filters.http.router.v3.Router")}}
    ]
    answer = json.dumps({"object": "chat.completion", "choices": [{"text": "x" * 200}]})
    route = {"direct_response": {"status": 200, "body": {"inline_string": answer}}}
    if upstream is None:
        read_all = {
            "@type": type_url("extensions.filters.http.buffer.v3.Buffer"),
            "max_request_bytes": 1_000_000,
        }
        filters.insert(0, {"name": "buffer", "typed_config": read_all})
    else:
        route = {"route": {"cluster": "upstream", "timeout": "0s"}}
    manager = {
        "@type": type_url("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "plain",
        "http_filters": filters,
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}
            ]
        },
    }
    listener = {
        "name": "plain",
        "address": address(port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream or port)}}]}],
        },
    }
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})


def address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


if __name__ == "__main__":
    main()
