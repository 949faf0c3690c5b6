"""What a wanted availability costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.frontier import cheapest

AVAILABLE = {"low": 0.99, "middle": 0.999, "high": 0.9999}
COST = {"low": 30.0, "middle": 40.0, "high": 60.0}


@pytest.mark.parametrize(
    ("wanted", "cost", "reaches"),
    [
        (0.9, 30.0, True),  # the cheapest is more available than wanted
        (0.99, 30.0, True),
        (0.9945, 35.0, True),
        (0.999, 40.0, True),
        (0.99945, 50.0, True),
        (1.0, 60.0, False),
    ],
)
def test_between_two_settings_it_costs_what_lies_between(wanted, cost, reaches):
    mix = cheapest(AVAILABLE, COST, wanted)
    assert mix.of(COST) == pytest.approx(cost)
    assert mix.reaches is reaches
    assert not reaches or mix.of(AVAILABLE) >= wanted - 1e-12


def test_a_setting_that_costs_more_than_a_mix_of_its_neighbours_is_left_out():
    mix = cheapest(AVAILABLE, {**COST, "middle": 59.0}, 0.999)
    assert set(mix.shares) == {"low", "high"}


shares = st.floats(0.5, 1.0)


@given(st.lists(st.tuples(shares, st.floats(1.0, 100.0)), min_size=1, max_size=5), shares)
def test_a_mix_reaches_what_any_setting_reaches_for_no_more_than_the_cheapest_that_does(settings, wanted):
    available = {str(n): a for n, (a, _) in enumerate(settings)}
    cost = {str(n): c for n, (_, c) in enumerate(settings)}
    mix = cheapest(available, cost, wanted)
    enough = [cost[n] for n in cost if available[n] >= wanted]
    assert sum(mix.shares.values()) == pytest.approx(1.0)
    assert mix.reaches == bool(enough)
    if enough:
        assert mix.of(available) >= wanted - 1e-9
        assert mix.of(cost) <= min(enough) + 1e-9
    else:
        assert mix.of(available) == max(available.values())
