"""What Google Cloud refuses of arguments that pass the types. Sources: the REST references and guides named below."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.standins.check import Failure
from tools.standins.clauses import at_most_one, between, exactly_one, network, one_of
from tools.standins.cloud import Made, Rule, at, items, known
from tools.standins.gcp.places import place_failures
from tools.standins.wire import UNKNOWN

_LABEL_KEY = r"[a-z][a-z0-9_-]{0,62}"
_LABEL_VALUE = r"[a-z0-9_-]{0,63}"
_TAG = r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"
_OWN_GPUS = ("a2-", "a3-", "a4-", "a4x-", "g2-", "g4-")
_N1_GPUS = {
    "nvidia-tesla-t4": {1, 2, 4},
    "nvidia-tesla-p4": {1, 2, 4},
    "nvidia-tesla-v100": {1, 2, 4, 8},
    "nvidia-tesla-p100": {1, 2, 4},
}
"""cloud.google.com/compute/docs/gpus: types that N1 machines take, and how many of them."""


def scheduling(made: Made) -> Iterator[Failure]:
    """Spot machines and machines with GPUs.

    cloud.google.com/compute/docs/instances/create-use-spot and the provider's documentation of `scheduling`: SPOT
    needs preemptible true and automatic_restart false. cloud.google.com/compute/docs/gpus/gpu-host-maintenance:
    machines with GPUs can't migrate.
    """
    found = made.get("scheduling")
    # The provider's own defaults when nothing is said.
    model = at(found, "provisioningModel") or "STANDARD"
    preemptible, restart = at(found, "preemptible"), at(found, "automaticRestart")
    maintenance = at(found, "onHostMaintenance")
    yield from one_of(
        made, "scheduling.provisioningModel", "STANDARD", "SPOT", "FLEX_START", "RESERVATION_BOUND"
    )
    yield from one_of(made, "scheduling.onHostMaintenance", "MIGRATE", "TERMINATE")
    yield from one_of(made, "scheduling.instanceTerminationAction", "STOP", "DELETE")
    if model == "SPOT" and preemptible is not UNKNOWN and preemptible is not True:
        yield Failure("scheduling.preemptible", "must be true with provisioningModel SPOT")
    if preemptible is True and model != "SPOT" and at(found, "provisioningModel") is not None:
        yield Failure("scheduling.provisioningModel", "must be SPOT when preemptible is true")
    if (model == "SPOT" or preemptible is True) and restart is not UNKNOWN and restart is not False:
        yield Failure("scheduling.automaticRestart", "must be false for spot machines")
    if (model == "SPOT" or preemptible is True) and maintenance == "MIGRATE":
        yield Failure("scheduling.onHostMaintenance", "must be TERMINATE for spot machines")
    if _has_gpus(made) and maintenance is not UNKNOWN and maintenance != "TERMINATE" and model != "SPOT":
        yield Failure("scheduling.onHostMaintenance", "must be TERMINATE for machines with GPUs")
    action = at(found, "instanceTerminationAction")
    limited = at(found, "maxRunDuration") is not None or at(found, "terminationTime") is not None
    if known(action) and model == "STANDARD" and not limited:
        yield Failure("scheduling.instanceTerminationAction", "is for spot machines, or with a longest run")


def accelerators(made: Made) -> Iterator[Failure]:
    """cloud.google.com/compute/docs/gpus: A and G machines bring their GPUs, N1 machines are given some."""
    type_ = made.get("machineType")
    if not isinstance(type_, str):
        return
    type_ = type_.rpartition("/")[2]
    for number, given in enumerate(items(made.get("guestAccelerators"))):
        kind, count = given.get("type"), given.get("count")
        kind = kind.rpartition("/")[2] if isinstance(kind, str) else kind
        path = f"guestAccelerators[{number}]"
        if type_.startswith(_OWN_GPUS):
            continue  # naming the ones that it has is allowed
        if not type_.startswith("n1-"):
            yield Failure(path, f"{type_} takes no GPUs, only n1 machines do")
        elif known(kind) and kind not in _N1_GPUS:
            yield Failure(f"{path}.type", f"{kind} is no GPU of n1 machines: {', '.join(_N1_GPUS)}")
        elif isinstance(count, int) and known(kind) and count not in _N1_GPUS[kind]:
            allowed = ", ".join(map(str, sorted(_N1_GPUS[kind])))
            yield Failure(f"{path}.count", f"{count} of {kind} can't be attached: {allowed}")


def machine(made: Made) -> Iterator[Failure]:
    """cloud.google.com/compute/docs/reference/rest/v1/instanceTemplates and .../instances."""
    for number, tag in enumerate(items(made.get("tags"))):
        if isinstance(tag, str) and not re.fullmatch(_TAG, tag):
            yield Failure(f"tags[{number}]", f"{tag!r} is no network tag: {_TAG}")
    metadata = made.get("metadata")
    if isinstance(metadata, dict):
        yield from _metadata(metadata, "metadata")
    for number, interface in enumerate(items(made.get("networkInterfaces"))):
        if interface.get("network") is None and interface.get("subnetwork") is None:
            yield Failure(f"networkInterfaces[{number}]", "names neither network nor subnetwork")
    for number, disk in enumerate(items(made.get("disks"))):
        size = disk.get("diskSizeGb")
        if isinstance(size, int) and not 10 <= size <= 65536:
            yield Failure(f"disks[{number}].diskSizeGb", f"{size} GB is not within 10 to 65536")
        if "source" in disk and "sourceImage" in disk:
            yield Failure(f"disks[{number}].sourceImage", "conflicts with source")
    affinity = made.get("reservationAffinity")
    specific = at(affinity, "type") == "SPECIFIC_RESERVATION"
    if specific and not known(at(affinity, "specificReservation")):
        yield Failure("reservationAffinity.specificReservation", "is required for SPECIFIC_RESERVATION")
    yield from at_most_one(made, "name", "namePrefix") if "__defaults" not in made.inputs else ()
    prefix = made.get("namePrefix")
    if isinstance(prefix, str) and (len(prefix) > 54 or not re.fullmatch(r"[a-z][-a-z0-9]*", prefix)):
        yield Failure("namePrefix", f"{prefix!r}: at most 54 of a-z, 0-9 and -, a letter first")


def _metadata(metadata: dict[str, Any], path: str) -> Iterator[Failure]:
    """cloud.google.com/compute/docs/metadata/setting-custom-metadata#limitations: 256 KB a value, 512 KB in all."""
    total = 0
    for key, value in metadata.items():
        if not re.fullmatch(r"[a-zA-Z0-9-_]{1,128}", key):
            yield Failure(f"{path}.{key}", "a key has 1 to 128 letters, digits, - and _")
        size = len(value.encode()) if isinstance(value, str) else 0
        total += len(key) + size
        if size > 256 * 1024:
            yield Failure(f"{path}.{key}", f"has {size} bytes, 262144 are allowed")
    if total > 512 * 1024:
        yield Failure(path, f"has {total} bytes, 524288 are allowed")


def group_manager(made: Made) -> Iterator[Failure]:
    """cloud.google.com/compute/docs/reference/rest/v1/instanceGroupManagers."""
    base = made.get("baseInstanceName")
    if isinstance(base, str) and not re.fullmatch(r"[a-z](?:[-a-z0-9#]{0,56}[a-z0-9#])?", base):
        yield Failure("baseInstanceName", f"{base!r} has not 1 to 58 of a-z, 0-9 and -, a letter first")
    yield from between(made, "targetSize", 0, 1000)
    yield from one_of(made, "updatePolicy.type", "PROACTIVE", "OPPORTUNISTIC")
    yield from one_of(made, "updatePolicy.minimalAction", "NONE", "REFRESH", "RESTART", "REPLACE")
    yield from at_most_one(made, "updatePolicy.maxSurgeFixed", "updatePolicy.maxSurgePercent")
    yield from at_most_one(made, "updatePolicy.maxUnavailableFixed", "updatePolicy.maxUnavailablePercent")
    if made.get("updatePolicy.replacementMethod") == "RECREATE" and made.get(
        "updatePolicy.maxSurgeFixed"
    ) not in (0, None):
        yield Failure("updatePolicy.maxSurgeFixed", "must be 0 with replacementMethod RECREATE")
    versions = items(made.get("versions"))
    whole = [v for v in versions if v.get("targetSize") is None]
    if versions and len(whole) != 1:
        yield Failure("versions", "exactly one version has no target size")
    metadata = made.get("allInstancesConfig.metadata")
    if isinstance(metadata, dict):
        yield from _metadata(metadata, "allInstancesConfig.metadata")
    yield from _labels(made, "allInstancesConfig.labels")


def firewall(made: Made) -> Iterator[Failure]:
    """cloud.google.com/compute/docs/reference/rest/v1/firewalls."""
    yield from exactly_one(made, "allows", "denies")
    yield from between(made, "priority", 0, 65535)
    yield from one_of(made, "direction", "INGRESS", "EGRESS")
    ingress = made.get("direction") in (None, "INGRESS")
    for name in ("sourceRanges", "destinationRanges"):
        for number, range_ in enumerate(items(made.get(name))):
            yield from network(range_, f"{name}[{number}]")
    for name in ("sourceTags", "sourceServiceAccounts", "sourceRanges"):
        if not ingress and made.get(name) is not None:
            yield Failure(name, "is for ingress only")
    if ingress and made.get("destinationRanges") is None:
        sources = ("sourceRanges", "sourceTags", "sourceServiceAccounts")
        if all(made.get(name) is None for name in sources):
            yield Failure("sourceRanges", f"an ingress rule names one of {', '.join(sources)}")
    yield from at_most_one(made, "sourceTags", "sourceServiceAccounts")
    yield from at_most_one(made, "targetTags", "targetServiceAccounts")
    for side in ("allows", "denies"):
        for number, rule in enumerate(items(made.get(side))):
            for place, port in enumerate(items(rule.get("ports"))):
                if isinstance(port, str) and not re.fullmatch(r"\d{1,5}(-\d{1,5})?", port):
                    yield Failure(
                        f"{side}[{number}].ports[{place}]", f"{port!r} is no port or range of ports"
                    )


def subnetwork(made: Made) -> Iterator[Failure]:
    """cloud.google.com/vpc/docs/subnets: /4 to /29."""
    yield from network(made.get("ipCidrRange"), "ipCidrRange", 29, 4)


def bucket(made: Made) -> Iterator[Failure]:
    """cloud.google.com/storage/docs/storage-classes."""
    classes = ("STANDARD", "MULTI_REGIONAL", "REGIONAL", "NEARLINE", "COLDLINE", "ARCHIVE")
    yield from one_of(made, "storageClass", *classes)
    yield from one_of(made, "publicAccessPrevention", "inherited", "enforced")


def bucket_object(made: Made) -> Iterator[Failure]:
    """The provider's own rule."""
    yield from exactly_one(made, "content", "source")


def secret(made: Made) -> Iterator[Failure]:
    """cloud.google.com/secret-manager/docs/choosing-replication: one kind of replication."""
    yield from exactly_one(made, "replication.auto", "replication.userManaged")


def record(made: Made) -> Iterator[Failure]:
    """cloud.google.com/dns/docs/reference/rest/v1/resourceRecordSets."""
    yield from exactly_one(made, "rrdatas", "routingPolicy")
    kinds = ("wrrs", "geos", "primaryBackup")
    given = [k for k in kinds if made.get(f"routingPolicy.{k}") is not None]
    if len(given) > 1:
        yield Failure(f"routingPolicy.{given[1]}", f"conflicts with {given[0]}")


def iam_member(made: Made) -> Iterator[Failure]:
    """cloud.google.com/iam/docs/principal-identifiers: members have a kind."""
    member = made.get("member")
    kinds = r"(?:user|serviceAccount|group|domain|principal|principalSet|projectOwner|projectEditor|projectViewer|deleted):.+"
    everybody = ("allUsers", "allAuthenticatedUsers")
    if isinstance(member, str) and member not in everybody and not re.fullmatch(kinds, member):
        yield Failure("member", f"{member!r} names no kind of member: serviceAccount:..., user:..., ...")
    role = made.get("role")
    if isinstance(role, str) and not re.fullmatch(
        r"(?:(?:projects|organizations)/[^/]+/)?roles/[A-Za-z0-9_.]+", role
    ):
        yield Failure("role", f"{role!r} is no role: roles/storage.objectViewer, projects/p/roles/own")


def iam_condition(made: Made) -> Iterator[Failure]:
    """cloud.google.com/iam/docs/conditions-overview; .../conditions-resource-attributes, names; .../conditions-quotas."""
    condition, role = made.get("condition"), made.get("role")
    expression, title = at(condition, "expression"), at(condition, "title")
    if known(condition) and role in ("roles/owner", "roles/editor", "roles/viewer"):
        yield Failure("condition", f"{role} takes no condition")
    if isinstance(title, str) and not 1 <= len(title) <= 100:
        yield Failure("condition.title", f"has {len(title)} characters, 1 to 100 are allowed")
    if not isinstance(expression, str):
        return
    operators = len(re.findall(r"&&|\|\||!(?!=)", expression))
    if operators > 12:
        yield Failure("condition.expression", f"has {operators} logical operators, 12 are allowed")
    if named := re.search(r"projects/([^/]*[^/0-9][^/]*)/secrets/", expression):
        yield Failure(
            "condition.expression",
            f"is true for no secret: their names have the project's number, not {named[1]!r}",
        )


def labels_and_places(made: Made) -> Iterator[Failure]:
    """cloud.google.com/resource-manager/docs/labels-overview; regions and zones that exist."""
    yield from _labels(made, "labels")
    yield from place_failures(made)
    if made.type.endswith("IamMember") or made.type.endswith("IAMMember"):
        yield from iam_member(made)
        yield from iam_condition(made)


def _labels(made: Made, path: str) -> Iterator[Failure]:
    labels = made.get(path)
    if not isinstance(labels, dict):
        return
    if len(labels) > 64:
        yield Failure(path, f"has {len(labels)} labels, 64 are allowed")
    for key, value in labels.items():
        if not re.fullmatch(_LABEL_KEY, key):
            yield Failure(f"{path}.{key}", f"{key!r} is no key of a label: {_LABEL_KEY}")
        if isinstance(value, str) and not re.fullmatch(_LABEL_VALUE, value):
            yield Failure(f"{path}.{key}", f"{value!r} is no value of a label: {_LABEL_VALUE}")


def _has_gpus(made: Made) -> bool:
    type_ = made.get("machineType")
    own = isinstance(type_, str) and type_.rpartition("/")[2].startswith(_OWN_GPUS)
    return own or bool(items(made.get("guestAccelerators")))


_MACHINE = (scheduling, accelerators, machine)
RULES: dict[str, tuple[Rule, ...]] = {
    "": (labels_and_places,),
    "gcp:compute/instanceTemplate:InstanceTemplate": _MACHINE,
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": _MACHINE,
    "gcp:compute/instance:Instance": _MACHINE,
    "gcp:compute/instanceGroupManager:InstanceGroupManager": (group_manager,),
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": (group_manager,),
    "gcp:compute/firewall:Firewall": (firewall,),
    "gcp:compute/subnetwork:Subnetwork": (subnetwork,),
    "gcp:storage/bucket:Bucket": (bucket,),
    "gcp:storage/bucketObject:BucketObject": (bucket_object,),
    "gcp:secretmanager/secret:Secret": (secret,),
    "gcp:dns/recordSet:RecordSet": (record,),
}
