"""What lies on disks and in buckets is encrypted, and not for the public."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pulumi_policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError

from policies.cost import Stack
from policies.rules import Config, Rule, at, computed, items, true

_BUCKET = "aws:s3/bucket:Bucket"
_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _disks(resource: PolicyResource, _config: Config) -> Iterator[str]:
    """GCP and Azure encrypt every disk; AWS does where it is told to."""
    props, kind = resource.props, resource.resource_type
    if kind == "aws:ec2/launchTemplate:LaunchTemplate":
        mappings = items(props, "blockDeviceMappings")
        if not mappings:
            yield "names no disk, so the image's own are used, encrypted or not. Name them with `encrypted`."
        for mapping in mappings:
            if not true(at(mapping, "ebs.encrypted")):
                yield "has a disk that is not encrypted. Set `encrypted`."
    elif kind == "aws:ec2/instance:Instance":
        disks = [props.get("rootBlockDevice"), *_more_disks(resource)]
        if not all(true(at(disk, "encrypted")) for disk in disks):
            yield "has a disk that is not encrypted. Set `encrypted`."
    elif kind == "aws:ebs/volume:Volume" and not true(at(props, "encrypted")):
        yield "is not encrypted. Set `encrypted`."


def _more_disks(resource: PolicyResource) -> list[Any]:
    """Of a machine, beside its root. What a program does not give is computed, and then only what is attached later."""
    try:
        return items(resource.props, "ebsBlockDevices")
    except UnknownValueError:
        if computed(resource, "ebsBlockDevices"):
            return []
        raise


def _encrypted(_stack: Stack, resources: Sequence[PolicyResource], _config: Config) -> Iterator[str]:
    """GCP and Azure encrypt every bucket. In AWS how is a resource beside the bucket."""
    yield from _without(
        resources,
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "nothing says how it is encrypted. Add a BucketServerSideEncryptionConfiguration.",
    )


def _blocked(_stack: Stack, resources: Sequence[PolicyResource], _config: Config) -> Iterator[str]:
    yield from _without(
        resources, _BLOCK, "nothing keeps the public out. Add a BucketPublicAccessBlock with all four."
    )


def _private(resource: PolicyResource, _config: Config) -> Iterator[str]:
    props, kind = resource.props, resource.resource_type
    if kind == _BLOCK:
        for name in _BLOCKS:
            if not true(at(props, name)):
                yield f"{name} must be true."
    elif kind == "azure-native:storage:StorageAccount" and at(props, "allowBlobPublicAccess") is not False:
        yield "allowBlobPublicAccess must be false."
    elif kind == "azure-native:storage:BlobContainer" and at(props, "publicAccess", "None") != "None":
        yield "publicAccess must be None."
    elif kind == "gcp:storage/bucket:Bucket":
        if at(props, "publicAccessPrevention") != "enforced":
            yield "publicAccessPrevention must be `enforced`."
        if not true(at(props, "uniformBucketLevelAccess")):
            yield "uniformBucketLevelAccess must be true."


def _without(resources: Sequence[PolicyResource], kind: str, message: str) -> Iterator[str]:
    """Buckets that no resource of that kind is about."""
    about = {
        d.urn for r in resources if r.resource_type == kind for d in r.property_dependencies.get("bucket", ())
    }
    for r in sorted(resources, key=lambda r: r.urn):
        if r.resource_type == _BUCKET and r.urn not in about:
            yield f"{r.name}: {message}"


RULES = (
    Rule("encrypted-disks", "Every disk is encrypted.", "CIS AWS Foundations 2.2.1", each=_disks),
    Rule("encrypted-buckets", "Every bucket is encrypted.", "CIS AWS Foundations 2.1", whole=_encrypted),
    Rule(
        "private-buckets",
        "No bucket is for the public.",
        "CIS AWS Foundations 2.1.4, CIS GCP 5.1 and 5.2, CIS Azure 3.7",
        each=_private,
        whole=_blocked,
    ),
)
