"""The simulated clouds with requests: what is paid for, what is lost with a machine, and that the number follows the load."""

import pytest

from sim.compare import run_requests
from sim.conditions import ColdStart, Conditions
from sim.engine import Rates
from sim.fleet import Fleet, Workload
from sim.hosted import Hosted
from sim.policies import make
from sim.policy import Launch, Orders
from sim.requests import Requests
from sim.world import World
from spec.names import Market
from spec.scaling import Scaling
from tests.sim.clouds import QUICK, a_trace

RATES = Rates(prefill=1000, alone=10, full=40, slots=8, kv=100_000)
"""Of requests of 100 and 21 tokens a replica takes 1.67 per second."""


def steady(per_s, seconds, prompt=100, output=21):
    requests = Requests("made")
    for n in range(int(per_s * seconds)):
        requests.append((n + 1) / per_s, prompt, output)
    return requests


def result(name, requests, trace=None, holds=False, **scaling):
    given = Scaling(**{"min_replicas": 1, "max_replicas": 9} | scaling)
    conditions = Conditions(cold_start=QUICK)
    workload = Workload(requests, RATES, 2.0, holds=holds)
    return run_requests(name, trace or a_trace(7200, a=50, b=50), conditions, given, workload)


class Scripted:
    """Orders by the clock."""

    def __init__(self, **at):
        self.orders = {int(k[1:]): v for k, v in at.items()}

    def step(self, view, now):
        orders = self.orders.pop(round(now), Orders())
        return Orders(orders.launch, orders.end, wake_at=now + 10)


def scripted(policy, requests, trace=None, notice_s=0.0):
    fleet = Fleet(Workload(requests, RATES, 2.0), counts_from=0.0, end_s=3600.0, seed=0)
    conditions = Conditions(cold_start=ColdStart(10, 10), tick_s=10.0, notice_s=notice_s)
    world = World(trace or a_trace(a=9), conditions, 1, fleet=fleet)
    return world.run(policy), fleet.met()


ONE = Orders(launch=[Launch("a", Market.SPOT)])


def test_a_replica_that_is_ended_answers_what_it_has_and_is_paid_for_until_then():
    requests = Requests("made")
    requests.append(50.0, 100, 301)  # 0.1 s and 300 steps of 0.1 s: until 80.1 s
    requests.append(3000.0, 1, 1)
    tally, met = scripted(Scripted(t0=ONE, t60=Orders(end=[1])), requests)
    assert (met.answered, met.broken, met.no_replica) == (1, 0, 1)
    assert tally.spot_usd == pytest.approx(90 / 3600)


def test_one_that_takes_too_long_for_it_is_ended_all_the_same():
    requests = Requests("made")
    requests.append(50.0, 100, 5000)
    requests.append(3000.0, 1, 1)
    tally, met = scripted(Scripted(t0=ONE, t60=Orders(end=[1])), requests)
    assert (met.answered, met.broken) == (0, 1)
    assert tally.spot_usd == pytest.approx(180 / 3600)


def test_a_preempted_replica_takes_its_streams_along():
    requests = Requests("made")
    requests.append(50.0, 100, 301)
    requests.append(3000.0, 1, 1)
    tally, met = scripted(Scripted(t0=ONE), requests, a_trace(a=[(0, 1), (60, 0)]))
    assert (met.broken, met.no_replica, met.answered) == (1, 1, 0)
    assert tally.spot_usd == pytest.approx(60 / 3600)


@pytest.mark.parametrize(("tokens", "answered"), [(11, 1), (901, 0)])
def test_one_that_is_ended_after_its_notice_has_until_its_preemption_at_most(tokens, answered):
    requests = Requests("made")
    requests.append(50.0, 100, tokens)
    requests.append(3000.0, 1, 1)
    trace = a_trace(a=[(0, 1), (120, 0)])
    _, met = scripted(Scripted(t0=ONE, t70=Orders(end=[1])), requests, trace, notice_s=60.0)
    assert (met.answered, met.broken) == (answered, 1 - answered)


def test_the_run_is_as_long_as_the_shorter_trace():
    short = result("on-demand", steady(1.0, 600), target_qps_per_replica=1.0)
    assert short.requests.requests == 600 - 119
    cut = result("on-demand", steady(1.0, 600), a_trace(300, a=9), target_qps_per_replica=1.0)
    assert cut.requests.requests == 300 - 119


@pytest.mark.parametrize(
    "scaling",
    [
        {"target_qps_per_replica": 1.0},
        {"target_inflight_per_replica": 3.2},
        {"target_kv_cache_utilization": 0.0035},
        {"target_gpu_utilization": 0.9},
        {"target_queue_per_replica": 1.0},
        {"target_ttft_ms": 500.0},
    ],
    ids=lambda s: next(iter(s)),
)
def test_the_products_own_decisions_follow_each_signal_of_the_load(scaling):
    busy = result("tradewind", steady(5.0, 1500), **scaling)
    alone = result("tradewind", steady(5.0, 1500), **scaling, max_replicas=1)
    assert busy.launches > 1
    assert busy.requests.ttft_p50_s < alone.requests.ttft_p50_s / 1.5
    idle = result("tradewind", steady(0.02, 1500), **scaling)
    assert idle.cost_usd < busy.cost_usd / 2


def test_a_steady_load_is_held_by_as_many_replicas_as_it_needs():
    for name in ("tradewind", "tradewind+qps", "spothedge"):
        met = result(name, steady(5.0, 2700), target_qps_per_replica=1.25).requests
        assert met.failed == 0
        assert met.ttft_p50_s < 2


def test_the_baseline_scales_as_late_as_skyserve_and_no_earlier():
    """Five replicas are asked for from 60 s on; after fifteen looks they are launched, and two minutes later they serve."""
    late = result("on-demand", steady(5.0, 1800), target_qps_per_replica=1.0).requests
    spike = result(
        "tradewind", steady(5.0, 1800), target_qps_per_replica=1.0, target_queue_per_replica=2.0
    ).requests
    assert spike.late < late.late / 1.3


def test_to_zero_and_back_requests_wait_and_none_is_lost():
    requests = Requests("made")
    for at in (10.0, 5000.0):
        for n in range(5):
            requests.append(at + n, 100, 21)
    requests.append(7000.0, 1, 1)
    found = result("tradewind", requests, holds=True, min_replicas=0, target_qps_per_replica=1.0)
    assert found.requests.failed == 0
    assert found.requests.requests == 6
    assert found.requests.ttft_p99_s == pytest.approx(130, abs=15)
    assert found.cost_usd < 2 * 3.0 * (20 + 8) / 60


def test_a_policy_that_follows_requests_needs_some():
    with pytest.raises(Exception, match="needs a request trace"):
        make("tradewind+qps", Conditions())


def test_the_same_seed_gives_the_same_result():
    trace = a_trace(3600, a=[(0, 3), (1000, 1), (1500, 4)], b=[(0, 2), (1800, 0)])
    runs = [result("tradewind", steady(4.0, 3000), trace, target_inflight_per_replica=4.0) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].preemptions > 0


def covered(name, requests, offer, trace=None, **scaling):
    conditions = Conditions(cold_start=QUICK)
    given = Scaling(**{"min_replicas": 2, "max_replicas": 9} | scaling)
    workload = Workload(requests, RATES, 2.0, hosted=offer)
    return run_requests(name, trace or a_trace(7200, a=50, b=50), conditions, given, workload)


OFFER = Hosted(usd_input=1.0, usd_output=2.0)


def test_what_a_hosted_provider_takes_is_part_of_the_cost_of_every_policy():
    nobody = a_trace(3600, a=0)
    for name in ("round-robin", "even-spread"):
        found = covered(name, steady(1.0, 1800), OFFER, nobody, target_qps_per_replica=1.0)
        assert (found.requests.failed, found.requests.hosted) == (0, found.requests.requests)
        assert found.cost_usd == pytest.approx(1800 * OFFER.usd(100, 21))
        assert found.cost_hosted_part == 1.0


@pytest.mark.parametrize("name", ["tradewind+slo=99.99", "tradewind+qps+slo=99.99"])
def test_where_it_covers_no_spare_is_paid_for(name):
    """Both ask for two replicas; a loss of them costs cents when the answers can be bought."""
    scaling = {"target_qps_per_replica": 1.0}
    alone = covered(name, steady(1.0, 5400), None, **scaling)
    cheap = covered(name, steady(1.0, 5400), OFFER, **scaling)
    dear = covered(name, steady(1.0, 5400), Hosted(10_000.0, 20_000.0), **scaling)
    assert cheap.cost_usd < 0.8 * alone.cost_usd
    assert min(dear.launches, alone.launches) > cheap.launches
    assert cheap.requests.failed == 0


def test_to_zero_and_back_it_answers_instead_of_letting_wait():
    requests = Requests("made")
    for at in (10.0, 5000.0):
        for n in range(5):
            requests.append(at + n, 100, 21)
    requests.append(7000.0, 1, 1)
    workload = Workload(requests, RATES, 2.0, holds=True, hosted=OFFER)
    scaling = Scaling(min_replicas=0, max_replicas=9, target_qps_per_replica=1.0)
    conditions = Conditions(cold_start=QUICK)
    found = run_requests("tradewind", a_trace(7200, a=50), conditions, scaling, workload)
    assert found.requests.hosted == 6
    assert found.requests.ttft_p99_s == pytest.approx(OFFER.ttft_s, rel=0.02)
    assert found.launches > 0
