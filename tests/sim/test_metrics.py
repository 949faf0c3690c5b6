"""What a run comes to."""

import pytest

from sim.metrics import Tally


def test_shares_are_of_scored_time_and_money_of_all_of_it():
    tally = Tally(calls=7, preemptions=1, launches=9, failed_launches=4, launch_usd=1.0)
    tally.pass_time(3600, target=2, ready=0, scored=False)
    tally.pass_time(1800, target=2, ready=0, scored=True)
    tally.pass_time(1800, target=2, ready=1, scored=True)
    tally.pass_time(3600, target=2, ready=3, scored=True)
    tally.pay(3, spot=1.0, on_demand=2.0, reference=6.0)
    result = tally.result("x")
    assert (result.availability, result.zero_ready, result.served) == (0.5, 0.25, 0.625)
    assert result.cost_usd == pytest.approx(10.0)
    assert result.cost_ratio == pytest.approx(10 / 18)
    assert result.cost_on_demand_part == pytest.approx(0.6)
    assert result.calls_per_hour == pytest.approx(7 / 3)


def test_where_nothing_was_wanted_nothing_was_missing():
    tally = Tally()
    tally.pass_time(3600, target=0, ready=0, scored=True)
    result = tally.result("x")
    assert (result.availability, result.served, result.zero_ready, result.cost_ratio) == (1.0, 1.0, 0.0, 0.0)
