"""Where Envoy asks whether a held request may go on: HTTP on a unix socket in the edge's own directory.

GET /v1/hold/{stem}: 200 when it may, 503 with `retry-after` and the reason as text when not. The call lasts as long as the
request waits; its end from the other side is a caller that gave up.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lb.edge.hold import Holds, Verdict
from lb.serving import bind_unix, make_server


@contextlib.asynccontextmanager
async def serve(socket: Path, holds: Holds) -> AsyncGenerator[None]:
    """Answers while the block runs; then nobody is held any longer. Raises OutsideError."""
    _allow_many_files()
    with bind_unix(socket) as listener:
        server = make_server(make_app(holds))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            await holds.close()
            server.should_exit = True
            await serving


def make_app(holds: Holds) -> Starlette:
    """The application."""

    async def hold(request: Request) -> Response:
        waits = asyncio.create_task(holds.wait(request.path_params["stem"]))
        left = asyncio.create_task(_left(request))
        try:
            await asyncio.wait((waits, left), return_when=asyncio.FIRST_COMPLETED)
            return _answer(await waits) if waits.done() else Response(status_code=499)
        finally:
            waits.cancel()
            left.cancel()
            await asyncio.gather(waits, left, return_exceptions=True)

    return Starlette(routes=[Route("/v1/hold/{stem}", hold)])


def _answer(verdict: Verdict) -> Response:
    if verdict.go:
        return Response()
    headers = {"retry-after": str(verdict.retry_after_s)}
    return PlainTextResponse(verdict.why, status_code=503, headers=headers)


async def _left(request: Request) -> None:
    """Returns when the caller has given up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _allow_many_files() -> None:
    """Each held request is a connection here; the usual soft limit of 1,024 files would be too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
