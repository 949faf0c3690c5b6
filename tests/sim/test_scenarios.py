"""The published comparisons."""

import pytest

from sim.conditions import Victim
from sim.generate import TraceKind
from sim.scenarios import SCENARIOS


def test_the_scenarios_hold_every_case_that_the_comparison_promises():
    assert {s.kind for s in SCENARIOS} == set(TraceKind)
    assert {s.cold_start_s for s in SCENARIOS} >= {120, 300, 600, 900}
    assert {s.launch_usd for s in SCENARIOS} >= {0, 10}
    assert {s.notice for s in SCENARIOS} == {"none", "gcp", "aws"}
    assert {s.victim for s in SCENARIOS} == set(Victim)
    assert {s.late for s in SCENARIOS} == {s.scarce for s in SCENARIOS} == {True, False}
    assert (min(s.target for s in SCENARIOS), max(s.target for s in SCENARIOS)) == (1, 200)


def test_at_night_fewer_are_wanted_for_twelve_hours():
    scenario = next(s for s in SCENARIOS if s.night is not None)
    targets = scenario.targets()
    assert targets[:3] == [(0, scenario.night), (43_200, scenario.target), (86_400, scenario.night)]
    assert targets[-1][0] == scenario.days * 86_400 - 43_200


def test_names_are_unique_and_the_quick_ones_cover_most_kinds():
    assert len({s.name for s in SCENARIOS}) == len(SCENARIOS)
    assert len({s.kind for s in SCENARIOS if s.quick}) >= 5


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_a_scenario_and_a_seed_give_the_same_clouds_every_time(scenario):
    trace, again = scenario.trace(1), scenario.trace(1)
    assert trace.zones == again.zones
    assert scenario.conditions(1) == scenario.conditions(1)
    assert (scenario.on_demand(1) is not None) == scenario.scarce
    assert trace.days == scenario.days
    assert trace.notes == ()
