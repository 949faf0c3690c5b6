"""Limits on what a stack consists of and where it is: they hold when they are set, for whatever could be read or not."""

import pytest

from policies import pools
from policies.resources import read
from tests.policies import clouds
from tests.policies.stack import UNKNOWN, found, pool, resource, service

STACK = (service(), clouds.aws_pool(), clouds.azure_pool())


@pytest.mark.parametrize(
    ("rule", "passes", "fails", "told"),
    [
        (
            "allowed-clouds",
            {"allowed": ["aws", "azure"]},
            {"allowed": ["aws"]},
            "the cloud azure is not allowed",
        ),
        (
            "allowed-regions",
            {"allowed": ["us-east-1", "eastus"]},
            {"allowed": ["eastus"]},
            "the region us-east-1",
        ),
        (
            "allowed-accelerators",
            {"allowed": ["l4", "A100-80GB"]},
            {"allowed": ["L4"]},
            "the accelerator A100-80GB",
        ),
        (
            "allowed-instance-types",
            {"allowed": ["g6.xlarge", "Standard_NC24ads_A100_v4"]},
            {"allowed": []},
            "the instance type g6.xlarge is not allowed (allowed: none)",
        ),
        ("spot-share", {"min": 1.0}, None, ""),
        ("accelerator-price", {"usdHour": 9}, {"usdHour": 0.1}, "an L4 costs"),
        ("service-cost", {"usdHour": 900}, {"usdHour": 0.1}, "service chat: its worst case is"),
        ("cloud-cost", {"usdHour": 900}, {"usdHour": 0.1}, "all its pools at their maximum would cost"),
        ("max-replicas", {"max": 2}, {"max": 1}, "max_replicas is 2, at most 1"),
        ("on-demand-cap", {"usdHour": 0}, None, ""),
    ],
)
def test_limits_hold_where_they_are_set(rule, passes, fails, told):
    assert found(rule, *STACK) == [], "what is not set is not limited"
    assert found(rule, *STACK, **passes) == []
    if fails is not None:
        assert any(told in message for message in found(rule, *STACK, **fails))


def test_the_share_of_spot_and_the_price_of_on_demand_are_told():
    stack = (service(), pool(price=1.0), pool("local-west-a", price=3.0, market="on_demand"))
    assert "50% of the machines that the pools may have are spot" in found("spot-share", *stack, min=0.8)[0]
    assert "would cost 9.00 USD/hour, limit 5.00" in found("on-demand-cap", *stack, usdHour=5)[0]


def test_prices_that_are_too_old_are_refused_by_their_cloud():
    assert found("prices-fresh", *STACK, days=100_000) == []
    assert any(m.startswith("azure: its oldest prices are") for m in found("prices-fresh", *STACK, days=30))


HELD = [
    ("allowed-clouds", {"allowed": ["aws", "azure"]}),
    ("allowed-regions", {"allowed": ["us-east-1", "eastus"]}),
    ("allowed-accelerators", {"allowed": ["L4", "A100-80GB"]}),
    ("allowed-instance-types", {"allowed": ["g6.xlarge", "Standard_NC24ads_A100_v4"]}),
    ("accelerator-price", {"usdHour": 900}),
    ("service-cost", {"usdHour": 900}),
    ("cloud-cost", {"usdHour": 900}),
    ("on-demand-cap", {"usdHour": 900}),
    ("spot-share", {"min": 0.1}),
    ("max-replicas", {"max": 9}),
    ("prices-fresh", {"days": 100_000}),
]


@pytest.mark.parametrize(("rule", "config"), HELD, ids=[rule for rule, _ in HELD])
def test_a_pool_that_cannot_be_read_is_within_no_limit_whatever_prices_known_is_set_to(rule, config):
    unread = clouds.aws_pool(maxSize=UNKNOWN)
    [message] = found(rule, service(), unread, clouds.azure_pool(), **config)
    assert message.startswith(f"{clouds.AWS_POOL}: it can't be read")
    assert found(rule, service(), unread) == [], "what is not set is not limited"


def test_what_is_no_pool_and_has_no_price_is_left_to_prices_known():
    strange = resource("aws:ec2/natGateway:NatGateway", "nat", {}, provider=True)
    assert found("allowed-clouds", *STACK, strange, allowed=["aws", "azure"]) == []


PLACED = [
    ("aws:ec2/instance:Instance", {"region": "eu-north-1"}, {"region": "us-east-1"}),
    ("aws:s3/bucket:Bucket", {"region": "eu-north-1"}, {"region": "us-east-1"}),
    ("gcp:compute/instance:Instance", {"zone": "europe-west4-a"}, {"zone": "us-central1-a"}),
    ("gcp:storage/bucket:Bucket", {"location": "EUROPE-WEST4"}, {"location": "EU"}),
    ("azure-native:compute:VirtualMachine", {"location": "westeurope"}, {"location": "eastus"}),
    ("azure-native:storage:StorageAccount", {"location": "westeurope"}, {"location": "eastus"}),
]


@pytest.mark.parametrize(("kind", "inside", "outside"), PLACED, ids=[kind for kind, _, _ in PLACED])
def test_hosts_and_buckets_stay_in_the_allowed_regions_too(kind, inside, outside):
    allowed = {"allowed": ["eu-north-1", "europe-west4", "westeurope"]}

    def judged(props):
        return found("allowed-regions", resource(kind, "it", props, provider=True), **allowed)

    unknown = dict.fromkeys(inside, UNKNOWN)
    assert judged(inside) == []
    assert "is not allowed" in judged(outside)[0]
    assert "so nobody knows whether it is in an allowed region" in judged({})[0]
    assert "is known only after the update" in judged(unknown)[0]


def test_a_host_in_a_cloud_that_is_not_allowed_is_refused():
    host = resource("azure-native:compute:VirtualMachine", "edge", {}, provider=True)
    assert found("allowed-clouds", host, allowed=["azure"]) == []
    assert found("allowed-clouds", host, allowed=["aws"]) == [
        "edge: the cloud azure is not allowed (allowed: aws). Move tradewind:home or the edge."
    ]


def test_the_price_table_is_read_once_for_all_pools(monkeypatch):
    reads = []
    load = pools.load
    monkeypatch.setattr(pools, "load", lambda: reads.append(1) or load())
    pools.price_table.cache_clear()
    read([clouds.aws_pool(), clouds.azure_pool(), clouds.gcp_pool()])
    assert len(reads) == 1
