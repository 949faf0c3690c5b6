"""A hosted provider behind the edges: what it covers need not be covered by spares, and costs what it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.decide import SetSize
from lb.decide.memory import Memory
from lb.decide.observed import Load, Observed
from lb.decide.places import worth
from lb.decide.tick import Tick
from spec.names import Market
from tests.lb.world import ZONES, World, a_desired, a_pool, a_service

ON_DEMAND_USD, NEEDED = 0.5, 2
SHORT_USD = 0.02 * NEEDED * ON_DEMAND_USD / 0.0001
NONE_USD = 20 * (1 - 1 / NEEDED) * 0.02 * NEEDED * ON_DEMAND_USD / 0.001
"""What the `slo` of 99.99 % prices an hour of fewer replicas at, and of none, as 99.9 % does, in addition."""


def a_world(**load):
    pools = [
        a_pool(zone, market=market, price=0.2 if market is Market.SPOT else ON_DEMAND_USD)
        for zone in ZONES
        for market in (Market.SPOT, Market.ON_DEMAND)
    ]
    world = World(a_desired([a_service(replicas=NEEDED, surge=2, scaling={"slo": 99.99})], pools))
    world.asks(3.0, **load)
    return world


def price(**load):
    desired = a_world().desired
    observed = Observed(load=(Load("chat", 3.0, **load),))
    found = worth(Tick(desired, observed, Memory(), 0.0), desired.services[0], NEEDED)
    return found.short_usd_hour, found.none_usd_hour


def test_without_a_provider_being_short_costs_what_the_slo_says():
    assert price() == pytest.approx((SHORT_USD, NONE_USD))


def test_having_none_costs_what_the_provider_takes_and_waiting_for_some_no_more_than_that():
    assert price(hosted_usd_hour=0.4) == (0.4, 0.0)
    assert price(hosted_usd_hour=SHORT_USD + 5.0) == pytest.approx((SHORT_USD, 5.0))


def test_without_load_being_short_costs_nothing():
    assert price(hosted_usd_hour=0.0) == price(hosted_usd_hour=0.0, hosted_most_usd_hour=3.0) == (0.0, 0.0)


def test_callers_beyond_the_providers_limit_cost_what_the_slo_says():
    short, none = price(hosted_usd_hour=4.0, hosted_most_usd_hour=1.0)
    assert short == pytest.approx(1.0 + 0.75 * SHORT_USD)
    assert none == pytest.approx(0.75 * NONE_USD)
    assert price(hosted_usd_hour=4.0, hosted_most_usd_hour=0.0) == price()
    assert price(hosted_usd_hour=4.0, hosted_most_usd_hour=4.0) == price(hosted_usd_hour=4.0)


usd = st.floats(0, 1e4)


@given(usd, usd, st.none() | usd)
def test_a_cover_never_makes_it_dearer_and_a_dearer_one_never_cheaper(cheap, more, most):
    lesser = price(hosted_usd_hour=cheap, hosted_most_usd_hour=most)
    dearer = price(hosted_usd_hour=cheap + more, hosted_most_usd_hour=most)
    assert 0 <= lesser[0] <= dearer[0] * (1 + 1e-9) + 1e-9
    assert 0 <= sum(lesser) <= sum(dearer) * (1 + 1e-9) + 1e-9
    assert all(has <= slo * (1 + 1e-9) for has, slo in zip(dearer, price(), strict=True))


@pytest.mark.parametrize(
    ("load", "machines"),
    [
        ({}, 3),
        ({"hosted_usd_hour": 0.4}, 2),
        ({"hosted_usd_hour": 0.0}, 2),
        ({"hosted_usd_hour": 1000.0}, 3),
        ({"hosted_usd_hour": 5.0, "hosted_most_usd_hour": 0.1}, 3),
    ],
    ids=str,
)
def test_a_spare_is_held_only_where_a_loss_would_cost_more(load, machines):
    world = a_world(**load)
    world.run(100)
    assert len(world.machines) == machines


def test_when_edges_begin_to_fall_back_the_spare_leaves_and_all_that_are_needed_stay():
    world = a_world()
    world.run(100)
    world.asks(3.0, hosted_usd_hour=0.4)
    for _ in range(120):
        world.tick()
        assert world.ready() >= NEEDED
    assert len(world.machines) == NEEDED


def test_while_it_covers_a_loss_is_replaced_by_spot_and_not_by_what_is_certain_and_the_reason_says_so():
    def after_a_loss(**load):
        world = a_world(**load)
        world.run(100)
        for instance_id in list(world.machines):
            world.capacity[world.pool(world.machines[instance_id].pool_id).id] = 0
            world.lose(instance_id)
        decision = world.tick()
        sizes = {
            c.pool_id.rpartition(".")[2]: c.size
            for c in decision.commands
            if isinstance(c, SetSize) and c.size
        }
        return decision.reasons, sizes

    reasons, launched = after_a_loss(hosted_usd_hour=0.4)
    assert launched == {"spot": NEEDED}
    assert (
        "chat: 2 missing; a hosted provider covers for about 0.40 USD per hour while none is ready" in reasons
    )
    reasons, launched = after_a_loss()
    assert launched == {"on_demand": NEEDED}
    assert not any("hosted" in reason for reason in reasons)
