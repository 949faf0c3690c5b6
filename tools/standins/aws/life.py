"""What only other live objects decide in AWS, what AWS fills in or changes by itself, and what it does not delete."""

from __future__ import annotations

from collections.abc import Iterator

from tools.standins.aws.ids import all_tags
from tools.standins.check import Failure
from tools.standins.clauses import overlap, settled, within
from tools.standins.cloud import Hold, LiveRule, Made, at
from tools.standins.live import Live, Session
from tools.standins.wire import Values

GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
SUBNET = "aws:ec2/subnet:Subnet"
_OBJECTS = ("aws:s3/bucketObject:BucketObject", "aws:s3/bucketObjectv2:BucketObjectv2")
_OF_A_ROLE = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/instanceProfile:InstanceProfile",
)


def subnet_in_vpc(made: Made, session: Session) -> Iterator[Failure]:
    """docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html: within the VPC, apart from its other subnets."""
    block, vpc = made.get("cidrBlock"), made.get("vpcId")
    network = session.get(vpc) if settled(block, vpc) else None
    if network is None:
        return
    if not within(block, [network.properties["cidrBlock"]]):
        yield Failure("cidrBlock", f"{block} is not within {network.properties['cidrBlock']} of the VPC")
    others = [
        (live.properties["cidrBlock"], live)
        for live in session.objects(SUBNET)
        if live.properties.get("vpcId") == vpc and live.urn != made.urn
    ]
    for reason in overlap(block, others):
        yield Failure("cidrBlock", reason)


def no_market_options_with_mixed_instances(made: Made, session: Session) -> Iterator[Failure]:
    """docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-mixed-instances-groups-launch-template-overrides.html.

    "You can't use a launch template that requests Spot Instances" in a mixed instances group.
    """
    specification = "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification"
    template = _template(made, specification, session)
    if template is not None and at(template.properties, "instanceMarketOptions") is not None:
        yield Failure(
            specification, f"the template {template.name} has market options: a mixed group refuses it"
        )


def group_has_an_image_and_a_type(made: Made, session: Session) -> Iterator[Failure]:
    """docs.aws.amazon.com/autoscaling/ec2/userguide/create-launch-template.html: no image, no launch."""
    mixed = "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification"
    path = mixed if made.get("mixedInstancesPolicy") else "launchTemplate"
    template = _template(made, path, session)
    if template is not None and template.properties.get("imageId") is None:
        yield Failure(path, f"the template {template.name} has no image")


def _template(made: Made, path: str, session: Session) -> Live | None:
    for name in ("launchTemplateId", "id"):
        id_ = made.get(f"{path}.{name}")
        if isinstance(id_, str):
            return session.get(id_, TEMPLATE)
    return None


def defaults(made: Made) -> Values:
    """What AWS fills in."""
    if made.type == GROUP:
        return {"desiredCapacity": made.get("minSize"), "healthCheckType": "EC2"}
    return {}


def updated(made: Made, live: Live, sent: Values) -> None:
    """A template gets a new version; a group's size follows new limits.

    docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html: a MaxSize below the current size
    sets the desired capacity to it, as does a MinSize above.
    """
    if live.type == TEMPLATE and set(sent) - {"tags", "tagsAll", "description"}:
        live.properties["latestVersion"] = live.properties.get("latestVersion", 0) + 1
    if "tagsAll" in live.properties:
        live.properties["tagsAll"] = all_tags(made)
    if live.type == GROUP and "desiredCapacity" not in sent:
        desired = live.properties.get("desiredCapacity") or 0
        least, most = live.properties.get("minSize", 0), live.properties.get("maxSize", desired)
        live.properties["desiredCapacity"] = min(max(desired, least), most)


def keeps_name(live: Live) -> str | None:
    """docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html: 30 days, but for a window of 0."""
    days = live.properties.get("recoveryWindowInDays", 30)
    if live.type == "aws:secretsmanager/secret:Secret" and days:
        return f"You can't create this secret because a secret with this name is scheduled for deletion ({days} days)"
    return None


# ---------------------------------------------------------------- what is not deleted


def _in_use(*types: str) -> Hold:
    """DependencyViolation: other objects of these types name it."""

    def hold(live: Live, session: Session) -> str | None:
        users = [other.name for other in session.referring(live.id) if other.type in types]
        return f"DependencyViolation: it is in use by {', '.join(users)}" if users else None

    return hold


def bucket(live: Live, session: Session) -> str | None:
    """docs.aws.amazon.com/AmazonS3/latest/userguide/delete-bucket.html: only empty ones, or `forceDestroy`."""
    inside = _objects_of(live, session)
    if live.properties.get("forceDestroy") or not inside:
        return None
    return f"BucketNotEmpty: it holds {len(inside)} objects"


def removes(live: Live, session: Session) -> list[Live]:
    """`forceDestroy` empties a bucket first, whoever wrote what is in it."""
    return _objects_of(live, session) if live.type == "aws:s3/bucket:Bucket" else []


def _objects_of(bucket: Live, session: Session) -> list[Live]:
    return [
        o for type_ in _OBJECTS for o in session.objects(type_) if o.properties.get("bucket") == bucket.id
    ]


def role(live: Live, session: Session) -> str | None:
    """docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html: not with policies or instance profiles."""
    names = (live.id, live.properties.get("arn"))
    users = [
        o.name for type_ in _OF_A_ROLE for o in session.objects(type_) if o.properties.get("role") in names
    ]
    return f"DeleteConflict: it has {', '.join(users)}" if users else None


_HOSTS = (
    "aws:ec2/instance:Instance",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:ec2/networkInterface:NetworkInterface",
)

HOLDS: dict[str, tuple[Hold, ...]] = {
    "aws:ec2/vpc:Vpc": (
        _in_use(
            SUBNET,
            "aws:ec2/securityGroup:SecurityGroup",
            "aws:ec2/routeTable:RouteTable",
            "aws:ec2/internetGateway:InternetGateway",
            "aws:ec2/vpcEndpoint:VpcEndpoint",
        ),
    ),
    SUBNET: (_in_use(*_HOSTS),),
    "aws:ec2/securityGroup:SecurityGroup": (_in_use(*_HOSTS, "aws:ec2/vpcEndpoint:VpcEndpoint"),),
    "aws:lb/targetGroup:TargetGroup": (_in_use("aws:lb/listener:Listener"),),
    "aws:s3/bucket:Bucket": (bucket,),
    "aws:s3/bucketV2:BucketV2": (bucket,),
    "aws:iam/role:Role": (role,),
}
LIVE_RULES: dict[str, tuple[LiveRule, ...]] = {
    SUBNET: (subnet_in_vpc,),
    GROUP: (no_market_options_with_mixed_instances, group_has_an_image_and_a_type),
}
