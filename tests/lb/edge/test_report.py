"""When the agent reports, and what it does while nobody listens."""

import asyncio
import contextlib
import random

import httpx
import pytest

from lb.edge.access_log import AccessLog
from lb.edge.edge import Edge
from lb.edge.envoy_stats import Sample
from lb.edge.metrics import Metrics
from lb.edge.report import Reporter, Sender, Unheard
from spec.errors import InputError
from spec.report import EdgeReport
from spec.snapshot import Snapshot
from tests.lb.clock import FakeClock
from tests.lb.edge.test_tally import line
from tests.lb.envoy.harness import service


class FakeEnvoy:
    """Says the samples that a test sets; None = it does not answer."""

    def __init__(self):
        self.now = Sample()
        self.reopened = 0

    async def sample(self, snapshot):
        return self.now

    async def reopen_logs(self):
        self.reopened += 1
        return True


class FakeSender:
    """Takes reports; what is in `failures` is raised first."""

    def __init__(self):
        self.sent = []
        self.failures = []

    async def send(self, report):
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(report)


class Rig:
    def __init__(self, folder):
        self.clock, self.envoy, self.sender, self.metrics = FakeClock(), FakeEnvoy(), FakeSender(), Metrics()
        self.path = folder / "access.log"
        self.path.write_bytes(b"")
        self.edge = Edge(edge_id="e1", directory=folder / "edge", metrics=self.metrics)
        self.edge.open()
        self.edge.take_over(
            Snapshot(epoch=1, seq=1, edge_id="e1", services=(service("chat"),)), source="test"
        )
        self.held = {}
        self.log = AccessLog(self.path, limit_bytes=1000)
        self.reporter = Reporter(
            edge=self.edge,
            log=self.log,
            envoy=self.envoy,
            sender=self.sender,
            metrics=self.metrics,
            held=lambda: self.held,
            urgent=asyncio.Event(),
            clock=self.clock.monotonic,
            rng=random.Random(1),
        )

    def step(self, seconds=1.0):
        self.clock.pass_(seconds)
        asyncio.run(self.reporter.step())

    def log_lines(self, n=1):
        with self.path.open("ab") as file:
            file.write(b"".join(line() + b"\n" for _ in range(n)))

    def close(self):
        self.log.close()
        self.edge.close()


@pytest.fixture
def rig(tmp_path):
    with contextlib.closing(Rig(tmp_path)) as made:
        yield made


def test_it_reports_at_once_when_something_changed_and_else_every_five_seconds(rig):
    rig.step()
    for n in range(1, 4):
        rig.log_lines()
        rig.step()
        assert rig.sender.sent[-1].services[0].finished == {"2xx": n}
    told = len(rig.sender.sent)
    for _ in range(4):
        rig.step()
    assert len(rig.sender.sent) == told
    rig.step()
    assert len(rig.sender.sent) == told + 1


def test_reports_of_one_run_have_one_name_and_growing_numbers(rig, tmp_path):
    for _ in range(3):
        rig.step(5)
    assert len({r.boot for r in rig.sender.sent}) == 1
    seqs = [r.seq for r in rig.sender.sent]
    assert seqs == sorted(set(seqs))
    (tmp_path / "other").mkdir()
    with contextlib.closing(Rig(tmp_path / "other")) as other:
        other.step()
        assert other.sender.sent[0].boot != rig.sender.sent[0].boot


def test_held_requests_are_in_the_report(rig):
    rig.held = {"chat": 3}
    rig.step()
    assert rig.sender.sent[0].services[0].held == 3


def test_what_nobody_heard_is_in_the_next_report_and_attempts_become_rarer(rig):
    rig.sender.failures = [Unheard("down")] * 4
    attempts = []
    for second in range(40):
        rig.log_lines()
        before = len(rig.sender.failures)
        rig.step()
        if len(rig.sender.failures) < before:
            attempts.append(second)
    assert attempts[-1] - attempts[-2] >= 2
    assert rig.sender.sent[-1].services[0].finished == {"2xx": 40}
    assert "failed" in rig.metrics.text().decode()


def test_a_controller_without_reports_is_said_once_and_asked_again_after_a_minute(rig, capsys):
    rig.sender.failures = [Unheard("the controller takes no reports: Not Found", old=True)] * 2
    for _ in range(70):
        rig.log_lines()
        rig.step()
    assert len(rig.sender.failures) == 0
    assert capsys.readouterr().out.count("report_not_heard") == 1
    assert rig.sender.sent == []
    rig.step(60)
    assert rig.sender.sent[0].services[0].finished == {"2xx": 70}


def test_a_long_log_is_rotated_and_envoy_told(rig):
    rig.step()
    rig.log_lines(20)
    rig.step()
    assert rig.envoy.reopened == 1
    assert not rig.path.exists()
    rig.path.write_bytes(b"")
    rig.log_lines()
    rig.step()
    assert rig.sender.sent[-1].services[0].finished == {"2xx": 21}
    assert rig.envoy.reopened == 1


def test_a_log_that_is_missing_is_opened_again_also_after_an_agent_died_while_it_rotated(rig):
    rig.path.unlink()
    rig.step()
    assert rig.envoy.reopened == 1


def test_an_envoy_that_starts_after_the_agent_is_counted_from_its_beginning(rig):
    rig.envoy.now = None
    rig.step()
    rig.envoy.now = Sample(1, {"chat": 4}, {"chat": 2}, {})
    rig.step()
    assert (rig.sender.sent[-1].services[0].arrived, rig.sender.sent[-1].services[0].active) == (4, 2)


@pytest.mark.parametrize(("uptime_s", "counted"), [(0, 500), (1, 500), (5, 0)])
def test_what_an_envoy_counted_before_the_first_look_counts_unless_it_is_older_than_the_agent(
    rig, uptime_s, counted
):
    rig.envoy.now = Sample(uptime_s, {"chat": 500}, {}, {})
    rig.step(1.0)
    assert rig.sender.sent[-1].services[0].arrived == counted


def test_no_request_runs_at_an_envoy_that_is_gone(rig):
    rig.envoy.now = Sample(1, {"chat": 4}, {"chat": 2}, {})
    rig.step()
    rig.envoy.now = None
    for _ in range(3):
        assert rig.sender.sent[-1].services[0].active == 2
        rig.step()
    assert rig.sender.sent[-1].services[0].active == 0


class TestSender:
    def send(self, handler, token=lambda: "tok"):
        async def story():
            sender = Sender(
                url="http://controller", edge_id="e1", token=token, transport=httpx.MockTransport(handler)
            )
            try:
                await sender.send(EdgeReport(edge_id="e1", boot="b", seq=1))
            finally:
                await sender.close()

        asyncio.run(story())

    def test_it_posts_with_the_token(self):
        seen = []
        self.send(lambda r: seen.append(r) or httpx.Response(204))
        assert (seen[0].method, seen[0].url.path) == ("POST", "/v1/edges/e1/report")
        assert seen[0].headers["authorization"] == "Bearer tok"
        assert EdgeReport.model_validate_json(seen[0].content).boot == "b"

    @pytest.mark.parametrize(
        ("status", "old"), [(404, True), (405, True), (401, False), (503, False), (302, False)]
    )
    def test_what_is_not_taken_is_said(self, status, old):
        with pytest.raises(Unheard) as e:
            self.send(lambda _: httpx.Response(status, text="why"))
        assert e.value.old is old
        assert "why" in str(e.value)

    def test_a_dead_controller_or_a_missing_token_is_one_kind_of_failure(self):
        def dead(_):
            raise httpx.ConnectError("refused")

        def no_token():
            raise InputError("token_file: missing")

        with pytest.raises(Unheard, match="refused"):
            self.send(dead)
        with pytest.raises(Unheard, match="token_file"):
            self.send(lambda _: httpx.Response(204), no_token)
