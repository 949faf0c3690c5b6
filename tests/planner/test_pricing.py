import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.pricing import (
    HOURS_PER_MONTH,
    ZERO,
    Cost,
    UnknownPrice,
    cost_of_fixed,
    cost_of_service,
)
from spec.desired import Pool, PoolState, Prices, Scaling
from spec.names import Market, PoolKind
from spec.scaling import Schedule


def pool(name, *, price=1.0, market=Market.SPOT, max_size=3, units=1.0):
    return Pool(
        id=name,
        service="s",
        kind=PoolKind.VM,
        cloud="aws",
        region="r",
        market=market,
        accelerator="L4",
        accelerator_count=1,
        instance_types=("t",),
        capacity_units=units,
        max_size=max_size,
        prices=Prices(spot=price, on_demand=price) if price is not None else Prices(),
    )


def test_expected_is_cheapest_worst_is_dearest_runaway_is_all_pools_full():
    scaling = Scaling(min_replicas=2, max_replicas=4, surge=1)
    cost = cost_of_service(scaling, [pool("a", price=0.2, max_size=5), pool("b", price=0.7, max_size=5)])
    assert cost.expected_usd_hour == pytest.approx(0.4)
    assert cost.worst_usd_hour == pytest.approx(5 * 0.7)
    assert cost.runaway_usd_hour == pytest.approx(5 * 0.2 + 5 * 0.7)
    assert cost.idle_usd_month == 0


def test_a_service_that_scales_to_zero_is_expected_to_run_one_replica():
    scaling = Scaling(min_replicas=0, max_replicas=10)
    assert cost_of_service(scaling, [pool("a", price=2)]).expected_usd_hour == 2


def test_replicas_that_must_be_on_demand_are_expected_at_that_price():
    scaling = Scaling(min_replicas=3, max_replicas=3, num_overprovision=1, base_ondemand_fallback_replicas=1)
    pools = [pool("a", price=1), pool("b", price=4, market=Market.ON_DEMAND)]
    assert cost_of_service(scaling, pools).expected_usd_hour == 4 + 3 * 1


def test_nothing_is_expected_to_be_bought_in_a_pool_that_retires_while_there_is_another():
    leaving = pool("a", price=1).model_copy(update={"state": PoolState.RETIRING})
    cost = cost_of_service(Scaling(min_replicas=2, max_replicas=2), [leaving, pool("b", price=3)])
    assert cost.expected_usd_hour == 6
    assert cost.worst_usd_hour == 3 * 3
    assert cost.runaway_usd_hour == 3 * 1 + 3 * 3
    assert cost_of_service(Scaling(), [leaving]).expected_usd_hour == 1


def test_floors_by_the_clock_are_expected_for_as_long_as_they_hold():
    working_hours = Schedule(cron="0 8 * * 1-5", duration_s=36_000, min_replicas=4)
    scaling = Scaling(
        min_replicas=1, max_replicas=4, base_ondemand_fallback_replicas=2, schedules=(working_hours,)
    )
    cost = cost_of_service(scaling, [pool("a", price=1), pool("b", price=5, market=Market.ON_DEMAND)])
    busy = 50 / 168
    assert cost.expected_usd_hour == pytest.approx((1 - busy) * 5 + busy * (2 * 5 + 2 * 1))


def test_a_replica_of_two_machines_costs_two_machines():
    scaling = Scaling(min_replicas=2, max_replicas=2, surge=0)
    cost = cost_of_service(scaling, [pool("a", price=5, units=0.5, max_size=4)])
    assert cost == Cost(20, 20, 20, 0)


def test_a_pool_without_a_price_makes_every_figure_unknown():
    with pytest.raises(UnknownPrice, match="no price is known for b") as e:
        cost_of_service(Scaling(), [pool("a"), pool("b", price=None)])
    assert e.value.pool_ids == ("b",)


def test_without_pools_nothing_is_spent():
    assert cost_of_service(Scaling(), []) == ZERO


def test_fixed_costs_are_in_every_figure_and_are_all_that_an_idle_month_costs():
    cost = cost_of_fixed(0.5) + cost_of_service(Scaling(), [pool("a", max_size=2)])
    assert cost == Cost(1.5, 2.5, 2.5, 0.5 * HOURS_PER_MONTH)
    assert cost.expected_usd_month == 1.5 * 730


floors = st.builds(
    Schedule,
    cron=st.sampled_from(["0 8 * * 1-5", "30 22 * * *", "0 0 1 * *"]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
    duration_s=st.sampled_from([3600.0, 36_000.0, 604_800.0]),
    min_replicas=st.integers(0, 30),
)
scalings = st.builds(
    Scaling,
    min_replicas=st.integers(0, 20),
    max_replicas=st.integers(0, 20),
    surge=st.integers(0, 5),
    num_overprovision=st.integers(0, 5),
    base_ondemand_fallback_replicas=st.integers(0, 5),
    schedules=st.none() | st.tuples(floors) | st.tuples(floors, floors),
)
prices = st.lists(st.tuples(st.floats(0.01, 100), st.sampled_from(Market)), min_size=1, max_size=8)


@given(scalings, prices)
def test_expected_is_at_most_worst_and_worst_at_most_runaway(scaling, prices):
    most = scaling.max_replicas + scaling.surge
    pools = [
        pool(str(i), price=price, market=market, max_size=most) for i, (price, market) in enumerate(prices)
    ]
    cost = cost_of_service(scaling, pools)
    assert 0 <= cost.expected_usd_hour <= cost.worst_usd_hour * (1 + 1e-12)
    assert cost.worst_usd_hour <= cost.runaway_usd_hour * (1 + 1e-12)


@given(scalings, prices)
def test_a_further_pool_never_lowers_what_may_be_spent(scaling, prices):
    pools = [pool(str(i), price=price, market=market) for i, (price, market) in enumerate(prices)]
    fewer, more = cost_of_service(scaling, pools[:-1]), cost_of_service(scaling, pools)
    assert fewer.worst_usd_hour <= more.worst_usd_hour
    assert fewer.runaway_usd_hour <= more.runaway_usd_hour
