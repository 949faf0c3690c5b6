"""What can go wrong with an engine, on demand: to try what a stack does about it.

Two kinds end the process, the others spoil its answers. They stand around the application, so that the engine itself
knows nothing of them.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engines.sim.settings import Settings

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_LEAK_MIB_S = 64
_RUBBISH = b"<html><body>It works!</body></html>\x00\xff"


class Fault(StrEnum):
    """What goes wrong."""

    EXIT = "exit"
    """The process ends with code 1."""
    LEAK = "leak"
    """It takes 64 MiB more every second, until it gets no more or is killed. Set a limit: `ulimit -v`."""
    NEVER_READY = "never-ready"
    """Everything is answered with 503."""
    RUBBISH = "rubbish"
    """Everything is answered with 200 and bytes that mean nothing."""
    ERROR_500 = "error-500"
    """Healthy, but completions are answered with 500, at once."""
    HANG = "hang"
    """Healthy, but a stream stops after its first token, and a whole answer never comes."""


class Faulty:
    """An ASGI application whose answers have the fault of the settings, from its time on."""

    def __init__(
        self, app: Application, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._fault = settings.fault
        self._share = settings.fault_share
        self._clock = clock
        self._begins = clock() + settings.fault_after_s
        self._random = random.Random(settings.seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        fault = self._fault if self._meets(scope) else None
        if fault is Fault.NEVER_READY:
            await _answer(send, 503, b'{"error": {"message": "loading"}}')
        elif fault is Fault.RUBBISH:
            await _answer(send, 200, _RUBBISH)
        elif fault is Fault.ERROR_500:
            await _answer(
                send, 500, b'{"error": {"message": "CUDA error: an illegal memory access", "code": 500}}'
            )
        elif fault is Fault.HANG:
            await self._app(scope, receive, _stuck(send))
        else:
            await self._app(scope, receive, send)

    def _meets(self, scope: Scope) -> bool:
        """Faults of the model meet completions only; the others everything."""
        if self._fault is None or self._clock() < self._begins:
            return False
        if self._fault in (Fault.ERROR_500, Fault.HANG) and not scope["path"].endswith("/completions"):
            return False
        return self._random.random() < self._share


def _stuck(send: Send) -> Send:
    """Lets the head and the first part of a stream through, and then nothing; a whole answer does not even begin."""
    held: list[dict[str, Any]] = []

    async def stuck(message: dict[str, Any]) -> None:
        if not held:
            held.append(message)  # the head: it goes with the first part
            return
        if len(held) == 1 and message.get("more_body"):
            await send(held[0])
            await send(message)
            held.append(message)
            return
        await asyncio.Event().wait()  # until the caller goes away

    return stuck


def start_of_a_fault(settings: Settings) -> None:
    """Starts what ends the process by itself; also while it loads."""
    work = {Fault.EXIT: _exit, Fault.LEAK: _leak}.get(settings.fault) if settings.fault else None
    if work is not None:
        timer = threading.Timer(settings.fault_after_s, work)
        timer.daemon = True
        timer.start()


def _exit() -> None:
    print("tradewind sim engine: ends, as `--fault exit` wants it", file=sys.stderr, flush=True)
    os._exit(1)


def _leak() -> None:
    kept = []
    try:
        while True:
            kept.append(b"x" * (1 << 20))
            time.sleep(1 / _LEAK_MIB_S)
    except MemoryError:
        print(f"tradewind sim engine: out of memory after {len(kept)} MiB", file=sys.stderr, flush=True)
        os._exit(1)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
