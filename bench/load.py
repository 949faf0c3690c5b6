"""Asks an edge at a steady rate and says what became of it; or measures the load generator itself.

python -m bench.load                                    what the generator itself costs
python -m bench.load --rate 50 --seconds 30             asks the stack that is up (`.tradewind/endpoint` and `key`)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.stage.load import Ask, Load, running
from bench.stage.outcomes import lines, summary


def main() -> int:
    """Loads the edge that is named, or measures the generator; 1 when a request failed or broke."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument(
        "--rate", type=float, help="requests per second; without it the generator itself is measured"
    )
    p.add_argument("--seconds", type=float, default=30.0)
    p.add_argument("--streams", type=float, default=0.2, help="share of streaming requests")
    p.add_argument("--model", default=Ask.model)
    p.add_argument("--tokens", type=int, default=Ask.tokens)
    p.add_argument("--stack", help="the stack to ask; the one that came up last if left out")
    a = p.parse_args()
    if a.rate is None:
        asyncio.run(_measure_itself())
        return 0
    home = Path(__file__).resolve().parents[1] / ".tradewind" / (a.stack or "")
    try:
        origin, key = ((home / name).read_text().strip() for name in ("endpoint", "key"))
    except OSError as e:
        p.error(f"no stack is up: {e}")
    load = Load(origin, key, Ask(model=a.model, tokens=a.tokens, streams=a.streams), rate=a.rate)
    with contextlib.suppress(KeyboardInterrupt), running(load):
        time.sleep(a.seconds)
    found = summary(load.records)
    print("\n".join(lines(found)))
    return 1 if found.failed or found.broken else 0


async def _measure_itself() -> None:
    """Against a server that answers at once in the same process, so its own cost is an upper bound."""
    table = Table(title="load generator, its server in the same process", title_justify="left")
    for column in ("asked/s", "answered/s", "late", "share of a core", "p99 ms"):
        table.add_column(column, justify="right")
    server = await asyncio.start_server(_answer_at_once, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for rate in (200, 500, 1000):
        load = Load(origin, "key", rate=rate)
        before, began = time.process_time(), time.monotonic()
        task = asyncio.create_task(load.run())
        await asyncio.sleep(4)
        load.stop()
        await task
        took = time.monotonic() - began
        found = summary(load.records)
        table.add_row(
            f"{rate}",
            f"{found.ok / took:.0f}",
            f"{100 * found.late:.1f} %",
            f"{100 * (time.process_time() - before) / took:.0f} %",
            f"{1000 * found.waited[2]:.1f}",
        )
    await asyncio.sleep(0.1)  # for its connections to end
    server.close()
    Console().print(table)


async def _answer_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b'{"choices": []}'
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.partition(b"content-length: ")[2]))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


if __name__ == "__main__":
    sys.exit(main())
