"""The controller's HTTP interface: health for everybody, the rest for those who show the token.

GET /                                      open: the status page, without data
GET /health                                open; 503 when the controller's loop stands still
GET /metrics                               Prometheus
GET /v1/status                             spec.status.Status
GET /v1/history?since=AT                   spec.history.History, of the time after AT (epoch seconds)
GET /v1/edges/{edge_id}/snapshot?after=E.S long poll: 200 with a newer snapshot, 204 when there is none in 25 s
POST /v1/edges/{edge_id}/report            spec.report.EdgeReport: 204 when it was taken
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lb.metrics import Metrics
from lb.page import page
from lb.snapshots import Publisher
from spec.report import EdgeReport
from spec.status import Status

LONG_POLL_S = 25.0
REPORT_BYTES = 4 * 1024 * 1024
"""More than an edge with 10,000 replicas has to tell."""
_VERSION = re.compile(r"(\d{1,18})\.(\d{1,18})")


class Source(Protocol):
    """What the interface shows; the controller is one."""

    def status(self) -> Status:
        """The status of this moment."""
        ...

    def history(self, since: float | None) -> bytes:
        """The picture of the last day, or of the time after a moment; JSON of spec.history.History."""
        ...

    def leader(self) -> bool:
        """Whether this process leads."""
        ...

    def stuck(self) -> bool:
        """Whether the loop has stopped turning."""
        ...

    def edge_ids(self) -> tuple[str, ...] | None:
        """The edges that exist; None while that is not known."""
        ...

    def take_report(self, report: EdgeReport) -> None:
        """Takes in what an edge tells of its traffic."""
        ...


def make_app(
    source: Source, publisher: Publisher, metrics: Metrics, *, token: str, long_poll_s: float = LONG_POLL_S
) -> Starlette:
    """The application; `token` is what callers must show as `Authorization: Bearer ...`."""

    async def health(_: Request) -> Response:
        stuck = source.stuck()
        body = {"status": "stuck" if stuck else "ok", "leader": source.leader()}
        return JSONResponse(body, status_code=503 if stuck else 200)

    async def status_page(_: Request) -> Response:
        return Response(page().body, media_type="text/html; charset=utf-8", headers=page().headers)

    async def metrics_text(_: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def status(_: Request) -> Response:
        return Response(source.status().model_dump_json(), media_type="application/json")

    async def history(request: Request) -> Response:
        given = request.query_params.get("since")
        try:
            since = None if given is None else float(given)
        except ValueError:
            return _error(400, f"since={given!r} is not a time; use seconds since 1970")
        return Response(source.history(since), media_type="application/json")

    async def snapshot(request: Request) -> Response:
        return await _snapshot(request, source, publisher, long_poll_s)

    async def report(request: Request) -> Response:
        return await _report(request, source)

    def guarded(
        handler: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def check(request: Request) -> Response:
            if not _shows(request, token):
                return _error(401, "this needs the controller's token: Authorization: Bearer <token>")
            return await handler(request)

        return check

    return Starlette(
        routes=[
            Route("/", status_page),
            Route("/health", health),
            Route("/metrics", guarded(metrics_text)),
            Route("/v1/status", guarded(status)),
            Route("/v1/history", guarded(history)),
            Route("/v1/edges/{edge_id}/snapshot", guarded(snapshot)),
            Route("/v1/edges/{edge_id}/report", guarded(report), methods=["POST"]),
        ]
    )


async def _snapshot(request: Request, source: Source, publisher: Publisher, long_poll_s: float) -> Response:
    after = request.query_params.get("after", "")
    version = _VERSION.fullmatch(after)
    if after and version is None:
        return _error(400, f"after={after!r} is not a version; use EPOCH.SEQ, as in after=3.17")
    if not source.leader():
        return _error(503, "this controller is not the leader; the bucket has the last snapshot")
    edge_id = request.path_params["edge_id"]
    if unknown := _unknown_edge(source, edge_id):
        return unknown
    seen = (int(version[1]), int(version[2])) if version else (-1, -1)
    published = await publisher.newer_than(edge_id, seen, long_poll_s)
    if published is None:
        return Response(status_code=204)
    return Response(published.body, media_type="application/json")


async def _report(request: Request, source: Source) -> Response:
    if not source.leader():
        return _error(503, "this controller is not the leader")
    edge_id = request.path_params["edge_id"]
    if unknown := _unknown_edge(source, edge_id):
        return unknown
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > REPORT_BYTES:
            return _error(413, f"a report may have {REPORT_BYTES} bytes")
    try:
        report = EdgeReport.model_validate_json(bytes(body))
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        return _error(400, ": ".join(filter(None, ("this is no report", at, first["msg"]))))
    if report.edge_id != edge_id:
        return _error(400, f"edge_id: the report is of edge {report.edge_id!r}, not {edge_id!r}")
    source.take_report(report)
    return Response(status_code=204)


def _unknown_edge(source: Source, edge_id: str) -> Response | None:
    known = source.edge_ids()
    if known is None or edge_id in known:
        return None
    return _error(404, f"there is no edge {edge_id!r}; the edges are {', '.join(known) or '(none)'}")


def _shows(request: Request, token: str) -> bool:
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode())


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status)
