"""The product's own decisions in the simulated clouds: what becomes of a replica under notice."""

import pytest

from sim.compare import run
from sim.conditions import ColdStart, Conditions
from sim.engine import Rates
from sim.fleet import Fleet, Workload
from sim.policies import make
from sim.requests import Requests
from sim.serving import DRAIN_S
from sim.world import World
from spec.scaling import Scaling
from tests.sim.clouds import QUICK, Noted, a_trace, orders

KILL = 1800.0


def taken_at_the_kill(**more):
    return a_trace(a=[(0, 1), (KILL, 0)], prices={"a": 0.5}, **more)


@pytest.mark.parametrize("notice_s", [30.0, 60.0])
def test_without_requests_one_under_notice_serves_to_the_kill(notice_s):
    trace = taken_at_the_kill(b=3)
    served = [
        run("tradewind+slo=90", trace, Conditions(cold_start=QUICK, notice_s=s), 1).availability
        for s in (0.0, notice_s)
    ]
    gained_s = (served[1] - served[0]) * (trace.end_s - QUICK.total_s)
    assert gained_s == pytest.approx(notice_s, abs=30)


def test_one_that_is_told_long_before_is_ended_once_another_serves():
    found = orders(
        make("tradewind+slo=90", Conditions(cold_start=QUICK)), taken_at_the_kill(b=3), 1, notice_s=900.0
    )
    launched = next(at for at, launch, _ in found if ("b", "spot") in launch)
    assert launched == pytest.approx(KILL - 900, abs=30)
    assert [at for at, _, ended in found if ended] == [pytest.approx(launched + QUICK.total_s + 30, abs=30)]


def test_with_requests_one_under_notice_takes_none_as_long_before_the_kill_as_answers_may_take():
    requests = Requests("made")
    for n in range(3600):
        requests.append(n + 1.0, 10, 5)
    fleet = Fleet(
        Workload(requests, Rates(prefill=1000, alone=10, full=40, slots=8, kv=100_000), 2.0),
        counts_from=0.0,
        end_s=3600.0,
        seed=0,
    )
    conditions = Conditions(cold_start=ColdStart(60, 300), tick_s=10.0, notice_s=2 * DRAIN_S)
    scaling = Scaling(min_replicas=2, max_replicas=2)
    policy = Noted(make("tradewind+slo=90", conditions, scaling=scaling))
    World(taken_at_the_kill(b=1, c=1), conditions, 2, fleet=fleet).run(policy)
    ends = [at for at, _, ended in policy.orders if ended]
    assert ends[-1] == pytest.approx(KILL - DRAIN_S, abs=10)
    assert fleet.met().broken == 0


def test_a_service_that_has_one_zone_tries_spot_there():
    """Nothing is known of it, and nothing ever would be from outside: on demand it would stay for good."""
    found = run(
        "tradewind+slo=99.9", a_trace(3 * 86_400, a=[(0, 4)]), Conditions(cold_start=ColdStart.of(120)), 3
    )
    assert found.availability == 1.0
    assert found.cost_ratio < 0.5
