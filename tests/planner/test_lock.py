"""A lock holds the set of pools: prices rank it and settings may retire from it, but only a renewal takes or drops pools."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.load import Catalog, Offer
from planner.constraints import Constraints
from planner.lock import renewed
from planner.planner import plan
from spec.desired import PoolState, Scaling
from spec.errors import SpecError
from spec.lock import Lock, LockedPool
from spec.names import Market
from spec.service import Accelerator, ResourceOption, ServiceSpec
from spec.stack import parse

ZONES = {"use1-az1": "us-east-1", "use1-az2": "us-east-1", "usw2-az1": "us-west-2", "usw2-az2": "us-west-2"}


def an_offer(zone, spot, price=1.0, instance_type="g6.xlarge"):
    return Offer(
        cloud="aws",
        region=ZONES[zone],
        zone=zone,
        instance_type=instance_type,
        vcpus=4,
        memory_gib=16,
        accelerator="L4",
        accelerator_count=1,
        accelerator_memory_gib=24,
        on_demand_usd_hour=price,
        spot_usd_hour=spot,
        source="test",
        as_of="2026-01-01",
    )


def table(**spot):
    """Zone (with `_`) -> spot price."""
    return Catalog(tuple(an_offer(zone.replace("_", "-"), price) for zone, price in spot.items()))


TODAY = table(use1_az1=0.1, use1_az2=0.2, usw2_az1=0.3, usw2_az2=0.4)
TWO_POOLS = Constraints(clouds=("aws",), max_pools_per_service=2)


def a_service(name="svc", market=Market.SPOT, **scaling):
    option = ResourceOption(accelerators=(Accelerator(name="L4", count=1),), market=market)
    return ServiceSpec(
        name=name,
        file=f"{name}.yaml",
        options=(option,),
        run="serve",
        port=8000,
        scaling=Scaling(**{"min_replicas": 1, "max_replicas": 2, **scaling}),
    )


def pool(zone, market="spot", service="svc"):
    return f"{service}.aws.{zone}.L4x1.{market}"


def lock_of(*zones, retiring=(), types=("g6.xlarge",)):
    pools = {pool(z): LockedPool(instance_types=types) for z in zones}
    pools |= {pool(z): LockedPool(instance_types=types, state=PoolState.RETIRING) for z in retiring}
    return Lock(schema=1, pools=pools)


def planned(lock, catalog=TODAY, constraints=TWO_POOLS, service=None):
    return plan([service or a_service()], catalog, constraints, env="prod", lock=lock).services[0]


def unfit(lock, **more):
    with pytest.raises(SpecError) as e:
        planned(lock, **more)
    return str(e.value)


# ---------------------------------------------------------------- what it holds


def test_pools_are_those_of_the_lock_in_the_order_of_todays_prices():
    found = planned(lock_of("usw2-az2", "usw2-az1"))
    assert [p.zone for p in found.pools] == ["usw2-az1", "usw2-az2"]
    assert [p.price_usd_hour for p in found.pools] == [0.3, 0.4]
    assert {r.zone for r in found.rows if r.chosen} == {"usw2-az1", "usw2-az2"}


@given(st.lists(st.floats(0.01, 0.9), min_size=4, max_size=4))
def test_no_price_changes_the_set(prices):
    catalog = table(**dict(zip(("use1_az1", "use1_az2", "usw2_az1", "usw2_az2"), prices, strict=True)))
    found = planned(lock_of("use1-az2", "usw2-az2"), catalog=catalog)
    assert {p.zone for p in found.pools} == {"use1-az2", "usw2-az2"}
    assert [p.price_usd_hour for p in found.pools] == sorted(p.price_usd_hour for p in found.pools)


def test_better_places_are_proposed_and_not_taken():
    notes = planned(lock_of("usw2-az2", "usw2-az1")).notes
    [note] = [n for n in notes if "would be chosen" in n]
    assert note == (
        f"pools.prod.lock holds the pools; by today's prices 1 others would be chosen, the cheapest {pool('use1-az1')} at "
        "0.10 USD/hour: ./tw plan --stack prod --lock takes them"
    )
    chosen_today = [p.zone for p in planned(None).pools]
    assert not [n for n in planned(lock_of(*chosen_today)).notes if "would be chosen" in n]


def test_a_retiring_pool_stays_declared_until_a_renewal_drops_it():
    found = planned(lock_of("use1-az1", retiring=["usw2-az2"]))
    assert {p.zone: p.state for p in found.pools} == {
        "use1-az1": PoolState.ACTIVE,
        "usw2-az2": PoolState.RETIRING,
    }
    note = f"{pool('usw2-az2')} is retiring: when it is empty, ./tw plan --stack prod --lock drops it"
    assert note in found.notes


def test_what_the_settings_leave_out_retires_with_the_reason():
    quotas = parse({"clouds": ["aws"], "quotas": {"aws/us-west-2": {"L4": {"spot": 0}}}}, file="f")
    found = planned(lock_of("use1-az1", "usw2-az2"), constraints=Constraints.of(quotas))
    assert {p.zone: p.state for p in found.pools if p.state is PoolState.RETIRING} == {
        "usw2-az2": PoolState.RETIRING
    }
    assert f"{pool('usw2-az2')} is retiring: the spot quota of L4 in aws/us-west-2 is 0" in found.notes
    elsewhere = replace(TWO_POOLS, regions=("us-west-2",))
    assert f"{pool('use1-az1')} is retiring: us-east-1 is not us-west-2" in (
        planned(lock_of("use1-az1", "usw2-az2"), constraints=elsewhere).notes
    )


def test_a_market_that_the_file_no_longer_asks_for_retires():
    held = lock_of("use1-az1")
    both = Lock(
        schema=1,
        pools={**held.pools, pool("use1-az1", "on_demand"): LockedPool(instance_types=("g6.xlarge",))},
    )
    fallback = a_service(dynamic_ondemand_fallback=True)
    assert {p.state for p in planned(both, service=fallback).pools} == {PoolState.ACTIVE}
    states = {p.market: p.state for p in planned(both).pools}
    assert states == {Market.SPOT: PoolState.ACTIVE, Market.ON_DEMAND: PoolState.RETIRING}


# ---------------------------------------------------------------- what does not fit


def test_a_price_that_is_gone_is_told_with_both_ways_out():
    text = unfit(lock_of("use1-az1", "usw2-az2"), catalog=table(use1_az1=0.1))
    assert text == (
        f"pools.prod.lock: {pool('usw2-az2')}: no price is known for g6.xlarge. Put the row back into catalog/prices.csv, "
        "or ./tw plan --stack prod --lock drops the pool."
    )


def test_a_market_without_a_price_is_a_price_that_is_gone():
    catalog = Catalog((an_offer("use1-az1", None), an_offer("use1-az2", 0.2)))
    assert pool("use1-az1") in unfit(lock_of("use1-az1", "use1-az2"), catalog=catalog)


def test_a_service_without_pools_is_told():
    assert unfit(Lock(schema=1)) == (
        "pools.prod.lock: has no pool of the service `svc`. ./tw plan --stack prod --lock takes some."
    )


def test_pools_of_a_service_that_is_gone_are_told():
    other = Lock(
        schema=1,
        pools={
            **lock_of("use1-az1").pools,
            pool("use1-az1", service="old"): LockedPool(instance_types=("g6.xlarge",)),
        },
    )
    text = unfit(other)
    assert "pools.prod.lock: has pools of `old`, which is no service of this stack. Give it back" in text
    assert "./tw plan --stack prod --lock drops them." in text


def test_a_service_all_of_whose_pools_retire_has_nowhere_to_go():
    text = unfit(lock_of("use1-az1"), constraints=replace(TWO_POOLS, regions=("us-west-2",)))
    assert text == (
        "pools.prod.lock: all pools of the service `svc` are retiring. ./tw plan --stack prod --lock takes others. "
        "Why: us-east-1 is not us-west-2."
    )


# ---------------------------------------------------------------- how it is renewed


def renewal(old, catalog=TODAY):
    fresh = plan([a_service()], catalog, TWO_POOLS, env="prod")
    return renewed(old, fresh, catalog)


def zones_of(lock):
    return {i.split(".")[2]: p.state.value for i, p in lock.pools.items()}


def test_a_first_lock_takes_what_prices_choose():
    lock, lines = renewal(None)
    assert zones_of(lock) == {"use1-az1": "active", "usw2-az1": "active"}
    assert lines == (f"+ {pool('use1-az1')}", f"+ {pool('usw2-az1')}")
    assert lock.pools[pool("use1-az1")].usd_hour == 0.1


def test_a_pool_leaves_in_two_steps():
    first, lines = renewal(lock_of("use1-az1", "usw2-az2"))
    assert zones_of(first) == {"use1-az1": "active", "usw2-az1": "active", "usw2-az2": "retiring"}
    assert f"~ {pool('usw2-az2')}: retiring; the controller drains it" in lines
    second, lines = renewal(first)
    assert zones_of(second) == {"use1-az1": "active", "usw2-az1": "active"}
    assert lines == (f"- {pool('usw2-az2')}: it was retiring",)
    assert renewal(second) == (second, ())


def test_a_retiring_pool_that_is_wanted_again_stays():
    lock, lines = renewal(lock_of("usw2-az1", retiring=["use1-az1"]))
    assert zones_of(lock) == {"use1-az1": "active", "usw2-az1": "active"}
    assert lines == (f"+ {pool('use1-az1')}: no longer retiring",)


def test_a_new_price_alone_changes_nothing_in_the_file():
    before, _ = renewal(None)
    assert renewal(before, table(use1_az1=0.11, use1_az2=0.2, usw2_az1=0.31, usw2_az2=0.4)) == (before, ())


def test_other_instance_types_are_said():
    lines = renewal(lock_of("use1-az1", "usw2-az1", types=("g6.2xlarge",)))[1]
    assert f"~ {pool('use1-az1')}: g6.2xlarge => g6.xlarge" in lines


def test_a_pool_without_a_price_or_a_service_goes_at_once():
    other = LockedPool(instance_types=("g6.xlarge",))
    old = Lock(
        schema=1, pools={**lock_of("use1-az1", "usw2-az2").pools, pool("use1-az1", service="old"): other}
    )
    lock, lines = renewal(old, table(use1_az1=0.1, usw2_az1=0.3))
    assert zones_of(lock) == {"use1-az1": "active", "usw2-az1": "active"}
    assert f"- {pool('usw2-az2')}: no price is known for it any more" in lines
    assert f"- {pool('use1-az1', service='old')}: its service is gone" in lines
