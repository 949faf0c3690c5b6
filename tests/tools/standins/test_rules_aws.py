"""The rules of AWS: good arguments pass, and each broken one is told by its property."""

import base64
import json

import pytest

from tests.tools.standins.plugin import Plugin
from tools.standins.aws.regions import zone_prefix
from tools.standins.wire import UNKNOWN


@pytest.fixture
def aws():
    return Plugin("aws", region="us-east-1")


def encoded(size):
    return base64.b64encode(b"x" * size).decode()


def document(**statement):
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": {k: v for k, v in statement.items() if v}})


TRUST = document(Resource=None, Principal={"Service": "ec2.amazonaws.com"}, Action="sts:AssumeRole")
MIXED = {
    "instancesDistribution": {"spotAllocationStrategy": "price-capacity-optimized"},
    "launchTemplate": {
        "launchTemplateSpecification": {"launchTemplateId": "lt-1"},
        "overrides": [{"instanceType": "g5.xlarge"}],
    },
}
GOOD = {
    "autoscaling/group:Group": {
        "minSize": 0,
        "desiredCapacity": 1,
        "maxSize": 3,
        "mixedInstancesPolicy": MIXED,
    },
    "ec2/launchTemplate:LaunchTemplate": {
        "name": "pool-1",
        "imageId": "ami-0123456789abcdef0",
        "userData": encoded(16384),
        "metadataOptions": {"httpTokens": "required"},
        "blockDeviceMappings": [{"ebs": {"volumeType": "gp3", "volumeSize": 200, "throughput": 500}}],
    },
    "ec2/instance:Instance": {
        "ami": "ami-0123456789abcdef0",
        "instanceType": "t3.small",
        "userData": "x" * 16384,
    },
    "ec2/vpc:Vpc": {"cidrBlock": "10.0.0.0/16", "tags": {"owner": "me"}},
    "ec2/subnet:Subnet": {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/20", "availabilityZoneId": "use1-az4"},
    "ec2/securityGroup:SecurityGroup": {
        "name": "replicas",
        "description": "Tradewind: replicas",
        "ingress": [{"protocol": "tcp", "fromPort": 1, "toPort": 2, "cidrBlocks": ["10.0.0.0/8"]}],
    },
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "securityGroupId": "sg-1",
        "ipProtocol": "tcp",
        "fromPort": 9443,
        "toPort": 9443,
        "cidrIpv4": "192.0.2.1/32",
    },
    "iam/role:Role": {"name": "controller", "assumeRolePolicy": TRUST, "maxSessionDuration": 3600},
    "iam/rolePolicy:RolePolicy": {"role": "r", "policy": document()},
    "iam/policy:Policy": {"policy": document()},
    "s3/bucket:Bucket": {"bucket": "tw-prod-state-0a1b2c3d"},
    "s3/bucketObjectv2:BucketObjectv2": {"bucket": "b", "key": "k", "content": "c"},
    "secretsmanager/secret:Secret": {"name": "tradewind/prod/a", "recoveryWindowInDays": 0},
    "secretsmanager/secretVersion:SecretVersion": {"secretId": "s", "secretString": "value"},
    "lb/loadBalancer:LoadBalancer": {"name": "edge", "loadBalancerType": "network", "subnets": ["subnet-1"]},
    "lb/targetGroup:TargetGroup": {"name": "edge", "port": 443, "protocol": "TCP", "vpcId": "vpc-1"},
    "route53/record:Record": {
        "zoneId": "Z",
        "name": "a.example",
        "type": "A",
        "ttl": 30,
        "records": ["192.0.2.1"],
    },
}
BAD = [
    ("autoscaling/group:Group", {"desiredCapacity": 4}, "min 0 <= desired 4 <= max 3 does not hold"),
    ("autoscaling/group:Group", {"launchTemplate": {"id": "lt-1"}}, "conflicts with launchTemplate"),
    (
        "autoscaling/group:Group",
        {"mixedInstancesPolicy": None},
        "one of launchTemplate, mixedInstancesPolicy",
    ),
    (
        "autoscaling/group:Group",
        {"availabilityZones": ["a"], "vpcZoneIdentifiers": ["b"]},
        "conflicts with vpcZone",
    ),
    ("autoscaling/group:Group", {"waitForCapacityTimeout": "ten minutes"}, "is no duration"),
    ("autoscaling/group:Group", {"healthCheckType": "ICMP"}, "none of EC2, ELB"),
    ("autoscaling/group:Group", {"name": "a:b"}, "must match"),
    (
        "autoscaling/group:Group",
        {"mixedInstancesPolicy": {**MIXED, "instancesDistribution": {"spotAllocationStrategy": "cheapest"}}},
        "'cheapest' is none of",
    ),
    (
        "autoscaling/group:Group",
        {
            "mixedInstancesPolicy": {
                **MIXED,
                "instancesDistribution": {"onDemandPercentageAboveBaseCapacity": 101},
            }
        },
        "not within 0 to 100 percent",
    ),
    (
        "autoscaling/group:Group",
        {"mixedInstancesPolicy": {**MIXED, "instancesDistribution": {"spotInstancePools": 3}}},
        "is for the lowest-price strategy only",
    ),
    (
        "autoscaling/group:Group",
        {"tags": [{"key": "aws:name", "value": "x", "propagateAtLaunch": True}]},
        "is no key of a tag",
    ),
    (
        "ec2/launchTemplate:LaunchTemplate",
        {"userData": encoded(16385)},
        "has 16385 bytes before base64, 16384 are",
    ),
    ("ec2/launchTemplate:LaunchTemplate", {"userData": "#cloud-config"}, "is not base64"),
    ("ec2/launchTemplate:LaunchTemplate", {"imageId": "ubuntu"}, "is no image"),
    (
        "ec2/launchTemplate:LaunchTemplate",
        {"metadataOptions": {"httpTokens": "yes"}},
        "none of required, optional",
    ),
    ("ec2/launchTemplate:LaunchTemplate", {"name": "no spaces"}, "must match"),
    (
        "ec2/launchTemplate:LaunchTemplate",
        {"networkInterfaces": [{"deviceIndex": 0}], "vpcSecurityGroupIds": ["sg-1"]},
        "belongs into networkInterfaces",
    ),
    (
        "ec2/launchTemplate:LaunchTemplate",
        {"blockDeviceMappings": [{"ebs": {"volumeType": "gp2", "throughput": 500}}]},
        "is for gp3 disks only",
    ),
    (
        "ec2/launchTemplate:LaunchTemplate",
        {"iamInstanceProfile": {"arn": "a", "name": "b"}},
        "conflicts with iamInstanceProfile.arn",
    ),
    ("ec2/instance:Instance", {"userData": "x" * 16385}, "has 16385 bytes"),
    ("ec2/instance:Instance", {"ami": None}, "is required without a launch template"),
    ("ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/8"}, "/16 to /28 are allowed"),
    ("ec2/vpc:Vpc", {"cidrBlock": "10.0.0.1/16"}, "has host bits set"),
    ("ec2/vpc:Vpc", {"tags": {"a": "x" * 257}}, "at most 256 characters"),
    ("ec2/vpc:Vpc", {"region": "us-eastt-1"}, "AWS has no region us-eastt-1; did you mean us-east-1?"),
    ("ec2/subnet:Subnet", {"availabilityZone": "us-east-1a"}, "conflicts with availabilityZone"),
    ("ec2/subnet:Subnet", {"availabilityZoneId": "usw2-az1"}, "is no zone id of us-east-1: use1-az1"),
    ("ec2/securityGroup:SecurityGroup", {"name": "sg-mine"}, "must match"),
    ("ec2/securityGroup:SecurityGroup", {"description": "Wächter"}, "at most 255 characters of"),
    (
        "ec2/securityGroup:SecurityGroup",
        {"ingress": [{"protocol": "tcp", "fromPort": 1, "toPort": 2}]},
        "names no source",
    ),
    (
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"referencedSecurityGroupId": "sg-2"},
        "conflicts with cidrIpv4",
    ),
    (
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"cidrIpv4": None},
        "one of cidrIpv4, cidrIpv6",
    ),
    ("vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"cidrIpv4": "192.0.2.1"}, None),
    (
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"fromPort": 9444},
        "9444 is above toPort 9443",
    ),
    ("vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"toPort": 70000}, "not within 0 to 65535"),
    ("vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"ipProtocol": "-1"}, "has no ports"),
    ("iam/role:Role", {"assumeRolePolicy": document()}, "names a Principal"),
    ("iam/role:Role", {"assumeRolePolicy": "{"}, "is no JSON"),
    ("iam/role:Role", {"maxSessionDuration": 60}, "not within 3600 to 43200 s"),
    ("iam/role:Role", {"name": "x" * 65}, "has 65 characters, 1 to 64 are allowed"),
    ("iam/rolePolicy:RolePolicy", {"policy": document(Resource=None)}, "has no Resource"),
    ("iam/rolePolicy:RolePolicy", {"policy": document(Effect="Permit")}, "Effect must be Allow or Deny"),
    ("iam/rolePolicy:RolePolicy", {"policy": document(Actions="s3:*")}, "Actions is no element"),
    ("iam/policy:Policy", {"policy": document(Sid="x" * 6144)}, "6144 are allowed"),
    ("s3/bucket:Bucket", {"bucket": "Upper"}, "must match"),
    ("s3/bucket:Bucket", {"bucket": "192.168.0.1"}, "must match"),
    ("s3/bucket:Bucket", {"bucket": "ab"}, "3 to 63 are allowed"),
    ("s3/bucketObjectv2:BucketObjectv2", {"contentBase64": "eA=="}, "conflicts with content"),
    ("secretsmanager/secret:Secret", {"recoveryWindowInDays": 3}, "neither 0 nor within 7 to 30"),
    ("secretsmanager/secretVersion:SecretVersion", {"secretString": "x" * 65537}, "more than 65536 bytes"),
    ("lb/loadBalancer:LoadBalancer", {"name": "x" * 33}, "1 to 32 are allowed"),
    ("lb/loadBalancer:LoadBalancer", {"loadBalancerType": "application"}, "two subnets in two zones"),
    ("lb/targetGroup:TargetGroup", {"vpcId": None}, "vpcId: is required"),
    ("lb/targetGroup:TargetGroup", {"protocol": "SCTP"}, "none of HTTP"),
    ("route53/record:Record", {"ttl": None}, "is required for a record that is no alias"),
    (
        "route53/record:Record",
        {"latencyRoutingPolicies": [{"region": "us-east-1"}]},
        "setIdentifier: is required with latencyRoutingPolicies",
    ),
]


@pytest.mark.parametrize("type_", GOOD)
def test_what_is_within_the_rules_passes(aws, type_):
    assert aws.refusals(f"aws:{type_}", GOOD[type_]) == []


@pytest.mark.parametrize(("type_", "change", "reason"), [row for row in BAD if row[2]])
def test_what_breaks_a_rule_is_refused(aws, type_, change, reason):
    found = aws.refusals(f"aws:{type_}", {**GOOD[type_], **change})
    assert any(reason in each for each in found), found


@pytest.mark.parametrize("type_", GOOD)
def test_what_is_not_known_yet_breaks_no_rule(aws, type_):
    unknown = dict.fromkeys(GOOD[type_], UNKNOWN)
    assert aws.refusals(f"aws:{type_}", unknown) == []


def test_two_resources_with_one_name_are_told_in_the_preview(aws):
    bucket = {"bucket": "tw-prod-state-0a1b2c3d"}
    assert aws.refusals("aws:s3/bucket:Bucket", bucket, name="one") == []
    [reason] = aws.refusals("aws:s3/bucket:Bucket", bucket, name="two")
    assert "is also the name of one" in reason
    assert aws.refusals("aws:s3/bucket:Bucket", bucket, name="one") == []


def test_one_name_in_two_regions_is_no_conflict(aws):
    secret = {"name": "tradewind/prod/a"}
    assert aws.refusals("aws:secretsmanager/secret:Secret", secret, name="one") == []
    assert (
        aws.refusals("aws:secretsmanager/secret:Secret", {**secret, "region": "eu-west-1"}, name="two") == []
    )


def test_a_name_is_invented_once_and_then_kept(aws):
    inputs, _ = aws.check("aws:iam/role:Role", {"assumeRolePolicy": TRUST}, name="controller")
    assert inputs["name"].startswith("controller-")
    again, _ = aws.check(
        "aws:iam/role:Role", {"assumeRolePolicy": TRUST}, {**inputs, "name": "controller-old"}
    )
    assert again["name"] == "controller-old"


@pytest.mark.parametrize(
    ("region", "prefix"),
    [
        ("us-east-1", "use1"),
        ("ap-southeast-2", "apse2"),
        ("ap-northeast-1", "apne1"),
        ("eu-central-1", "euc1"),
    ],
)
def test_zone_ids_begin_with_the_short_name_of_their_region(region, prefix):
    assert zone_prefix(region) == prefix
