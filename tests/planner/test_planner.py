import json
import math
import random
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.load import Catalog, Offer
from planner.constraints import Constraints
from planner.planner import plan
from planner.rank import NoPlace
from spec.desired import Budget, OnExhausted
from spec.errors import InputError
from spec.names import Market, PoolKind
from spec.service import Mount


def text_of(planned):
    """Everything that is in a plan, as text: the bytes that must not change."""
    pools = [p.model_dump(mode="json") for s in planned.services for p in s.pools]
    rows = [[asdict(x) for x in (*s.rows, *s.left_out)] for s in planned.services]
    notes = [(s.arithmetic, s.notes, asdict(s.cost)) for s in planned.services]
    return json.dumps([pools, rows, notes, asdict(planned.cost)])


def test_the_blogs_service_on_demand_gets_the_cheapest_place_and_two_replacements(mixtral, catalog):
    (service,) = plan([mixtral], catalog, Constraints(), env="prod").services
    assert [p.id for p in service.pools] == [
        "mixtral.azure.eastus.A100-80GBx2.on_demand",
        "mixtral.azure.eastus2.A100-80GBx2.on_demand",
        "mixtral.azure.westus2.A100-80GBx2.on_demand",
    ]
    assert service.rows[0].chosen
    assert service.cost.expected_usd_hour == pytest.approx(2 * 7.346)


def test_the_blogs_service_on_spot_is_spread_over_clouds_regions_and_zones(mixtral, catalog):
    (service,) = plan([mixtral], catalog, Constraints(market=Market.SPOT), env="prod").services
    assert {p.cloud for p in service.pools} == {"aws", "azure", "gcp"}
    assert len({(p.cloud, p.region) for p in service.pools}) == 6
    assert 10 < len(service.pools) <= 24
    assert {p.market for p in service.pools} == {Market.SPOT}
    assert all(p.price_usd_hour < 7.346 for p in service.pools)


def test_rows_show_both_markets_unless_one_is_forced_and_the_asked_one_comes_first(mixtral, catalog):
    (both,) = plan([mixtral], catalog, Constraints(), env="e").services
    assert [r.market for r in both.rows] == [Market.ON_DEMAND] * 148 + [Market.SPOT] * 148
    (spot,) = plan([mixtral], catalog, Constraints(market=Market.SPOT), env="e").services
    assert {r.market for r in spot.rows} == {Market.SPOT}


def test_chosen_rows_are_exactly_the_pools_places(mixtral, catalog):
    (service,) = plan([mixtral], catalog, Constraints(market=Market.SPOT), env="e").services
    rows = {(r.cloud, r.zone or r.region, r.accelerator, r.instance_type) for r in service.rows if r.chosen}
    pools = {(p.cloud, p.zone or p.region, p.accelerator, t) for p in service.pools for t in p.instance_types}
    assert rows == pools


def test_a_pools_price_is_the_dearest_of_its_types(service, offer):
    rows = [offer(spot=0.30), offer(instance_type="g6.2xlarge", spot=0.36, price=1.2, as_of="2025")]
    spot = plan([service("L4:1")], Catalog(tuple(rows)), Constraints(market=Market.SPOT), env="e")
    (pool,) = spot.services[0].pools
    assert pool.instance_types == ("g6.xlarge", "g6.2xlarge")
    assert (pool.prices.spot, pool.prices.on_demand, pool.prices.as_of) == (0.36, 1.2, "2025")


def test_a_pool_may_hold_every_replica_and_the_surge(service, catalog):
    llama = service("L4:1", scaling={"min_replicas": 1, "max_replicas": 7, "surge": 2})
    assert {p.max_size for p in plan([llama], catalog, Constraints(), env="e").services[0].pools} == {9}


def test_a_replica_of_two_nodes_takes_two_machines_of_a_pool(service, catalog):
    scaling = {"min_replicas": 2, "max_replicas": 2, "surge": 1}
    one, two = (
        plan([service("A100-80GB:8", num_nodes=n, scaling=scaling)], catalog, Constraints(), env="e")
        for n in (1, 2)
    )
    assert {p.max_size for p in two.services[0].pools} == {6}
    assert two.cost.worst_usd_hour == pytest.approx(2 * one.cost.worst_usd_hour)


def test_kinds_follow_the_cloud(service, catalog):
    real = plan([service("L4:1")], catalog, Constraints(market=Market.SPOT), env="e").services[0]
    local = plan([service("L4:1")], catalog, Constraints(clouds=("local",)), env="dev").services[0]
    assert {p.kind for p in real.pools} == {PoolKind.VM}
    assert {p.kind for p in local.pools} == {PoolKind.PROCESS}
    assert {p.zone for p in local.pools} == {"local-east-a", "local-east-b", "local-west-a"}
    assert {p.launch_usd for p in local.pools} == {0}


def test_weights_over_the_wire_make_a_launch_slow_and_cost_money(service, catalog):
    def pool(**fields):
        return plan([service("A100-80GB:4", **fields)], catalog, Constraints(clouds=("gcp",)), env="e")

    big = pool(model="meta-llama/Llama-3-70b").services[0].pools[0]
    unknown = pool().services[0].pools[0]
    at_home = pool(model="meta-llama/Llama-3-70b", file_mounts=(Mount(target="/m", source="gs://bucket/m"),))
    assert big.launch_usd == pytest.approx(70.6 * 2 * 0.09, abs=0.01)
    assert 4 * 60 < big.cold_start_s < 15 * 60
    assert (unknown.launch_usd, unknown.cold_start_s) == (0, 180)
    assert at_home.services[0].pools[0].launch_usd == 0


def test_a_spot_service_with_a_fallback_gets_on_demand_pools_too(service, catalog):
    scaling = {"min_replicas": 3, "max_replicas": 3, "base_ondemand_fallback_replicas": 1}
    asked = plan([service("L4:1", scaling=scaling)], catalog, Constraints(market=Market.SPOT), env="e")
    markets = [p.market for p in asked.services[0].pools]
    assert markets.count(Market.ON_DEMAND) == 3
    assert markets.count(Market.SPOT) > 10


def test_an_on_demand_service_needs_no_fallback(service, catalog):
    scaling = {"min_replicas": 2, "max_replicas": 2, "dynamic_ondemand_fallback": True}
    with_fallback, without = (
        plan([service("L4:1", scaling=s)], catalog, Constraints(), env="e") for s in (scaling, None)
    )
    assert with_fallback.services[0].pools == without.services[0].pools


def test_a_fallback_that_the_limits_exclude_is_said(service, catalog):
    scaling = {"min_replicas": 2, "max_replicas": 2, "dynamic_ondemand_fallback": True}
    limits = Constraints(market=Market.SPOT, max_price_usd_hour=0.4)
    (done,) = plan([service("L4:1", scaling=scaling)], catalog, limits, env="e").services
    assert any("on-demand fallback" in note for note in done.notes)


def test_the_maximum_price_filters_rows_and_pools(service, catalog):
    (done,) = plan([service("L4:1")], catalog, Constraints(max_price_usd_hour=0.75), env="e").services
    assert max(r.price_usd_hour for r in done.rows) <= 0.75
    assert any("more than the maximum of 0.75" in x.reason for x in done.left_out)


def test_fixed_costs_are_in_the_environments_figures_and_in_no_services(service, catalog):
    planned = plan([service("L4:1")], catalog, Constraints(), env="e", fixed_usd_hour=0.25)
    (done,) = planned.services
    assert planned.cost.expected_usd_hour == pytest.approx(done.cost.expected_usd_hour + 0.25)
    assert planned.cost.idle_usd_month == pytest.approx(0.25 * 730)


@pytest.mark.parametrize(("usd_month", "said"), [(10, True), (100_000, False), (None, False)])
def test_a_budget_of_the_month_that_can_not_last_is_said(service, catalog, usd_month, said):
    spec = service("L4:1", budget=Budget(usd_month=usd_month, on_exhausted=OnExhausted.STOP))
    (done,) = plan([spec], catalog, Constraints(), env="e").services
    assert said is any("usd_month 10 is less than" in n and "used up (stop)" in n for n in done.notes)


def test_what_the_reader_reported_is_among_the_notes(service, catalog):
    spec = service("L4:1", not_acted_on=("tls: not yet",), assumed=("port: 8000",))
    assert plan([spec], catalog, Constraints(), env="e").services[0].notes[:2] == (
        "tls: not yet",
        "port: 8000",
    )


def test_regions_are_counted_for_the_whole_environment(service, catalog):
    services = [service("L4:1", name=f"s{n}") for n in range(3)]
    planned = plan(services, catalog, Constraints(market=Market.SPOT, max_regions=4), env="e")
    assert len({(p.cloud, p.region) for s in planned.services for p in s.pools}) == 4
    assert all(s.pools for s in planned.services)


def test_a_service_whose_places_are_in_no_region_that_is_left_is_refused(service, option, catalog):
    a = service(name="a", options=(option("L4:1", region="us-east4"),))
    b = service(name="b", options=(option("L4:1", region="us-west4"),))
    with pytest.raises(NoPlace, match=r"b.yaml: no place is left for `b`: .* 1 regions that max_regions"):
        plan([a, b], catalog, Constraints(max_regions=1), env="e")


def test_two_services_may_not_have_one_name(service, catalog):
    with pytest.raises(InputError, match=r"`svc` is taken by svc.yaml"):
        plan([service("L4:1"), service("L4:1")], catalog, Constraints(), env="e")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_price_usd_hour": -1}, "above 0; it is `-1`"),
        ({"max_price_usd_hour": math.nan}, "above 0; it is `nan`"),
        ({"max_price_usd_hour": math.inf}, "above 0; it is `inf`"),
        ({"max_pools_per_service": 0}, "at least 1"),
        ({"clouds": ("asw",)}, "no prices of a cloud `asw`. Did you mean `aws`?"),
        ({"clouds": ("zzz",)}, "There are: aws, azure, gcp"),
        ({"regions": ("eu-nort-1",)}, "Did you mean `eu-north-1`?"),
        ({"zones": ("us-east-1b",)}, "zones are zone ids"),
    ],
)
def test_limits_that_make_no_sense_are_refused(service, catalog, limits, message):
    with pytest.raises(InputError) as e:
        plan([service("L4:1")], catalog, Constraints(**limits), env="e")
    assert message in str(e.value)


def test_a_stack_may_name_kubernetes_though_it_has_no_prices(service, catalog):
    planned = plan([service("L4:1")], catalog, Constraints(clouds=("gcp", "kubernetes")), env="e")
    assert {p.cloud for p in planned.services[0].pools} == {"gcp"}


def test_the_order_of_the_catalogs_rows_does_not_matter(mixtral, catalog):
    offers = list(catalog.offers)
    first = text_of(plan([mixtral], catalog, Constraints(), env="e"))
    for seed in range(3):
        random.Random(seed).shuffle(offers)
        assert text_of(plan([mixtral], Catalog(tuple(offers)), Constraints(), env="e")) == first


spots = st.none() | st.floats(0.01, 5).map(lambda x: round(x, 3))
worlds = st.lists(
    st.builds(
        Offer,
        cloud=st.sampled_from(["aws", "gcp", "azure", "lambda"]),
        region=st.sampled_from(["r1", "r2", "r3"]),
        zone=st.sampled_from(["a", "b", None]),
        instance_type=st.sampled_from(["t1", "t2"]),
        vcpus=st.just(4.0),
        memory_gib=st.just(16.0),
        accelerator=st.sampled_from(["L4", "A10G"]),
        accelerator_count=st.just(1),
        accelerator_memory_gib=st.just(24.0),
        on_demand_usd_hour=spots,
        spot_usd_hour=spots,
        source=st.just("test"),
        as_of=st.just("unknown"),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda o: o.key,
).map(lambda world: [replace(o, zone=o.zone and f"{o.cloud}-{o.region}-{o.zone}") for o in world])


def plan_or_reason(spec, rows, limits):
    try:
        return plan([spec], Catalog(tuple(rows)), limits, env="e")
    except NoPlace as e:
        return str(e)


@settings(max_examples=60, deadline=None)
@given(
    world=worlds,
    seed=st.integers(0, 99),
    limits=st.builds(
        Constraints,
        market=st.sampled_from([None, Market.SPOT, Market.ON_DEMAND]),
        max_pools_per_service=st.integers(1, 8),
        max_regions=st.integers(1, 3),
    ),
    fallback=st.booleans(),
)
def test_in_any_world_a_plan_keeps_its_bounds_and_ignores_the_order_of_rows(world, seed, limits, fallback):
    from spec.desired import Scaling
    from spec.service import Accelerator, ResourceOption, ServiceSpec

    option = ResourceOption(
        accelerators=(Accelerator(name="L4"), Accelerator(name="A10G")), market=Market.SPOT
    )
    spec = ServiceSpec(
        name="s",
        file="s.yaml",
        options=(option,),
        run="x",
        port=1,
        scaling=Scaling(min_replicas=1, max_replicas=3, dynamic_ondemand_fallback=fallback),
    )
    shuffled = list(world)
    random.Random(seed).shuffle(shuffled)
    planned, again = (plan_or_reason(spec, rows, limits) for rows in (world, shuffled))
    if isinstance(planned, str):
        assert again == planned
        return
    assert text_of(again) == text_of(planned)
    (done,) = planned.services
    assert 1 <= len(done.pools) <= limits.max_pools_per_service
    assert len({(p.cloud, p.region) for p in done.pools}) <= limits.max_regions
    assert len({p.id for p in done.pools}) == len(done.pools)
    assert all(p.price_usd_hour for p in done.pools)
    assert "lambda" not in {p.cloud for p in done.pools}
    own = [r.price_usd_hour for r in done.rows if r.market is (limits.market or Market.SPOT)]
    assert own == sorted(own)
    assert done.cost.expected_usd_hour <= done.cost.worst_usd_hour * (1 + 1e-12)
    assert done.cost.worst_usd_hour <= done.cost.runaway_usd_hour * (1 + 1e-12)
