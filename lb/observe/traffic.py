"""What callers ask of the services, from the reports of the edges: rates over the last minute, and totals.

Reports hold cumulative counters of one run of an agent; only their growth counts here. So neither a new agent, nor a lost or
repeated report, nor a new controller makes a rate negative or a total jump.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lb.decide.observed import Health, Load
from lb.observe.lies import Lies
from lb.observe.window import Window, grown, percentile
from spec.report import TTFT_BOUNDS_MS, EdgeReport, ServiceTraffic
from spec.status import TrafficStatus

RATE_S = 60.0
"""Rates and times to first byte are over this long."""
SILENT_S = 15.0
"""An edge that has not reported for this long has no part in what is now."""
HELD_UP_S = 5.0
"""A report that counts so much longer than it took to come after the last one had lain somewhere, with others before it."""
ENOUGH_ANSWERS = 20
"""Of fewer in a minute nobody can tell what 95 % of them kept."""
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
_DIGITS = 3


@dataclass
class _Edge:
    """`boot`, `seq`, `age_s`: of its last report; `at`: when that came. The rest by service, or by replica."""

    boot: str
    seq: int
    at: float
    age_s: float | None
    last: dict[str, ServiceTraffic] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    replicas: dict[str, dict[str, int]] = field(default_factory=dict)


class Traffic:
    """The traffic at all edges. `clock`: steady seconds.

    `totals`: counts since this controller began, by service: "arrived", "retried", "broken", "finished 2xx" and so on,
    "ttft 0" and so on per bucket, "ttft_sum_ms".
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._edges: dict[str, _Edge] = {}
        self._lies = Lies()
        self.totals: dict[str, Counter[str]] = {}

    def take(self, report: EdgeReport) -> bool:
        """Takes a report in; True when requests are held for a service for which none were before."""
        now = self._clock()
        edge = self._edges.get(report.edge_id)
        if edge is not None and edge.boot == report.boot and report.seq <= edge.seq:
            return False  # repeated, or overtaken by a later one
        held_before = {s.name for s in report.services if self.held(s.name)}
        if edge is None:
            edge = self._edges[report.edge_id] = _begun(report, now)
        elif edge.boot != report.boot:
            edge.last, edge.replicas, edge.age_s = (
                {},
                {},
                None,
            )  # counts from zero again, since its last report
        since = edge.at
        self._count(edge, report, since=since, at=now)
        edge.boot, edge.seq, edge.at, edge.age_s = report.boot, report.seq, now, report.age_s
        return any(s.held and s.name not in held_before for s in report.services)

    def keep(self, *, edges: Iterable[str], services: Iterable[str]) -> None:
        """Forgets all other edges and services: they are not desired any more."""
        edges, services = set(edges), set(services)
        self._edges = {i: e for i, e in self._edges.items() if i in edges}
        self.totals = {n: t for n, t in self.totals.items() if n in services}

    def load(self, services: Iterable[str]) -> tuple[Load, ...]:
        """The load of those services that an edge has told of lately.

        Edges send nothing to hosted providers yet, so none covers: `hosted_usd_hour` stays None.
        """
        return tuple(
            Load(
                name,
                self._rate(name, "arrived"),
                self._now(name, "active"),
                self.held(name),
                in_flight=self._rate(name, "in_works_ms", per=1000.0),
                served=self._rate(name, "finished 2xx"),
                ttft_ms=self._slow_first_byte(name),
            )
            for name in services
            if self._heard(name)
        )

    def held(self, service: str) -> int:
        """Requests that wait for the service, at all edges."""
        return self._now(service, "held")

    def with_lies(self, health: Iterable[Health]) -> tuple[Health, ...]:
        """The same, with what the edges say of each replica."""
        return self._lies.merged(health, self._clock())

    def status(self, service: str) -> TrafficStatus | None:
        """The last minute in the words of the status; None when no edge has told."""
        heard = self._heard(service)
        if not heard:
            return None
        buckets = self._first_bytes(service)
        return TrafficStatus(
            qps=self._rate(service, "arrived"),
            active=self._now(service, "active"),
            held=self.held(service),
            failed_per_s=self._rate(service, "failed"),
            ttft_p50_ms=percentile(0.50, buckets, TTFT_BOUNDS_MS),
            ttft_p95_ms=percentile(0.95, buckets, TTFT_BOUNDS_MS),
        )

    def _count(self, edge: _Edge, report: EdgeReport, *, since: float, at: float) -> None:
        covers = 0.0 if edge.age_s is None or report.age_s is None else report.age_s - edge.age_s
        lately = (
            at <= since + SILENT_S and covers <= at - since + HELD_UP_S
        )  # what came in a longer silence has no place in a rate
        if not lately:
            edge.windows = {}
        for traffic in report.services:
            last = edge.last.get(traffic.name)
            growth = grown(_counts(last) if last else {}, _counts(traffic))
            self.totals.setdefault(traffic.name, Counter()).update(growth)
            if lately and last is not None:
                growth["in_works_ms"] = round(500 * (at - since) * (_in_works(last) + _in_works(traffic)))
            window = edge.windows.setdefault(traffic.name, Window(RATE_S, since if lately else at))
            window.add(growth if lately else {}, since=since, at=at)
        edge.last = {s.name: s for s in report.services}
        edge.windows = {n: w for n, w in edge.windows.items() if n in edge.last}
        replicas = {r.replica_id: {"ok": r.ok, "failed": r.failed} for r in report.replicas}
        if lately:
            of_each = {i: grown(edge.replicas.get(i, {}), counts) for i, counts in replicas.items()}
            self._lies.take(of_each, at=at)
        edge.replicas = replicas

    def _heard(self, service: str) -> list[_Edge]:
        now = self._clock()
        return [e for e in self._edges.values() if service in e.last and now <= e.at + SILENT_S]

    def _first_bytes(self, service: str) -> list[float]:
        """The last minute's answers by time to first byte, per bucket."""
        now = self._clock()
        found = [e.windows[service].growth(now) for e in self._heard(service)]
        return [sum(g.get(f"ttft {n}", 0.0) for g in found) for n in range(len(TTFT_BOUNDS_MS) + 1)]

    def _slow_first_byte(self, service: str) -> float | None:
        """The time that 95 % of the last minute's answers kept; None when there are too few to say so."""
        buckets = self._first_bytes(service)
        slow = percentile(0.95, buckets, TTFT_BOUNDS_MS) if sum(buckets) >= ENOUGH_ANSWERS else None
        return None if slow is None else float(f"{slow:.{_DIGITS - 1}g}")

    def _rate(self, service: str, what: str, *, per: float = 1.0) -> float:
        now = self._clock()
        windows = [e.windows[service] for e in self._heard(service)]
        total = sum(w.growth(now).get(what, 0.0) / w.seconds(now) for w in windows) / per
        return float(f"{total:.{_DIGITS}g}")

    def _now(self, service: str, what: str) -> int:
        return sum(getattr(e.last[service], what) for e in self._heard(service))


def _begun(report: EdgeReport, now: float) -> _Edge:
    """An edge that is new to this controller: only what comes from now on counts."""
    return _Edge(
        boot=report.boot,
        seq=report.seq,
        at=now,
        age_s=report.age_s,
        last={s.name: s for s in report.services},
        replicas={r.replica_id: {"ok": r.ok, "failed": r.failed} for r in report.replicas},
    )


def _in_works(traffic: ServiceTraffic) -> int:
    """Requests that are being answered, or wait for it."""
    return traffic.active + traffic.held


def _counts(traffic: ServiceTraffic) -> dict[str, int]:
    """The cumulative part of a report, flat. Another version's buckets and classes mean nothing here."""
    counts = {
        "arrived": traffic.arrived,
        "retried": traffic.retried,
        "broken": traffic.broken,
        "failed": traffic.finished.get("5xx", 0) + traffic.broken,
    }
    counts.update({f"finished {c}": traffic.finished.get(c, 0) for c in CLASSES})
    if len(traffic.ttft) == len(TTFT_BOUNDS_MS) + 1:
        counts.update({f"ttft {n}": count for n, count in enumerate(traffic.ttft)})
        counts["ttft_sum_ms"] = traffic.ttft_sum_ms
    return counts
