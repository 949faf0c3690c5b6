"""Ids, ARNs and addresses as AWS gives them: account 123456789012, addresses of the ranges for documentation."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

from tools.standins.cloud import Made
from tools.standins.wire import Values

ACCOUNT = "123456789012"
REFERENCE = re.compile(
    r"(?:vpc|subnet|sg|igw|rtb|lt|eipalloc|cr|pg|vol)-[0-9a-f]{17}"
    r"|arn:aws:(?:iam:|elasticloadbalancing:[\w-]+|secretsmanager:[\w-]+):\d{12}:[^*]+"
)

_PREFIX = {
    "ec2/vpc:Vpc": "vpc",
    "ec2/subnet:Subnet": "subnet",
    "ec2/securityGroup:SecurityGroup": "sg",
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": "sg",
    "ec2/securityGroupRule:SecurityGroupRule": "sgrule",
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr",
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": "sgr",
    "ec2/internetGateway:InternetGateway": "igw",
    "ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway": "eigw",
    "ec2/routeTable:RouteTable": "rtb",
    "ec2/route:Route": "r-rtb",
    "ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc",
    "ec2/mainRouteTableAssociation:MainRouteTableAssociation": "rtbassoc",
    "ec2/launchTemplate:LaunchTemplate": "lt",
    "ec2/eip:Eip": "eipalloc",
    "ec2/eipAssociation:EipAssociation": "eipassoc",
    "ec2/instance:Instance": "i",
    "ec2/networkInterface:NetworkInterface": "eni",
    "ec2/vpcEndpoint:VpcEndpoint": "vpce",
    "ec2/capacityReservation:CapacityReservation": "cr",
    "ebs/volume:Volume": "vol",
    "ec2/volumeAttachment:VolumeAttachment": "vai",
}
_ARN = {
    "autoscaling/group:Group": "autoscaling:{region}:{account}:autoScalingGroup:{hash}:autoScalingGroupName/{name}",
    "iam/role:Role": "iam::{account}:role/{name}",
    "iam/policy:Policy": "iam::{account}:policy/{name}",
    "iam/instanceProfile:InstanceProfile": "iam::{account}:instance-profile/{name}",
    "s3/bucket:Bucket": "s3:::{name}",
    "s3/bucketV2:BucketV2": "s3:::{name}",
    "secretsmanager/secret:Secret": "secretsmanager:{region}:{account}:secret:{name}-{hash6}",
    "lb/loadBalancer:LoadBalancer": "elasticloadbalancing:{region}:{account}:loadbalancer/net/{name}/{hash}",
    "lb/targetGroup:TargetGroup": "elasticloadbalancing:{region}:{account}:targetgroup/{name}/{hash}",
    "lb/listener:Listener": "elasticloadbalancing:{region}:{account}:listener/net/{name}/{hash}",
    "iam/openIdConnectProvider:OpenIdConnectProvider": "iam::{account}:oidc-provider/{host}",
    "ssm/parameter:Parameter": "ssm:{region}:{account}:parameter/{name}",
    "kms/key:Key": "kms:{region}:{account}:key/{hash}",
}
_BY_ARN = {
    "iam/policy:Policy",
    "secretsmanager/secret:Secret",
    "lb/loadBalancer:LoadBalancer",
    "lb/targetGroup:TargetGroup",
    "lb/listener:Listener",
    "iam/openIdConnectProvider:OpenIdConnectProvider",
}
_BY_NAME = {
    "autoscaling/group:Group": "name",
    "iam/role:Role": "name",
    "iam/instanceProfile:InstanceProfile": "name",
    "s3/bucket:Bucket": "bucket",
    "s3/bucketV2:BucketV2": "bucket",
    "ssm/parameter:Parameter": "name",
    "cloudwatch/logGroup:LogGroup": "name",
    "ec2/keyPair:KeyPair": "keyName",
    "ec2/placementGroup:PlacementGroup": "name",
    "kms/alias:Alias": "name",
}


def identify(made: Made) -> str:
    """A new id in the form that the resource has it."""
    kind = made.type.partition(":")[2]
    if kind in _PREFIX:
        return f"{_PREFIX[kind]}-{secrets.token_hex(9)[:17]}"
    if kind in _BY_ARN:
        return _arn(made, kind)
    if kind in _BY_NAME:
        return str(made.get(_BY_NAME[kind]))
    match kind:
        case "s3/bucketObject:BucketObject" | "s3/bucketObjectv2:BucketObjectv2":
            return f"{made.get('bucket')}/{made.get('key')}"
        case "iam/rolePolicy:RolePolicy":
            return f"{made.get('role')}:{made.get('name')}"
        case "iam/rolePolicyAttachment:RolePolicyAttachment":
            return f"{made.get('role')}/{made.get('policyArn')}"
        case "secretsmanager/secretVersion:SecretVersion":
            return f"{made.get('secretId')}|{secrets.token_hex(16)}"
        case "route53/zone:Zone":
            return f"Z{secrets.token_hex(10).upper()}"
        case "route53/record:Record":
            parts = [made.get(name) for name in ("zoneId", "name", "type", "setIdentifier")]
            return "_".join(str(part) for part in parts if part)
        case _ if made.get("bucket"):
            return (
                f"{made.get('bucket')}:{made.type.rpartition(':')[2]}"  # a setting of a bucket: one of each
            )
    return f"{made.name}-{secrets.token_hex(4)}"


def outputs(made: Made, id_: str) -> Values:
    """The outputs whose form somebody relies on."""
    kind, region = made.type.partition(":")[2], _region(made)
    values: dict[str, Any] = {
        "region": region,
        "ownerId": _account(made.config),
        "tagsAll": all_tags(made),
        "uniqueId": f"AROA{_hash(id_, 17).upper()}",
        "publicIp": _address("203.0.113", id_),
        "publicDns": f"ec2-{_hash(id_, 8)}.compute-1.amazonaws.com",
        "latestVersion": 1,
        "defaultVersion": 1,
        "zoneId": id_ if kind == "route53/zone:Zone" else f"Z{_hash(region, 12).upper()}",
        "nameServers": [f"ns-{n}.awsdns-0{n}.example" for n in range(1, 5)],
        "dnsName": f"{made.name}-{_hash(id_, 16)}.elb.{region}.amazonaws.com",
    }
    if kind in _BY_ARN:
        values["arn"] = id_
    elif kind in _ARN:
        values["arn"] = _arn(made, kind)
    else:
        values["arn"] = (
            f"arn:aws:{kind.partition('/')[0]}:{region}:{_account(made.config)}:{made.type.rpartition(':')[2].lower()}/{id_}"
        )
    match kind:
        case "ec2/eip:Eip":
            values |= {"allocationId": id_}
        case "ec2/instance:Instance":
            values |= {
                "privateIp": _address("10.0.0", id_),
                "primaryNetworkInterfaceId": f"eni-{_hash(id_, 17)}",
                "instanceState": "running",
            }
        case "s3/bucket:Bucket" | "s3/bucketV2:BucketV2":
            name = made.get("bucket")
            values |= {
                "bucketDomainName": f"{name}.s3.amazonaws.com",
                "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
            }
        case "secretsmanager/secretVersion:SecretVersion":
            arn, _, version = id_.partition("|")
            values |= {"arn": arn, "versionId": version}
        case "route53/record:Record":
            values |= {"fqdn": str(made.get("name"))}
        case "ec2/subnet:Subnet" if made.get("availabilityZoneId"):
            values |= {"availabilityZone": f"{region}{'abcdef'[int(made.get('availabilityZoneId')[-1]) - 1]}"}
        case "iam/outboundWebIdentityFederation:OutboundWebIdentityFederation":
            values |= outbound_federation({}, made.config)
    return values


def get_parameter(arguments: Values, config: Values) -> Values:
    """The public parameters that name machine images: one id per name, always the same."""
    name = arguments["name"]
    region = arguments.get("region") or config.get("region")
    value = f"ami-{_hash(f'{region}/{name}', 17)}"
    return {**arguments, "id": name, "type": "String", "value": value, "insecureValue": value, "version": 1}


def outbound_federation(_arguments: Values, config: Values) -> Values:
    """The account's own issuer of tokens: it has one, whoever switched it on."""
    issuer = f"https://{_hash(_account(config), 32)}.tokens.sts.global.api.aws"
    return {"id": _account(config), "enabled": True, "issuerIdentifier": issuer}


def _account(config: Values) -> str:
    """The one that the provider may work in, else an example's."""
    allowed = config.get("allowedAccountIds") or [ACCOUNT]
    return str(allowed[0])


def _arn(made: Made, kind: str) -> str:
    name = str(made.get(_BY_NAME.get(kind, "name")) or made.name)
    fresh = secrets.token_hex(8)
    host = str(made.get("url") or "").removeprefix("https://")
    path = _ARN[kind].format(
        region=_region(made), account=_account(made.config), name=name, hash=fresh, hash6=fresh[:6], host=host
    )
    return f"arn:aws:{path}"


def all_tags(made: Made) -> Values:
    """The provider's tags below the resource's own. A scaling group has a list of them, and no `tagsAll`."""
    own = made.get("tags")
    return {
        **((made.config.get("defaultTags") or {}).get("tags") or {}),
        **(own if isinstance(own, dict) else {}),
    }


def _region(made: Made) -> str:
    return str(made.get("region") or made.config.get("region") or "us-east-1")


def _hash(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _address(network: str, id_: str) -> str:
    return f"{network}.{int(_hash(id_, 4), 16) % 253 + 1}"
