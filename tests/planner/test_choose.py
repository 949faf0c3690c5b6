import pytest

from planner.choose import candidates, choose
from planner.rank import Place
from spec.names import Market


@pytest.fixture
def place(offer):
    def make(zone="use1-az1", price=1.0, market=Market.SPOT, preference=0, **changes):
        row = offer(zone, **changes)
        return Place(preference, price, row, market)

    return make


def pools(places, on_demand=(), *, fallback=False, max_pools=24, max_regions=6, opened=frozenset()):
    ranked = sorted(places, key=lambda p: p.rank)
    return choose(
        candidates(ranked),
        candidates(sorted(on_demand, key=lambda p: p.rank)),
        fallback=fallback,
        max_pools=max_pools,
        max_regions=max_regions,
        opened=opened,
    )


def zones(chosen):
    return [c.best.offer.zone for c in chosen]


def test_a_spot_service_gets_a_pool_in_every_zone_before_a_second_shape_in_any(place):
    places = [place(f"r1-{z}", 1 + i / 10) for i, z in enumerate("abc")]
    places += [place(f"r1-{z}", 0.5, accelerator="A10G") for z in "abc"]
    assert sorted(zones(pools(places, max_pools=3))) == ["r1-a", "r1-b", "r1-c"]
    assert len(pools(places)) == 6


def test_a_spot_service_is_spread_over_clouds_and_regions(place):
    places = [place(f"a{n}-a", 1 + n / 10) for n in range(5)]
    places += [place(f"g{n}-a", 3 + n / 10, cloud="gcp") for n in range(5)]
    chosen = pools(places, max_regions=4)
    assert sorted(c.region for c in chosen) == [("aws", "a0"), ("aws", "a1"), ("gcp", "g0"), ("gcp", "g1")]


def test_pools_are_in_rank_order_and_within_the_bounds(place):
    places = [place(f"r{r}-{z}", 1 + r + i / 10) for r in range(9) for i, z in enumerate("abcdef")]
    chosen = pools(places, max_pools=24, max_regions=6)
    assert len(chosen) == 24
    assert len({c.region for c in chosen}) == 6
    assert [c.best.price for c in chosen] == sorted(c.best.price for c in chosen)


def test_an_on_demand_service_gets_few_pools_in_different_zones(place):
    places = [place(f"r{r}-{z}", 1 + r, Market.ON_DEMAND) for r in range(4) for z in "abc"]
    assert zones(pools(places)) == ["r0-a", "r0-b", "r1-a"]


def test_spot_that_costs_as_much_as_on_demand_is_not_chosen(place):
    places = [place("r1-a", 0.3), place("r1-b", 1.0), place("r1-c", 1.2)]
    on_demand = [place("r1-a", 1.0, Market.ON_DEMAND)]
    assert zones(pools(places, on_demand)) == ["r1-a"]


def test_spot_that_costs_as_much_as_on_demand_is_chosen_when_there_is_nothing_else(place):
    assert zones(pools([place("r1-b", 1.0)], [place("r1-a", 1.0, Market.ON_DEMAND)])) == ["r1-b"]


def test_a_fallback_adds_on_demand_pools_where_spot_pools_are(place):
    spot = [place(f"r1-{z}", 0.3) for z in "abcd"]
    on_demand = [place("r0-a", 0.9, Market.ON_DEMAND), place("r1-a", 1.0, Market.ON_DEMAND)]
    chosen = pools(spot, on_demand, fallback=True)
    assert [(c.best.market, c.best.offer.zone) for c in chosen][-1] == (Market.ON_DEMAND, "r1-a")
    assert "r0-a" not in zones(chosen)


def test_a_fallback_finds_room_within_the_bound_of_pools(place):
    spot = [place(f"r{n}-{z}", 0.3) for n in range(2) for z in "abcd"]
    on_demand = [place(f"r{n}-{z}", 1.0, Market.ON_DEMAND) for n in range(2) for z in "abcd"]
    chosen = pools(spot, on_demand, fallback=True, max_pools=5)
    assert [c.best.market for c in chosen] == [Market.SPOT] * 2 + [Market.ON_DEMAND] * 3


def test_similar_spot_types_of_one_aws_zone_are_one_pool(place):
    names = {"g6.xlarge": 0.30, "g6.2xlarge": 0.36, "g6.16xlarge": 0.90}
    (chosen,) = pools([place(price=price, instance_type=name) for name, price in names.items()])
    assert [o.instance_type for o in chosen.offers] == ["g6.xlarge", "g6.2xlarge"]


def test_on_demand_and_other_clouds_take_the_cheapest_type_alone(place):
    for changes in ({"market": Market.ON_DEMAND}, {"cloud": "gcp"}):
        (chosen,) = pools(
            [place(price=p, instance_type=n, **changes) for n, p in (("small", 1.0), ("large", 1.1))]
        )
        assert [o.instance_type for o in chosen.offers] == ["small"]


def test_a_later_choice_of_an_ordered_file_gets_no_pool_that_is_cheaper(place):
    places = [
        place("r1-a", 2.0, preference=0),
        place("r1-b", 1.0, preference=1),
        place("r1-c", 3.0, preference=1),
    ]
    assert zones(pools(places)) == ["r1-a", "r1-c"]


def test_regions_that_are_open_anyway_do_not_count_twice(place):
    places = [place("r1-a", 1.0), place("r2-a", 2.0), place("r3-a", 3.0)]
    opened = frozenset({("aws", "r3")})
    assert zones(pools(places, max_regions=2, opened=opened)) == ["r1-a", "r3-a"]


def test_nothing_is_chosen_when_every_region_is_closed(place):
    assert pools([place("r1-a")], max_regions=1, opened=frozenset({("aws", "r9")})) == ()
