"""What everything beside pools costs: hosts, disks, addresses, balancers, secrets, checks. And what costs nothing.

A type that is in neither list is not known, and what is not known can't be within a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catalog.fixed import load_fixed
from policies.values import Unpriceable, given

Props = Mapping[str, Any]


def _item(cloud: str, what: str, count: float = 1) -> float:
    try:
        return load_fixed()[cloud, what] * count
    except KeyError:
        raise Unpriceable(
            f"no price is known for {what} on {cloud}. Add a row to catalog/fixed.csv."
        ) from None


def _machine(cloud: str, kind: str, disk: str) -> Callable[[Props], float]:
    """A host: where its type and the size of its disk in GiB stand."""
    return lambda props: _item(cloud, given(props, kind)) + _item(cloud, "disk_gib", given(props, disk))


def _constant(cloud: str, what: str) -> Callable[[Props], float]:
    return lambda _props: _item(cloud, what)


def _asked(props: Props) -> int:
    """How many addresses of a record of Cloud DNS are asked whether they are healthy."""
    policy = props.get("routingPolicy") or {}
    backup = policy.get("primaryBackup") or {}
    places = [*(policy.get("geos") or ()), *(policy.get("wrrs") or ()), *(backup.get("backupGeos") or ())]
    targets = [place.get("healthCheckedTargets") or {} for place in places] + [backup.get("primary") or {}]
    return sum(len(target.get("externalEndpoints") or ()) for target in targets)


def _steering(props: Props) -> float:
    """Leading callers to whatever is first and healthy costs nothing more."""
    return 0.0 if given(props, "steeringPolicy") == "off" else _item("cloudflare", "steering")


PRICED: Mapping[str, Callable[[Props], float]] = {
    "aws:ec2/instance:Instance": _machine("aws", "instanceType", "rootBlockDevice.volumeSize"),
    "aws:ec2/eip:Eip": _constant("aws", "address"),
    "aws:lb/loadBalancer:LoadBalancer": _constant("aws", "balancer"),
    "aws:secretsmanager/secret:Secret": _constant("aws", "secret"),
    "aws:route53/healthCheck:HealthCheck": _constant("aws", "health_check"),
    "gcp:compute/instance:Instance": _machine("gcp", "machineType", "bootDisk.initializeParams.size"),
    "gcp:compute/address:Address": _constant("gcp", "address"),
    "gcp:compute/forwardingRule:ForwardingRule": _constant("gcp", "balancer"),
    "gcp:secretmanager/secret:Secret": _constant("gcp", "secret"),
    "gcp:dns/recordSet:RecordSet": lambda props: _item("gcp", "health_check", _asked(props)),
    "azure-native:compute:VirtualMachine": _machine(
        "azure", "hardwareProfile.vmSize", "storageProfile.osDisk.diskSizeGB"
    ),
    "azure-native:network:PublicIPAddress": _constant("azure", "address"),
    "azure-native:network:LoadBalancer": _constant("azure", "balancer"),
    "azure-native:keyvault:Secret": _constant("azure", "secret"),
    "azure-native:trafficmanager:Endpoint": _constant("azure", "health_check"),
    "cloudflare:index/loadBalancer:LoadBalancer": _steering,
    "cloudflare:index/loadBalancerPool:LoadBalancerPool": lambda props: _item(
        "cloudflare", "endpoint", len(given(props, "origins"))
    ),
}
"""Type -> USD per hour. Raises UnknownValueError or Unpriceable."""

FREE_TYPES = (
    frozenset(
        f"aws:{name}"
        for name in (
            "ec2/defaultSecurityGroup:DefaultSecurityGroup",
            "ec2/eipAssociation:EipAssociation",
            "ec2/internetGateway:InternetGateway",
            "ec2/launchTemplate:LaunchTemplate",
            "ec2/route:Route",
            "ec2/routeTable:RouteTable",
            "ec2/routeTableAssociation:RouteTableAssociation",
            "ec2/securityGroup:SecurityGroup",
            "ec2/subnet:Subnet",
            "ec2/vpc:Vpc",
            "iam/instanceProfile:InstanceProfile",
            "iam/openIdConnectProvider:OpenIdConnectProvider",
            "iam/outboundWebIdentityFederation:OutboundWebIdentityFederation",
            "iam/role:Role",
            "iam/rolePolicy:RolePolicy",
            "lb/listener:Listener",
            "lb/targetGroup:TargetGroup",
            "lb/targetGroupAttachment:TargetGroupAttachment",
            "route53/record:Record",
            "s3/bucket:Bucket",
            "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            "s3/bucketObjectv2:BucketObjectv2",
            "s3/bucketOwnershipControls:BucketOwnershipControls",
            "s3/bucketPolicy:BucketPolicy",
            "s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "s3/bucketVersioning:BucketVersioning",
            "secretsmanager/secretVersion:SecretVersion",
            "vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        )
    )
    | frozenset(
        f"azure-native:{name}"
        for name in (
            "authorization:RoleAssignment",
            "authorization:RoleDefinition",
            "compute:AvailabilitySet",
            "keyvault:Vault",
            "managedidentity:FederatedIdentityCredential",
            "managedidentity:UserAssignedIdentity",
            "network:ApplicationSecurityGroup",
            "network:NetworkInterface",
            "network:NetworkSecurityGroup",
            "network:Subnet",
            "network:VirtualNetwork",
            "resources:Deployment",
            "resources:ResourceGroup",
            "storage:Blob",
            "storage:BlobContainer",
            "storage:StorageAccount",
            "trafficmanager:Profile",
        )
    )
    | frozenset(
        f"gcp:{name}"
        for name in (
            "compute/firewall:Firewall",
            "compute/healthCheck:HealthCheck",
            "compute/instanceGroup:InstanceGroup",
            "compute/instanceTemplate:InstanceTemplate",
            "compute/network:Network",
            "compute/regionBackendService:RegionBackendService",
            "compute/regionHealthCheck:RegionHealthCheck",
            "compute/regionInstanceTemplate:RegionInstanceTemplate",
            "compute/subnetwork:Subnetwork",
            "dns/dnsManagedZoneIamMember:DnsManagedZoneIamMember",
            "iam/workloadIdentityPool:WorkloadIdentityPool",
            "iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
            "projects/iAMCustomRole:IAMCustomRole",
            "projects/iAMMember:IAMMember",
            "secretmanager/secretVersion:SecretVersion",
            "serviceaccount/account:Account",
            "serviceaccount/iAMMember:IAMMember",
            "storage/bucket:Bucket",
            "storage/bucketIAMMember:BucketIAMMember",
            "storage/bucketObject:BucketObject",
        )
    )
    | {
        "cloudflare:index/dnsRecord:DnsRecord",
        "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor",
        "tls:index/privateKey:PrivateKey",
        "tls:index/selfSignedCert:SelfSignedCert",
    }
)
"""Types of providers that buy nothing by being there: what they hold or pass on is paid by use, or not at all."""


def free_of_charge(props: Props, resource_type: str) -> bool:
    """Whether the resource costs nothing; some types do only in one of their kinds."""
    if resource_type == "aws:ec2/vpcEndpoint:VpcEndpoint":
        return given(props, "vpcEndpointType") == "Gateway"
    return resource_type in FREE_TYPES
