"""Whether Envoy took the files over, asked at its admin socket.

Envoy refuses a bad file without a word to whoever wrote it: only these counters (and its log) tell. It may be absent:
the agent starts before it and outlives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import structlog

from lb.edge.metrics import Metrics

_log = structlog.get_logger()

_REJECTIONS = r"\.(update_rejected|update_failure|config_fail|key_rotation_failed)$"
_SETTLE_S = 0.3
"""A rename takes effect within about 50 ms."""
_TIMEOUT_S = 2.0


class Admin:
    """Envoy's admin interface on its unix socket."""

    def __init__(
        self,
        *,
        socket: Path,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._metrics = metrics
        self._sleep = sleep
        self._seen: dict[str, int] = {}
        self._client = httpx.AsyncClient(
            base_url="http://envoy",
            timeout=_TIMEOUT_S,
            transport=transport or httpx.AsyncHTTPTransport(uds=str(socket)),
        )

    async def look_after_change(self) -> bool:
        """Lets Envoy read what was written, then looks."""
        await self._sleep(_SETTLE_S)
        return await self.look()

    async def look(self) -> bool:
        """False when Envoy has refused a file since the last look; True also when no Envoy runs."""
        try:
            answer = await self._client.get("/stats", params={"filter": _REJECTIONS, "format": "json"})
            answer.raise_for_status()
            counters = {s["name"]: int(s["value"]) for s in answer.json()["stats"] if "name" in s}
        except (httpx.HTTPError, ValueError, KeyError) as e:
            self._metrics.envoy_up.set(0)
            self._seen = {}
            _log.debug("envoy_absent", reason=f"{type(e).__name__}: {e}")
            return True
        self._metrics.envoy_up.set(1)
        grown = {n: v - self._seen.get(n, 0) for n, v in counters.items() if v > self._seen.get(n, 0)}
        self._seen = counters
        if grown:
            self._metrics.envoy_rejected.inc(sum(grown.values()))
            _log.error("envoy_refused_files", counters=grown)
        return not grown

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()
