"""What AWS refuses of arguments that pass the types. Sources: the API references and the user guides named below."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.standins.aws.regions import region_of, zone_failures
from tools.standins.check import Failure
from tools.standins.clauses import at_most_one, between, exactly_one, in_base64, network, one_of, policy
from tools.standins.cloud import Made, Rule, at, items, known

USER_DATA_BYTES = 16 * 1024
"""docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html: "limited to 16 KB, in raw form"."""

_GO_DURATION = r"0|(?:\d+(?:\.\d+)?(?:ms|s|m|h))+"
_TAG = r"[\w\s.:/=+\-@]*"
_RULE_TEXT = r"[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]*"
_STRATEGIES = (
    "price-capacity-optimized",
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "lowest-price",
)


def group(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html."""
    least, desired, most = (made.get(n) for n in ("minSize", "desiredCapacity", "maxSize"))
    numbers = [n for n in (least, desired, most) if isinstance(n, int)]
    if numbers != sorted(numbers):
        yield Failure("desiredCapacity", f"min {least} <= desired {desired} <= max {most} does not hold")
    yield from exactly_one(made, "launchTemplate", "mixedInstancesPolicy", "launchConfiguration")
    yield from at_most_one(made, "vpcZoneIdentifiers", "availabilityZones")
    yield from at_most_one(made, "name", "namePrefix") if "__defaults" not in made.inputs else ()
    yield from one_of(made, "healthCheckType", "EC2", "ELB", "EBS", "VPC_LATTICE")
    timeout = made.get("waitForCapacityTimeout")
    if isinstance(timeout, str) and not re.fullmatch(_GO_DURATION, timeout):
        yield Failure("waitForCapacityTimeout", f"{timeout!r} is no duration: 0, 30s, 10m")
    for number, tag in enumerate(items(made.get("tags"))):
        yield from _tag(tag.get("key"), tag.get("value"), f"tags[{number}]")
    if made.get("mixedInstancesPolicy") is not None:
        yield from _mixed(made)


def _mixed(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html and .../API_LaunchTemplate.html."""
    path = "mixedInstancesPolicy.instancesDistribution"
    yield from between(made, f"{path}.onDemandPercentageAboveBaseCapacity", 0, 100, " percent")
    yield from one_of(made, f"{path}.spotAllocationStrategy", *_STRATEGIES)
    yield from one_of(made, f"{path}.onDemandAllocationStrategy", "lowest-price", "prioritized")
    strategy = made.get(f"{path}.spotAllocationStrategy")
    if known(made.get(f"{path}.spotInstancePools")) and strategy != "lowest-price":
        yield Failure(f"{path}.spotInstancePools", "is for the lowest-price strategy only")
    template = "mixedInstancesPolicy.launchTemplate"
    named = (
        f"{template}.launchTemplateSpecification.{n}" for n in ("launchTemplateId", "launchTemplateName")
    )
    yield from exactly_one(made, *named)
    overrides = items(made.get(f"{template}.overrides"))
    if len(overrides) > 40:
        yield Failure(f"{template}.overrides", f"has {len(overrides)} items, 40 are allowed")
    for number, override in enumerate(overrides):
        if "instanceType" in override and "instanceRequirements" in override:
            yield Failure(
                f"{template}.overrides[{number}]", "instanceType conflicts with instanceRequirements"
            )
        weight = override.get("weightedCapacity")
        if isinstance(weight, str) and not (weight.isdigit() and 1 <= int(weight) <= 999):
            yield Failure(f"{template}.overrides[{number}].weightedCapacity", "is a number of 1 to 999")


def launch_template(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RequestLaunchTemplateData.html."""
    yield from in_base64(made, "userData", USER_DATA_BYTES)
    yield from at_most_one(made, "instanceType", "instanceRequirements")
    yield from at_most_one(made, "vpcSecurityGroupIds", "securityGroupNames")
    yield from at_most_one(made, "iamInstanceProfile.arn", "iamInstanceProfile.name")
    yield from one_of(made, "metadataOptions.httpTokens", "required", "optional")
    yield from between(made, "metadataOptions.httpPutResponseHopLimit", 1, 64)
    yield from one_of(
        made,
        "instanceMarketOptions.marketType",
        "spot",
        "capacity-block",
        "interruptible-capacity-reservation",
    )
    if items(made.get("networkInterfaces")) and items(made.get("vpcSecurityGroupIds")):
        yield Failure("vpcSecurityGroupIds", "belongs into networkInterfaces when those are given")
    image = made.get("imageId")
    if isinstance(image, str) and not re.fullmatch(r"ami-[0-9a-f]{8,17}|resolve:ssm:.+", image):
        yield Failure("imageId", f"{image!r} is no image: ami-... or resolve:ssm:/a/parameter")
    for number, device in enumerate(items(made.get("blockDeviceMappings"))):
        yield from _disk(device.get("ebs") or {}, f"blockDeviceMappings[{number}].ebs")
    for number, specification in enumerate(items(made.get("tagSpecifications"))):
        for key, value in (specification.get("tags") or {}).items():
            yield from _tag(key, value, f"tagSpecifications[{number}].tags.{key}")


def instance(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html."""
    yield from at_most_one(made, "userData", "userDataBase64")
    yield from in_base64(made, "userDataBase64", USER_DATA_BYTES)
    text = made.get("userData")
    if isinstance(text, str) and len(text.encode()) > USER_DATA_BYTES:
        yield Failure("userData", f"has {len(text.encode())} bytes, {USER_DATA_BYTES} are allowed")
    if made.get("launchTemplate") is None:
        for name in ("ami", "instanceType"):
            if made.get(name) is None:
                yield Failure(name, "is required without a launch template")
    yield from one_of(made, "metadataOptions.httpTokens", "required", "optional")
    yield from _disk(made.get("rootBlockDevice") or {}, "rootBlockDevice")


def _disk(disk: object, path: str) -> Iterator[Failure]:
    """docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html."""
    size, kind = at(disk, "volumeSize"), at(disk, "volumeType")
    if isinstance(size, int) and not 1 <= size <= 65536:
        yield Failure(f"{path}.volumeSize", f"{size} GiB is not within 1 to 65536")
    throughput = at(disk, "throughput")
    if known(throughput) and known(kind) and kind != "gp3":
        yield Failure(f"{path}.throughput", "is for gp3 disks only")
    if isinstance(throughput, int) and not 125 <= throughput <= 2000:
        yield Failure(f"{path}.throughput", f"{throughput} MiB/s is not within 125 to 2000")


def vpc(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html: /16 to /28."""
    yield from network(made.get("cidrBlock"), "cidrBlock", 28, 16)


def subnet(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html: /16 to /28, one zone of the region."""
    yield from network(made.get("cidrBlock"), "cidrBlock", 28, 16)
    yield from at_most_one(made, "availabilityZone", "availabilityZoneId")
    yield from zone_failures(made)


def security_group(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html, of rules inside a group."""
    yield from _text(made, "description")
    for side in ("ingress", "egress"):
        for number, rule in enumerate(items(made.get(side))):
            path = f"{side}[{number}]"
            yield from _ports(rule.get("protocol"), rule.get("fromPort"), rule.get("toPort"), path)
            for place, block in enumerate(items(rule.get("cidrBlocks"))):
                yield from network(block, f"{path}.cidrBlocks[{place}]")
            sources = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups", "self")
            if not any(rule.get(name) is not None for name in sources):
                yield Failure(path, f"names no source: one of {', '.join(sources)}")


def security_group_rule(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html."""
    yield from exactly_one(made, "cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
    yield from network(made.get("cidrIpv4"), "cidrIpv4")
    yield from network(made.get("cidrIpv6"), "cidrIpv6")
    yield from _ports(made.get("ipProtocol"), made.get("fromPort"), made.get("toPort"), "")
    yield from _text(made, "description")


def _ports(protocol: object, first: object, last: object, path: str) -> Iterator[Failure]:
    here = f"{path}.fromPort" if path else "fromPort"
    if protocol in ("-1", "all"):
        if first not in (None, 0, -1) or last not in (None, 0, -1):
            yield Failure(here, "a rule of all protocols has no ports")
        return
    if protocol in ("tcp", "udp") and (first is None or last is None):
        yield Failure(here, f"a rule of {protocol} has fromPort and toPort")
    if isinstance(first, int) and isinstance(last, int):
        if not (-1 <= first <= 65535 and -1 <= last <= 65535):
            yield Failure(here, f"ports {first} to {last} are not within 0 to 65535")
        elif first > last:
            yield Failure(here, f"{first} is above toPort {last}")


def _text(made: Made, path: str) -> Iterator[Failure]:
    text = made.get(path)
    if isinstance(text, str) and (len(text) > 255 or not re.fullmatch(_RULE_TEXT, text)):
        yield Failure(path, f"at most 255 characters of {_RULE_TEXT}")


def role(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html; quota: 2048 characters of trust."""
    yield from policy(made, "assumeRolePolicy", trust=True, most=2048)
    yield from between(made, "maxSessionDuration", 3600, 43200, " s")


def role_policy(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 10240 characters inline."""
    yield from policy(made, "policy", trust=False, most=10240)


def managed_policy(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 6144 characters."""
    yield from policy(made, "policy", trust=False, most=6144)


def bucket_object(made: Made) -> Iterator[Failure]:
    """The provider's own rule."""
    yield from at_most_one(made, "source", "content", "contentBase64")


def secret(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html: 7 to 30 days, or 0 at once."""
    days = made.get("recoveryWindowInDays")
    if isinstance(days, int) and days != 0 and not 7 <= days <= 30:
        yield Failure("recoveryWindowInDays", f"{days} is neither 0 nor within 7 to 30")


def secret_version(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html: 64 KiB."""
    yield from at_most_one(made, "secretString", "secretBinary", "secretStringWo")
    text = made.get("secretString")
    if isinstance(text, str) and not 1 <= len(text.encode()) <= 65536:
        yield Failure("secretString", "has none or more than 65536 bytes")


def balancer(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html."""
    yield from one_of(made, "loadBalancerType", "application", "network", "gateway")
    yield from exactly_one(made, "subnets", "subnetMappings")
    subnets, kind = made.get("subnets"), made.get("loadBalancerType")
    if kind in (None, "application") and isinstance(subnets, list) and len(subnets) < 2:
        yield Failure("subnets", "an application balancer needs two subnets in two zones")


def target_group(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html."""
    if made.get("targetType") != "lambda":
        for name in ("port", "protocol", "vpcId"):
            if made.get(name) is None:
                yield Failure(name, "is required for targets that are no functions")
    yield from one_of(made, "targetType", "instance", "ip", "lambda", "alb")
    yield from one_of(
        made, "protocol", "HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"
    )
    yield from between(made, "healthCheck.interval", 5, 300, " s")
    yield from between(made, "healthCheck.healthyThreshold", 2, 10)
    yield from between(made, "deregistrationDelay", 0, 3600, " s")


def record(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html."""
    yield from at_most_one(made, "records", "aliases")
    if made.get("aliases") is None:
        for name in ("records", "ttl"):
            if made.get(name) is None:
                yield Failure(name, "is required for a record that is no alias")
    elif made.get("ttl") is not None:
        yield Failure("ttl", "an alias has no ttl")
    kinds = [n for n in made.inputs if n.endswith("RoutingPolicies") or n == "multivalueAnswerRoutingPolicy"]
    if len(kinds) > 1:
        yield Failure(kinds[1], f"conflicts with {kinds[0]}")
    if kinds and made.get("setIdentifier") is None:
        yield Failure("setIdentifier", f"is required with {kinds[0]}")


def tags_and_region(made: Made) -> Iterator[Failure]:
    """docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html; regions that exist."""
    tags = made.get("tags")
    if isinstance(tags, dict):
        if len(tags) > 50:
            yield Failure("tags", f"has {len(tags)} tags, 50 are allowed")
        for key, value in tags.items():
            yield from _tag(key, value, f"tags.{key}")
    yield from region_of(made)


def _tag(key: object, value: object, path: str) -> Iterator[Failure]:
    if isinstance(key, str) and (
        not 1 <= len(key) <= 128 or key.lower().startswith("aws:") or not re.fullmatch(_TAG, key)
    ):
        yield Failure(path, f"{key!r} is no key of a tag: 1 to 128 of {_TAG}, not aws:")
    if isinstance(value, str) and (len(value) > 256 or not re.fullmatch(_TAG, value)):
        yield Failure(path, f"the value of a tag has at most 256 characters of {_TAG}")


RULES: dict[str, tuple[Rule, ...]] = {
    "": (tags_and_region,),
    "aws:autoscaling/group:Group": (group,),
    "aws:ec2/launchTemplate:LaunchTemplate": (launch_template,),
    "aws:ec2/instance:Instance": (instance,),
    "aws:ec2/vpc:Vpc": (vpc,),
    "aws:ec2/subnet:Subnet": (subnet,),
    "aws:ec2/securityGroup:SecurityGroup": (security_group,),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (security_group_rule,),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (security_group_rule,),
    "aws:iam/role:Role": (role,),
    "aws:iam/rolePolicy:RolePolicy": (role_policy,),
    "aws:iam/policy:Policy": (managed_policy,),
    "aws:s3/bucketObject:BucketObject": (bucket_object,),
    "aws:s3/bucketObjectv2:BucketObjectv2": (bucket_object,),
    "aws:secretsmanager/secret:Secret": (secret,),
    "aws:secretsmanager/secretVersion:SecretVersion": (secret_version,),
    "aws:lb/loadBalancer:LoadBalancer": (balancer,),
    "aws:lb/targetGroup:TargetGroup": (target_group,),
    "aws:route53/record:Record": (record,),
}
