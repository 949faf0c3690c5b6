"""Load for an edge: chat completions at a rate that does not depend on the answers.

Open loop: a request is due when the schedule says so, also while earlier ones wait, and its latency counts from that
moment. So a service that stands still for a second shows as a second for all who came meanwhile. Nothing is asked
twice: what a caller would see as failed is counted as failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.stage.outcomes import LATE_S, Outcome, Record

LIMIT_S = 180.0
"""Of one request: what has not ended by then counts as failed, or as broken when its answer had begun."""
_IDLE_S = 30.0
"""How long an idle connection is used again; an edge closes its own much later."""
_END = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked. `streams`: share of streaming requests; tokens are those of the answer."""

    model: str = "chat-demo"
    tokens: int = 8
    streams: float = 0.0
    stream_tokens: int = 32
    seed: int = 20

    def body(self, *, stream: bool) -> bytes:
        """The JSON of one request."""
        return json.dumps(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": "How is the weather at sea?"}],
                "max_tokens": self.stream_tokens if stream else self.tokens,
                **({"stream": True} if stream else {}),
            }
        ).encode()


class Load:
    """Callers of one edge. `rate` (requests per second) may be changed at any time, from any thread.

    `records` grows as requests end; `active` is how many are under way.
    """

    def __init__(self, origin: str, key: str, ask: Ask | None = None, *, rate: float = 0.0) -> None:
        where = urlsplit(origin)
        self._host, self._port = where.hostname or "127.0.0.1", where.port or 80
        self._ask = ask or Ask()
        self._random = random.Random(self._ask.seed)
        self._requests = {s: self._request(key, stream=s) for s in (False, True)}
        self._idle: list[tuple[float, _Connection]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._rate = rate
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._epoch = time.time() - time.monotonic()
        self.records: list[Record] = []

    # ------------------------------------------------------------ from outside

    @property
    def rate(self) -> float:
        """Requests per second from now on."""
        return self._rate

    @rate.setter
    def rate(self, value: float) -> None:
        self._rate = value
        self._tell()

    @property
    def active(self) -> int:
        """Requests that are under way."""
        return len(self._tasks)

    def crowd(self, count: int) -> None:
        """So many requests at once, beside the others; from any thread while `run` goes on."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin, time.monotonic(), [False] * count)

    def stop(self) -> None:
        """No further request; `run` ends when those that are under way have ended."""
        self._stopping = True
        self._tell()

    def _tell(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self) -> None:
        """Asks until `stop`. Arrivals are random (Poisson), the same in every run with the same seed."""
        self._loop = asyncio.get_running_loop()
        await self._arrive()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for _, connection in self._idle:
            connection.close()

    async def burst(self, count: int) -> None:
        """So many requests at once, and waits for all of them."""
        due = time.monotonic()
        await asyncio.gather(*(self._one(due, stream=False) for _ in range(count)))

    # ------------------------------------------------------------ arrivals

    async def _arrive(self) -> None:
        """Time runs through the schedule: what is late is sent at once, and nothing is left out."""
        since, rate, needed = time.monotonic(), self._rate, self._random.expovariate(1.0)
        while not self._stopping:
            due = since + needed / rate if rate > 0 else math.inf
            wait = due - time.monotonic()
            if wait > 0 and await self._changes(None if math.isinf(wait) else wait):
                now = time.monotonic()
                needed = max(0.0, needed - (now - since) * rate)
                since, rate = now, self._rate
                continue
            since, needed = due, self._random.expovariate(1.0)
            self._begin(due, [self._random.random() < self._ask.streams])
            if wait < -LATE_S:
                await asyncio.sleep(0)  # so far behind, what is under way must not starve

    def _begin(self, due: float, streams: list[bool]) -> None:
        for stream in streams:
            task = asyncio.create_task(self._one(due, stream=stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _changes(self, seconds: float | None) -> bool:
        """Waits so long; True as soon as `rate` or `stop` was called."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    # ------------------------------------------------------------ one request

    async def _one(self, due: float, *, stream: bool) -> None:
        sent, answer = time.monotonic(), _Answer()
        try:
            async with asyncio.timeout(LIMIT_S):
                connection = self._take() or await _Connection.open(self._host, self._port)
                try:
                    await connection.ask(self._requests[stream], answer)
                    if answer.keep:
                        self._idle.append((time.monotonic(), connection))
                    else:
                        connection.close()
                except BaseException:
                    connection.close()
                    raise
            error = answer.verdict(stream=stream)
        except TimeoutError:
            error = f"no end within {LIMIT_S:g} s"
        except (asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError):
            error = "cut in the middle" if answer.status else "the connection broke before an answer"
        except OSError as e:
            error = f"no connection: {e.strerror or e}"
        except (ValueError, asyncio.LimitOverrunError) as e:
            error = f"no HTTP: {e}"
        outcome = Outcome.OK
        if error:
            outcome = Outcome.BROKEN if answer.status == 200 else Outcome.FAILED
        first, end = answer.first, time.monotonic() + self._epoch
        first = None if first is None else first + self._epoch
        self.records.append(
            Record(due + self._epoch, sent + self._epoch, first, end, stream, answer.status, outcome, error)
        )

    def _take(self) -> _Connection | None:
        while self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() < since + _IDLE_S and connection.usable():
                return connection
            connection.close()
        return None

    def _request(self, key: str, *, stream: bool) -> bytes:
        body = self._ask.body(stream=stream)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n"
            f"authorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class _Answer:
    """What has come of an answer so far."""

    status: int | None = None
    first: float | None = None
    body: bytes = b""
    keep: bool = False

    def verdict(self, *, stream: bool) -> str:
        """What is wrong with a whole answer; empty when it is a completion."""
        if self.status != 200:
            return f"status {self.status}"
        if stream:
            return "" if self.body.endswith(b"data: [DONE]\n\n") else "a stream without its end mark"
        return "" if b'"choices"' in self.body else "200 without a completion in it"


class _Connection:
    """One keep-alive connection, plain HTTP/1.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> _Connection:
        """Raises OSError."""
        return cls(*await asyncio.open_connection(host, port))

    def usable(self) -> bool:
        """Whether the other side has not closed it meanwhile."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        """At once."""
        self._writer.transport.abort()

    async def ask(self, request: bytes, answer: _Answer) -> None:
        """Sends, and reads to the answer's end. Raises OSError, IncompleteReadError, TimeoutError."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        answer.status = int(head[9:12])
        if b"\r\ntransfer-encoding: chunked" in head:
            await self._chunks(answer)
        else:
            length = int(head.partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0] or 0)
            body = await self._reader.readexactly(length)
            answer.first, answer.body = time.monotonic(), body
        answer.keep = b"\r\nconnection: close" not in head

    async def _chunks(self, answer: _Answer) -> None:
        """Reads chunks as they come; of a long answer the end is kept, which is where its mark stands."""
        raw = b"\r\n"
        while not raw.endswith(_END):
            data = await self._reader.read(65536)
            if not data:
                raise asyncio.IncompleteReadError(b"", None)
            if answer.first is None:
                answer.first = time.monotonic()
            raw = (raw + data)[-4096:]
        answer.body = raw.removesuffix(_END)


@contextlib.contextmanager
def running(load: Load) -> Generator[Load]:
    """Runs it in a thread of its own; at the end it stops, and what was under way is waited for."""
    thread = threading.Thread(target=lambda: asyncio.run(load.run()), name="load")
    thread.start()
    try:
        yield load
    finally:
        load.stop()
        thread.join()
