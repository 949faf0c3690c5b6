"""What each signal asks for, and that the largest wins."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.decide.observed import EngineLoad, Load
from lb.decide.scaling import Supply, View
from lb.decide.scaling.signals import by_gpu, by_in_flight, by_kv_cache, by_qps, by_queue, by_ttft, strongest
from spec.scaling import Pace, Scaling
from tests.lb.world import a_service


def service(**scaling):
    return a_service(replicas=1, most=100, scaling=scaling)


def view(*engines, target=None, settled=None, **load):
    """Replicas that tell this; None = one that tells nothing."""
    told = {f"r{n}": replace(e, replica_id=f"r{n}") for n, e in enumerate(engines) if e is not None}
    ready = tuple(f"r{n}" for n in range(len(engines)))
    number = len(engines) if target is None else target
    serving = (1,) * len(engines)
    supply = Supply(ready=ready, serving=serving, settled=len(engines) if settled is None else settled)
    return View(Load("chat", **load), told, supply, number)


def queue(n, running=1):
    return EngineLoad("", running=running, waiting=n)


def kv(share):
    return EngineLoad("", kv_cache=share)


def test_in_flight_counts_what_is_in_the_works_on_average_and_all_that_is_held():
    wants = service(target_inflight_per_replica=8)
    assert by_in_flight(wants, view(in_flight=33, active=90)).wanted == 5
    assert by_in_flight(wants, view(in_flight=3, held=17)).wanted == 3
    assert by_in_flight(wants, view(in_flight=33)).why == "33 requests in flight at 8 per replica"


def test_headroom_leaves_a_part_of_every_replica_unused():
    wants = service(target_qps_per_replica=2.0, target_utilization=0.8)
    found = by_qps(wants, view(qps=16))
    assert (found.wanted, found.why) == (10, "16 requests/s at 2 per replica, 80% of it used")
    wants = service(target_inflight_per_replica={"L4": 10.0}, target_utilization=0.5)
    assert by_in_flight(wants, view(in_flight=20)).wanted == 4


def test_a_queue_asks_for_as_many_as_have_the_target_each():
    wants = service(target_queue_per_replica=2)
    found = by_queue(wants, view(queue(3), queue(5)))
    assert (found.wanted, found.why) == (4, "8 requests waiting at 2 per replica")
    assert by_queue(wants, view(queue(3), queue(5), held=2, qps=10, served=1)).wanted == 5


def test_a_long_queue_asks_for_what_keeps_up_and_works_it_off_within_one_start():
    """300 wait at four that answer 2 each of the 9 that come, and a start takes a minute: 4 x (9 + 292 / 60) / 8."""
    wants = service(target_queue_per_replica=2)
    told = [queue(75)] * 4
    assert by_queue(wants, view(*told, qps=9, served=8)).wanted == 7
    assert by_queue(wants, view(*told, target=7, qps=9, served=8)).wanted == 7
    assert by_queue(wants, view(*told, target=9, qps=9, served=8)).wanted == 9
    assert by_queue(wants, view(*told)).wanted == 8


def test_what_piles_up_in_flight_while_replicas_start_doubles_the_ready_ones_at_most():
    wants = service(target_inflight_per_replica=4)
    assert by_in_flight(wants, view(*[None] * 4, qps=9, served=8, in_flight=300)).wanted == 8
    assert by_in_flight(wants, view(*[None] * 4, target=8, qps=9, served=8, in_flight=900)).wanted == 12
    assert by_in_flight(wants, view(*[None] * 4, qps=80, served=8, in_flight=160)).wanted == 40
    assert by_in_flight(wants, view(target=0, held=40)).wanted == 10


def test_a_queue_below_its_target_asks_for_no_fewer_and_a_small_one_for_one_fewer():
    wants = service(target_queue_per_replica=2)
    assert by_queue(wants, view(*[queue(1)] * 4)).wanted == 4
    assert by_queue(wants, view(*[queue(0)] * 4, active=9)).wanted == 3
    assert by_queue(wants, view(queue(0), active=9)).wanted == 1


def test_beside_a_signal_that_counts_the_load_an_empty_queue_says_nothing():
    wants = service(target_queue_per_replica=2, target_inflight_per_replica=8)
    assert strongest(wants, view(*[queue(0)] * 9, active=9, in_flight=9)).wanted == 2
    assert strongest(wants, view(*[queue(1)] * 9, active=9, in_flight=9)).wanted == 9


def test_an_empty_queue_of_idle_engines_asks_for_none():
    wants = service(target_queue_per_replica=2)
    assert by_queue(wants, view(*[queue(0, running=0)] * 4)).wanted == 0
    assert by_queue(wants, view(*[queue(0, running=1)] * 4)).wanted == 3


def test_a_tenth_off_the_target_is_no_reason_to_move():
    wants = service(target_kv_cache_utilization=0.5)
    for share, wanted in ((0.55, 4), (0.45, 4), (0.56, 5), (0.37, 3)):
        assert by_kv_cache(wants, view(*[kv(share)] * 4)).wanted == wanted, share


def test_a_tolerance_that_is_given_holds_for_every_signal_in_its_direction():
    wants = service(target_kv_cache_utilization=0.5, target_qps_per_replica=1.0, scale_up=Pace(tolerance=0.5))
    assert by_kv_cache(wants, view(*[kv(0.75)] * 4)).wanted == 4
    assert by_kv_cache(wants, view(*[kv(0.3)] * 4)).wanted == 3
    assert by_qps(wants, view(qps=6, target=4)).wanted == 4
    assert by_qps(wants, view(qps=6.1, target=4)).wanted == 7
    assert by_qps(wants, view(qps=3, target=4)).wanted == 3


def test_gpus_are_shares_as_the_kv_cache_is():
    wants = service(target_gpu_utilization=0.6)
    found = by_gpu(wants, view(EngineLoad("", gpu=0.9), EngineLoad("", gpu=0.9)))
    assert (found.wanted, found.why) == (3, "GPUs 90% used at 60%")


def test_replicas_that_start_are_not_measured_and_not_asked_for_again():
    wants = service(target_kv_cache_utilization=0.5)
    before = by_kv_cache(wants, view(*[kv(0.9)] * 4))
    assert before.wanted == 8
    assert by_kv_cache(wants, view(*[kv(0.9)] * 4, target=8)).wanted == 8


@pytest.mark.parametrize(("share", "wanted"), [(0.9, 4), (1.0, 4), (0.1, 3), (0.5, 4)])
def test_a_replica_that_does_not_tell_counts_against_every_move(share, wanted):
    wants = service(target_kv_cache_utilization=0.5)
    assert by_kv_cache(wants, view(kv(share), kv(share), None, None)).wanted == wanted


def test_slow_first_bytes_ask_for_twice_as_many_at_most():
    wants = service(target_ttft_ms=1000)
    assert by_ttft(wants, view(*[None] * 4, ttft_ms=1500)).wanted == 6
    assert by_ttft(wants, view(*[None] * 4, ttft_ms=60_000)).wanted == 8
    assert by_ttft(wants, view(*[None] * 4, ttft_ms=1050)).wanted == 4
    assert by_ttft(wants, view(*[None] * 4, ttft_ms=600)).wanted == 4
    assert by_ttft(wants, view(*[None] * 4, ttft_ms=300, qps=5)).wanted == 3


def test_replicas_that_came_within_the_minute_did_not_make_its_first_bytes_slow():
    wants = service(target_ttft_ms=1000)
    assert by_ttft(wants, view(*[None] * 6, ttft_ms=1500, settled=4)).wanted == 6


def test_without_answers_nothing_is_slow():
    wants = service(target_ttft_ms=1000)
    assert by_ttft(wants, view(*[None] * 4)).wanted == 0
    assert by_ttft(wants, view(*[None] * 4, active=1)).wanted == 3


def test_a_service_that_answers_nobody_is_not_one_whose_callers_are_served_quickly():
    wants = service(target_ttft_ms=1000)
    assert by_ttft(wants, view(*[None] * 4, active=9, in_flight=9.0, served=0.1)) is None
    assert by_ttft(wants, view(*[None] * 4, active=9, in_flight=5.0, served=0.1)).wanted == 3


def test_the_largest_wins_and_says_why():
    wants = service(target_qps_per_replica=1.0, target_queue_per_replica=1)
    found = strongest(wants, view(queue(7), qps=3, served=0.1))
    assert (found.wanted, found.why) == (7, "7 requests waiting at 1 per replica")


def test_a_signal_that_is_not_known_lets_others_ask_for_more_but_for_no_fewer():
    wants = service(target_qps_per_replica=1.0, target_queue_per_replica=1)
    assert strongest(wants, view(None, None, None, qps=9)).wanted == 9
    found = strongest(wants, view(None, None, None, qps=1))
    assert (found.wanted, found.why) == (3, "another signal is not known")
    assert strongest(wants, View(None, {}, Supply(ready=("r0",), serving=(1,)), 1)) is None


def test_engines_alone_never_end_the_last_replica():
    wants = service(target_queue_per_replica=1)
    idle = view(queue(0, running=0))
    assert strongest(wants, replace(idle, load=None)).wanted == 1
    assert strongest(wants, idle).wanted == 0


def test_while_nothing_serves_engines_are_not_known_to_be_idle():
    wants = service(target_kv_cache_utilization=0.5)
    assert strongest(wants, view(target=4)) is None
    assert strongest(wants, view(target=0)).wanted == 0
    assert strongest(wants, view(target=0, held=1)).wanted == 1


engines = st.builds(
    EngineLoad,
    st.just(""),
    running=st.integers(0, 3),
    waiting=st.one_of(st.none(), st.integers(0, 50)),
    kv_cache=st.one_of(st.none(), st.floats(0, 1)),
    gpu=st.one_of(st.none(), st.floats(0, 1)),
)
loads = st.fixed_dictionaries(
    {
        "qps": st.floats(0, 50),
        "active": st.integers(0, 50),
        "held": st.integers(0, 5),
        "in_flight": st.floats(0, 50),
        "ttft_ms": st.one_of(st.none(), st.floats(1, 1e5)),
    }
)
TARGETS = {
    "target_qps_per_replica": 2.0,
    "target_inflight_per_replica": 4.0,
    "target_queue_per_replica": 3.0,
    "target_kv_cache_utilization": 0.7,
    "target_gpu_utilization": 0.7,
    "target_ttft_ms": 900.0,
}


@given(st.sets(st.sampled_from(sorted(TARGETS)), min_size=1), st.lists(engines, max_size=5), loads)
def test_neither_the_order_of_replicas_nor_that_of_signals_matters(names, told, load):
    chosen = {name: TARGETS[name] for name in sorted(names)}
    backwards = Scaling(**dict(reversed(chosen.items())))
    found = strongest(service(**chosen), view(*told, **load))
    assert strongest(service(**backwards.model_dump(include=set(names))), view(*told, **load)) == found
    mirrored = strongest(service(**chosen), view(*told[::-1], **load))
    assert (mirrored and mirrored.wanted) == (found and found.wanted)


@settings(max_examples=60)
@given(
    st.sets(st.sampled_from(sorted(TARGETS)), min_size=1),
    st.lists(engines, min_size=1, max_size=5),
    loads,
    st.data(),
)
def test_each_signal_alone_and_all_together_ask_for_no_fewer_when_more_is_told(names, told, load, data):
    chosen = service(**{name: TARGETS[name] for name in names})

    def more(value, most):
        return value if value is None else min(most, value + data.draw(st.floats(0, 3)))

    heavier = [
        replace(e, waiting=more(e.waiting, 99), kv_cache=more(e.kv_cache, 1.0), gpu=more(e.gpu, 1.0))
        for e in told
    ]
    grown = {name: more(value, 1e6) for name, value in load.items()}
    grown["active"], grown["held"] = int(grown["active"]), int(grown["held"])
    load["served"] = grown["served"] = 10.0
    before, after = strongest(chosen, view(*told, **load)), strongest(chosen, view(*heavier, **grown))
    assert (before is None) == (after is None)
    assert before is None or after.wanted >= before.wanted
