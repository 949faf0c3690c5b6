"""Envoy's counters of requests, asked at its admin socket: arrivals, running requests, attempts per replica."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from lb.envoy import names
from spec.snapshot import Snapshot

_TIMEOUT_S = 2.0
_TAKEN_OVER_S = 2.0
_LOOK_AGAIN_S = 0.02
_WORKERS_S = 0.05
"""Envoy's main thread knows a new endpoint a few milliseconds before its workers do."""
_PATTERN = (
    r"^(server\.uptime"
    r"|cluster\..+\.upstream_rq_(pending_)?active"
    rf"|http\.{names.STAT_PREFIX}\.lua\.{names.ADMIT_FILTER}\..+)$"
)

Place = tuple[str, str, int]
"""Service, address and port of an endpoint."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Requests that one endpoint answered well so far, and those that run."""

    answered: int = 0
    active: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. Counts are since this Envoy began; `arrived` and `active` by service."""

    uptime_s: int = 0
    arrived: Mapping[str, int] = field(default_factory=dict)
    active: Mapping[str, int] = field(default_factory=dict)
    attempts: Mapping[Place, Attempts] = field(default_factory=dict)


class EnvoyStats:
    """Envoy's admin interface on its unix socket."""

    def __init__(self, *, socket: Path, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url="http://envoy",
            timeout=_TIMEOUT_S,
            transport=transport or httpx.AsyncHTTPTransport(uds=str(socket)),
        )

    async def sample(self, snapshot: Snapshot | None) -> Sample | None:
        """The counters of the snapshot's services; None when no Envoy answers."""
        try:
            stats = await self._get("/stats", filter=_PATTERN, format="json")
            clusters = await self._get("/clusters", format="json")
            return _sample(stats, clusters, [s.name for s in snapshot.services] if snapshot else [])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    async def taken_over(self, service: str) -> None:
        """Returns when each worker of Envoy knows an endpoint of the service; soon also when Envoy doesn't tell."""
        for _ in range(round(_TAKEN_OVER_S / _LOOK_AGAIN_S)):
            if await self._has_endpoint(service):
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        await asyncio.sleep(_WORKERS_S)

    async def active(self, service: str) -> int | None:
        """Requests of the service that run or wait for a connection; None when Envoy doesn't tell."""
        prefix = f"cluster.{_as_stat(service)}.upstream_rq_"
        try:
            stats = await self._get("/stats", filter=f"^{re.escape(prefix)}(pending_)?active$", format="json")
            return sum(int(s["value"]) for s in stats["stats"] if "name" in s)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    async def reopen_logs(self) -> bool:
        """Makes Envoy open its access log by name again; False when no Envoy answers."""
        try:
            return (await self._client.post("/reopen_logs")).is_success
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()

    async def _has_endpoint(self, service: str) -> bool:
        name = f"cluster.{_as_stat(service)}.membership_healthy"
        try:
            stats = await self._get("/stats", filter=f"^{re.escape(name)}$", format="json")
            return any(s.get("value", 0) > 0 for s in stats["stats"] if s.get("name") == name)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return False

    async def _get(self, path: str, **params: str) -> Any:
        answer = await self._client.get(path, params=params)
        answer.raise_for_status()
        return answer.json()


def _sample(stats: Any, clusters: Any, services: list[str]) -> Sample:
    values = {s["name"]: int(s["value"]) for s in stats["stats"] if "name" in s}

    def active(service: str) -> int:
        prefix = f"cluster.{_as_stat(service)}.upstream_rq_"
        return values.get(f"{prefix}active", 0) + values.get(f"{prefix}pending_active", 0)

    counter = f"http.{names.STAT_PREFIX}.lua.{names.ADMIT_FILTER}."
    return Sample(
        uptime_s=values["server.uptime"],
        arrived={s: values.get(counter + names.arrivals(s), 0) for s in services},
        active={s: active(s) for s in services},
        attempts=dict(_attempts(clusters)),
    )


def _as_stat(service: str) -> str:
    """As Envoy writes it in the names of counters."""
    return service.replace(":", "_")


def _attempts(clusters: Any) -> list[tuple[Place, Attempts]]:
    found = []
    for cluster in clusters["cluster_statuses"]:
        for host in cluster.get("host_statuses", ()):
            address = host["address"].get("socket_address")
            if address is None:
                continue
            value = {s["name"]: int(s.get("value", 0)) for s in host["stats"]}
            active = value["rq_active"] + value.get("rq_pending_active", 0)
            place = cluster["name"], address["address"], address["port_value"]
            found.append((place, Attempts(value["rq_success"], active)))
    return found
