"""Tells the controller what callers ask of this edge: every second while something changes, and at least every 5 s.

Counters are cumulative, so a report that is lost loses nothing. Failures are said once and disturb nobody: the edge serves
and follows whether or not anybody listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Callable, Mapping

import httpx
import structlog

from lb.edge.access_log import AccessLog
from lb.edge.calling import NAMED, make_client
from lb.edge.edge import Edge
from lb.edge.envoy_stats import EnvoyStats
from lb.edge.metrics import Metrics
from lb.edge.tally import Tally
from lb.mutual import Mutual
from spec.errors import InputError
from spec.report import EdgeReport

_log = structlog.get_logger()

LOOK_EVERY_S = 1.0
AT_LEAST_EVERY_S = 5.0
LONGEST_WAIT_S = 5.0
WITHOUT_ROUTE_S = 60.0
"""Between attempts at a controller that knows no reports: it may be updated while the agent runs."""
AWAY_AFTER = 3
"""Looks in a row at an Envoy that does not answer, after which it runs no request any more."""
_TIMEOUT_S = 5.0


class Unheard(Exception):
    """A report did not reach the controller. `old`: the controller takes none at all."""

    def __init__(self, message: str, *, old: bool = False) -> None:
        self.old = old
        super().__init__(message)


class Sender:
    """Posts reports with the bearer token, which is read again for each: it may be rotated."""

    def __init__(
        self,
        *,
        url: str,
        edge_id: str,
        token: Callable[[], str],
        mutual: Mutual | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._path = f"/v1/edges/{edge_id}/report"
        self._token = token
        self._client = make_client(url, mutual, timeout=httpx.Timeout(_TIMEOUT_S), transport=transport)

    async def send(self, report: EdgeReport) -> None:
        """Raises Unheard when the controller did not take it."""
        try:
            headers = {"authorization": f"Bearer {self._token()}", "content-type": "application/json"}
            answer = await self._client.post(
                self._path, content=report.model_dump_json(), headers=headers, extensions=NAMED
            )
        except InputError as e:
            raise Unheard(str(e)) from e
        except httpx.HTTPError as e:
            raise Unheard(f"the controller doesn't answer: {type(e).__name__}: {e}") from e
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
            raise Unheard(f"the controller takes no reports: {answer.text[:200]}", old=True)
        if not answer.is_success:
            raise Unheard(f"the controller answered {answer.status_code}: {answer.text[:200]}")

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()


class Reporter:
    """Counts and reports. `held`: requests that wait, by service; `urgent` is set when the controller should hear at once.

    `clock` and `rng` are arguments for tests.
    """

    def __init__(
        self,
        *,
        edge: Edge,
        log: AccessLog,
        envoy: EnvoyStats,
        sender: Sender,
        metrics: Metrics,
        held: Callable[[], Mapping[str, int]],
        urgent: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._edge = edge
        self._log = log
        self._envoy = envoy
        self._sender = sender
        self._metrics = metrics
        self._held = held
        self._clock = clock
        self._rng = rng or random.Random()
        self._tally = Tally()
        self._boot, self._booted_at = uuid.uuid4().hex, clock()
        self._seq = 0
        self._urgent = urgent
        self._looks_away = 0
        self._sent: EdgeReport | None = None
        self._not_before = 0.0
        self._at_latest = 0.0
        self._failures = 0
        self._said: str | None = None

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.step()
            except Exception:  # noqa: BLE001 - the outermost loop: the edge must go on
                _log.exception("report_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._urgent.wait()
            self._urgent.clear()

    async def step(self) -> None:
        """Counts what is new, and reports it if it is time."""
        await self.count()
        now = self._clock()
        if now < self._not_before:
            return
        report = self._report()
        if now < self._at_latest and self._sent is not None and _same(report, self._sent):
            return
        try:
            await self._sender.send(report)
        except Unheard as e:
            self._metrics.reports.labels("failed").inc()
            self._wait_after(e)
            return
        self._metrics.reports.labels("sent").inc()
        if self._said is not None:
            _log.info("reports_heard_again")
        self._failures, self._said, self._not_before = 0, None, 0.0
        self._sent, self._at_latest = report, now + AT_LEAST_EVERY_S

    async def count(self) -> None:
        """Reads the log and Envoy's counters, and puts a long log aside."""
        self._tally.follow(self._edge.snapshot)
        for lines in self._log.lines():
            self._tally.take_lines(lines)
            await asyncio.sleep(0)  # many lines must not hold up the snapshots
        self._metrics.unreadable_lines.set(self._tally.unreadable)
        sample = await self._envoy.sample(self._edge.snapshot)
        if sample is None:
            self._looks_away += 1
            if self._looks_away == AWAY_AFTER:
                self._tally.nothing_runs()
            return
        younger = sample.uptime_s <= self._clock() - self._booted_at  # its age is 0 for some seconds
        self._tally.take_sample(sample, from_start=younger or self._looks_away > 0)
        self._looks_away = 0
        if self._log.rotate() or self._log.missing():
            await self._envoy.reopen_logs()

    def _report(self) -> EdgeReport:
        self._seq += 1
        return EdgeReport(
            edge_id=self._edge.edge_id,
            boot=self._boot,
            seq=self._seq,
            age_s=self._clock() - self._booted_at,
            services=self._tally.services(self._held()),
            replicas=self._tally.replicas(),
        )

    def _wait_after(self, failure: Unheard) -> None:
        longest = min(LONGEST_WAIT_S, LOOK_EVERY_S * 2 ** min(self._failures, 10))
        wait = WITHOUT_ROUTE_S if failure.old else self._rng.uniform(longest / 2, longest)
        self._failures += 1
        self._not_before = self._clock() + wait
        if self._said != (reason := str(failure)):  # once per reason, not once per attempt
            _log.warning("report_not_heard", reason=reason)
            self._said = reason


def _same(one: EdgeReport, other: EdgeReport) -> bool:
    return (one.services, one.replicas) == (other.services, other.replicas)
