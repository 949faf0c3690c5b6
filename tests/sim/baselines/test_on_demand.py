"""On demand: O(t) = min(N, N + N_extra - ready_spot), in the cheapest zone that gives any."""

import pytest

from sim.baselines.on_demand import OnDemandOnly, fallback
from sim.conditions import Conditions
from sim.policies import make
from sim.world import World
from tests.sim.clouds import a_trace, orders


@pytest.mark.parametrize(
    ("target", "extra", "ready", "want"),
    [
        (3, 0, 0, 3),
        (3, 0, 2, 1),
        (3, 0, 3, 0),
        (3, 1, 0, 3),
        (3, 1, 1, 3),
        (3, 1, 3, 1),
        (3, 1, 4, 0),
        (3, 0, 5, 0),
    ],
)
def test_the_fallback_is_what_is_not_ready_on_spot_but_never_more_than_the_target(target, extra, ready, want):
    assert fallback(target, extra, ready) == want


def test_on_demand_only_launches_once_and_is_never_asked_to_pay_for_more():
    trace = a_trace(a=5, b=5)
    assert orders(OnDemandOnly(), trace, 3) == [(0, {("a", "on_demand"): 3}, [])]
    result = World(trace, Conditions(), 3).run(OnDemandOnly()).result("on-demand")
    assert (result.availability, result.cost_ratio, result.cost_on_demand_part) == pytest.approx((1, 1, 1))


def test_the_cheapest_zone_is_taken():
    trace = a_trace(a=5, b=5)
    trace.zones["b"].on_demand[0] = 2.5
    assert orders(OnDemandOnly(), trace, 2) == [(0, {("b", "on_demand"): 2}, [])]


def test_a_zone_that_refuses_on_demand_is_passed_over_until_all_have():
    limits = a_trace(a=0, b=[(0, 0), (100, 2)])
    found = orders(OnDemandOnly(), a_trace(a=5, b=5), 2, on_demand=limits)
    zones = [next(iter(launched))[0] for _, launched, _ in found]
    assert [at for at, _, _ in found] == [0, 30, 60, 90, 120, 150]
    assert zones == ["a", "b", "a", "b", "a", "b"]


def test_a_lower_target_ends_the_newest_and_least_far():
    found = orders(OnDemandOnly(), a_trace(a=5), [(0, 3), (600, 4), (630, 2)])
    assert found == [
        (0, {("a", "on_demand"): 3}, []),
        (600, {("a", "on_demand"): 1}, []),
        (630, {}, [4, 3]),
    ]


def test_the_fallback_bridges_the_cold_start_and_is_given_back_as_soon_as_spot_is_ready():
    found = orders(make("even-spread+fallback", Conditions()), a_trace(a=1, b=1), 2)
    assert found == [
        (0, {("a", "spot"): 1, ("b", "spot"): 1, ("a", "on_demand"): 2}, []),
        (120, {}, [4, 3]),
    ]


def test_the_fallback_covers_a_loss_and_nothing_else():
    found = orders(make("even-spread+fallback", Conditions()), a_trace(a=[(0, 1), (600, 0)], b=1), 2)
    assert found[2] == (600, {("a", "spot"): 1, ("a", "on_demand"): 1}, [])
    assert all(launched == {("a", "spot"): 1} and not ended for _, launched, ended in found[3:])


def test_with_a_spare_on_demand_stays_until_the_spare_is_ready_too():
    found = orders(make("round-robin+fallback+extra=1", Conditions()), a_trace(a=1, b=[(0, 0), (600, 1)]), 1)
    ended = [(at, ids) for at, _, ids in found if ids]
    assert found[0] == (0, {("a", "spot"): 1, ("b", "spot"): 1, ("a", "on_demand"): 1}, [])
    assert len(ended) == 1
    assert ended[0][0] >= 720


def test_nothing_asked_for_is_nothing_launched_not_even_a_spare():
    assert orders(make("spothedge+extra=2", Conditions()), a_trace(a=3, b=3), 0) == []
