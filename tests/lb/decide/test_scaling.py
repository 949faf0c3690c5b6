"""How the number of replicas follows the load."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.decide import Memory, decide
from lb.decide.memory import ScalingMemory
from lb.decide.observed import Load
from lb.decide.scaling import Supply, by_qps, target, with_spares
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
            number, memory, _ = target(service, load, Supply(), memory, now)
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


def test_one_dip_of_the_load_starts_the_delay_anew():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(10, 0.5), (299, 3), (1, 0.5), (299, 3)])
    assert set(found) == {1}


def test_the_number_moves_to_the_least_that_was_asked_for_all_the_time():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(10, 0.5), (150, 8), (20, 2.5), (140, 9)])
    assert found[-1] == 3


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
    number, memory, reason = target(service, Load("chat", 1), Supply(), ScalingMemory(2), START)
    assert (number, memory) == (5, ScalingMemory(5))
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
    assert "chat: no edge has told of its load, so its number stays 4 replicas" in decisions[-1].reasons


def test_silence_counts_neither_as_more_nor_as_less():
    service = a_service(replicas=1, most=10, qps=1.0)
    found, _ = play(service, [(10, 0.5), (250, 3), (1, None), (250, 3)])
    assert set(found) == {1}


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
    service = a_service(most=10, qps={"l4": 1.0, "A100": 4.0})
    big, small = a_pool(accelerator="A100"), a_pool(accelerator="L4")
    supply = Supply(alive=(big, small), next=small)
    assert by_qps(service, Load("chat", 3.9), supply).wanted == 1
    assert by_qps(service, Load("chat", 5.0), supply).wanted == 2
    assert by_qps(service, Load("chat", 7.5), supply).wanted == 5
    assert by_qps(service, Load("chat", 7.5), replace(supply, next=big)).wanted == 3


def test_a_number_of_accelerators_is_more_exact_than_their_name_and_an_unknown_one_counts_for_the_least():
    service = a_service(most=10, qps={"L4:1": 1.0, "L4": 3.0, "A100": 5.0})
    one, other = a_pool(accelerator="L4"), a_pool(accelerator="H100")
    eight = one.model_copy(update={"accelerator_count": 8})
    wanted = [by_qps(service, Load("chat", 6), Supply(next=p)).wanted for p in (one, eight, other)]
    assert wanted == [6, 2, 6]


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


@given(
    st.lists(st.tuples(st.integers(1, 80), st.one_of(st.none(), st.floats(0, 12))), max_size=20),
    st.integers(0, 3),
    st.integers(0, 6),
)
def test_whatever_the_load_does_the_number_stays_within_what_was_asked_for_and_limits(story, least, extra):
    service = a_service(replicas=least, most=least + extra, qps=1.0)
    service = service.model_copy(
        update={
            "scaling": service.scaling.model_copy(update={"upscale_delay_s": 60, "downscale_delay_s": 90})
        }
    )
    asked, memory, now, last = [], None, START, None
    for seconds, qps in story:
        for _ in range(seconds):
            now += 1
            load = None if qps is None else Load("chat", qps)
            number, memory, _ = target(service, load, Supply(), memory, now)
            asked.append(
                None
                if load is None
                else min(max(by_qps(service, load, Supply()).wanted, least), least + extra)
            )
            assert least <= number <= least + extra
            if last is not None and number > last > 0:
                assert number == min(asked[-61:])
            elif last is not None and number < last:
                assert number == max(asked[-91:])
            last = number


@given(st.floats(0, 20), st.integers(0, 3))
def test_a_constant_load_moves_the_number_once_at_most(qps, least):
    service = a_service(replicas=least, most=12, qps=1.0)
    found, _ = play(service, [(20_000, qps)], memory=ScalingMemory(5), every=10.0)
    moves = sum(a != b for a, b in itertools.pairwise(found))
    assert moves <= 1
    assert found[-1] == min(max(by_qps(service, Load("chat", qps), Supply()).wanted, least), 12)
