"""Small HTTP servers on loopback whose answers a test sets while they run."""

import asyncio
import contextlib
import json


class Server:
    """Answers every request with `answer(method, path, body)`, which returns a status and a JSON value or bytes."""

    def __init__(self, answer, tls=None):
        self.tls = tls
        self.answer = answer
        self.requests = []
        self.port = 0
        self._server = None
        self._writers = set()

    async def start(self, port=0):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        """Nothing listens any more, and open connections end, as when the process is killed."""
        self._server.close()
        for _ in range(5):  # turns of the loop, in which those that were just accepted reach `_serve`
            await asyncio.sleep(0)
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = dict(h.lower().split(": ", 1) for h in head[1:] if ": " in h)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((method, path, headers, body))
                answer = self.answer(method, path, body)
                if asyncio.iscoroutine(answer):
                    answer = await answer
                status, content = answer
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw)
                await writer.drain()
                if headers.get("connection") == "close":
                    break
        self._writers.discard(writer)
        writer.close()


async def until(condition, limit_s=5.0):
    """Waits until the condition holds, in steps that are short beside what is tested."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  what is waited for knows no event
            await asyncio.sleep(0.005)
