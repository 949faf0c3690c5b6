"""Portfolios: what is cheap, what is safe, and that nothing else decides."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.decide.portfolio import Place, Scale, Worth
from lb.decide.risk import hazard
from lb.decide.search import choose

HOUR = 3600.0
WORTH = Worth(short_usd_hour=100.0, none_usd_hour=400.0)
CAREFREE = Worth(short_usd_hour=0.0, none_usd_hour=0.0)


def spot(name, *, age_h=1.0, usd=1.0, held=0, room=100, short_s=120.0, entry=0.1) -> Place:
    return Place(name, usd, hazard(age_h * HOUR), short_s, held, room, entry)


def safe(name="on-demand", *, usd=3.0, held=0, room=100) -> Place:
    return Place(name, usd, 0.0, 120.0, held, room, 0.1)


def cost(places, counts, needed, worth):
    """USD per hour."""
    return Scale(places, needed, 0, worth).weigh([counts.get(p.id, 0) for p in places])[1]


def test_nothing_is_held_for_nothing():
    assert choose([spot("a"), safe()], 0, WORTH, most=5) == {}


def test_where_being_short_costs_nothing_the_cheapest_are_taken():
    places = [spot("a", usd=1.0, room=2), spot("b", usd=0.9, room=2), safe()]
    assert choose(places, 3, CAREFREE, most=6) == {"b": 2, "a": 1}


def test_the_older_place_is_held_at_the_same_price():
    chosen = choose([spot("young", age_h=0.1), spot("old", age_h=200.0)], 1, WORTH, most=1)
    assert chosen == {"old": 1}


def test_where_all_places_are_young_a_spare_lets_the_service_survive_the_loss_of_any():
    chosen = choose([spot(f"z{n}", age_h=0.0) for n in range(6)], 3, WORTH, most=9)
    assert sum(chosen.values()) > 3
    assert all(sum(chosen.values()) - n >= 3 for n in chosen.values())


def test_old_places_need_no_spare():
    chosen = choose([spot(f"z{n}", age_h=500.0) for n in range(6)], 3, WORTH, most=9)
    assert sum(chosen.values()) == 3


def test_a_notice_that_is_longer_than_the_cold_start_makes_spares_and_spreading_needless():
    places = [spot(f"z{n}", age_h=0.0, short_s=0.0, usd=1.0 + n / 10) for n in range(4)]
    assert choose(places, 3, WORTH, most=9) == {"z0": 3}


def test_on_demand_is_taken_where_spot_has_no_room():
    assert choose([spot("a", room=1), safe()], 3, WORTH, most=6)["on-demand"] >= 2


def test_what_is_held_stays_for_a_trifle():
    places = [spot("a", held=5), spot("b", held=3)]
    assert choose(places, 8, Worth(3.0, 12.0), most=8) == {"a": 5, "b": 3}


def test_spares_that_are_asked_for_are_for_places_that_can_be_lost():
    assert choose([safe()], 2, WORTH, least_spares=1, most=4) == {"on-demand": 2}
    assert sum(choose([spot("a")], 2, WORTH, least_spares=1, most=4).values()) >= 3


def test_no_more_than_allowed_and_no_more_than_there_is_room_for():
    places = [spot(f"z{n}", age_h=0.0, room=1) for n in range(3)]
    assert sum(choose(places, 5, WORTH, most=9).values()) == 3
    assert sum(choose([spot("a", age_h=0.0), spot("b", age_h=0.0)], 4, WORTH, most=5).values()) <= 5


PLACES = st.lists(
    st.builds(
        lambda age, usd, held, room, entry, risky: Place(
            "", usd, hazard(age) if risky else 0.0, 120.0, min(held, room), room, entry
        ),
        st.floats(0, 1e6),
        st.floats(0.1, 10),
        st.integers(0, 5),
        st.integers(1, 20),
        st.floats(0, 10),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
).map(lambda found: [replace(p, id=f"p{n}") for n, p in enumerate(found)])


@pytest.mark.parametrize("per_second", [0.0, 1e-4])
def test_many_small_places_are_as_good_as_a_large_one(per_second):
    small = [Place(f"p{n:02}", 1.0, per_second, 120.0, 0, 1) for n in range(30)]
    assert sum(choose(small, 25, WORTH, most=25).values()) == 25


@given(PLACES, st.integers(1, 12), st.integers(0, 3), st.randoms())
def test_limits_hold_and_the_order_of_places_does_not_matter(places, needed, extra, random):
    most = needed + extra
    chosen = choose(places, needed, WORTH, most=most)
    rooms = {p.id: p.room for p in places}
    assert all(0 < n <= rooms[i] for i, n in chosen.items())
    total = sum(chosen.values())
    assert min(needed, sum(rooms.values())) <= total <= most
    shuffled = list(places)
    random.shuffle(shuffled)
    assert choose(shuffled, needed, WORTH, most=most) == chosen


@given(PLACES, st.integers(1, 4))
def test_it_is_never_far_from_the_best_of_all_portfolios(places, needed):
    places, most = places[:4], needed + 2
    chosen = choose(places, needed, WORTH, most=most)
    best = min(
        (
            cost(places, dict(zip((p.id for p in places), counts, strict=True)), needed, WORTH)
            for counts in itertools.product(*(range(min(p.room, most) + 1) for p in places))
            if min(needed, sum(p.room for p in places)) <= sum(counts) <= most
        ),
    )
    assert cost(places, chosen, needed, WORTH) <= best * 1.25 + 1e-9


def test_the_cost_is_price_and_moves_and_risk():
    place = Place("a", 2.0, 0.001, 100.0, 1, 10, 0.5)
    assert cost([place], {"a": 2}, 2, WORTH) == 2 * 2.0 + 0.5 + 0.1 * 100.0 + 0.1 * 400.0


def test_two_losses_within_one_start_are_minded_where_the_start_is_long():
    def spares(short_s):
        young = [spot(f"z{n}", age_h=0.0, short_s=short_s) for n in range(6)]
        return sum(choose(young, 3, WORTH, most=9).values()) - 3

    assert spares(900.0) > spares(60.0)


# ---------------------------------------------------------------- shapes that are worth more than others


def of_shape(name, usd, units, **more):
    return Place(name, usd, 0.0, 120.0, 0, more.pop("room", 99), units=units, **more)


@pytest.mark.parametrize("large_usd", [0.9, 1.5, 1.9, 2.1, 3.0])
def test_without_risk_it_is_the_cheapest_mix_of_two_shapes_and_nearly_that_of_three(large_usd):
    places = [of_shape("small", 0.8, 2), of_shape("large", large_usd, 5), of_shape("middle", 1.2, 3, room=2)]
    for needed in range(1, 31):
        chosen = choose(places, needed, WORTH, most=12)
        assert worth_of(places, chosen) >= needed
        best = min(
            a * 0.8 + b * large_usd + c * 1.2
            for a, b, c in itertools.product(range(13), range(7), range(3))
            if 2 * a + 5 * b + 3 * c >= needed and a + b + c <= 12
        )
        assert cost(places, chosen, needed, WORTH) <= best * 1.05, needed
        best = min(
            a * 0.8 + b * large_usd for a in range(13) for b in range(13 - a) if 2 * a + 5 * b >= needed
        )
        of_two = choose(places[:2], needed, WORTH, most=12)
        assert cost(places, of_two, needed, WORTH) == pytest.approx(best), needed


def worth_of(places, counts):
    return sum(counts.get(p.id, 0) * p.units for p in places)


def test_the_loss_of_a_place_takes_what_its_replicas_are_worth():
    """One large replica that may be lost stands beside small ones that are worth as much, or isn't needed."""
    young = [
        replace(spot(f"z{n}", age_h=0.0), units=units, usd_hour=units / 2)
        for n, units in enumerate((5, 2, 2, 2))
    ]
    chosen = choose(young, 4, WORTH, most=9)
    worth = {p.id: chosen.get(p.id, 0) * p.units for p in young}
    assert all(sum(worth.values()) - lost >= 4 for lost in worth.values())


def test_large_ones_are_taken_where_small_ones_would_be_too_many_and_as_many_as_wanted_in_any_case():
    places = [of_shape("small", 0.2, 2), of_shape("large", 1.5, 5)]
    assert choose(places, 20, WORTH, most=10) == {"small": 10}
    assert worth_of(places, choose(places, 20, WORTH, most=4)) == 20
    assert choose(places, 2, WORTH, least=3, most=4) == {"small": 3}
    assert choose(places, 99, WORTH, most=4) == {"large": 4}


@given(
    PLACES,
    st.lists(st.sampled_from([2, 3, 5]), min_size=6, max_size=6),
    st.integers(1, 12),
    st.integers(0, 2),
)
def test_with_several_shapes_too_it_is_never_far_from_the_best_of_all_portfolios(
    places, units, needed, least
):
    places = [replace(p, units=u) for p, u in zip(places[:3], units, strict=False)]
    most = needed // 2 + 3
    chosen = choose(places, needed, WORTH, least=least, most=most)
    best = min(
        (max(0, needed - worth_of(places, counts)), cost(places, counts, needed, WORTH))
        for found in itertools.product(*(range(min(p.room, most) + 1) for p in places))
        if min(least, sum(p.room for p in places)) <= sum(found) <= most
        for counts in [dict(zip((p.id for p in places), found, strict=True))]
    )
    assert sum(chosen.values()) <= most
    assert max(0, needed - worth_of(places, chosen)) == best[0]
    assert cost(places, chosen, needed, WORTH) <= best[1] * 1.25 + 1e-9
