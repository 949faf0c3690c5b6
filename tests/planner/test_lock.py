"""A lock holds the set of pools: prices rank it and settings may retire from it, but nothing here takes or drops pools."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.load import Catalog, Offer
from planner.constraints import Constraints
from planner.lock import leaving_notes
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


def a_service(name="svc", market=Market.SPOT, *, leaving=False, **scaling):
    option = ResourceOption(accelerators=(Accelerator(name="L4", count=1),), market=market)
    return ServiceSpec(
        name=name,
        file=f"{name}.yaml",
        leaving=leaving,
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
    return Lock(schema=2, pools=pools)


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
    note = f"{pool('usw2-az2')} is retiring: when that is deployed and it is empty, ./tw plan --stack prod --lock drops it"
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
        schema=2,
        pools={**held.pools, pool("use1-az1", "on_demand"): LockedPool(instance_types=("g6.xlarge",))},
    )
    fallback = a_service(dynamic_ondemand_fallback=True)
    assert {p.state for p in planned(both, service=fallback).pools} == {PoolState.ACTIVE}
    states = {p.market: p.state for p in planned(both).pools}
    assert states == {Market.SPOT: PoolState.ACTIVE, Market.ON_DEMAND: PoolState.RETIRING}


# ---------------------------------------------------------------- what does not fit


def test_a_price_that_is_gone_is_told_with_both_ways_out():
    text = unfit(lock_of("use1-az1", "usw2-az2"), catalog=table(use1_az1=0.1, usw2_az1=0.3))
    assert text.startswith(f"pools.prod.lock: pools.{pool('usw2-az2')}: no price is known for g6.xlarge. ")
    assert text.endswith(
        "Put the row back into catalog/prices.csv, or ./tw plan --stack prod --lock retires the pool."
    )


def test_a_pool_whose_price_is_gone_retires_at_what_it_cost_when_it_was_taken():
    gone = an_offer("usw2-az2", 0.2, instance_type="g6.2xlarge")  # its zone is still known
    catalog = Catalog((*table(use1_az1=0.1).offers, gone))
    lost = LockedPool(instance_types=("g6.xlarge",), usd_hour=0.7, state=PoolState.RETIRING)
    lock = Lock(schema=2, pools={**lock_of("use1-az1").pools, pool("usw2-az2"): lost})
    found = {p.id: p for p in planned(lock, catalog=catalog).pools}[pool("usw2-az2")]
    assert (found.region, found.zone, found.state) == ("us-west-2", "usw2-az2", PoolState.RETIRING)
    assert (found.price_usd_hour, found.prices.as_of) == (0.7, "unknown")
    assert f"{found.id} is retiring: no price is known any more for g6.xlarge" in (
        planned(lock, catalog=catalog).notes
    )


def test_a_pool_that_retires_with_no_price_at_all_asks_for_one():
    lock = lock_of("use1-az1", retiring=["use1-az2"])
    catalog = Catalog((an_offer("use1-az1", 0.1), an_offer("use1-az2", None)))
    assert unfit(lock, catalog=catalog).endswith(
        "no price is known for g6.xlarge. Say what it cost, with `usd_hour`, so that it is counted while it retires."
    )


@pytest.mark.parametrize(
    ("pool_id", "types", "near"),
    [
        (pool("use1-az11"), ["g6.xlarge"], "use1-az1"),
        (pool("use1-az1").replace("L4x1", "L4x11"), ["g6.xlarge"], "L4x1"),
        (pool("use1-az1"), ["g6.xlrage"], "g6.xlarge"),
    ],
)
def test_a_misspelt_place_shape_or_type_is_told_with_the_nearest_name(pool_id, types, near):
    lock = Lock(
        schema=2, pools={**lock_of("use1-az2").pools, pool_id: LockedPool(instance_types=tuple(types))}
    )
    assert f"no price is known for {types[0]}. Did you mean `{near}`? Put the row back" in unfit(lock)


def test_several_types_in_a_group_of_one_type_are_told():
    held = "svc.gcp.us-central1-a.L4x1.spot"
    lock = Lock(schema=2, pools={**lock_of("use1-az1").pools, held: LockedPool(instance_types=("a", "b"))})
    assert f"pools.{held}: has 2 instance types: a, b. A group of gcp has one." in unfit(lock)


def test_a_market_without_a_price_is_a_price_that_is_gone():
    catalog = Catalog((an_offer("use1-az1", None), an_offer("use1-az2", 0.2)))
    assert pool("use1-az1") in unfit(lock_of("use1-az1", "use1-az2"), catalog=catalog)


def test_a_service_without_pools_is_told():
    assert unfit(Lock(schema=2)) == (
        "pools.prod.lock: pools: has no pool of the service `svc`. ./tw plan --stack prod --lock takes some."
    )


def with_old(state=PoolState.ACTIVE):
    """The lock of one pool, and one of a service that the stack no longer names."""
    old = LockedPool(instance_types=("g6.xlarge",), state=state)
    pools = {**lock_of("use1-az1").pools, pool("use1-az2", service="old"): old}
    return Lock(schema=2, services={"old": "services/old.yaml"}, pools=pools)


def test_pools_of_a_service_whose_file_nobody_names_are_told_with_the_way_out():
    assert unfit(with_old()) == (
        "pools.prod.lock: pools: has pools of `old`, which is no service of this stack. If it was removed, its pools are "
        "declared until they are empty, and that takes its file. Add `old: FILE` to `services` of pools.prod.lock, or give "
        "it back to the stack."
    )


def test_a_service_all_of_whose_pools_retire_has_nowhere_to_go():
    text = unfit(lock_of("use1-az1"), constraints=replace(TWO_POOLS, regions=("us-west-2",)))
    assert text == (
        "pools.prod.lock: pools: all pools of the service `svc` are retiring. ./tw plan --stack prod --lock takes others. "
        "Why: us-east-1 is not us-west-2."
    )


# ---------------------------------------------------------------- a service that leaves


def leaving(lock, catalog=TODAY, constraints=TWO_POOLS):
    services = [a_service(), a_service("old", leaving=True)]
    return plan(services, catalog, constraints, env="prod", lock=lock)


@pytest.mark.parametrize("state", PoolState)
def test_a_service_that_leaves_is_scaled_to_nothing_and_its_pools_retire_with_their_maximum(state):
    stays, old = leaving(with_old(state)).services
    assert stays.pools[0].state is PoolState.ACTIVE
    assert (old.scaling.min_replicas, old.scaling.max_replicas, old.scaling.surge) == (0, 0, 0)
    assert [(p.state, p.max_size) for p in old.pools] == [(PoolState.RETIRING, 3)]
    assert (old.cost.expected_usd_hour, old.cost.worst_usd_hour) == (0, 0)
    assert old.cost.runaway_usd_hour > 0, "what is declared can still be spent"
    [note] = leaving_notes((stays, old), [a_service("old", leaving=True)], with_old(), env="prod")
    assert note == (
        "old leaves: it is scaled to nothing, and ./tw plan --stack prod --lock drops its pools when they are deployed as "
        "retiring and empty. services/old.yaml is needed until then"
    )


def test_retiring_pools_of_a_service_that_stays_are_named_for_who_reviews_the_environment():
    found = planned(lock_of("use1-az1", retiring=["usw2-az2"]))
    assert list(leaving_notes([found], [a_service()], with_old(), env="prod")) == [
        f"svc: 1 of its 2 pools retire: {pool('usw2-az2')}"
    ]
    assert not list(leaving_notes([planned(lock_of("use1-az1"))], [a_service()], with_old(), env="prod"))


def test_a_service_that_leaves_may_stand_where_nothing_may_be_launched_any_more():
    elsewhere = replace(TWO_POOLS, regions=("us-west-2",))
    lock = Lock(schema=2, pools={**with_old().pools, **lock_of("usw2-az1").pools})
    _, old = leaving(lock, constraints=elsewhere).services
    assert [p.zone for p in old.pools] == ["use1-az2"]


def test_a_service_that_leaves_needs_no_price_of_today():
    other = an_offer("use1-az2", 0.2, instance_type="g6.2xlarge")
    catalog = Catalog((an_offer("use1-az1", 0.1), other))
    old = LockedPool(instance_types=("g6.xlarge",), usd_hour=0.5)
    lock = Lock(schema=2, pools={**lock_of("use1-az1").pools, pool("use1-az2", service="old"): old})
    assert [p.price_usd_hour for p in leaving(lock, catalog).services[1].pools] == [0.5]
