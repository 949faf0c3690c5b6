"""SpotHedge by the paper and by its artifact: each rule on a trace by hand."""

from sim.baselines.placed import Placed
from sim.baselines.spothedge import SpotHedge, SpotHedgeArtifact
from sim.conditions import Conditions
from sim.policies import make
from tests.sim.clouds import a_trace, orders


def paper(extra=0):
    return Placed(SpotHedge(), extra=extra, with_fallback=False)


def artifact(extra=0):
    return Placed(SpotHedgeArtifact(), extra=extra, with_fallback=False)


def launched(found):
    return [(at, {zone: n for (zone, _), n in launch.items()}) for at, launch, _ in found]


def test_unused_zones_come_first_and_of_those_the_cheapest():
    trace = a_trace(a=9, b=9, c=9, prices={"a": 2.0, "b": 1.0, "c": 1.5})
    assert launched(orders(paper(), trace, 2)) == [(0, {"b": 1, "c": 1})]


def test_with_every_zone_used_the_rest_goes_to_the_cheapest():
    trace = a_trace(a=9, b=9, c=9, prices={"a": 2.0, "b": 1.0, "c": 1.5})
    assert launched(orders(paper(), trace, 5)) == [(0, {"b": 3, "c": 1, "a": 1})]


def test_a_refusal_moves_the_zone_to_preempting_and_the_next_launch_goes_elsewhere():
    trace = a_trace(a=0, b=9, c=9, d=9)
    assert launched(orders(paper(), trace, 2)) == [(0, {"a": 1, "b": 1}), (30, {"c": 1})]


def test_a_preemption_moves_the_zone_to_preempting_although_it_is_back_at_once():
    trace = a_trace(a=[(0, 1), (600, 0), (610, 9)], b=9, c=9, d=9)
    assert launched(orders(paper(), trace, 2)) == [(0, {"a": 1, "b": 1}), (600, {"c": 1})]


def test_the_paper_forgets_all_bad_zones_when_fewer_than_two_remain_active():
    trace = a_trace(a=0, b=0, c=9)
    assert launched(orders(paper(), trace, 1)) == [
        (0, {"a": 1}),
        (30, {"b": 1}),
        (60, {"a": 1}),
        (90, {"b": 1}),
    ] + [(30.0 * n, {"ab"[n % 2]: 1}) for n in range(4, 120)]


def test_the_artifact_forgets_them_only_when_none_remains():
    trace = a_trace(a=0, b=0, c=9)
    assert launched(orders(artifact(), trace, 1)) == [(0, {"a": 1}), (30, {"b": 1}), (60, {"c": 1})]
    found = launched(orders(artifact(), a_trace(a=0, b=0), 1, until=90))
    assert found == [(0, {"a": 1}), (30, {"b": 1}), (60, {"a": 1}), (90, {"b": 1})]


def test_a_launch_that_comes_up_moves_its_zone_back_to_active():
    """a refuses one of two, and gives the other; the two that it refused are asked for again there, once it started."""
    trace = a_trace(a=1, b=1, c=1, d=9, prices={"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
    found = launched(orders(paper(), trace, 5, until=60))
    assert found == [(0, {"a": 2, "b": 1, "c": 1, "d": 1}), (30, {"a": 1}), (60, {"b": 1})]


def test_the_artifact_takes_a_zone_back_that_holds_what_it_held():
    """a loses one of two; the paper never asks a again before a reset, the artifact does at its next look."""
    trace = a_trace(
        a=[(0, 2), (600, 1), (620, 2)], b=[(0, 1), (660, 0)], c=1, d=1, prices={"b": 2.0, "c": 3.0, "d": 4.0}
    )
    assert launched(orders(paper(), trace, 5))[1:4] == [(600, {"b": 1}), (630, {"c": 1}), (660, {"a": 2})]
    assert launched(orders(artifact(), trace, 5))[1:4] == [(600, {"b": 1}), (630, {"a": 1}), (660, {"a": 1})]


def test_what_happens_on_demand_says_nothing_of_a_zone():
    limits = a_trace(a=0, b=0, c=9)
    found = orders(
        make("spothedge+extra=0", Conditions()), a_trace(a=[(0, 0), (100, 9)], b=9, c=9), 1, on_demand=limits
    )
    assert found[:3] == [
        (0, {("a", "spot"): 1, ("a", "on_demand"): 1}, []),
        (30, {("b", "spot"): 1, ("b", "on_demand"): 1}, []),
        (60, {("c", "on_demand"): 1}, []),
    ]


def test_the_plain_name_has_one_spare_and_the_fallback():
    found = orders(make("spothedge", Conditions()), a_trace(a=9, b=9, c=9), 2)
    assert found == [
        (0, {("a", "spot"): 1, ("b", "spot"): 1, ("c", "spot"): 1, ("a", "on_demand"): 2}, []),
        (120, {}, [5, 4]),
    ]


def test_on_demand_is_bought_while_fewer_than_target_and_spare_are_ready():
    trace = a_trace(a=[(0, 1), (600, 0)], b=1, c=1)
    found = orders(make("spothedge", Conditions()), trace, 2)
    assert found[2] == (600, {("b", "spot"): 1, ("a", "on_demand"): 1}, [])
    assert not any(ended for _, _, ended in found[3:])


def test_two_spares_are_kept_when_asked():
    found = orders(make("spothedge+extra=2", Conditions()), a_trace(a=9, b=9, c=9, d=9), 2)
    assert sum(n for (_, market), n in found[0][1].items() if market == "spot") == 4


def test_a_notice_changes_nothing():
    trace = a_trace(a=[(0, 1), (600, 0)], b=9, c=9)
    assert orders(paper(), trace, 1, notice_s=120) == orders(paper(), trace, 1)
