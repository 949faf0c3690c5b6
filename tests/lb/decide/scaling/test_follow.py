"""How the number of replicas follows the load."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.decide import Memory, decide
from lb.decide.memory import ScalingMemory
from lb.decide.observed import EngineLoad, Load
from lb.decide.scaling import Supply, View, target, with_spares
from lb.decide.scaling.signals import by_in_flight, by_qps
from lb.decide.units import units_of
from tests.lb.world import START, World, a_desired, a_pool, a_service


def scaled(*, least=1, most=10, qps: float | dict = 1.0, **more) -> World:
    world = World(a_desired([a_service(replicas=least, most=most, qps=qps, **more)]))
    world.asks(0)
    world.run(5)
    return world


def play(service, story, *, memory=None, now=START, every=1.0):
    """The targets over a story of (seconds, qps)."""
    found = []
    for seconds, qps in story:
        load = None if qps is None else Load(service.name, qps)
        for _ in range(int(seconds / every)):
            now += every
            number, memory, _ = target(service, View(load), memory, now)
            found.append(number)
    return found, memory


def test_without_a_target_of_load_the_number_is_fixed_whatever_is_asked():
    world = World(a_desired([a_service(replicas=2, most=5)]))
    world.asks(100)
    world.run(2000, step=10)
    assert world.ready() == 2


def test_a_fixed_zero_stays_zero_whatever_is_asked():
    world = World(a_desired([a_service(replicas=0, most=3)]))
    world.asks(5, held=3)
    world.run(60)
    assert not world.machines


def test_more_load_brings_more_replicas_after_the_delay_and_says_why():
    world = scaled()
    world.asks(4.6)
    world.run(299)
    assert world.ready() == 1
    decisions = world.run(5)
    assert "chat: 1 -> 5 replicas: 4.6 requests/s at 1 per replica for 300 s" in {
        r for d in decisions for r in d.reasons
    }
    assert world.ready() == 5


def test_a_dip_of_the_load_costs_its_length_twice_and_never_what_was_there_before():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(10, 0.5), (290, 3), (5, 0.5), (14, 3)])
    assert set(found) == {1}
    found, _ = play(service, [(10, 0.5), (290, 3), (5, 0.5), (16, 3)])
    assert found[-1] == 3


def test_a_load_that_asks_for_more_less_than_half_of_the_time_moves_nothing():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(10, 0.5), *[(20, 3), (21, 0.5)] * 100])
    assert set(found) == {1}


def test_the_number_moves_to_the_least_that_was_asked_for_all_the_time():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(10, 0.5), (150, 8), (20, 2.5), (140, 9)])
    assert found[-1] == 3


def test_a_load_that_falls_just_when_the_delay_is_over_moves_to_what_it_asks_for_still():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(300, 3), (10, 2)], every=10.0)
    assert found[-1] == 2


def test_less_load_ends_replicas_after_the_longer_delay_and_keeps_the_most_that_was_asked_for():
    service = a_service(replicas=1, most=10, qps=1.0)
    start = ScalingMemory(6)
    found, _ = play(service, [(1000, 1), (20, 3.5), (179, 1)], memory=start)
    assert set(found) == {6}
    found, _ = play(service, [(1000, 1), (20, 3.5), (190, 1)], memory=start)
    assert found[-1] == 4


def test_the_other_direction_starts_its_own_delay():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(1000, 1), (200, 8), (1100, 1)], memory=ScalingMemory(4))
    assert set(found) == {4}


def test_limits_hold_whatever_is_asked():
    service = a_service(replicas=2, most=4, qps=1.0)
    found, _ = play(service, [(1, 0), (400, 1000), (2600, 0)])
    assert (min(found), max(found)) == (2, 4)
    assert found[-1] == 2


def test_changed_limits_apply_at_once():
    service = a_service(replicas=5, most=8, qps=1.0)
    number, memory, reason = target(service, View(Load("chat", 1)), ScalingMemory(2), START)
    assert (number, memory.target) == (5, 5)
    assert reason == "chat: 2 -> 5 replicas: its limits are 5 and 8"


def test_starting_replicas_count_so_that_a_slow_start_asks_for_no_more():
    world = scaled(most=6)
    world.asks(3)
    world.mute = True
    world.run(700)
    assert len(world.machines) == 3


# ---------------------------------------------------------------- nobody tells of the load


def test_while_no_edge_tells_of_the_load_the_number_is_held_and_said_so():
    world = scaled()
    world.asks(4)
    world.run(310)
    world.load.clear()
    decisions = world.run(3000, step=10)
    assert world.ready() == 4
    assert "chat: nobody tells of its load, so its number stays 4 replicas" in decisions[-1].reasons


def test_silence_counts_neither_as_more_nor_as_less():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(10, 0.5), (250, 3), (100, None), (50, 3)])
    assert set(found) == {1}
    found, _ = play(service, [(10, 0.5), (250, 3), (100, None), (53, 3)])
    assert found[-1] == 3


def test_nothing_is_shed_for_a_time_that_nobody_tells_of():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(1190, 1), (1, None), (1190, 1)], memory=ScalingMemory(4))
    assert set(found) == {4}


# ---------------------------------------------------------------- zero


def test_a_service_that_may_have_none_starts_with_none():
    world = scaled(least=0)
    assert not world.machines


@pytest.mark.parametrize("load", [{"qps": 0.0167}, {"qps": 0.0, "held": 1}, {"qps": 0.0, "active": 1}])
def test_any_request_wakes_a_service_from_zero_at_once(load):
    world = scaled(least=0)
    world.asks(**load)
    world.run(3)
    assert world.ready() == 1


def test_what_is_asked_for_from_zero_comes_at_once_because_nothing_serves_meanwhile():
    world = scaled(least=0)
    world.asks(3.5, held=40)
    decision = world.tick()
    assert "chat: 0 -> 4 replicas: 40 held requests" in decision.reasons


def test_a_service_goes_to_zero_only_after_the_whole_delay_without_any_request():
    world = scaled(least=0)
    world.asks(0.5)
    world.run(5)
    world.asks(0)
    world.run(1000, step=10)
    world.asks(0, active=1)  # one that streams for long
    world.tick()
    world.asks(0)
    world.run(1190, step=10)
    assert world.ready() == 1
    decisions = world.run(30, step=5)
    assert "chat: 1 -> 0 replicas: 0 requests/s at 1 per replica for 1200 s" in {
        r for d in decisions for r in d.reasons
    }
    assert not world.machines


# ---------------------------------------------------------------- per accelerator


def test_each_accelerator_counts_for_what_it_takes_whatever_its_case():
    service = a_service(most=10, qps={"l4": 2.0, "A100": 5.0})
    big, small = a_pool(accelerator="A100"), a_pool(accelerator="L4")
    units = units_of(service.scaling, [big, small])
    assert (units.of(small), units.of(big)) == (2, 5)
    supply = Supply(alive=(5, 2), next=small, units=units)
    for qps, wanted, replicas, of_big in ((4.9, 5, 1, 1), (7.0, 7, 2, 2), (11.5, 12, 5, 3)):
        found = by_qps(service, View(Load("chat", qps), supply=supply)).wanted
        assert (found, supply.replicas(found)) == (wanted, replicas)
        assert replace(supply, next=big).replicas(found) == of_big


def test_a_number_of_accelerators_is_more_exact_than_their_name_and_an_unknown_one_counts_for_the_least():
    service = a_service(most=10, qps={"L4:1": 1.0, "L4": 3.0, "A100": 5.0})
    one, other = a_pool(accelerator="L4"), a_pool(accelerator="H100")
    eight = one.model_copy(update={"accelerator_count": 8})
    units = units_of(service.scaling, [one, eight, other])
    assert [units.of(p) for p in (one, eight, other)] == [1, 3, 1]


def test_where_all_pools_are_of_one_shape_a_unit_is_a_replica():
    service, big = a_service(most=10, qps={"L4": 2.0, "A100": 5.0}), a_pool(accelerator="A100")
    units = units_of(service.scaling, [big])
    assert (units.of(big), units.mixed) == (1, False)
    supply = Supply(next=big, units=units)
    assert by_qps(service, View(Load("chat", 11), supply=supply)).wanted == 3


def test_of_two_targets_that_do_not_agree_the_more_careful_one_says_what_a_shape_is_worth():
    service = a_service(
        most=10, qps={"L4": 2.0, "A100": 5.0}, scaling={"target_inflight_per_replica": {"L4": 10, "A100": 15}}
    )
    small, big = a_pool(), a_pool(accelerator="A100")
    units = units_of(service.scaling, [small, big])
    assert (units.of(small), units.of(big)) == (2, 3)
    view = View(Load("chat", 8.0, in_flight=30), supply=Supply(units=units))
    assert (by_qps(service, view).wanted, by_in_flight(service, view).wanted) == (8, 6)


# ---------------------------------------------------------------- spares


def test_spares_come_on_top_but_not_above_the_maximum_nor_at_zero():
    scaling = a_service(replicas=0, most=4, qps=1.0, spares=2).scaling
    assert [with_spares(scaling, n) for n in range(5)] == [0, 3, 4, 4, 4]
    assert scaled(least=1, most=4, spares=2).ready() == 3


# ---------------------------------------------------------------- continuity


def test_a_lost_memory_sheds_nothing():
    world = scaled()
    world.asks(4)
    world.run(310)
    world.memory = Memory()
    world.asks(0.5)
    world.run(1100, step=5)
    assert world.ready() == 4


def test_a_lost_memory_sheds_nothing_of_a_cloud_that_does_not_answer_yet():
    world = scaled()
    world.asks(4)
    world.run(310)
    world.memory, world.down = Memory(), {"local"}
    world.asks(0.5)
    world.run(20)
    world.down = set()
    world.run(1000, step=5)
    assert len(world.machines) == 4


def test_time_in_which_nobody_watched_counts_for_no_delay():
    memory = Memory(scaling={"chat": ScalingMemory(1, since=START, asked=3)})
    later = memory.resumed(written_at=START + 100, now=START + 5000).scaling["chat"]
    assert later == ScalingMemory(1, since=START + 4900, asked=3)


def test_the_same_look_twice_changes_nothing():
    world = scaled()
    world.asks(4)
    world.run(100)
    once = decide(world.desired, world.observed(), world.memory, world.now)
    again = decide(world.desired, world.observed(), once.memory, world.now)
    assert (again.memory.scaling, again.targets) == (once.memory.scaling, once.targets)


def reference(asked, target, up_s, down_s):
    """The same rules, told second by second: a counter per number up, and the most of the whole delay down."""
    counters, numbers = [0] * 16, []
    for second, wanted in enumerate(asked):
        if target == 0 < (wanted or 0):
            target = wanted
        was = asked[second - 1] if numbers else None
        if was is not None:
            counters = [min(up_s, c + 1) if was >= n else max(0, c - 1) for n, c in enumerate(counters)]
        if wanted is not None:
            due = [n for n in range(target + 1, wanted + 1) if counters[n] >= up_s]
            recent = asked[max(0, second - down_s) : second + 1]
            if due:
                target = max(due)
            elif second >= down_s and None not in recent and max(recent) < target:
                target = max(recent)
        counters = [0 if n <= target else c for n, c in enumerate(counters)]
        numbers.append(target)
    return numbers


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 80), st.one_of(st.none(), st.floats(0, 12))), max_size=10),
    st.integers(0, 3),
    st.integers(0, 6),
)
def test_the_number_is_that_of_a_plain_count_of_seconds_and_within_limits(story, least, extra):
    delays = {"upscale_delay_s": 60, "downscale_delay_s": 90}
    service = a_service(replicas=least, most=least + extra, qps=1.0, scaling=delays)
    asked, memory, now, found = [], None, START, []
    for seconds, qps in story:
        for _ in range(seconds):
            now += 1
            load = None if qps is None else Load("chat", qps)
            number, memory, _ = target(service, View(load), memory, now)
            wanted = None if load is None else by_qps(service, View(load)).wanted
            wanted = wanted if not qps else max(wanted, 1)
            asked.append(None if wanted is None else min(max(wanted, least), least + extra))
            assert least <= number <= least + extra
            found.append(number)
    assert found == reference(asked, least, 60, 90)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0, 12)), min_size=1, max_size=8), st.data())
def test_more_load_never_means_fewer_replicas(story, data):
    service = a_service(replicas=1, most=12, qps=1.0)
    heavier = [(seconds, qps + data.draw(st.floats(0, 4))) for seconds, qps in story]
    light, _ = play(service, story, every=10.0)
    heavy, _ = play(service, heavier, every=10.0)
    assert all(h >= n for h, n in zip(heavy, light, strict=True))


@given(st.floats(0, 20), st.integers(0, 3))
def test_a_constant_load_moves_the_number_once_at_most_and_is_then_not_written_down(qps, least):
    service = a_service(replicas=least, most=12, qps=1.0)
    found, memory = play(service, [(5_000, qps)], memory=ScalingMemory(5), every=20.0)
    moves = sum(a != b for a, b in itertools.pairwise(found))
    assert moves <= 1
    wanted = max(by_qps(service, View(Load("chat", qps))).wanted, int(qps > 0), least)
    assert found[-1] == min(wanted, 12)
    assert target(service, View(Load("chat", qps)), memory, START + 30_000)[1] == memory


@settings(max_examples=60)
@given(st.integers(10, 290), st.integers(1, 60), st.integers(2, 9))
def test_wherever_a_dip_comes_it_costs_twice_its_length_at_most(before, dip, asked):
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(before, asked), (dip, 0.5), (400 + dip, asked)])
    moved = next(second for second, number in enumerate(found) if number > 1)
    assert moved <= 301 + 2 * dip
    assert set(found[moved:]) == {asked}


def constant(waiting, kv_cache, number, **load):
    """The same queue and the same share of the caches, however many there are."""
    ids = tuple(f"r{n}" for n in range(number))
    told = {i: EngineLoad(i, running=1, kv_cache=kv_cache, waiting=waiting if i == "r0" else 0) for i in ids}
    supply = Supply((1,) * number, a_pool(), ready=ids, serving=(1,) * number, settled=number)
    return View(Load("chat", **load), told, supply)


@settings(max_examples=25, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "target_qps_per_replica": st.sampled_from([None, 2.0]),
            "target_inflight_per_replica": st.sampled_from([None, 5.0]),
            "target_queue_per_replica": st.sampled_from([None, 3.0]),
            "target_kv_cache_utilization": st.sampled_from([None, 0.7]),
            "target_ttft_ms": st.sampled_from([None, 800.0]),
        }
    ),
    st.integers(0, 200),
    st.floats(0, 1),
    st.fixed_dictionaries(
        {
            "qps": st.floats(0, 40),
            "active": st.integers(0, 90),
            "in_flight": st.floats(0, 90),
            "served": st.one_of(st.just(0.0), st.floats(0.01, 40)),
            "ttft_ms": st.one_of(st.none(), st.floats(1, 9000)),
        }
    ),
)
def test_under_a_constant_load_of_any_kind_an_hour_sees_a_bounded_number_of_changes(
    targets, waiting, kv_cache, load
):
    service = a_service(replicas=1, most=20, scaling=targets)
    memory, number, changes = ScalingMemory(3), 3, 0
    for second in range(0, 3600, 20):
        before = number
        number, memory, _ = target(
            service, constant(waiting, kv_cache, number, **load), memory, START + second
        )
        assert 1 <= number <= 20
        changes += number != before
        same = constant(waiting, kv_cache, before, **load)
        again = target(service, same, memory, START + second)
        assert again[0] == number
        assert target(service, same, again[1], START + second)[:2] == again[:2]
    assert changes <= 3600 / 300 + 3
