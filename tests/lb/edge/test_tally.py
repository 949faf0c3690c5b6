import json

import pytest

from lb.edge.envoy_stats import Attempts, Sample
from lb.edge.tally import Tally
from spec.report import TTFT_BOUNDS_MS
from spec.snapshot import Endpoint, Snapshot
from tests.lb.envoy.harness import service

PLACE = ("chat", "127.0.0.1", 9000)


def snapshot(*endpoints):
    return Snapshot(epoch=1, seq=1, edge_id="e", services=(service("chat", *endpoints),))


def endpoint(replica_id="r1", port=9000):
    return Endpoint(replica_id=replica_id, address="127.0.0.1", port=port)


@pytest.fixture
def tally():
    made = Tally()
    made.follow(snapshot(endpoint()))
    return made


def line(**more):
    entry = {
        "service": "chat",
        "client": "key-1",
        "code": 200,
        "details": "via_upstream",
        "attempts": 1,
        "first_byte_ms": 42,
        "replica": "r1",
        "model": None,
    }
    return json.dumps({**entry, **more}).encode()


def the_service(tally, **held):
    [found] = tally.services(held)
    return found


def the_replica(tally):
    [found] = tally.replicas()
    return found.ok, found.failed, found.active


class TestLines:
    def test_answers_are_counted_by_class_and_time_to_first_byte(self, tally):
        tally.take_lines(
            [line(), line(first_byte_ms=10), line(first_byte_ms=10**6), line(code=404), line(code=503)]
        )
        found = the_service(tally)
        assert found.finished == {"2xx": 3, "4xx": 1, "5xx": 1}
        assert dict(zip((*TTFT_BOUNDS_MS, "more"), found.ttft, strict=True)) == {
            **dict.fromkeys(TTFT_BOUNDS_MS, 0), 10: 1, 50: 1, "more": 1,
        }  # fmt: skip
        assert found.ttft_sum_ms == 52 + 10**6

    def test_an_answer_that_its_replica_cut_short_is_broken_and_the_replicas_failure(self, tally):
        cut = "upstream_reset_after_response_started{connection_termination}"
        tally.take_lines([line(details=cut), line(details="stream_idle_timeout")])
        assert the_service(tally).broken == 2
        assert the_service(tally).finished == {"2xx": 2}
        assert sum(the_service(tally).ttft) == 0
        assert the_replica(tally) == (0, 2, 0)

    @pytest.mark.parametrize(
        ("code", "details", "failed"),
        [
            (500, "via_upstream", [1]),
            (502, "via_upstream", [1]),
            (503, "via_upstream", []),
            (503, "upstream_reset_before_response_started{connection_failure}", []),
            (404, "via_upstream", []),
        ],
    )
    def test_a_replicas_own_5xx_are_its_failures_but_a_full_queue_is_none(self, tally, code, details, failed):
        tally.take_lines([line(code=code, details=details)])
        assert [r.failed for r in tally.replicas()] == failed

    def test_a_caller_that_hangs_up_breaks_nothing(self, tally):
        tally.take_lines([line(details="downstream_remote_disconnect"), line(code=0, first_byte_ms=None)])
        assert the_service(tally).broken == 0
        assert the_service(tally).finished == {"2xx": 1, "none": 1}

    @pytest.mark.parametrize(
        ("code", "replica", "failed"), [(504, "r1", [1]), (408, "r1", []), (504, None, []), (504, "gone", [])]
    )
    def test_a_replica_that_never_answers_has_failed_but_not_for_a_caller_who_never_sent_it_all(
        self, tally, code, replica, failed
    ):
        tally.take_lines(
            [line(code=code, replica=replica, details="stream_idle_timeout", first_byte_ms=None)]
        )
        assert the_service(tally).broken == 0
        assert [r.failed for r in tally.replicas()] == failed

    def test_retried_requests_are_counted_once(self, tally):
        tally.take_lines([line(attempts=3), line(attempts=1), line(attempts=0)])
        assert the_service(tally).retried == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"service": None},
            {"service": "of somebody else"},
            {"client": None},
            {"client": "", "code": 401},
        ],
    )
    def test_what_is_no_request_for_a_service_is_left_out(self, tally, other):
        tally.take_lines([line(**other)])
        assert the_service(tally).finished == {}
        assert len(tally.services({})) == 1

    @pytest.mark.parametrize(
        "raw", [b"", b"{", b"[1]", b"null", b'"x"', b"\xff\xfe", b'{"service":["chat"]}']
    )
    def test_a_line_that_is_none_disturbs_nothing(self, tally, raw):
        tally.take_lines([raw, line()])
        assert the_service(tally).finished == {"2xx": 1}

    def test_names_that_callers_make_up_make_no_counters(self, tally):
        hostile = ["../../etc/passwd", '"},{"service":"chat', "größe\u0000\u2028", "x" * 10_000, "a.b.c:d"]
        tally.take_lines([line(model=m) for m in hostile])
        tally.take_lines([line(service=m) for m in hostile])
        tally.take_lines(
            [line(replica=m, details="upstream_reset_after_response_started{x}") for m in hostile]
        )
        assert [s.name for s in tally.services({})] == ["chat"]
        assert tally.replicas() == ()

    @pytest.mark.parametrize("code", ["200", None, 2000.5, [], True])
    def test_a_code_that_is_none_counts_as_no_answer(self, tally, code):
        tally.take_lines([line(code=code)])
        assert the_service(tally).finished == {"none": 1}


def sample(arrived=0, ok=0, active=0, uptime=100):
    return Sample(uptime, {"chat": arrived}, {"chat": active}, {PLACE: Attempts(ok, active)})


class TestEnvoysCounters:
    def test_what_came_before_the_agent_is_not_counted(self, tally):
        tally.take_sample(sample(arrived=1000, ok=900))
        assert the_service(tally).arrived == 0
        tally.take_sample(sample(arrived=1003, ok=902, active=4))
        assert (the_service(tally).arrived, the_service(tally).active) == (3, 4)
        assert the_replica(tally) == (2, 0, 4)

    def test_of_an_envoy_that_came_after_the_agent_everything_counts(self, tally):
        tally.take_sample(sample(arrived=3, uptime=1), from_start=True)
        assert the_service(tally).arrived == 3

    def test_a_restarted_envoy_counts_from_zero_also_when_it_has_overtaken_the_old_one(self, tally):
        tally.take_sample(sample(arrived=5))
        tally.take_sample(sample(arrived=7, uptime=101))
        tally.take_sample(sample(arrived=2, uptime=0))
        tally.take_sample(sample(arrived=3, uptime=1))
        tally.take_sample(sample(arrived=500, uptime=0))
        assert the_service(tally).arrived == 2 + 2 + 1 + 500

    def test_a_broken_answer_moves_from_answered_to_failed_but_no_count_goes_back(self, tally):
        tally.take_sample(sample())
        tally.take_sample(sample(ok=3))
        assert the_replica(tally) == (3, 0, 0)
        tally.take_lines([line(details="upstream_reset_after_response_started{x}")] * 2)
        tally.take_sample(sample(ok=4))
        assert the_replica(tally) == (3, 2, 0)
        tally.take_sample(sample(ok=7))
        assert the_replica(tally) == (5, 2, 0)

    def test_a_replica_that_left_runs_nothing_and_is_forgotten_in_the_end(self, tally):
        tally.take_sample(sample())
        tally.take_sample(sample(ok=3, active=2))
        tally.follow(snapshot())
        assert the_replica(tally) == (3, 0, 0)
        tally.take_lines([line(details="upstream_reset_after_response_started{x}")])
        assert the_replica(tally) == (3, 1, 0)
        for _ in range(300):
            tally.follow(snapshot())
        assert tally.replicas() == ()

    def test_another_replica_at_the_same_place_inherits_no_counts(self, tally):
        tally.take_sample(sample())
        tally.take_sample(sample(ok=9))
        tally.follow(snapshot(endpoint("r2")))
        tally.take_sample(sample(ok=10))
        assert {r.replica_id: r.ok for r in tally.replicas()} == {"r1": 9, "r2": 1}


def test_held_requests_are_told_with_their_service(tally):
    assert the_service(tally, chat=7).held == 7
