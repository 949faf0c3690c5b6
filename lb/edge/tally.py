"""Counts what callers asked and got, per service and replica, since this agent began.

Two sources, because neither is enough: Envoy's counters know a request when it arrives and each answer of a replica;
its access log knows how the answer ended. Names that callers made up are never counted under.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lb.edge.envoy_stats import Attempts, Sample
from spec.report import TTFT_BOUNDS_MS, ReplicaTraffic, ServiceTraffic
from spec.snapshot import Snapshot

_CUT_SHORT = "upstream_reset_after_response_started"
_WENT_SILENT = "stream_idle_timeout"
_ITS_OWN = "via_upstream"
_FULL, _GATEWAY_TIMEOUT = 503, 504
_KEPT_LOOKS = 300
"""A replica that left is remembered for so many looks (seconds): answers that it cut short are logged later."""


@dataclass
class _Service:
    arrived: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    broken: int = 0
    active: int = 0
    ttft: list[int] = field(default_factory=lambda: [0] * (len(TTFT_BOUNDS_MS) + 1))
    ttft_sum_ms: int = 0


@dataclass
class _Replica:
    answered: int = 0
    errors: int = 0
    """Answers of its own that say that it is broken: 5xx but not 503, which a full queue answers."""
    broken: int = 0
    ok: int = 0
    active: int = 0
    looks_gone: int = 0


class Tally:
    """The counts. `unreadable`: lines of the log that were none."""

    def __init__(self) -> None:
        self._services: dict[str, _Service] = {}
        self._replicas: dict[str, _Replica] = {}
        self._at: dict[tuple[str, str, int], str] = {}
        self._last: Sample | None = None
        self.unreadable = 0

    def follow(self, snapshot: Snapshot | None) -> None:
        """Counts for these services and replicas; those that left are forgotten after a while."""
        if snapshot is None:
            return
        self._services = {s.name: self._services.get(s.name, _Service()) for s in snapshot.services}
        self._at = {(s.name, e.address, e.port): e.replica_id for s in snapshot.services for e in s.endpoints}
        present = set(self._at.values())
        for replica_id in present:
            self._replicas.setdefault(replica_id, _Replica()).looks_gone = 0
        for replica_id in self._replicas.keys() - present:
            replica = self._replicas[replica_id]
            replica.active, replica.looks_gone = 0, replica.looks_gone + 1
            if replica.looks_gone > _KEPT_LOOKS:
                del self._replicas[replica_id]

    def take_lines(self, lines: Iterable[bytes]) -> None:
        """Lines of the access log."""
        for line in lines:
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, AttributeError):
                self.unreadable += 1

    def take_sample(self, sample: Sample, *, from_start: bool = False) -> None:
        """Envoy's own counters at one moment.

        The first sample is only what the next ones are compared with, unless Envoy began after this agent
        (`from_start`). After a restart of Envoy its counters begin at zero again.
        """
        last = self._last
        self._last = sample
        if last is None and not from_start:
            last = sample
        elif last is None or sample.uptime_s < last.uptime_s:
            last = Sample()
        for name, service in self._services.items():
            service.arrived += _grown(last.arrived.get(name, 0), sample.arrived.get(name, 0))
            service.active = sample.active.get(name, 0)
        for place, now in sample.attempts.items():
            replica = self._replicas.get(self._at.get(place, ""))
            if replica is None:
                continue
            before = last.attempts.get(place, Attempts())
            replica.answered += _grown(before.answered, now.answered)
            replica.active = now.active
            # A broken answer counts as answered when it begins; what was reported as well done is not taken back.
            replica.ok = max(replica.ok, replica.answered - replica.broken)

    def nothing_runs(self) -> None:
        """Envoy is gone, and with it what it worked on."""
        for one in (*self._services.values(), *self._replicas.values()):
            one.active = 0

    def services(self, held: Mapping[str, int]) -> tuple[ServiceTraffic, ...]:
        """All services, in the order of their names; `held`: requests that wait, by service."""
        return tuple(
            ServiceTraffic(
                name=name,
                arrived=s.arrived,
                finished=dict(sorted(s.finished.items())),
                retried=s.retried,
                broken=s.broken,
                active=s.active,
                held=held.get(name, 0),
                ttft=tuple(s.ttft),
                ttft_sum_ms=s.ttft_sum_ms,
            )
            for name, s in sorted(self._services.items())
        )

    def replicas(self) -> tuple[ReplicaTraffic, ...]:
        """All replicas that were asked for anything, in the order of their ids."""
        return tuple(
            ReplicaTraffic(replica_id=i, ok=r.ok, failed=r.errors + r.broken, active=r.active)
            for i, r in sorted(self._replicas.items())
            if r.ok or r.errors or r.broken or r.active
        )

    def _take(self, entry: dict[str, object]) -> None:
        service = self._services.get(str(entry.get("service")))
        if service is None or not entry.get("client"):  # without a key nobody asked a service anything
            return
        code, first_byte = entry.get("code"), entry.get("first_byte_ms")
        hundreds = code // 100 if isinstance(code, int) else 0
        service.finished[f"{hundreds}xx" if hundreds else "none"] += 1
        attempts = entry.get("attempts")
        service.retried += isinstance(attempts, int) and attempts > 1
        details, replica = str(entry.get("details")), self._replicas.get(str(entry.get("replica")))
        if not isinstance(first_byte, int):
            # It took the whole request and never answered; while a caller is still sending, Envoy's code is 408.
            if replica and details.startswith(_WENT_SILENT) and code == _GATEWAY_TIMEOUT:
                replica.broken += 1
        elif _broke(details):
            service.broken += 1
            if replica:
                replica.broken += 1
        elif replica and hundreds == 5 and code != _FULL and details.startswith(_ITS_OWN):  # noqa: PLR2004
            replica.errors += 1
        elif hundreds == 2:  # noqa: PLR2004  a success
            service.ttft[bisect_left(TTFT_BOUNDS_MS, first_byte)] += 1
            service.ttft_sum_ms += first_byte


def _broke(details: str) -> bool:
    """Whether an answer that had begun ended because of its replica."""
    return details.startswith((_CUT_SHORT, _WENT_SILENT))


def _grown(before: int, now: int) -> int:
    """What a counter counted; one that is lower than before began anew."""
    return now - before if now >= before else now
