"""The rules of Google Cloud: good arguments pass, and each broken one is told by its property."""

import pytest

from tests.tools.standins.plugin import Plugin
from tools.standins.wire import UNKNOWN


@pytest.fixture
def gcp():
    return Plugin("gcp", project="project-1")


SPOT = {
    "provisioningModel": "SPOT",
    "preemptible": True,
    "automaticRestart": False,
    "onHostMaintenance": "TERMINATE",
    "instanceTerminationAction": "DELETE",
}
ON_DEMAND = {"onHostMaintenance": "TERMINATE", "automaticRestart": True}
TEMPLATE = {
    "namePrefix": "pool-1-",
    "machineType": "a2-highgpu-1g",
    "scheduling": SPOT,
    "disks": [{"sourceImage": "projects/debian-cloud/global/images/family/debian-12", "diskSizeGb": 200}],
    "networkInterfaces": [{"network": "default"}],
    "tags": ["tw-replicas"],
    "metadata": {"user-data": "#cloud-config"},
    "labels": {"tradewind-env": "prod"},
}
N1 = {"machineType": "n1-standard-8", "guestAccelerators": [{"type": "nvidia-tesla-t4", "count": 2}]}
MANAGER = {
    "baseInstanceName": "pool",
    "zone": "us-central1-a",
    "targetSize": 0,
    "versions": [{"instanceTemplate": "t"}],
    "updatePolicy": {"type": "OPPORTUNISTIC", "minimalAction": "REPLACE"},
    "allInstancesConfig": {"metadata": {"tradewind-pool": "a.b"}},
}
GOOD = {
    "compute/instanceTemplate:InstanceTemplate": TEMPLATE,
    "compute/instanceGroupManager:InstanceGroupManager": MANAGER,
    "compute/firewall:Firewall": {
        "name": "replicas",
        "network": "n",
        "sourceRanges": ["192.0.2.1/32"],
        "allows": [{"protocol": "tcp", "ports": ["9443"]}],
    },
    "compute/subnetwork:Subnetwork": {
        "name": "s",
        "network": "n",
        "ipCidrRange": "10.0.0.0/20",
        "region": "us-east4",
    },
    "storage/bucket:Bucket": {"name": "tw-prod-state-0a1b2c3d", "location": "US"},
    "storage/bucketObject:BucketObject": {"bucket": "b", "name": "k", "content": "c"},
    "serviceaccount/account:Account": {"accountId": "controller"},
    "secretmanager/secret:Secret": {"secretId": "tradewind-prod-a", "replication": {"auto": {}}},
    "iam/workloadIdentityPool:WorkloadIdentityPool": {"workloadIdentityPoolId": "tradewind-prod"},
    "dns/recordSet:RecordSet": {
        "managedZone": "z",
        "name": "a.example.",
        "type": "A",
        "ttl": 30,
        "rrdatas": ["192.0.2.1"],
    },
    "storage/bucketIAMMember:BucketIAMMember": {
        "bucket": "b",
        "role": "roles/storage.objectViewer",
        "member": "serviceAccount:a@b.iam.gserviceaccount.com",
    },
    "projects/iAMMember:IAMMember": {
        "project": "acme",
        "role": "roles/secretmanager.secretAccessor",
        "member": "serviceAccount:a@b.iam.gserviceaccount.com",
        "condition": {
            "title": "secrets",
            "expression": 'resource.name.startsWith("projects/123456789012/secrets/a_")',
        },
    },
}
T, M, F, P = (
    "compute/instanceTemplate:InstanceTemplate",
    "compute/instanceGroupManager:InstanceGroupManager",
    "compute/firewall:Firewall",
    "projects/iAMMember:IAMMember",
)
BAD = [
    (T, {"scheduling": {**SPOT, "preemptible": False}}, "scheduling.preemptible: must be true"),
    (
        T,
        {"scheduling": {k: v for k, v in SPOT.items() if k != "preemptible"}},
        "scheduling.preemptible: must be true",
    ),
    (T, {"scheduling": {**SPOT, "automaticRestart": True}}, "scheduling.automaticRestart: must be false"),
    (T, {"scheduling": {**SPOT, "onHostMaintenance": "MIGRATE"}}, "must be TERMINATE for spot machines"),
    (T, {"scheduling": {**SPOT, "provisioningModel": "CHEAP"}}, "none of STANDARD, SPOT"),
    (T, {"scheduling": {"onHostMaintenance": "MIGRATE"}}, "must be TERMINATE for machines with GPUs"),
    (T, {"scheduling": None}, "must be TERMINATE for machines with GPUs"),
    (T, {"scheduling": {**ON_DEMAND, "instanceTerminationAction": "DELETE"}}, "is for spot machines"),
    (T, {**N1, "guestAccelerators": [{"type": "nvidia-tesla-t4", "count": 3}]}, "3 of nvidia-tesla-t4 can't"),
    (T, {**N1, "guestAccelerators": [{"type": "nvidia-h100-80gb", "count": 1}]}, "is no GPU of n1 machines"),
    (T, {**N1, "machineType": "e2-standard-4"}, "takes no GPUs"),
    (T, {"tags": ["Replicas"]}, "is no network tag"),
    (T, {"labels": {"Env": "prod"}}, "is no key of a label"),
    (T, {"labels": {"env": "Prod"}}, "is no value of a label"),
    (T, {"metadata": {"user-data": "x" * 262145}}, "262144 are allowed"),
    (T, {"metadata": {"user data": "x"}}, "a key has 1 to 128"),
    (T, {"networkInterfaces": [{"nicType": "GVNIC"}]}, "names neither network nor subnetwork"),
    (T, {"disks": [{"sourceImage": "i", "diskSizeGb": 5}]}, "5 GB is not within 10 to 65536"),
    (T, {"namePrefix": "Pool-"}, "a letter first"),
    (T, {"reservationAffinity": {"type": "SPECIFIC_RESERVATION"}}, "is required for SPECIFIC_RESERVATION"),
    (M, {"baseInstanceName": "Pool"}, "has not 1 to 58 of"),
    (M, {"zone": "us-central1-d"}, "no zone us-central1-d; there are us-central1-a, us-central1-b"),
    (M, {"zone": "us-centrall1-a"}, "did you mean us-central1?"),
    (M, {"targetSize": 1001}, "not within 0 to 1000"),
    (M, {"updatePolicy": {"type": "LAZY", "minimalAction": "REPLACE"}}, "none of PROACTIVE, OPPORTUNISTIC"),
    (M, {"versions": [{"instanceTemplate": "t"}, {"instanceTemplate": "u"}]}, "exactly one version"),
    (F, {"denies": [{"protocol": "all"}]}, "conflicts with allows"),
    (F, {"sourceRanges": None}, "an ingress rule names one of"),
    (F, {"sourceRanges": ["192.0.2.1/24"]}, "has host bits set"),
    (F, {"priority": 70000}, "not within 0 to 65535"),
    (F, {"direction": "EGRESS"}, "is for ingress only"),
    (F, {"allows": [{"protocol": "tcp", "ports": ["https"]}]}, "is no port or range of ports"),
    (F, {"name": "replicas_9443"}, "must match"),
    ("compute/subnetwork:Subnetwork", {"ipCidrRange": "10.0.0.0/30"}, "/4 to /29 are allowed"),
    ("compute/subnetwork:Subnetwork", {"region": "us-east9"}, "has no region us-east9; did you mean us-east"),
    ("storage/bucket:Bucket", {"name": "my-google-bucket"}, "must match"),
    ("storage/bucket:Bucket", {"storageClass": "GLACIER"}, "none of STANDARD"),
    ("storage/bucketObject:BucketObject", {"content": None}, "one of content, source is required"),
    ("serviceaccount/account:Account", {"accountId": "short"}, "has 5 characters, 6 to 30"),
    ("secretmanager/secret:Secret", {"replication": {}}, "one of replication.auto"),
    ("iam/workloadIdentityPool:WorkloadIdentityPool", {"workloadIdentityPoolId": "gcp-pool"}, "must match"),
    ("dns/recordSet:RecordSet", {"name": "a.example"}, "must match"),
    ("dns/recordSet:RecordSet", {"rrdatas": None}, "one of rrdatas, routingPolicy"),
    (
        "storage/bucketIAMMember:BucketIAMMember",
        {"member": "a@b.iam.gserviceaccount.com"},
        "names no kind of member",
    ),
    ("storage/bucketIAMMember:BucketIAMMember", {"role": "objectViewer"}, "is no role"),
    (P, {"role": "roles/viewer"}, "roles/viewer takes no condition"),
    (P, {"condition": {"title": "", "expression": "true"}}, "has 0 characters, 1 to 100"),
    (P, {"condition": {"title": "t", "expression": " || ".join(["true"] * 14)}}, "has 13 logical operators"),
    (
        P,
        {"condition": {"title": "t", "expression": 'resource.name.startsWith("projects/acme/secrets/a")'}},
        "is true for no secret: their names have the project's number, not 'acme'",
    ),
]


@pytest.mark.parametrize("type_", GOOD)
def test_what_is_within_the_rules_passes(gcp, type_):
    assert gcp.refusals(f"gcp:{type_}", GOOD[type_]) == []


@pytest.mark.parametrize(
    "more", [N1 | {"scheduling": ON_DEMAND}, {"scheduling": ON_DEMAND}, {"scheduling": UNKNOWN}]
)
def test_machines_on_demand_and_with_attached_gpus_pass(gcp, more):
    assert gcp.refusals(f"gcp:{T}", {**TEMPLATE, **more}) == []


@pytest.mark.parametrize(("type_", "change", "reason"), BAD)
def test_what_breaks_a_rule_is_refused(gcp, type_, change, reason):
    found = gcp.refusals(f"gcp:{type_}", {**GOOD[type_], **change})
    assert any(reason in each for each in found), found


@pytest.mark.parametrize("type_", GOOD)
def test_what_is_not_known_yet_breaks_no_rule(gcp, type_):
    assert gcp.refusals(f"gcp:{type_}", dict.fromkeys(GOOD[type_], UNKNOWN)) == []
