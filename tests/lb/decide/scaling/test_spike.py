"""What does not wait for the delay: a queue that grows faster than a replica starts."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from lb.decide.memory import ScalingMemory
from lb.decide.observed import EngineLoad, Load
from lb.decide.scaling import Supply, View, target
from spec.scaling import Pace, RateKind, RatePolicy
from tests.lb.world import START, World, a_desired, a_pool, a_service

POOL = a_pool().model_copy(update={"cold_start_s": 120.0})


def service(**scaling):
    return a_service(replicas=1, most=50, scaling={"target_queue_per_replica": 4.0} | scaling)


def view(waiting, *, replicas=2, served=5.0, start_s=120.0, **load):
    """`waiting`: in all engines together."""
    ids = tuple(f"r{n}" for n in range(replicas))
    told = {i: EngineLoad(i, running=1, waiting=int(waiting) // replicas) for i in ids}
    pool = POOL.model_copy(update={"cold_start_s": start_s})
    supply = Supply((1,) * replicas, pool, ready=ids, serving=(1,) * replicas, settled=replicas)
    return View(Load("chat", served, active=10, served=served, **load), told, supply)


def play(story, wants=None, *, start=2, **more):
    """The targets and reasons second by second of a story of what waits."""
    memory, found, reasons = ScalingMemory(start), [], []
    for second, waiting in enumerate(story):
        number, memory, why = target(wants or service(), view(waiting, **more), memory, START + second)
        found.append(number)
        reasons += [why] if why else []
    return found, reasons


def moved_after(found):
    """The second of the first move."""
    return next((n for n, number in enumerate(found) if number > found[0]), 999)


def test_a_queue_that_grows_faster_than_a_start_can_serve_moves_the_number_at_once():
    """8 more each second and 5 answered: a replica would be there when callers wait for minutes."""
    found, reasons = play([0] * 20 + [8 * s for s in range(30)])
    assert moved_after(found) <= 20 + 20
    assert found[-1] >= 5
    assert "a start takes 120 s, so it does not wait for the delay" in reasons[0]


def test_a_queue_that_the_replicas_work_off_in_time_waits_for_the_delay():
    found, _ = play([0] * 20 + [s // 2 for s in range(60)])
    assert set(found) == {2}


def test_one_wave_that_grows_no_more_is_no_spike():
    found, _ = play([0] * 20 + [100] * 200)
    assert set(found) == {2}


def test_a_queue_that_stands_but_is_longer_than_a_start_is_one():
    found, _ = play([700] * 40)
    assert found[-1] > 2


def test_what_waits_when_the_controller_begins_has_not_grown_yet():
    found, _ = play([300] * 9)
    assert set(found) == {2}


def test_a_slower_start_makes_less_growth_a_spike():
    story = [0] * 20 + list(range(280))
    quick, slow = play(story, start_s=60.0)[0], play(story, start_s=600.0)[0]
    assert moved_after(slow) < moved_after(quick) < 999


def test_where_only_requests_are_counted_there_is_no_spike():
    wants = a_service(replicas=1, most=50, qps=1.0)
    memory = ScalingMemory(2)
    for second in range(200):
        number, memory, _ = target(
            wants, View(Load("chat", 40, active=100 * second, served=1)), memory, START + second
        )
    assert number == 2


def test_what_is_in_flight_beyond_the_places_is_a_queue_too():
    wants = service(target_queue_per_replica=None, target_inflight_per_replica=10.0)
    memory = ScalingMemory(2)
    for second in range(60):
        seen = view(0)
        load = Load("chat", 20, active=10 + 15 * second, served=5, in_flight=15 + 7 * second)
        number, memory, _ = target(wants, View(load, seen.engines, seen.supply), memory, START + second)
    assert number > 2


def test_a_queue_within_its_target_is_none_however_slowly_it_is_answered():
    found, _ = play([8] * 200, served=0.02)
    assert set(found) == {2}


def test_no_more_are_added_than_requests_wait():
    found, _ = play([20] * 40, served=0.02)
    assert max(found) <= 2 + 12


def test_rate_policies_hold_for_a_spike_too():
    pace = Pace(policies=(RatePolicy(kind=RateKind.PODS, value=1, period_s=600),))
    found, reasons = play([0] * 20 + [30 * s for s in range(60)], service(scale_up=pace))
    assert found[-1] == 3
    assert reasons[0].endswith("at most 1 replicas in 600 s")


@settings(max_examples=50)
@given(st.integers(0, 5000), st.integers(1, 8), st.floats(0.1, 50))
def test_under_a_constant_queue_the_number_moves_a_bounded_number_of_times(waiting, replicas, served):
    found, _ = play([waiting] * 400, start=replicas, replicas=replicas, served=served)
    assert sum(a != b for a, b in itertools.pairwise(found)) <= 3
    assert max(found) <= 50


def test_a_world_whose_queue_explodes_has_more_replicas_long_before_the_delay():
    pools = [a_pool(z).model_copy(update={"cold_start_s": 120.0}) for z in ("local-east-a", "local-west-a")]
    world = World(a_desired([service(upscale_delay_s=300.0)], pools))
    world.busy = EngineLoad("", running=4, waiting=0)
    world.asks(2, active=4, served=2)
    world.run(30)
    assert world.ready() == 1
    for second in range(40):
        world.busy = EngineLoad("", running=4, waiting=4 * second)
        world.asks(6, active=4 * second, served=2)
        world.tick()
    assert world.ready() >= 3
