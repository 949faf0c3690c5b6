"""Windows and rate policies, with the HPA's arithmetic."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.decide.memory import ScalingMemory
from lb.decide.observed import Load
from lb.decide.scaling import View, target
from lb.decide.scaling.pace import MOST_CHANGES, MOST_LEVELS, moved, reached, watched
from spec.scaling import Pace, RateKind, RatePolicy, Scaling, Select
from tests.lb.world import START, a_service

AT_ONCE = {"upscale_delay_s": 0, "downscale_delay_s": 0}


def rate(kind, value, period_s):
    return RatePolicy(kind=RateKind(kind), value=value, period_s=period_s)


def play(story, *, start=1, least=1, most=1000, **scaling):
    """(second, number) of each change over a story of (seconds, qps), and the last reason."""
    service = a_service(replicas=least, most=most, qps=1.0, scaling=scaling)
    memory, now, changes, why = ScalingMemory(start), START, [], ""
    for seconds, qps in story:
        for _ in range(seconds):
            now += 1
            number, after, reason = target(service, View(Load("chat", qps)), memory, now)
            if number != memory.target:
                changes.append((int(now - START), number))
                why = reason
            memory = after
    return changes, why


def test_so_many_pods_within_a_period():
    changes, why = play([(40, 10)], scale_up=Pace(policies=(rate("Pods", 2, 10),)), **AT_ONCE)
    assert changes == [(1, 3), (11, 5), (21, 7), (31, 9)]
    assert why.endswith("10 requests/s at 1 per replica for 0 s, at most 2 replicas in 10 s")


def test_percent_is_of_what_there_was_when_the_period_began_and_rounded_up():
    changes, _ = play([(40, 100)], start=5, scale_up=Pace(policies=(rate("Percent", 50, 10),)), **AT_ONCE)
    assert changes == [(1, 8), (11, 12), (21, 18), (31, 27)]


def test_percent_down_is_rounded_down_to_fewer():
    changes, _ = play([(25, 1)], start=10, scale_down=Pace(policies=(rate("Percent", 25, 10),)), **AT_ONCE)
    assert changes == [(1, 7), (11, 5), (21, 3)]


@pytest.mark.parametrize(("select", "number"), [(Select.MAX, 8), (Select.MIN, 5), (Select.DISABLED, None)])
def test_of_several_policies_the_selected_one_holds(select, number):
    policies = (rate("Pods", 1, 60), rate("Percent", 100, 60))
    changes, _ = play([(30, 99)], start=4, scale_up=Pace(select=select, policies=policies), **AT_ONCE)
    assert changes == ([] if number is None else [(1, number)])


@pytest.mark.parametrize(("select", "number"), [(Select.MAX, 10), (Select.MIN, 18), (Select.DISABLED, None)])
def test_downwards_the_largest_change_is_the_smallest_number(select, number):
    policies = (rate("Pods", 2, 60), rate("Percent", 50, 60))
    changes, _ = play([(30, 1)], start=20, scale_down=Pace(select=select, policies=policies), **AT_ONCE)
    assert changes == ([] if number is None else [(1, number)])


def test_a_move_the_other_way_gives_its_room_back():
    pace = Pace(policies=(rate("Pods", 2, 100),))
    changes, _ = play([(1, 10), (1, 1), (1, 10)], scale_up=pace, **AT_ONCE)
    assert changes == [(1, 3), (2, 1), (3, 3)]


def test_from_zero_and_by_changed_limits_the_number_moves_at_once():
    pace = Pace(policies=(rate("Pods", 1, 100),))
    assert play([(3, 5)], start=0, least=0, scale_up=pace, **AT_ONCE)[0][0] == (1, 5)
    assert play([(3, 5)], start=1, least=5, scale_up=pace, **AT_ONCE)[0] == [(1, 5)]


def test_a_number_that_is_not_allowed_is_not_written_down_again_and_again():
    service = a_service(replicas=1, most=9, qps=1.0, scaling={"scale_up": Pace(select=Select.DISABLED)})
    memory = ScalingMemory(1)
    for second in range(1, 400):
        after = target(service, View(Load("chat", 5)), memory, START + second)[1]
        assert second == 1 or after == memory
        memory = after


def test_a_ramp_is_followed_without_a_pause_after_each_step():
    story = [(60, float(n)) for n in range(1, 8)]
    changes, _ = play(story, upscale_delay_s=120, downscale_delay_s=120)
    assert [n for _, n in changes] == [2, 3, 4, 5]
    assert [later - at for (at, _), (later, _) in itertools.pairwise(changes)] == [60, 60, 60]


def test_a_peak_holds_the_number_for_one_window_and_no_longer():
    changes, _ = play([(100, 1), (1, 6), (300, 1)], start=8, upscale_delay_s=500, downscale_delay_s=200)
    assert changes == [(201, 6), (302, 1)]


def test_what_is_remembered_stays_small_whatever_the_load_does():
    scaling = Scaling(
        min_replicas=1,
        max_replicas=10_000,
        target_qps_per_replica=1.0,
        scale_up=Pace(policies=(rate("Pods", 1, 1800),)),
    )
    memory = ScalingMemory(5000)
    for second in range(2000):
        memory = watched(scaling, memory, 5000 + (second * 7919) % 1000 - 400, START + second)
        if second % 5 == 0:
            memory = moved(scaling, memory, memory.target + second % 3 - 1, START + second)
        assert len(memory.more) <= MOST_LEVELS
        assert len(memory.fewer) <= MOST_LEVELS
        assert len(memory.changes) <= MOST_CHANGES
    assert reached(scaling, memory, START + 2000) >= 1


paces = st.builds(
    Pace,
    select=st.sampled_from([Select.MAX, Select.MIN]),
    policies=st.lists(
        st.builds(rate, st.sampled_from(["Pods", "Percent"]), st.integers(1, 100), st.integers(1, 60)),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 60)), max_size=8), paces, paces)
def test_no_period_ever_sees_more_than_its_policy_allows(story, up, down):
    changes, _ = play(story, start=10, most=60, scale_up=up, scale_down=down, **AT_ONCE)
    for pace, sign in ((up, 1), (down, -1)):
        numbers = {0: 10} | dict(changes)
        for at, number in changes:
            before = numbers[max(t for t in numbers if t < at)]
            if (number - before) * sign <= 0:
                continue
            began = [numbers[max(t for t in numbers if t <= max(0, at - p.period_s))] for p in pace.policies]
            sizes = [
                b * p.value / 100 + 1 if p.kind is RateKind.PERCENT else p.value
                for p, b in zip(pace.policies, began, strict=True)
            ]
            kept = [sign * (number - b) <= size for b, size in zip(began, sizes, strict=True)]
            assert any(kept) if pace.select is Select.MAX else all(kept)
