"""Even Spread and Round Robin, launch by launch."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sim.baselines.placed import Placed
from sim.baselines.spread import EvenSpread, RoundRobin
from sim.policy import View
from spec.names import Market
from tests.sim.clouds import a_trace, orders


def even(extra=0):
    return Placed(EvenSpread(), extra=extra, with_fallback=False)


def round_robin(extra=0):
    return Placed(RoundRobin(), extra=extra, with_fallback=False)


def launched(found):
    return [(at, {zone: n for (zone, _), n in launch.items()}) for at, launch, _ in found]


def test_even_spread_fills_the_zones_evenly_in_the_order_of_the_trace():
    assert launched(orders(even(), a_trace(a=9, b=9, c=9), 5)) == [(0, {"a": 2, "b": 2, "c": 1})]


def test_even_spread_asks_the_zone_that_has_nothing_for_ever():
    trace = a_trace(a=[(0, 1), (600, 0)], b=9)
    found = launched(orders(even(), trace, 2, until=720))
    assert found == [
        (0, {"a": 1, "b": 1}),
        (600, {"a": 1}),
        (630, {"a": 1}),
        (660, {"a": 1}),
        (690, {"a": 1}),
        (720, {"a": 1}),
    ]


def test_even_spread_goes_back_when_the_zone_is_back():
    trace = a_trace(a=[(0, 1), (600, 0), (640, 1)], b=9)
    assert launched(orders(even(), trace, 2))[-1] == (660, {"a": 1})


def test_even_spread_has_no_fallback_and_a_spare_only_when_asked():
    assert launched(orders(even(extra=1), a_trace(a=9, b=9), 2)) == [(0, {"a": 2, "b": 1})]


def test_a_lower_target_ends_the_newest():
    assert orders(even(), a_trace(a=9, b=9), [(0, 3), (600, 1)])[-1] == (600, {}, [3, 2])


def test_round_robin_goes_on_with_every_launch():
    assert launched(orders(round_robin(), a_trace(a=9, b=9, c=9), 5)) == [(0, {"a": 2, "b": 2, "c": 1})]


def test_round_robin_tries_the_next_zone_after_a_refusal_and_after_a_loss():
    trace = a_trace(a=[(0, 1), (600, 0)], b=0, c=[(0, 1), (90, 2)])
    assert launched(orders(round_robin(), trace, 2)) == [
        (0, {"a": 1, "b": 1}),
        (30, {"c": 1}),
        (600, {"a": 1}),
        (630, {"b": 1}),
        (660, {"c": 1}),
    ]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(1, 40))
def test_even_spread_gives_each_replica_to_the_first_zone_with_the_fewest(held, missing):
    zones = tuple(f"z{n}" for n in range(len(held)))
    expected = dict(zip(zones, held, strict=True))
    for _ in range(missing):
        expected[min(expected, key=expected.__getitem__)] += 1
    view = View(0, zones, held={Market.SPOT: dict(zip(zones, held, strict=True))})
    chosen = EvenSpread().choose(view, missing)
    assert {z: n + chosen.get(z, 0) for z, n in view.held[Market.SPOT].items()} == expected
    assert sum(chosen.values()) == missing


@given(st.integers(1, 9), st.lists(st.integers(1, 30), max_size=5))
def test_round_robin_gives_each_replica_to_the_next_zone(number, launches):
    zones = tuple(f"z{n}" for n in range(number))
    placement, view, turn = RoundRobin(), View(0, zones), 0
    for missing in launches:
        expected = Counter(zones[(turn + n) % number] for n in range(missing))
        turn += missing
        assert placement.choose(view, missing) == expected
