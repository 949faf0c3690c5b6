"""Where the parts of an environment stand: the same for the same inputs, and nothing moves because something is added."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.hosts import place_hosts
from planner.layout import EdgeHost, _cidrs, layout, located
from planner.plan import Plan, ServicePlan
from planner.pricing import ZERO
from spec.desired import Pool, Prices
from spec.errors import InputError
from spec.names import Market, PoolKind
from spec.stack import parse

ZONES = {
    ("aws", "us-east-1"): ("use1-az1", "use1-az2", "use1-az4"),
    ("gcp", "us-central1"): ("us-central1-a", "us-central1-b"),
}
PLACES = st.lists(
    st.tuples(
        st.sampled_from(["aws", "gcp", "azure"]), st.from_regex(r"[a-z]{2}-[a-z]{4}-[1-9]", fullmatch=True)
    ),
    unique=True,
    max_size=40,
)


def config(**more):
    values = {
        "clouds": ["aws", "gcp", "azure"],
        "home": {"cloud": "aws", "region": "us-east-1"},
        "edges": [
            {"cloud": "aws", "region": "us-east-1", "hosts": 2},
            {"cloud": "azure", "region": "eastus"},
        ],
    }
    return parse({k: v for k, v in {**values, **more}.items() if v is not None}, file="Pulumi.test.yaml")


def a_pool(cloud, region, zone):
    return Pool(
        id=f"chat.{cloud}.{zone or region}.L4x1.spot",
        service="chat",
        kind=PoolKind.VM,
        cloud=cloud,
        region=region,
        zone=zone,
        market=Market.SPOT,
        accelerator="L4",
        accelerator_count=1,
        instance_types=("x",),
        max_size=3,
        prices=Prices(spot=1.0),
    )


def a_plan(*pools):
    return Plan("test", (ServicePlan("chat", (), (), pools, ZERO),), 0.0, ZERO)


PLAN = a_plan(
    a_pool("gcp", "us-central1", "us-central1-b"),
    a_pool("aws", "us-east-1", "use1-az4"),
    a_pool("azure", "eastus", None),
)


def placed(settings):
    return layout(PLAN, settings, place_hosts(settings, ZONES, {}))


def test_regions_have_the_zones_of_their_pools_and_hosts():
    found = placed(config())
    assert {(r.cloud, r.region): r.zones for r in found.regions} == {
        ("aws", "us-east-1"): ("use1-az1", "use1-az2", "use1-az4"),
        ("azure", "eastus"): (),
        ("gcp", "us-central1"): ("us-central1-b",),
    }
    assert found.clouds == ("aws", "azure", "gcp")


def test_hosts_of_an_edge_stand_in_different_zones_behind_a_balancer():
    first, second = placed(config()).edges
    assert first.hosts == (
        EdgeHost("edge-aws-us-east-1-1", 1, "use1-az1", "c7i.large"),
        EdgeHost("edge-aws-us-east-1-2", 2, "use1-az2", "c7i.large"),
    )
    assert first.balanced
    assert second.hosts == (EdgeHost("edge-azure-eastus-1", 1, None, "Standard_D2s_v5"),)
    assert not second.balanced


def test_replicas_are_reached_privately_only_where_everybody_who_calls_them_is():
    assert placed(config()).private_in("aws") == ()
    alone = config(edges=[{"cloud": "aws", "region": "us-east-1"}])
    assert placed(alone).private_in("aws") == ("us-east-1",)
    assert placed(alone).private_in("gcp") == ()


def test_a_range_that_is_too_small_is_named():
    with pytest.raises(InputError, match=r"10\.1\.0\.0/16 has room for one region, and there are 3"):
        placed(config(addresses={"cidr": "10.1.0.0/16"}))


@given(PLACES)
def test_ranges_of_regions_never_overlap(places):
    found = [ipaddress.ip_network(c) for c in _cidrs("10.0.0.0/8", sorted(places)).values()]
    assert len(found) == len(set(found)) == len(places)


@given(PLACES)
def test_regions_that_want_different_ranges_get_them_whatever_else_is_there(places):
    wanted = {p: _cidrs("10.0.0.0/8", [p])[p] for p in places}
    if len(set(wanted.values())) == len(places):
        assert _cidrs("10.0.0.0/8", sorted(places)) == wanted


def test_the_driver_finds_a_pool_by_names_that_are_computed():
    aws, azure = (
        located(PLAN.services[0].pools[1], "prod"),
        located(PLAN.services[0].pools[2], "prod"),
    )
    assert aws.resource["group"].startswith("tw-prod-chat-aws-use1-az4-l4x1-spot-")
    assert azure.resource.keys() == {"scale_set", "resource_group"}


def test_a_network_of_the_user_s_says_which_zones_its_region_has():
    settings = {
        "edges": [{"cloud": "aws", "region": "eu-south-1", "hosts": 2}],
        "network": {"aws/eu-south-1": {"id": "vpc-1", "subnets": {"eus1-az2": "b", "eus1-az1": "a"}}},
    }
    (edge,) = placed(config(**settings)).edges
    assert [host.zone for host in edge.hosts] == ["eus1-az1", "eus1-az2"]


def test_a_host_stands_where_the_user_s_network_has_a_subnet():
    settings = {
        "edges": [{"cloud": "aws", "region": "us-east-1", "hosts": 2}],
        "network": {"aws/us-east-1": {"id": "vpc-1", "subnets": {"use1-az4": "a"}}},
    }
    found = placed(config(**settings))
    assert {host.zone for host in found.edges[0].hosts} == {found.home_zone} == {"use1-az4"}
