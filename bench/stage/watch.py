"""What an edge's Envoy knows of the replicas, 50 times a second: since when each is in, is out, has had a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from lb.envoy import names

EVERY_S = 0.02
LIMIT_S = 60.0
T = TypeVar("T")


@dataclass
class Seen:
    """One endpoint, by port. Times are epoch seconds, None = not yet. `out`: gone, or drained: nothing new goes there."""

    out: float | None = None
    first_request: float | None = None


class EdgeWatch:
    """Watches the edge of a stack's home while it is entered. Asked at Envoy itself, so what it says has taken effect."""

    def __init__(self, home: Path) -> None:
        self._client = _admin(home)
        self._seen: dict[int, Seen] = {}
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="edge-watch")

    def __enter__(self) -> Self:
        self._thread.start()
        self._until(lambda: self._seen, "an endpoint at the edge")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._client.close()

    def serving(self) -> list[int]:
        """Ports of the replicas that get new requests, the longest known first."""
        with self._changed:
            return [port for port, seen in self._seen.items() if seen.out is None]

    def until_out(self, port: int) -> float:
        """When that one got nothing new any more; waits for it."""
        return self._until(lambda: self._seen[port].out, f"the end of port {port} at the edge")

    def until_new(self, known: set[int]) -> int:
        """The port of a replica that is in and not among the known ones; waits for it."""
        return self._until(lambda: next(iter(self._in() - known), None), "another replica at the edge")

    def first_request(self, port: int) -> float:
        """When that one got its first request; waits for it."""
        return self._until(lambda: self._seen[port].first_request, f"a request for port {port}")

    def _in(self) -> set[int]:
        return {port for port, seen in self._seen.items() if seen.out is None}

    def _until(self, condition: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + LIMIT_S
        with self._changed:
            while not (found := condition()):
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{what} did not come within {LIMIT_S:g} s")
        return found

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                answer = self._client.get("/clusters?format=json").json()
            except (httpx.HTTPError, ValueError):
                continue  # a restarting Envoy
            self._take(answer, time.time())

    def _take(self, answer: dict[str, Any], now: float) -> None:
        services = [c for c in answer["cluster_statuses"] if c.get("added_via_api")]
        hosts = [h for c in services for h in c.get("host_statuses", ())]
        with self._changed:
            present = set()
            for host in hosts:
                port = int(host["address"]["socket_address"]["port_value"])
                seen = self._seen.setdefault(port, Seen())
                if host["health_status"].get("eds_health_status") == "HEALTHY":
                    present.add(port)
                if seen.first_request is None and _total(host):
                    seen.first_request = now
            for port, seen in self._seen.items():
                if port not in present and seen.out is None:
                    seen.out = now
                elif port in present:
                    seen.out = None
            self._changed.notify_all()


def retries(home: Path) -> int:
    """How often the edge of a stack's home tried a request again, on another replica."""
    with _admin(home) as client:
        answer = client.get(
            "/stats", params={"filter": r"^cluster\.[^.]+\.upstream_rq_retry$", "format": "json"}
        )
    return sum(int(s.get("value", 0)) for s in answer.raise_for_status().json()["stats"])


def _admin(home: Path) -> httpx.Client:
    """Envoy's admin interface, on its socket."""
    socket = names.admin_socket(home / "edge")
    return httpx.Client(
        base_url="http://envoy", transport=httpx.HTTPTransport(uds=str(socket)), timeout=5, trust_env=False
    )


def _total(host: dict[str, Any]) -> int:
    return next((int(s.get("value", 0)) for s in host["stats"] if s["name"] == "rq_total"), 0)
