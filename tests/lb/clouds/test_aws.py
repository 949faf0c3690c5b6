"""The driver of AWS against an emulated AWS: groups, machines, late refusals, prices, errors."""

import asyncio
import functools
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from lb.clouds.aws import AwsDriver
from lb.clouds.protocol import (
    Denied,
    InstancePhase,
    InsufficientCapacity,
    NotFound,
    QuotaExceeded,
    Throttled,
    Unreachable,
)
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind

REGION = "us-east-1"
NOW = 1_800_000_000.0


def a_pool(group="tw-test-chat", *, region=REGION, zone="use1-az6", types=("g6.xlarge",)):
    return Pool(
        id=f"chat.aws.{zone}.L4x1.spot",
        service="chat",
        kind=PoolKind.VM,
        cloud="aws",
        region=region,
        zone=zone,
        market=Market.SPOT,
        accelerator="L4",
        accelerator_count=1,
        instance_types=types,
        resource={"group": group},
        max_size=4,
        prices=Prices(spot=0.3, on_demand=0.8, as_of="2026-01-01"),
    )


POOL = a_pool()


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield functools.cache(lambda service, region: boto3.client(service, region_name=region or REGION))


@pytest.fixture
def group(aws):
    """A group as the stack declares it: size 0, at most 4."""
    ec2 = aws("ec2", REGION)
    subnet = ec2.describe_subnets()["Subnets"][0]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.create_launch_template(
        LaunchTemplateName="shape", LaunchTemplateData={"ImageId": image, "InstanceType": "g6.xlarge"}
    )
    aws("autoscaling", REGION).create_auto_scaling_group(
        AutoScalingGroupName=POOL.resource["group"],
        LaunchTemplate={"LaunchTemplateName": "shape", "Version": "$Latest"},
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=0,
        VPCZoneIdentifier=subnet["SubnetId"],
    )
    return POOL.resource["group"]


def driver(clients, **options):
    return AwsDriver(clients, now=lambda: NOW, **options)


def observe(of, *pools):
    return asyncio.run(of.observe(pools or (POOL,)))


def test_a_group_grows_to_the_size_that_is_set(aws, group):
    d = driver(aws)
    assert observe(d)[0].size == 0
    asyncio.run(d.set_size(POOL, 3))
    [found] = observe(d)
    assert (found.size, found.error, found.refusals) == (3, None, ())
    assert {i.phase for i in found.instances} == {InstancePhase.RUNNING}
    assert len({i.instance_id for i in found.instances}) == 3
    for instance in found.instances:
        assert (instance.port, instance.agent_port) == (9443, 9443)
        assert instance.launched_at > 0


def test_the_named_machine_ends_and_the_size_falls_with_it(aws, group):
    d = driver(aws)
    asyncio.run(d.set_size(POOL, 3))
    victim = observe(d)[0].instances[1].instance_id
    asyncio.run(d.terminate(POOL, victim))
    [found] = observe(d)
    assert found.size == 2
    assert victim not in {i.instance_id for i in found.instances if i.phase is not InstancePhase.STOPPING}


def test_callers_of_the_same_network_use_the_private_address(aws, group):
    d = driver(aws, private_in=frozenset({REGION}))
    asyncio.run(d.set_size(POOL, 1))
    [found] = observe(d)
    assert found.instances[0].address.startswith(("10.", "172.", "192.168."))


def test_a_group_that_nobody_has_declared_is_an_error_of_its_pool_only(aws, group):
    missing = a_pool("tw-test-other", zone="use1-az2")
    first, second = observe(driver(aws), missing, POOL)
    assert (first.pool_id, first.error) == (
        missing.id,
        "not_found: there is no Auto Scaling group tw-test-other",
    )
    assert (second.pool_id, second.error) == (POOL.id, None)


def test_a_region_that_does_not_answer_costs_only_its_own_pools(aws, group):
    def clients(service, region):
        if region != REGION:
            raise EndpointConnectionError(endpoint_url=f"https://{service}.{region}")
        return aws(service, region)

    away = a_pool("tw-test-away", region="eu-west-1", zone="euw1-az1")
    first, second = observe(driver(clients), away, POOL)
    assert first.error.startswith("unreachable: ")
    assert second.error is None


class Stub:
    """One client whose calls all do the same."""

    def __init__(self, *, error=None, activities=()):
        self.error, self.activities = error, activities

    def describe_scaling_activities(self, **_):
        return {"Activities": list(self.activities)}

    def __getattr__(self, _name):
        def call(**_):
            raise ClientError({"Error": self.error}, "Call")

        return call


def test_ending_a_machine_that_is_gone_is_success():
    gone = {
        "Code": "ValidationError",
        "Message": "No managed instance found for instance ID: i-0123456789abcdef0",
    }
    asyncio.run(driver(lambda *_: Stub(error=gone)).terminate(POOL, "i-0123456789abcdef0"))


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("Throttling", "Rate exceeded", Throttled),
        ("ScalingActivityInProgress", "busy", Throttled),
        ("AccessDenied", "not authorized", Denied),
        ("ExpiredToken", "expired", Denied),
        ("ValidationError", "New SetDesiredCapacity value 9 is above max value 4", QuotaExceeded),
        ("ValidationError", "AutoScalingGroup name not found - null", NotFound),
        ("InsufficientInstanceCapacity", "none", InsufficientCapacity),
        ("VcpuLimitExceeded", "You have requested more vCPU capacity than your limit", QuotaExceeded),
        ("ServiceUnavailable", "try later", Unreachable),
    ],
)
def test_each_refusal_of_aws_has_its_word(code, message, expected):
    d = driver(lambda *_: Stub(error={"Code": code, "Message": message}))
    with pytest.raises(expected, match=code):
        asyncio.run(d.set_size(POOL, 2))


def test_refusals_arrive_from_the_log_of_a_group_that_is_short_of_machines(aws, group):
    at = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
    log = [
        {"StatusCode": "Failed", "StatusMessage": "Max spot instance count exceeded", "StartTime": at},
        {"StatusCode": "Successful", "StatusMessage": "", "StartTime": at},
        {
            "StatusCode": "Failed",
            "StatusMessage": "We currently do not have sufficient g6.xlarge capacity in the zone",
            "StartTime": at,
        },
    ]

    class Short(Stub):
        def get_paginator(self, _name):
            page = {
                "AutoScalingGroups": [{"AutoScalingGroupName": group, "DesiredCapacity": 2, "Instances": []}]
            }
            return type("Pages", (), {"paginate": staticmethod(lambda **_: [page])})

    short = Short(activities=log)
    [found] = observe(
        driver(lambda service, region: short if service == "autoscaling" else aws(service, region))
    )
    assert found.size == 2
    assert [r.kind for r in found.refusals] == ["insufficient_capacity", "quota_exceeded"], "oldest first"
    assert found.refusals[0].at == at.timestamp()


def test_a_price_is_the_dearest_of_the_types_that_the_pool_may_get(aws):
    class Ec2:
        def describe_availability_zones(self):
            return {"AvailabilityZones": [{"ZoneName": "us-east-1f", "ZoneId": "use1-az6"}]}

        def get_paginator(self, _name):
            rows = [
                {"AvailabilityZone": "us-east-1f", "InstanceType": t, "SpotPrice": p}
                for t, p in (("g6.xlarge", "0.31"), ("g6.2xlarge", "0.44"), ("g6.xlarge", "0.99"))
            ]
            return type("Pages", (), {"paginate": staticmethod(lambda **_: [{"SpotPriceHistory": rows}])})

    pool = a_pool(types=("g6.xlarge", "g6.2xlarge"))
    unknown = a_pool(zone="use1-az4")
    found = asyncio.run(driver(lambda *_: Ec2()).prices([pool, unknown]))
    assert found == {pool.id: Prices(spot=0.44, on_demand=0.8, as_of="2027-01-15")}


def test_machines_of_a_gang_are_told_private_addresses_whichever_callers_use(aws, group):
    asyncio.run(driver(aws).set_size(POOL, 2))
    [found] = observe(driver(aws))
    [beside] = observe(driver(aws, private_in=frozenset({REGION})))
    assert [i.private for i in found.instances] == [i.address for i in beside.instances]
    assert len({i.private for i in found.instances}) == 2
