"""Machines and who they are: no keys that could be stolen, no secrets where everybody reads them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from pulumi_policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError

from policies.rules import Config, Rule, at, computed
from spec.in_clear import looks_like_a_secret

_STATIC_KEYS = {
    "aws:iam/accessKey:AccessKey": "an access key of AWS",
    "aws:iam/user:User": "a user of AWS, who has nothing but keys",
    "gcp:serviceaccount/key:Key": "a key of a service account",
    "gcp:storage/hmacKey:HmacKey": "a key of GCS",
    "azuread:index/applicationPassword:ApplicationPassword": "a password of an application",
    "azuread:index/servicePrincipalPassword:ServicePrincipalPassword": "a password of a service principal",
    "azure-native:storage:LocalUser": "a user of a storage account, who has nothing but keys",
}

_READ_BY_MANY = {
    "aws:ec2/instance:Instance": ("userData", "userDataBase64"),
    "aws:ec2/launchTemplate:LaunchTemplate": ("userData",),
    "aws:s3/bucketObjectv2:BucketObjectv2": ("content",),
    "azure-native:compute:VirtualMachine": ("userData", "osProfile.customData"),
    "azure-native:compute:VirtualMachineScaleSet": ("virtualMachineProfile.userData",),
    "gcp:compute/instance:Instance": ("metadata", "metadataStartupScript"),
    "gcp:compute/instanceTemplate:InstanceTemplate": ("metadata", "metadataStartupScript"),
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": ("metadata", "metadataStartupScript"),
    "gcp:storage/bucketObject:BucketObject": ("content",),
    "tradewind:local:Pool": ("env", "argv"),
    "tradewind:local:Process": ("env", "argv"),
}
"""Type -> properties that whoever may look at the machine or the console can read."""
_OF_FILES = frozenset({"content"})
"""Written by the stack itself from what is no secret; unknown in a preview, and judged when it is known."""


def _metadata(resource: PolicyResource, _config: Config) -> Iterator[str]:
    if resource.resource_type in ("aws:ec2/instance:Instance", "aws:ec2/launchTemplate:LaunchTemplate") and (
        at(resource.props, "metadataOptions.httpTokens") != "required"
    ):
        yield "answers metadata requests without a token, which a server behind a proxy can be tricked into. Set `httpTokens: required`."


def _static_keys(resource: PolicyResource, _config: Config) -> Iterator[str]:
    what = _STATIC_KEYS.get(resource.resource_type)
    if what is not None:
        yield f"is {what}: it can be stolen from wherever it lies. Use the machine's identity, or federation."


def _in_clear(resource: PolicyResource, _config: Config) -> Iterator[str]:
    for name in _READ_BY_MANY.get(resource.resource_type, ()):
        try:
            value = at(resource.props, name)
        except UnknownValueError:
            if name in _OF_FILES or computed(resource, name):
                continue  # what the program did not give, the provider computes from what it did
            raise
        if value is not None and looks_like_a_secret(_text(value)):
            yield f"its {name} holds what looks like a secret. Put it into tradewind:secrets, and name it."


def _text(value: object) -> str:
    """With what base64 hides."""
    text = value if isinstance(value, str) else repr(value)
    try:
        return text + base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return text


RULES = (
    Rule(
        "metadata-v2",
        "The metadata service of AWS asks for a token.",
        "CIS AWS Foundations 5.6",
        each=_metadata,
    ),
    Rule(
        "no-static-keys",
        "There is no key of a cloud that could be stolen.",
        "CIS AWS Foundations 1.13, CIS GCP 1.4",
        each=_static_keys,
    ),
    Rule(
        "no-secrets-in-clear",
        "No secret stands in user data, environments or objects.",
        "docs/environments.md",
        each=_in_clear,
    ),
)
