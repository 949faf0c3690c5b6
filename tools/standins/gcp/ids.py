"""Ids, self links and addresses as Google Cloud gives them."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

from tools.standins.cloud import Made
from tools.standins.wire import Values

_HOST = "https://www.googleapis.com/compute/v1/"
REFERENCE = re.compile(
    rf"(?:{re.escape(_HOST)})?projects/[^/]+/(?:global|zones/[^/]+|regions/[^/]+)/"
    r"(?:networks|subnetworks|instanceTemplates|instances|addresses|healthChecks|backendServices"
    r"|instanceGroupManagers|forwardingRules|reservations|firewalls)/[^/?]+(?:\?uniqueId=.*)?"
)

_VERSIONS = 10**12

_PATHS = {
    "compute/address:Address": "regions/{region}/addresses",
    "compute/backendService:BackendService": "global/backendServices",
    "compute/disk:Disk": "zones/{zone}/disks",
    "compute/firewall:Firewall": "global/firewalls",
    "compute/forwardingRule:ForwardingRule": "regions/{region}/forwardingRules",
    "compute/globalAddress:GlobalAddress": "global/addresses",
    "compute/globalForwardingRule:GlobalForwardingRule": "global/forwardingRules",
    "compute/healthCheck:HealthCheck": "global/healthChecks",
    "compute/instance:Instance": "zones/{zone}/instances",
    "compute/instanceGroup:InstanceGroup": "zones/{zone}/instanceGroups",
    "compute/instanceGroupManager:InstanceGroupManager": "zones/{zone}/instanceGroupManagers",
    "compute/instanceTemplate:InstanceTemplate": "global/instanceTemplates",
    "compute/network:Network": "global/networks",
    "compute/regionBackendService:RegionBackendService": "regions/{region}/backendServices",
    "compute/regionHealthCheck:RegionHealthCheck": "regions/{region}/healthChecks",
    "compute/regionInstanceGroupManager:RegionInstanceGroupManager": "regions/{region}/instanceGroupManagers",
    "compute/regionInstanceTemplate:RegionInstanceTemplate": "regions/{region}/instanceTemplates",
    "compute/reservation:Reservation": "zones/{zone}/reservations",
    "compute/route:Route": "global/routes",
    "compute/router:Router": "regions/{region}/routers",
    "compute/subnetwork:Subnetwork": "regions/{region}/subnetworks",
    "compute/targetInstance:TargetInstance": "zones/{zone}/targetInstances",
    "compute/targetPool:TargetPool": "regions/{region}/targetPools",
    "dns/managedZone:ManagedZone": "managedZones",
    "secretmanager/secret:Secret": "secrets",
    "iam/workloadIdentityPool:WorkloadIdentityPool": "locations/global/workloadIdentityPools",
    "projects/iAMCustomRole:IAMCustomRole": "roles",
}
_NAMED = {
    "secretmanager/secret:Secret": "secretId",
    "iam/workloadIdentityPool:WorkloadIdentityPool": "workloadIdentityPoolId",
    "projects/iAMCustomRole:IAMCustomRole": "roleId",
}


def identify(made: Made) -> str:
    """A new id in the form that the resource has it."""
    kind, project = made.type.partition(":")[2], _project(made)
    name = made.get(_NAMED.get(kind, "name"))
    if kind in _PATHS:
        path = _PATHS[kind].format(region=_place(made, "region"), zone=_place(made, "zone"))
        return f"projects/{project}/{path}/{name or made.name}"
    match kind:
        case "serviceaccount/account:Account":
            return f"projects/{project}/serviceAccounts/{_email(made)}"
        case "storage/bucket:Bucket":
            return str(name)
        case "storage/bucketObject:BucketObject":
            return f"{made.get('bucket')}-{name}"
        case "secretmanager/secretVersion:SecretVersion":
            # Google counts; a stand-in that makes a version knows of no other one, and must not take its number.
            return f"{made.get('secret')}/versions/{secrets.randbelow(_VERSIONS) + 1}"
        case "dns/recordSet:RecordSet":
            return (
                f"projects/{project}/managedZones/{made.get('managedZone')}/rrsets/{name}/{made.get('type')}"
            )
        case "iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider":
            pool, provider = made.get("workloadIdentityPoolId"), made.get("workloadIdentityPoolProviderId")
            return f"projects/{project}/locations/global/workloadIdentityPools/{pool}/providers/{provider}"
    return f"{project}/{made.type.rpartition(':')[2].lower()}/{made.name}-{secrets.token_hex(4)}"


def canonical(reference: str) -> str:
    """The id that a self link means."""
    return reference.removeprefix(_HOST).partition("?")[0]


def outputs(made: Made, id_: str) -> Values:
    """The outputs whose form somebody relies on."""
    kind, project = made.type.partition(":")[2], _project(made)
    values: dict[str, Any] = {
        "project": project,
        "region": _place(made, "region"),
        "zone": _place(made, "zone"),
        "selfLink": f"{_HOST}{id_}",
        "selfLinkUnique": f"{_HOST}{id_}?uniqueId={_number(id_)}",
        "uniqueId": _number(id_),
        "numericId": _number(id_),
        "networkId": _number(id_),
        "instanceId": _number(id_),
        "managedZoneId": int(_number(id_)[:15]),
        "instanceGroup": f"{_HOST}{id_.replace('/instanceGroupManagers/', '/instanceGroups/')}",
        "effectiveLabels": made.get("labels") or {},
        "pulumiLabels": made.get("labels") or {},
        "nameServers": [f"ns-cloud-{letter}.example." for letter in "abcd"],
    }
    name = made.get(_NAMED.get(kind, "name"))
    match kind:
        case "serviceaccount/account:Account":
            email = _email(made)
            values |= {"email": email, "member": f"serviceAccount:{email}", "name": id_}
        case "compute/address:Address" | "compute/globalAddress:GlobalAddress":
            values |= {"address": made.get("address") or _address("198.51.100", id_)}
        case "compute/forwardingRule:ForwardingRule" if not made.get("ipAddress"):
            values |= {"ipAddress": _address("198.51.100", id_)}
        case "compute/network:Network":
            values |= {"gatewayIpv4": ""}
        case "storage/bucket:Bucket":
            values |= {"url": f"gs://{name}", "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}"}
        case "secretmanager/secret:Secret" | "iam/workloadIdentityPool:WorkloadIdentityPool":
            values |= {"name": id_.replace(f"projects/{project}/", f"projects/{_number(project)[:12]}/")}
        case "projects/iAMCustomRole:IAMCustomRole":
            values |= {"name": id_}
        case "iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider":
            values |= {"name": id_.replace(f"projects/{project}/", f"projects/{_number(project)[:12]}/")}
        case "secretmanager/secretVersion:SecretVersion":
            values |= {"name": id_, "version": id_.rpartition("/")[2]}
    return values


def _project(made: Made) -> str:
    return str(made.get("project") or made.config.get("project") or "example-project")


def _place(made: Made, kind: str) -> str | None:
    given = made.get(kind) or made.config.get(kind)
    return str(given) if given else None


def _email(made: Made) -> str:
    return f"{made.get('accountId')}@{_project(made)}.iam.gserviceaccount.com"


def _number(text: str) -> str:
    return str(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) | 1 << 62)[:19]


def _address(network: str, id_: str) -> str:
    return f"{network}.{int(hashlib.sha256(id_.encode()).hexdigest()[:4], 16) % 253 + 1}"
