"""The HTTP side as a plain ASGI application: routes, keys, bodies, and callers that go away.

No framework in between: the engine has six fixed routes, and the benchmarks of the edge want it to be cheaper than
what they measure.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from engines.sim.answers import Reply, plan
from engines.sim.engine import Engine
from engines.sim.protocol import ApiError, ChatRequest, CompletionRequest, Request, read, to_json
from engines.sim.scheduler import QueueFull
from engines.sim.settings import Settings

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 32 * 1024 * 1024
_JSON = b"application/json"
_PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
_SSE = b"text/event-stream; charset=utf-8"


class App:
    """An ASGI application over an Engine."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._started = int(time.time())
        self._routes: dict[str, tuple[str, Callable[[Receive, Send], Awaitable[None]]]] = {
            "/health": ("GET", self._health),
            "/metrics": ("GET", self._metrics),
            "/version": ("GET", self._version),
            "/v1/models": ("GET", self._models),
            "/v1/completions": ("POST", self._completions),
            "/v1/chat/completions": ("POST", self._chat),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served here, not {scope['type']}")
        try:
            await self._route(scope)(receive, send)
        except ApiError as e:
            await _answer(send, e.status, to_json(e.body))

    def _route(self, scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
        path = scope["path"]
        if path.startswith("/v1/"):
            self._check_key(scope)
        if path not in self._routes:
            raise ApiError(404, "NotFoundError", f"there is nothing at {path}")
        method, handler = self._routes[path]
        if scope["method"] != method:
            raise ApiError(405, "MethodNotAllowedError", f"{path} takes {method}, not {scope['method']}")
        return handler

    def _check_key(self, scope: Scope) -> None:
        if self._settings.api_key is None:
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, b"Bearer " + self._settings.api_key.encode()):
            raise ApiError(401, "AuthenticationError", "the API key is missing or wrong")

    # ---------------------------------------------------------------- small answers

    async def _health(self, _receive: Receive, send: Send) -> None:
        await _answer(send, 200, b"", content_type=_JSON)

    async def _metrics(self, _receive: Receive, send: Send) -> None:
        await _answer(send, 200, self._engine.metrics.render(), content_type=_PROMETHEUS)

    async def _version(self, _receive: Receive, send: Send) -> None:
        await _answer(send, 200, to_json({"version": "tradewind-sim"}))

    async def _models(self, _receive: Receive, send: Send) -> None:
        model = {
            "id": self._settings.model,
            "object": "model",
            "created": self._started,
            "owned_by": "tradewind-sim",
            "root": self._settings.model,
            "parent": None,
            "max_model_len": self._settings.max_model_len,
        }
        await _answer(send, 200, to_json({"object": "list", "data": [model]}))

    # ---------------------------------------------------------------- completions

    async def _completions(self, receive: Receive, send: Send) -> None:
        await self._complete(CompletionRequest, receive, send)

    async def _chat(self, receive: Receive, send: Send) -> None:
        await self._complete(ChatRequest, receive, send)

    async def _complete(self, kind: type[Request], receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        request = read(kind, body)
        if request.model not in {None, "", self._settings.model}:
            raise ApiError(
                404, "NotFoundError", f"The model `{request.model}` does not exist.", param="model"
            )
        reply = plan(request, self._settings)
        try:
            with self._engine.admitted(reply.choices):
                work = self._stream(request, reply, send) if request.stream else self._whole(reply, send)
                await _unless_disconnected(receive, work)
        except QueueFull:
            raise ApiError(
                503, "ServiceUnavailableError", "the engine's queue is full; try again or elsewhere"
            ) from None

    async def _whole(self, reply: Reply, send: Send) -> None:
        if len(reply.choices) == 1:
            await self._engine.generate(reply.choices[0])
        else:
            await asyncio.gather(*map(self._engine.generate, reply.choices))
        await _answer(send, 200, to_json(reply.whole()))

    async def _stream(self, request: Request, reply: Reply, send: Send) -> None:
        await _start(send, 200, [(b"content-type", _SSE), (b"cache-control", b"no-cache")])

        async def choice(index: int) -> None:
            left = len(reply.choices[index].tokens)
            opening = reply.opening(index)

            async def emit(tokens: list[str]) -> None:
                nonlocal left, opening
                left -= len(tokens)
                chunk = opening + reply.tokens(index, tokens, last=left == 0)
                opening = b""
                await _send_body(send, chunk, more=True)

            await self._engine.generate(reply.choices[index], emit)
            if not reply.choices[index].tokens:  # a stop string at the very start
                await _send_body(send, opening + reply.tokens(index, [""], last=True), more=True)

        await asyncio.gather(*map(choice, range(len(reply.choices))))
        wanted = self._settings.force_usage or bool(
            request.stream_options and request.stream_options.include_usage
        )
        await _send_body(send, b"".join(reply.closing(include_usage=wanted)), more=False)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when the caller went away before its end."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ApiError(413, "BadRequestError", f"the body has more than {MAX_BODY_BYTES} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _unless_disconnected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Does the work; the caller going away cancels it, and that is a normal end."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        task.cancel()
        watcher.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: int, body: bytes, *, content_type: bytes = _JSON) -> None:
    await _start(send, status, [(b"content-type", content_type), (b"content-length", b"%d" % len(body))])
    await _send_body(send, body, more=False)


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_body(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
