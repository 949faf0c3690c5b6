"""Rates, totals and status from what edges report, whatever happens to edges, reports and controllers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.decide.observed import Load
from lb.metrics import Metrics
from lb.observe.traffic import Traffic
from lb.observe.traffic_metrics import TrafficCollector
from spec.report import TTFT_BOUNDS_MS, EdgeReport, ServiceTraffic
from tests.lb.clock import FakeClock


class Rig:
    def __init__(self):
        self.clock = FakeClock()
        self.traffic = Traffic(self.clock.monotonic)
        self.seq = 0

    def report(self, edge="e1", boot="b1", seq=None, age_s=None, name="chat", **counts):
        self.seq += 1
        service = ServiceTraffic(name=name, **counts)
        return self.traffic.take(
            EdgeReport(edge_id=edge, boot=boot, seq=seq or self.seq, age_s=age_s, services=(service,))
        )

    def load(self):
        [found] = self.traffic.load(["chat"])
        return found


@pytest.fixture
def rig():
    return Rig()


def test_nothing_is_said_of_a_service_that_no_edge_has_told_of(rig):
    rig.report(name="other")
    assert rig.traffic.load(["chat"]) == ()
    assert rig.traffic.status("chat") is None


def test_qps_is_over_the_last_minute_and_slides(rig):
    rig.report()
    for n in range(1, 61):
        rig.clock.pass_(1)
        rig.report(arrived=n * 10)
    assert rig.load().qps == 10
    for _ in range(6):
        rig.clock.pass_(5)
        rig.report(arrived=600)
    assert rig.load().qps == 5
    for _ in range(6):
        rig.clock.pass_(5)
        rig.report(arrived=600)
    assert rig.load().qps == 0


def test_reports_that_lay_in_a_stopped_controllers_queue_are_no_flood_when_it_goes_on(rig):
    for n in range(61):
        rig.report(arrived=n * 10, age_s=n)
        rig.clock.pass_(1)
    rig.clock.pass_(60)
    for n in range(70, 121, 10):  # posted while it stood still, all taken at once
        rig.report(arrived=n * 10, age_s=n)
    for n in range(121, 141):
        rig.clock.pass_(1)
        rig.report(arrived=n * 10, age_s=n)
        assert rig.load().qps <= 10
    assert rig.load().qps == 10
    assert rig.traffic.totals["chat"]["arrived"] == 1400


def test_a_report_that_is_a_little_late_counts_as_any(rig):
    rig.report(age_s=0)
    for n in range(1, 61):
        rig.clock.pass_(3 if n % 3 == 0 else 0)
        rig.report(arrived=n * 10, age_s=n)
    assert rig.load().qps == pytest.approx(10, rel=0.05)


def test_qps_has_three_significant_digits(rig):
    rig.report()
    rig.clock.pass_(60)
    for _ in range(12):
        rig.report()
    rig.clock.pass_(5)
    rig.report(arrived=123457)
    assert rig.load().qps == 24700  # a long silence before: over the shortest time


def test_edges_are_added_up(rig):
    for edge in ("e1", "e2"):
        rig.report(edge)
    rig.clock.pass_(10)
    rig.report("e1", arrived=20, active=3, held=1)
    rig.report("e2", arrived=40, active=4, held=2)
    assert rig.load() == Load("chat", 6, 7, 3, in_flight=5)


def test_in_flight_is_the_mean_of_the_last_minute_with_what_is_held():
    rig = Rig()
    rig.report(active=8)
    for _ in range(30):
        rig.clock.pass_(1)
        rig.report(active=8, held=2)
    assert rig.load().in_flight == pytest.approx(10, rel=0.01)
    for _ in range(30):
        rig.clock.pass_(1)
        rig.report(active=0)
    assert rig.load().in_flight == pytest.approx(5, rel=0.02)
    for _ in range(40):
        rig.clock.pass_(1)
        rig.report(active=0)
    assert rig.load().in_flight == 0
    assert rig.load() == rig.load()


def test_what_was_in_flight_in_a_long_silence_is_not_known(rig):
    rig.report(active=50)
    rig.clock.pass_(300)
    rig.report(active=50)
    assert rig.load().in_flight == 0
    rig.clock.pass_(5)
    rig.report(active=50)
    assert rig.load().in_flight == 50


def test_good_answers_per_second_and_the_time_to_their_first_byte(rig):
    ttft = [0] * (len(TTFT_BOUNDS_MS) + 1)
    rig.report()
    rig.clock.pass_(10)
    ttft[TTFT_BOUNDS_MS.index(2500)] = 19
    rig.report(arrived=19, finished={"2xx": 19, "5xx": 100}, ttft=tuple(ttft))
    assert (rig.load().served, rig.load().ttft_ms) == (1.9, None)
    ttft[TTFT_BOUNDS_MS.index(1000)] = 1
    rig.report(arrived=20, finished={"2xx": 20, "5xx": 100}, ttft=tuple(ttft))
    assert rig.load().ttft_ms == 2400


def test_an_edge_that_falls_silent_has_no_part_any_more(rig):
    rig.report("e1", held=5, active=5)
    rig.clock.pass_(10)
    rig.report("e2", active=1)
    rig.clock.pass_(5.1)
    assert rig.load() == Load("chat", 0, 1, 0)


def test_what_came_in_a_long_silence_is_counted_but_is_no_rate(rig):
    rig.report()
    rig.clock.pass_(600)
    rig.report(arrived=60_000)
    assert rig.load().qps == 0
    assert rig.traffic.totals["chat"]["arrived"] == 60_000
    rig.clock.pass_(5)
    rig.report(arrived=60_010)
    assert rig.load().qps == 2


def test_a_new_controller_takes_what_was_counted_before_for_granted(rig):
    rig.report(arrived=1_000_000)
    assert rig.load().qps == 0
    rig.clock.pass_(5)
    rig.report(arrived=1_000_010)
    assert rig.load().qps == 2
    assert rig.traffic.totals["chat"]["arrived"] == 10


def test_a_new_agent_counts_from_zero_and_nothing_is_lost_or_jumps(rig):
    rig.report(boot="b1", arrived=1000)
    rig.clock.pass_(1)
    rig.report(boot="b1", arrived=1010)
    rig.clock.pass_(4)
    rig.report(boot="b2", arrived=5)
    assert rig.traffic.totals["chat"]["arrived"] == 15
    assert rig.load().qps == 3


def test_a_report_that_is_repeated_or_late_counts_nothing(rig):
    rig.report(seq=1)
    rig.report(seq=3, arrived=10, active=2)
    rig.report(seq=3, arrived=10, active=2)
    rig.report(seq=2, arrived=7, active=9)
    assert rig.traffic.totals["chat"]["arrived"] == 10
    assert rig.load().active == 2


def test_only_requests_that_begin_to_wait_are_urgent(rig):
    assert not rig.report()
    assert rig.report(held=1)
    assert not rig.report(held=5)
    assert not rig.report(held=0)
    assert rig.report("e2", held=1)
    assert not rig.report("e1", held=1)


def test_the_status_tells_the_last_minute(rig):
    rig.report()
    rig.clock.pass_(10)
    ttft = [0] * (len(TTFT_BOUNDS_MS) + 1)
    ttft[TTFT_BOUNDS_MS.index(100)] = 10
    rig.report(arrived=20, finished={"2xx": 10, "5xx": 6}, broken=4, ttft=tuple(ttft), ttft_sum_ms=750)
    status = rig.traffic.status("chat")
    assert (status.qps, status.failed_per_s) == (2, 1)
    assert (status.ttft_p50_ms, status.ttft_p95_ms) == (75, 97.5)
    for _ in range(7):
        rig.clock.pass_(10)
        rig.report(arrived=20, finished={"2xx": 10, "5xx": 6}, broken=4, ttft=tuple(ttft), ttft_sum_ms=750)
    status = rig.traffic.status("chat")
    assert (status.qps, status.failed_per_s, status.ttft_p50_ms) == (0, 0, None)


def test_another_versions_buckets_and_classes_are_left_out(rig):
    rig.report()
    rig.clock.pass_(5)
    rig.report(arrived=5, finished={"2xx": 5, "of the future": 5}, ttft=(5, 0), ttft_sum_ms=9)
    assert rig.traffic.status("chat").ttft_p50_ms is None
    assert "of the future" not in str(exposed(rig))


def test_what_is_not_desired_any_more_is_forgotten(rig):
    rig.report("e1", arrived=1)
    rig.report("e2", arrived=1)
    rig.traffic.keep(edges=["e1"], services=[])
    assert rig.traffic.totals == {}
    assert rig.traffic.load(["chat"]) != ()
    rig.traffic.keep(edges=[], services=["chat"])
    assert rig.traffic.load(["chat"]) == ()


def exposed(rig):
    metrics = Metrics()
    metrics.registry.register(TrafficCollector(rig.traffic))
    return metrics.text().decode()


def test_prometheus_reads_totals_since_the_controller_began(rig):
    rig.report(arrived=100, finished={"2xx": 100}, retried=50)
    ttft = [0] * (len(TTFT_BOUNDS_MS) + 1)
    ttft[0], ttft[-1] = 3, 1
    rig.report(
        arrived=105,
        finished={"2xx": 104, "5xx": 1},
        retried=52,
        broken=1,
        held=2,
        ttft=tuple(ttft),
        ttft_sum_ms=4500,
    )
    text = exposed(rig)
    for line in (
        'tradewind_requests_total{class="2xx",service="chat"} 4.0',
        'tradewind_requests_total{class="5xx",service="chat"} 1.0',
        'tradewind_requests_arrived_total{service="chat"} 5.0',
        'tradewind_requests_retried_total{service="chat"} 2.0',
        'tradewind_requests_broken_total{service="chat"} 1.0',
        'tradewind_held_requests{service="chat"} 2.0',
        'tradewind_ttft_seconds_bucket{le="0.01",service="chat"} 3.0',
        'tradewind_ttft_seconds_bucket{le="300.0",service="chat"} 3.0',
        'tradewind_ttft_seconds_bucket{le="+Inf",service="chat"} 4.0',
        'tradewind_ttft_seconds_count{service="chat"} 4.0',
        'tradewind_ttft_seconds_sum{service="chat"} 4.5',
    ):
        assert line in text, text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["count", "restart", "repeat", "lose"]), st.integers(0, 20), st.floats(0.1, 30)
        ),
        max_size=40,
    )
)
def test_whatever_happens_totals_are_what_came_and_no_rate_is_negative(steps):
    rig, boot, seq, arrived, came = Rig(), 0, 1, 0, 0
    rig.report(boot="0", seq=1)
    unheard = 0
    for what, number, seconds in steps:
        rig.clock.pass_(seconds)
        if what == "restart":
            boot, seq, arrived, unheard = boot + 1, 0, 0, 0
        elif what != "repeat":
            arrived, seq, unheard = arrived + number, seq + 1, unheard + number
        if what != "lose":
            rig.report(boot=str(boot), seq=seq or 1, arrived=arrived)
            came, unheard, seq = came + unheard, 0, max(seq, 1)
        for load in rig.traffic.load(["chat"]):
            assert 0 <= load.qps <= came / 5 + 1e-6
    assert rig.traffic.totals.get("chat", {"arrived": 0})["arrived"] == came
