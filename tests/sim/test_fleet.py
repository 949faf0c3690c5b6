"""The edge before the replicas: who gets a request, and what becomes of it when replicas come and go."""

import pytest

from sim.engine import Rates
from sim.fleet import LONGEST_HELD_S, MOST_HELD, Fleet, Workload
from sim.hosted import Hosted
from sim.policy import Cover
from sim.requests import Requests

RATES = Rates(prefill=1000, alone=10, full=16, slots=2, kv=10_000)


def a_fleet(*rows, holds=False, seed=0, rates=RATES, hosted=None):
    requests = Requests("made")
    for row in rows:
        requests.append(*row)
    workload = Workload(requests, rates, 2.0, holds=holds, hosted=hosted)
    return Fleet(workload, counts_from=0.0, end_s=10_000.0, seed=seed)


def test_a_request_is_answered_by_a_replica_that_is_ready():
    fleet = a_fleet((1.0, 500, 11))
    fleet.open(1, 0.0)
    fleet.until(60.0)
    met = fleet.met()
    assert (met.answered, met.failed) == (1, 0)
    assert met.ttft_p50_s == pytest.approx(0.5, rel=0.02)
    assert met.latency_p50_s == pytest.approx(1.5, rel=0.02)


def test_without_a_ready_replica_it_fails_at_once():
    fleet = a_fleet((1.0, 500, 11), (9.0, 500, 11))
    fleet.open(1, 5.0)
    fleet.until(60.0)
    assert (fleet.met().no_replica, fleet.met().answered) == (1, 1)


def test_of_a_service_that_goes_to_zero_requests_wait_for_the_first_replica():
    fleet = a_fleet((1.0, 500, 11), holds=True)
    fleet.until(20.0)
    assert fleet.demand().reports[-1][1].services[0].held == 1
    fleet.open(1, 30.0)
    fleet.until(60.0)
    assert fleet.met().ttft_p50_s == pytest.approx(29.5, rel=0.02)


def test_held_requests_fail_after_their_limit_and_no_more_are_held_than_there_is_room():
    fleet = a_fleet(*[(1.0, 5, 1)] * (MOST_HELD + 3), holds=True)
    fleet.until(20.0)
    assert fleet.met().no_replica == 3
    fleet.until(1.0 + LONGEST_HELD_S + 2)
    assert fleet.met().no_replica == MOST_HELD + 3


def test_the_least_busy_of_five_choices_gets_the_next_one():
    fleet = a_fleet(*[(1.0, 100, 50)] * 40, rates=Rates(prefill=1000, alone=10, full=16, slots=2, kv=10**6))
    for replica in range(4):
        fleet.open(replica, 0.0)
    fleet.until(1.5)
    in_works = [b.running + b.waiting for b in fleet.demand().engines.values()]
    assert sum(in_works) == 40
    assert max(in_works) - min(in_works) <= 3


def test_when_a_replica_dies_streams_break_and_the_others_are_tried_elsewhere():
    fleet = a_fleet((1.0, 500, 50), (1.0, 500, 50), (1.0, 500, 50))
    fleet.open(1, 0.0)
    fleet.until(1.7)
    fleet.open(2, 1.7)
    fleet.lose(1, 1.7)
    fleet.until(60.0)
    met = fleet.met()
    assert (met.broken, met.retried, met.answered) == (1, 2, 2)
    assert (met.failed, met.lost) == (1, 0)


def test_without_another_replica_what_waited_is_lost():
    fleet = a_fleet((1.0, 500, 50), (1.0, 500, 50))
    fleet.open(1, 0.0)
    fleet.lose(1, 1.2)
    met = fleet.met()
    assert (met.lost, met.broken, met.failed) == (2, 0, 2)


def test_a_request_is_tried_again_three_times_at_most():
    fleet = a_fleet((1.0, 5000, 50))
    for replica in range(6):
        fleet.open(replica, 0.0)
    for n in range(6):
        at = 1.5 + n * 0.5
        fleet.until(at)
        there = [i for i, b in fleet.demand().engines.items() if b.running]
        if not there:
            break
        fleet.lose(there[0], at)
    assert n == 4
    assert (fleet.met().lost, fleet.met().retried) == (1, 1)


def test_a_closed_replica_answers_what_it_has_and_gets_nothing_new():
    fleet = a_fleet((1.0, 500, 50), (2.0, 500, 50))
    fleet.open(1, 0.0)
    fleet.close(1, 1.8)
    assert not fleet.is_done(1)
    fleet.until(60.0)
    assert fleet.demand().engines[1].running == 0
    assert fleet.is_done(1)
    assert (fleet.met().answered, fleet.met().no_replica) == (1, 1)


def test_what_never_fits_into_the_kv_cache_is_refused():
    fleet = a_fleet((1.0, 9999, 2), (1.5, 10, 2))
    fleet.open(1, 0.0)
    fleet.until(60.0)
    assert (fleet.met().too_long, fleet.met().answered) == (1, 1)


def test_reports_count_up_every_second_with_a_change_in_the_edges_own_words():
    fleet = a_fleet((1.0, 500, 11), (1.2, 500, 11))
    fleet.open(1, 0.0)
    fleet.until(20.0)
    reports = fleet.demand().reports
    assert [at for at, _ in reports] == [1.0, 2.0, 4.0, 9.0, 14.0, 19.0]
    counted = [r.services[0] for _, r in reports]
    assert [c.arrived for c in counted[:3]] == [0, 2, 2]
    assert (counted[1].active, counted[-1].active) == (2, 0)
    assert counted[-1].finished["2xx"] == 2
    assert sum(counted[-1].ttft) == 2
    assert fleet.demand().reports == []


def test_engines_tell_how_busy_their_gpu_was_since_the_last_look():
    fleet = a_fleet((10.0, 500, 46))
    fleet.open(1, 0.0)
    fleet.until(10.0)
    assert fleet.demand().engines[1].gpu == 0.0
    fleet.until(20.0)
    assert fleet.demand().engines[1].gpu == pytest.approx(0.5)


def test_the_last_minute_slides():
    fleet = a_fleet(*[(10.0 * n, 1, 1) for n in range(1, 13)])
    fleet.open(1, 0.0)
    fleet.until(100.0)
    assert (
        fleet.demand().arrived == 5
    )  # 50 to 90: what comes at 100 has not come yet, what came at 40 is a minute ago
    fleet.until(125.0)
    assert fleet.demand().arrived == 6


def test_the_same_seed_chooses_the_same():
    def times(seed):
        fleet = a_fleet(*[(n * 0.2, 300, 20) for n in range(200)], seed=seed)
        for replica in range(3):
            fleet.open(replica, 0.0)
        fleet.until(500.0)
        return fleet.met()

    assert times(1) == times(1) != times(2)


OFFER = Hosted(usd_input=1.0, usd_output=2.0, ttft_s=0.5, tokens_s=100.0)


def test_without_a_ready_replica_a_hosted_provider_answers_for_money():
    fleet = a_fleet((1.0, 500, 11), (9.0, 500, 11), hosted=OFFER)
    fleet.open(1, 5.0)
    fleet.until(60.0)
    met = fleet.met()
    assert (met.answered, met.failed, met.hosted) == (2, 0, 1)
    assert fleet.hosted_usd == pytest.approx((500 * 1.0 + 11 * 2.0) / 1e6)
    assert met.ttft_p99_s == pytest.approx(0.5, rel=0.02)
    assert met.latency_p50_s == pytest.approx(0.6, rel=0.02)


def test_what_has_no_first_byte_yet_goes_there_when_the_last_replica_dies():
    fleet = a_fleet((1.0, 500, 50), (1.0, 500, 50), hosted=OFFER)
    fleet.open(1, 0.0)
    fleet.until(1.7)
    fleet.lose(1, 1.7)
    fleet.until(60.0)
    met = fleet.met()
    assert (met.broken, met.lost, met.retried, met.hosted, met.answered) == (1, 0, 1, 1, 1)


def test_of_a_service_that_goes_to_zero_it_answers_instead_of_the_wait():
    fleet = a_fleet((1.0, 500, 11), holds=True, hosted=OFFER)
    fleet.until(20.0)
    assert (fleet.met().answered, fleet.demand().reports[-1][1].services[0].held) == (1, 0)


def test_beyond_its_limit_of_an_hour_nobody_answers_until_the_next():
    each = OFFER.usd(1000, 0)
    limited = Hosted(1.0, 2.0, most_usd_hour=2.5 * each)
    fleet = a_fleet(*[(at, 1000, 0) for at in (1.0, 2.0, 3.0, 3700.0)], hosted=limited)
    fleet.until(4000.0)
    assert (fleet.met().hosted, fleet.met().no_replica) == (3, 1)
    assert fleet.hosted_usd == pytest.approx(3 * each)


def test_its_answers_are_in_the_edges_reports_as_any_other():
    fleet = a_fleet((1.0, 500, 201), hosted=OFFER)
    fleet.until(3.0)
    assert fleet.demand().reports[-1][1].services[0].active == 1
    fleet.until(20.0)
    counted = fleet.demand().reports[-1][1].services[0]
    assert (counted.active, counted.finished["2xx"], sum(counted.ttft)) == (0, 1, 1)


def test_the_cover_is_what_all_requests_of_the_last_minute_would_cost_in_an_hour():
    fleet = a_fleet(*[(float(n), 1000, 100) for n in range(1, 601)], (1000.0, 1, 1), hosted=OFFER)
    fleet.open(1, 0.0)
    fleet.until(300.0)
    assert fleet.demand().cover == Cover(pytest.approx(3600 * 1200 / 1e6, rel=0.03), None)
    fleet.until(900.0)
    assert fleet.demand().cover == Cover(0.0, None)
    assert a_fleet((1.0, 1, 1)).demand().cover is None


@pytest.mark.parametrize("wrong", [(-1, 1), (1, float("nan")), (1, 1, 0), (1, 1, float("inf"))])
def test_an_offer_that_can_not_be_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        Hosted(*wrong)
