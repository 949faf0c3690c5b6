"""What AWS allows as names. Each row's source is the API reference of the call that creates the object."""

from __future__ import annotations

from tools.standins.cloud import Naming

_EC2 = "docs.aws.amazon.com/AWSEC2/latest/APIReference"
_IAM = "docs.aws.amazon.com/IAM/latest/APIReference"
_ELB = "docs.aws.amazon.com/elasticloadbalancing/latest/APIReference"
_WORD = r"[\w+=,.@-]+"
_BALANCER = r"(?!internal-)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

_NAMES: dict[str, Naming] = {
    "aws:autoscaling/group:Group": Naming(
        pattern=r"[^:]+", scope=("region",), source="autoscaling API, CreateAutoScalingGroup"
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Naming(
        pattern=r"[a-zA-Z0-9()./_-]+",
        shortest=3,
        longest=128,
        scope=("region",),
        source=f"{_EC2}/API_CreateLaunchTemplate.html",
    ),
    "aws:ec2/securityGroup:SecurityGroup": Naming(
        pattern=r"(?!sg-)[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+",
        scope=("region", "vpcId"),
        source=f"{_EC2}/API_CreateSecurityGroup.html",
    ),
    "aws:iam/role:Role": Naming(pattern=_WORD, longest=64, source=f"{_IAM}/API_CreateRole.html"),
    "aws:iam/policy:Policy": Naming(pattern=_WORD, longest=128, source=f"{_IAM}/API_CreatePolicy.html"),
    "aws:iam/rolePolicy:RolePolicy": Naming(
        pattern=_WORD, longest=128, scope=("role",), source=f"{_IAM}/API_PutRolePolicy.html"
    ),
    "aws:iam/instanceProfile:InstanceProfile": Naming(
        pattern=_WORD, longest=128, source=f"{_IAM}/API_CreateInstanceProfile.html"
    ),
    "aws:s3/bucket:Bucket": Naming(
        property="bucket",
        pattern=r"(?!xn--|sthree-|\d+\.\d+\.\d+\.\d+$)(?!.*(?:-s3alias|--ol-s3|\.\.))[a-z0-9][a-z0-9.-]*[a-z0-9]",
        shortest=3,
        longest=63,
        source="docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html",
    ),
    "aws:secretsmanager/secret:Secret": Naming(
        pattern=r"[A-Za-z0-9/_+=.@-]+",
        longest=512,
        scope=("region",),
        source="docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html",
    ),
    "aws:lb/loadBalancer:LoadBalancer": Naming(
        pattern=_BALANCER, longest=32, scope=("region",), source=f"{_ELB}/API_CreateLoadBalancer.html"
    ),
    "aws:lb/targetGroup:TargetGroup": Naming(
        pattern=_BALANCER, longest=32, scope=("region",), source=f"{_ELB}/API_CreateTargetGroup.html"
    ),
    "aws:ec2/keyPair:KeyPair": Naming(
        property="keyName", scope=("region",), source=f"{_EC2}/API_CreateKeyPair.html"
    ),
    "aws:ec2/placementGroup:PlacementGroup": Naming(
        scope=("region",), source=f"{_EC2}/API_CreatePlacementGroup.html"
    ),
    "aws:ssm/parameter:Parameter": Naming(
        pattern=r"[a-zA-Z0-9/._-]+",
        longest=1011,
        scope=("region",),
        source="docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html",
    ),
    "aws:kms/alias:Alias": Naming(
        pattern=r"alias/(?!aws/)[a-zA-Z0-9/_-]+",
        longest=256,
        scope=("region",),
        source="docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html",
    ),
    "aws:cloudwatch/logGroup:LogGroup": Naming(
        pattern=r"[.\-_/#A-Za-z0-9]+",
        longest=512,
        scope=("region",),
        source="docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html",
    ),
    "aws:route53/zone:Zone": Naming(
        scope=None, generated=False, longest=255, source="two zones may have one name"
    ),
    "aws:route53/record:Record": Naming(
        scope=("zoneId", "type", "setIdentifier"), generated=False, source="one record per name, type and set"
    ),
}
_NAMES["aws:s3/bucketV2:BucketV2"] = _NAMES["aws:s3/bucket:Bucket"]


def naming(type_: str) -> Naming | None:
    """How objects of a type are named; None for those that only have an id."""
    return _NAMES.get(type_)
