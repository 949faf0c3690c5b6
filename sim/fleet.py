"""The replicas that answer the requests of a trace, and the edge before them: who gets a request, and what becomes of it.

As the product's edge does it (docs/edge.md): the least busy of five random choices; requests without a first byte are tried on another
replica when theirs goes away, up to three times, and streams break; without a ready replica requests go to the hosted provider if
there is one, wait where the service may go to zero, and get 503 otherwise. It reports to the controller once a second in the edge's
own words, `spec.report`.

Engines are only brought up to date when they are looked at, so a request costs a few heap operations, however many replicas there are.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass

from sim.engine import Engine, Rates, Request
from sim.hosted import HOUR_S, Hosted, Provider
from sim.latency import Callers, Met
from sim.policy import Busy, Cover, Demand
from sim.requests import Requests
from spec.report import TTFT_BOUNDS_MS, EdgeReport, ServiceTraffic

SERVICE, EDGE = "chat", "edge"
REPORT_S, AT_LEAST_EVERY_S = 1.0, 5.0
"""An edge tells once a second what has changed, and at least every five seconds."""
CHOICES, TRIES = 5, 3
MOST_HELD, LONGEST_HELD_S = 1000, 300.0
RATE_S = 60.0
"""Over which `Demand.arrived` counts."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What callers ask, and what a replica can do of it.

    Attributes:
        requests: the trace.
        rates: of each replica.
        ttft_goal_s: within which a first byte should come.
        holds: whether requests wait while there is no ready replica, as those of services that go to zero do.
        hosted: where the edge sends what no replica is ready for; None = nowhere.

    """

    requests: Requests
    rates: Rates
    ttft_goal_s: float
    holds: bool = False
    hosted: Hosted | None = None


class Fleet:
    """One run. Times are seconds since the trace began and never go back.

    Args:
        counts_from: what came earlier is answered, but not counted.
        end_s: of the run.
        seed: of the choices among replicas.

    """

    def __init__(self, workload: Workload, *, counts_from: float, end_s: float, seed: int) -> None:
        self._workload, self.end_s = workload, end_s
        self._random = random.Random(f"choices {seed}").random
        self._callers = Callers(goal_s=workload.ttft_goal_s, counts_from=counts_from, end_s=end_s)
        self._engines: dict[int, Engine] = {}
        self._open: list[Engine] = []
        self._held: deque[Request] = deque()
        self._provider = None if workload.hosted is None else Provider(workload.hosted, self)
        self._next = 0
        self._now = self._told_at = self._reported_at = 0.0
        self._idle: dict[int, float] = {}
        self._reports: list[tuple[float, EdgeReport]] = []
        self._sent: tuple[int, ...] = ()
        self._sent_at = -AT_LEAST_EVERY_S
        self._finished = {"2xx": 0, "4xx": 0, "5xx": 0}
        self._broken = self._retried = self._ttft_sum_ms = 0
        self._ttft = [0] * (len(TTFT_BOUNDS_MS) + 1)

    # ------------------------------------------------------------ replicas

    def open(self, replica: int, at: float) -> None:
        """It is ready and gets requests from now on, those that are held first."""
        self.until(at)
        engine = Engine(self._workload.rates, self, at)
        self._engines[replica] = engine
        self._open.append(engine)
        held, self._held = self._held, deque()
        for request in held:
            self._send(at, request)

    def close(self, replica: int, at: float) -> None:
        """It gets nothing new, and goes on with what it has."""
        self.until(at)
        self._open.remove(self._engines[replica])

    def is_done(self, replica: int) -> bool:
        """Whether it has nothing left to do."""
        return self._engines[replica].in_works == 0

    def lose(self, replica: int, at: float) -> None:
        """It is gone: its streams break, and what has no first byte yet is tried on another one."""
        self.until(at)
        engine = self._engines.pop(replica)
        engine.advance(at)
        self._idle.pop(replica, None)
        if engine in self._open:
            self._open.remove(engine)
        for (arrived, *_), first_at in engine.begun():
            self._broken += 1
            self._callers.failed(arrived, "broken", began_after_s=first_at - arrived)
        for arrived, prompt, output, tried in engine.unbegun():
            if tried == 0:
                self._retried += 1
                self._callers.retried(arrived)
            request = (arrived, prompt, output, tried + 1)
            if tried == TRIES:
                self._fail(arrived, "lost")
            else:
                self._send(at, request, otherwise="lost")

    # ------------------------------------------------------------ time

    def until(self, at: float) -> None:
        """Everything before that moment happens."""
        while self._now < at:
            report_at = self._reported_at + REPORT_S
            stop = min(at, report_at)
            self._let_come(stop)
            self._now = stop
            if stop == report_at:
                self._report(stop)

    def demand(self) -> Demand:
        """What edges and engines tell now; reports are told once."""
        reports, self._reports = self._reports, []
        return Demand(reports, self._load(), self._next - self._first_of_minute(), self._cover())

    @property
    def hosted_usd(self) -> float:
        """What the hosted provider has taken until now."""
        return 0.0 if self._provider is None else self._provider.usd

    def met(self) -> Met:
        """What callers met until now."""
        self._catch_up()
        waiting = [r for e in self._engines.values() for r in e.unbegun()]
        for arrived, *_ in (*waiting, *self._held):
            self._callers.waits(arrived, self._now)
        return self._callers.met()

    # ------------------------------------------------------------ what engines tell

    def begun(self, at: float, request: Request) -> None:
        """See engine.Told."""
        self._callers.began(request[0], at)

    def done(self, at: float, request: Request, first_at: float) -> None:
        """See engine.Told. The edge, too, knows the time to first byte of an answer when it ends."""
        arrived = request[0]
        self._callers.done(arrived, at)
        self._finished["2xx"] += 1
        ttft_ms = 1000 * (first_at - arrived)
        self._ttft[bisect_left(TTFT_BOUNDS_MS, ttft_ms)] += 1
        self._ttft_sum_ms += round(ttft_ms)

    # ------------------------------------------------------------ requests

    def _let_come(self, before: float) -> None:
        requests, n = self._workload.requests, self._next
        times, prompts, outputs = requests.times, requests.prompts, requests.outputs
        last = bisect_left(times, before, n)
        came, send = self._callers.came, self._send
        while n < last:
            arrived = times[n]
            came(arrived)
            send(arrived, (arrived, prompts[n], outputs[n], 0))
            n += 1
        self._next = n

    def _send(self, at: float, request: Request, *, otherwise: str = "no_replica") -> None:
        """`otherwise`: what it has failed for where nobody takes it."""
        there = self._open
        if not there:
            if not self._is_covered(at, request):
                self._hold(request, otherwise)
            return
        number = len(there)
        best, least = None, 0
        for _ in range(CHOICES):
            engine = there[int(self._random() * number)]
            if engine.next_at <= at:
                engine.advance(at)
            if best is None or engine.in_works < least:
                best, least = engine, engine.in_works
        if best is not None and best.fits(request):
            best.submit(at, request)
        else:
            self._finished["4xx"] += 1
            self._callers.failed(request[0], "too_long")

    def _is_covered(self, at: float, request: Request) -> bool:
        """Whether a hosted provider answers it, which costs money."""
        if self._provider is None or not self._provider.take(at, request):
            return False
        self._callers.covered(request[0])
        return True

    def _hold(self, request: Request, otherwise: str) -> None:
        if self._workload.holds and len(self._held) < MOST_HELD:
            self._held.append(request)
        else:
            self._fail(request[0], otherwise)

    def _fail(self, arrived: float, why: str) -> None:
        self._finished["5xx"] += 1
        self._callers.failed(arrived, why)

    # ------------------------------------------------------------ telling

    def _catch_up(self) -> None:
        for engine in self._engines.values():
            engine.advance(self._now)
        if self._provider is not None:
            self._provider.advance(self._now)

    def _report(self, at: float) -> None:
        self._catch_up()
        while self._held and self._held[0][0] + LONGEST_HELD_S <= at:
            self._fail(self._held.popleft()[0], "no_replica")
        self._reported_at = at
        active = sum(e.in_works for e in self._engines.values())
        if self._provider is not None:
            active += self._provider.in_works
        counts = self._next, sum(self._finished.values()), self._broken, active, len(self._held)
        if counts == self._sent and at < self._sent_at + AT_LEAST_EVERY_S:
            return
        self._sent, self._sent_at = counts, at
        traffic = ServiceTraffic(
            name=SERVICE,
            arrived=self._next,
            finished=dict(self._finished),
            retried=self._retried,
            broken=self._broken,
            active=active,
            held=len(self._held),
            ttft=tuple(self._ttft),
            ttft_sum_ms=self._ttft_sum_ms,
        )
        report = EdgeReport(edge_id=EDGE, boot="1", seq=round(at / REPORT_S), age_s=at, services=(traffic,))
        self._reports.append((at, report))

    def _load(self) -> dict[int, Busy]:
        """GPUs are busy for the part of the time since the last look in which their engine had anything to do."""
        self._catch_up()
        passed, self._told_at = self._now - self._told_at, self._now
        found = {}
        for replica, engine in self._engines.items():
            idle_s = engine.idle_s - self._idle.get(replica, 0.0)
            self._idle[replica] = engine.idle_s
            running, waiting, kv = engine.load()
            gpu = max(0.0, 1 - idle_s / passed) if passed > 0 else 0.0
            found[replica] = Busy(running, waiting, kv, gpu)
        return found

    def _first_of_minute(self) -> int:
        """The number of the first request that came within the last minute, or would be."""
        return bisect_right(self._workload.requests.times, self._now - RATE_S, 0, self._next)

    def _cover(self) -> Cover | None:
        """What the provider would take if all that came within the last minute were sent there, to two digits."""
        offer, requests = self._workload.hosted, self._workload.requests
        if offer is None:
            return None
        minute = slice(self._first_of_minute(), self._next)
        usd = offer.usd(sum(requests.prompts[minute]), sum(requests.outputs[minute]))
        seconds = min(RATE_S, self._now)
        usd_hour = usd * HOUR_S / seconds if seconds else 0.0
        return Cover(float(f"{usd_hour:.2g}"), offer.most_usd_hour)
