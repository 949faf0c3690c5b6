"""The recorded stack, created in an emulated AWS, and driven there by the controller's own driver."""

import asyncio
import base64
import functools

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError
from moto import mock_aws

from components.identity.aws import AwsReplica, AwsReplicaArgs
from components.store.aws import AwsStore, AwsStoreArgs
from lb.clouds.aws import AwsDriver
from planner.layout import located
from spec.names import Market
from tests.components.aws_in_moto import create
from tests.components.aws_world import REGION, USER_DATA, ZONES, a_pool, network_of, pools_of, recorded, scope

SPOT = a_pool(ZONES[0], types=("g6.xlarge", "g6.2xlarge"))
ON_DEMAND = a_pool(ZONES[1], market=Market.ON_DEMAND)
TEMPLATE = "tw-prod-chat-aws-us-east-1-l4x1-spot-"


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield functools.cache(lambda service, region: boto3.client(service, region_name=region or REGION))


@pytest.fixture(scope="module")
def stack():
    def declare():
        a_scope = scope()
        store = AwsStore("store", AwsStoreArgs(scope=a_scope, region=REGION))
        chat = AwsReplica("chat", AwsReplicaArgs(scope=a_scope, store=store, service="chat"))
        pools_of(a_scope, network_of(a_scope), SPOT, ON_DEMAND, identity=chat.identity)

    return recorded(declare)


@pytest.fixture
def created(stack, aws):
    create(stack, REGION)
    return aws


def driven(aws, pool):
    """The pool as the controller sees it: found by the name that the desired state tells."""
    driver, found = AwsDriver(aws), located(pool, "prod")
    return driver, found, lambda: asyncio.run(driver.observe([found]))[0]


def test_a_size_that_the_controller_sets_becomes_machines(created):
    driver, pool, look = driven(created, SPOT)
    assert look().error is None
    assert look().size == 0
    asyncio.run(driver.set_size(pool, 3))
    assert look().size == 3
    assert len({i.instance_id for i in look().instances}) == 3
    assert driven(created, ON_DEMAND)[2]().size == 0


def test_a_machine_is_what_was_planned_and_knows_its_pool(created, stack):
    driver, pool, look = driven(created, SPOT)
    asyncio.run(driver.set_size(pool, 1))
    ec2 = created("ec2", REGION)
    [machine] = ec2.describe_instances(InstanceIds=[look().instances[0].instance_id])["Reservations"][0][
        "Instances"
    ]
    assert {t["Key"]: t["Value"] for t in machine["Tags"]}["tradewind-pool"] == SPOT.id
    [subnet] = ec2.describe_subnets(SubnetIds=[machine["SubnetId"]])["Subnets"]
    assert subnet["AvailabilityZoneId"] == ZONES[0]
    [name] = [t["name"] for t in stack.of("LaunchTemplate").values() if t["name"].startswith(TEMPLATE)]
    [template] = ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Default"])[
        "LaunchTemplateVersions"
    ]
    data = template["LaunchTemplateData"]
    assert base64.b64decode(data["UserData"]).decode() == USER_DATA
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]
    profiles = created("iam", "")
    [role] = profiles.get_instance_profile(InstanceProfileName=data["IamInstanceProfile"]["Name"])[
        "InstanceProfile"
    ]["Roles"]
    assert profiles.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]


@pytest.mark.parametrize(("pool", "on_demand"), [(SPOT, 0), (ON_DEMAND, 100)])
def test_a_group_buys_the_planned_types_in_its_market(created, pool, on_demand):
    name = located(pool, "prod").resource["group"]
    [group] = created("autoscaling", REGION).describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
        "AutoScalingGroups"
    ]
    policy = group["MixedInstancesPolicy"]
    types = [o["InstanceType"] for o in policy["LaunchTemplate"]["Overrides"]]
    assert types == list(pool.instance_types)
    assert policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == on_demand


def test_only_the_machine_that_is_named_ends(created):
    driver, pool, look = driven(created, SPOT)
    asyncio.run(driver.set_size(pool, 3))
    first, *others = (i.instance_id for i in look().instances)
    asyncio.run(driver.terminate(pool, first))
    assert look().size == 2
    assert {i.instance_id for i in look().instances} == set(others)


def test_a_smaller_size_alone_ends_no_machine(created):
    driver, pool, look = driven(created, SPOT)
    asyncio.run(driver.set_size(pool, 2))
    asyncio.run(driver.set_size(pool, 1))
    assert len(look().instances) == 2


def test_a_group_begins_empty_and_has_the_planned_limit(created):
    [group] = created("autoscaling", REGION).describe_auto_scaling_groups(
        AutoScalingGroupNames=[located(SPOT, "prod").resource["group"]]
    )["AutoScalingGroups"]
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (0, 0, SPOT.max_size)


def test_machines_of_a_gang_may_reach_each_other_and_machines_of_other_services_may_not(aws):
    def declare():
        a_scope = scope()
        store = AwsStore("store", AwsStoreArgs(scope=a_scope, region=REGION))
        chat = AwsReplica("chat", AwsReplicaArgs(scope=a_scope, store=store, service="chat"))
        network = network_of(a_scope, gangs=("chat", "code"))
        pools_of(a_scope, network, ON_DEMAND, identity=chat.identity)

    create(recorded(declare), REGION)
    ec2 = aws("ec2", REGION)
    groups = {g["Description"]: g for g in ec2.describe_security_groups()["SecurityGroups"]}
    mine, other = (groups[f"Tradewind prod: peers-{service}"] for service in ("chat", "code"))
    [rule] = mine["IpPermissions"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 1024, 65535)
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [mine["GroupId"]]
    assert not rule["IpRanges"]
    [template] = ec2.describe_launch_templates()["LaunchTemplates"]
    [version] = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])[
        "LaunchTemplateVersions"
    ]
    [card] = version["LaunchTemplateData"]["NetworkInterfaces"]
    assert mine["GroupId"] in card["Groups"]
    assert other["GroupId"] not in card["Groups"]


def with_(kind, **values):
    """Other values for inputs of one kind of resource; None leaves one out."""

    def change(this, inputs):
        return {k: v for k, v in {**inputs, **values}.items() if v is not None} if this == kind else inputs

    return change


NO_TEMPLATE = {
    "launchTemplate": {"launchTemplateSpecification": {"launchTemplateId": "lt-0", "version": "1"}}
}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (
            with_("LaunchTemplate", metadataOptions={"httpTokenz": "required"}),
            "Unknown parameter.*HttpTokenz",
        ),
        (
            with_("LaunchTemplate", blockDeviceMappings=[{"ebs": {"volumeSize": "large"}}]),
            "Invalid type for parameter.*VolumeSize",
        ),
        (with_("Group", vpcZoneIdentifiers=["subnet-0a"]), "subnet-0a"),
        (with_("Group", maxSizes=3), "Unknown parameter.*MaxSizes"),
        (with_("Group", maxSize=None), "Missing required parameter.*MaxSize"),
        (with_("Group", mixedInstancesPolicy=None), "Valid requests must contain"),
        (with_("Group", mixedInstancesPolicy=NO_TEMPLATE), "lt-0"),
        (with_("Subnet", cidrBlock="10.99.0.0/20"), "10.99.0.0/20"),
        (with_("SecurityGroupIngressRule", securityGroupId="sg-0a"), "sg-0a"),
        (with_("InstanceProfile", role="nobody"), "nobody"),
        (with_("RolePolicy", policy="{}"), "MalformedPolicyDocument"),
    ],
)
@pytest.mark.filterwarnings("ignore:Exception.* does not match an error shape")  # moto's own
@pytest.mark.usefixtures("aws")
def test_wrong_inputs_are_refused(stack, change, refusal):
    with pytest.raises((ClientError, ParamValidationError), match=refusal):
        create(stack, REGION, change)
