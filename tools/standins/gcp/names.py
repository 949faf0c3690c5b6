"""What Google Cloud allows as names. Each row's source is the reference of the resource."""

from __future__ import annotations

from tools.standins.cloud import Naming

_LABEL = r"[a-z](?:[-a-z0-9]*[a-z0-9])?"
_COMPUTE = "cloud.google.com/compute/docs/reference/rest/v1"

_SCOPES = {
    "address:Address": ("project", "region"),
    "backendService:BackendService": ("project",),
    "disk:Disk": ("project", "zone"),
    "firewall:Firewall": ("project",),
    "forwardingRule:ForwardingRule": ("project", "region"),
    "globalAddress:GlobalAddress": ("project",),
    "globalForwardingRule:GlobalForwardingRule": ("project",),
    "healthCheck:HealthCheck": ("project",),
    "instance:Instance": ("project", "zone"),
    "instanceGroup:InstanceGroup": ("project", "zone"),
    "instanceGroupManager:InstanceGroupManager": ("project", "zone"),
    "instanceTemplate:InstanceTemplate": ("project",),
    "network:Network": ("project",),
    "regionBackendService:RegionBackendService": ("project", "region"),
    "regionHealthCheck:RegionHealthCheck": ("project", "region"),
    "regionInstanceGroupManager:RegionInstanceGroupManager": ("project", "region"),
    "regionInstanceTemplate:RegionInstanceTemplate": ("project", "region"),
    "reservation:Reservation": ("project", "zone"),
    "route:Route": ("project",),
    "router:Router": ("project", "region"),
    "subnetwork:Subnetwork": ("project", "region"),
    "targetInstance:TargetInstance": ("project", "zone"),
    "targetPool:TargetPool": ("project", "region"),
}
_NAMES: dict[str, Naming] = {
    f"gcp:compute/{kind}": Naming(pattern=_LABEL, longest=63, scope=scope, source=f"{_COMPUTE}, RFC 1035")
    for kind, scope in _SCOPES.items()
} | {
    "gcp:storage/bucket:Bucket": Naming(
        pattern=r"(?!goog)(?!.*(?:google|g00gle))(?!.*\.\.)[a-z0-9][a-z0-9._-]*[a-z0-9]",
        shortest=3,
        longest=63,
        source="cloud.google.com/storage/docs/buckets#naming",
    ),
    "gcp:storage/bucketObject:BucketObject": Naming(longest=1024, scope=("bucket",)),
    "gcp:serviceaccount/account:Account": Naming(
        property="accountId",
        pattern=r"[a-z](?:[-a-z0-9]*[a-z0-9])",
        shortest=6,
        longest=30,
        scope=("project",),
        generated=False,
        source="cloud.google.com/iam/docs/service-accounts-create",
    ),
    "gcp:secretmanager/secret:Secret": Naming(
        property="secretId",
        pattern=r"[A-Za-z0-9_-]+",
        scope=("project",),
        generated=False,
        source="cloud.google.com/secret-manager/docs/creating-and-accessing-secrets",
    ),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": Naming(
        property="workloadIdentityPoolId",
        pattern=r"(?!gcp-)[a-z0-9-]+",
        shortest=4,
        longest=32,
        scope=("project",),
        generated=False,
        source="cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools/create",
    ),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": Naming(
        property="workloadIdentityPoolProviderId",
        pattern=r"(?!gcp-)[a-z0-9-]+",
        shortest=4,
        longest=32,
        scope=("project", "workloadIdentityPoolId"),
        generated=False,
        source="cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers/create",
    ),
    "gcp:projects/iAMCustomRole:IAMCustomRole": Naming(
        property="roleId",
        pattern=r"[a-zA-Z0-9_.]+",
        shortest=3,
        longest=64,
        scope=("project",),
        generated=False,
        source="cloud.google.com/iam/docs/creating-custom-roles",
    ),
    "gcp:dns/managedZone:ManagedZone": Naming(
        pattern=_LABEL,
        longest=63,
        scope=("project",),
        source="cloud.google.com/dns/docs/reference/rest/v1/managedZones",
    ),
    "gcp:dns/recordSet:RecordSet": Naming(
        pattern=r"[A-Za-z0-9_*.-]+\.",
        scope=("project", "managedZone", "type"),
        generated=False,
        source="cloud.google.com/dns/docs/reference/rest/v1/resourceRecordSets: names end with a dot",
    ),
}


def naming(type_: str) -> Naming | None:
    """How objects of a type are named; None for those that only have an id."""
    return _NAMES.get(type_)
