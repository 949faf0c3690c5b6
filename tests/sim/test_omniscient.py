"""The optimum that knows the trace: right on traces that one can solve by hand, and below every policy."""

from dataclasses import replace

import pytest

from sim.conditions import ColdStart, Conditions
from sim.generate import TraceKind, generate
from sim.omniscient import NoOptimum, omniscient
from sim.policies import DEFAULT, OMNISCIENT, make
from sim.scenarios import SCENARIOS
from sim.world import World
from spec.errors import OutsideError
from tests.sim.clouds import a_trace

COLD = Conditions(cold_start=ColdStart.of(360))


def usd(trace, target=1, conditions=COLD, **more):
    return omniscient(trace, conditions, target, short=0.0, **more).cost_usd


def test_with_enough_spot_it_pays_the_cheapest_zone_and_nothing_else():
    assert usd(a_trace(36_000, a=5, b=5, prices={"a": 2.0}), 3) == pytest.approx(3 * 10)


def test_a_short_gap_is_bridged_on_demand_for_its_length_and_the_cold_starts():
    trace = a_trace(36_000, a=[(0, 1), (18_000, 0), (19_000, 1)])
    gap_h = (1000 + 360) / 3600  # until spot is ready again
    spot_h, cold_h = 10 - gap_h, 0.1
    assert usd(trace) == pytest.approx((spot_h + cold_h) * 1.0 + (gap_h + cold_h) * 3.0)


def test_spot_that_lasts_too_short_to_pay_for_its_cold_start_is_left_alone():
    trace = a_trace(36_000, a=[(0, 0), (18_000, 1), (18_370, 0)])
    result = omniscient(trace, COLD, 1, short=0.0)
    assert result.cost_on_demand_part == 1.0
    assert result.cost_usd == pytest.approx(30.0)


def test_a_launch_that_costs_more_than_staying_keeps_it_on_demand():
    trace = a_trace(36_000, a=[(0, 0), (18_000, 1), (25_200, 0)])
    cheap, dear = (Conditions(cold_start=COLD.cold_start, launch_usd=c) for c in (0.0, 10.0))
    assert omniscient(trace, cheap, 1, short=0.0).cost_on_demand_part < 1
    assert omniscient(trace, dear, 1, short=0.0).cost_on_demand_part == pytest.approx(30 / 40)


def test_the_time_that_may_be_short_is_used_where_it_saves_most():
    trace = a_trace(36_000, a=[(0, 1), (18_000, 0), (18_360, 1)])
    result = omniscient(trace, COLD, 1, short=720 / 35_640)
    assert result.availability == pytest.approx(1 - 720 / 35_640)
    assert result.cost_on_demand_part == pytest.approx(0, abs=1e-9)


def test_where_on_demand_is_to_be_had_it_is_launched_before_it_is_needed():
    trace = a_trace(36_000, a=[(0, 1), (18_000, 0)])
    limits = a_trace(36_000, a=[(0, 1), (3600, 0)])
    result = omniscient(trace, COLD, 1, short=0.0, on_demand=limits)
    assert result.cost_usd == pytest.approx(3 * (10 - 0.1) + 0.3, rel=0.2)


def test_a_trace_shorter_than_a_cold_start_has_nothing_to_optimise():
    result = omniscient(a_trace(60, a=1), COLD, 1)
    assert (result.cost_usd, result.availability, result.zero_ready) == (0, 0, 1)


def test_what_cannot_be_served_at_all_is_said():
    with pytest.raises(OutsideError, match="no optimum"):
        omniscient(a_trace(36_000, a=0), COLD, 1, on_demand=a_trace(36_000, a=0))


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.quick], ids=lambda s: s.name)
def test_no_policy_of_equal_availability_is_cheaper(scenario):
    trace, conditions = replace(scenario, days=4).trace(1), scenario.conditions(1)
    for name in DEFAULT:
        if name == OMNISCIENT:
            continue
        reached = World(trace, conditions, scenario.target).run(make(name, conditions)).result(name)
        best = omniscient(trace, conditions, scenario.target, short=1 - reached.availability + 1e-9)
        assert best.cost_usd <= reached.cost_usd * 1.0001, name


def test_an_optimum_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr("sim.omniscient.LIMIT_S", 0.0)
    with pytest.raises(NoOptimum, match="leave that policy out or cut the trace"):
        omniscient(generate(TraceKind.AGED, seed=1, days=20, room=4), Conditions(), 3)
