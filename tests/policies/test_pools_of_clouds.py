"""Pools of real clouds, priced by the price table and not by what the program says of itself."""

import pytest

from catalog.load import load
from policies.resources import read
from spec.labels import MAX_SIZE_TAG, POOL_TAG, SERVICE_TAG
from spec.names import Market
from tests.policies import clouds
from tests.policies.stack import UNKNOWN, service


def reasons(*resources):
    return [u.reason for u in read([service(), *resources]).unpriced]


def test_each_cloud_tells_type_market_and_maximum_and_the_table_tells_the_price():
    stack = read([service(), clouds.aws_pool(), clouds.azure_pool(), clouds.gcp_pool()])
    assert stack.unpriced == ()
    [chat] = stack.services
    found = {p.cloud: (p.region, p.zone, p.market, p.max_size, p.instance_types) for p in chat.pools}
    assert found == {
        "aws": ("us-east-1", "use1-az1", Market.SPOT, 3, ("g6.xlarge",)),
        "azure": ("eastus", None, Market.SPOT, 3, ("Standard_NC24ads_A100_v4",)),
        "gcp": ("us-central1", "us-central1-a", Market.SPOT, 3, ("g2-standard-4",)),
    }
    assert all(0 < p.price_usd_hour < 5 for p in chat.pools)


def test_a_group_that_may_launch_several_types_costs_as_much_as_its_dearest():
    path = "mixedInstancesPolicy.launchTemplate.overrides"
    types = [{"instanceType": "g6.xlarge"}, {"instanceType": "g6.4xlarge"}]
    [[cheap], [dear]] = [
        read([service(), clouds.aws_pool(**c)]).services[0].pools for c in ({}, {path: types})
    ]
    assert dear.price_usd_hour > cheap.price_usd_hour


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        (clouds.aws_pool(tags=[]), f"it has no tags {POOL_TAG} and {SERVICE_TAG}"),
        (clouds.aws_pool(name="chat.gcp.use1-az1.L4x1.spot"), "is no id of a pool of that service in aws"),
        (
            clouds.aws_pool(name="chat.aws.use1-az1.L4x1.on_demand"),
            "says on_demand, and it would launch spot",
        ),
        (clouds.aws_pool(name="chat.aws.use1-az1.A100x8.spot"), "g6.xlarge has 1 L4"),
        (
            clouds.aws_pool(name="chat.aws.use9-az9.L4x1.spot"),
            "no spot price is known for g6.xlarge in use9-az9",
        ),
        (
            clouds.aws_pool(
                **{"mixedInstancesPolicy.instancesDistribution.onDemandPercentageAboveBaseCapacity": 50.0}
            ),
            "neither all spot nor all on demand",
        ),
        (clouds.azure_pool(**{f"tags.{MAX_SIZE_TAG}": None}), "nothing says how many machines it may have"),
        (clouds.azure_pool(**{"sku.name": "Standard_X1"}), "no spot price is known for Standard_X1"),
        (
            clouds.azure_pool(**{"virtualMachineProfile.priority": UNKNOWN}),
            "its virtualMachineProfile is known only after",
        ),
        (clouds.aws_pool(maxSize=UNKNOWN), "its maxSize is known only after the update"),
    ],
)
def test_what_does_not_fit_together_has_no_price(pool, told):
    assert any(told in reason for reason in reasons(pool)), reasons(pool)


def a_t4_pool(market="spot", **template):
    changes = {f"allInstancesConfig.metadata.{POOL_TAG}": f"chat.gcp.us-central1-a.T4x1.{market}"}
    given = {"machineType": "n1-standard-4", **template}
    return clouds.gcp_pool(template=clouds.gcp_template(**given), **changes)


T4 = {"type": "nvidia-tesla-t4", "count": 1.0}


def test_a_machine_of_google_that_is_given_its_accelerators_costs_what_these_cost():
    [row] = [
        o
        for o in load().by_instance_type["n1-standard-4"]
        if (o.zone, o.accelerator) == ("us-central1-a", "T4")
    ]
    [found] = read([service(), a_t4_pool(guestAccelerators=[T4])]).services
    assert [p.prices.spot for p in found.pools] == [row.spot_usd_hour]


@pytest.mark.parametrize(
    ("attached", "told"),
    [
        ([{**T4, "type": "nvidia-tesla-v100"}], "n1-standard-4 has 1 V100, and its tag"),
        ([{**T4, "count": 2.0}], "no spot price is known for n1-standard-4"),
        ([], "attaches no accelerator"),
    ],
)
def test_a_machine_of_google_that_is_given_others_than_its_tag_says_has_no_price(attached, told):
    assert told in reasons(a_t4_pool(guestAccelerators=attached))[0]


def test_a_machine_of_google_is_what_its_template_says():
    other = clouds.gcp_template(machineType="g2-standard-99")
    assert "no spot price is known for g2-standard-99" in reasons(clouds.gcp_pool(template=other))[0]


def test_reserved_machines_are_counted_as_such_because_the_plan_has_them_used_first():
    share = "mixedInstancesPolicy.instancesDistribution.onDemandPercentageAboveBaseCapacity"
    name = "chat.aws.use1-az1.L4x1.reserved"
    [pool] = read([service(), clouds.aws_pool(name=name, **{share: 100.0})]).services[0].pools
    assert (pool.market, pool.price_usd_hour) == (Market.RESERVED, pool.prices.on_demand)
    assert "it would launch spot" in reasons(clouds.aws_pool(name=name))[0]
