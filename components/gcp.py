"""What the modules of Google Cloud share: the project, labels, and names of Google's own.

Labels take fewer letters than tags elsewhere, and a company's tags are the same in all clouds: so they are written as
labels allow, and refused only where two would become one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import pulumi

from components.cloud import ENV_TAG, Scope
from spec.clouds import GcpProject
from spec.errors import InputError
from spec.labels import as_label

HOST_IMAGE = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"
"""Ubuntu 24.04, which has Python 3.12. https://documentation.ubuntu.com/gcp/google-how-to/gce/find-ubuntu-images/"""

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
"""The old scopes of machines end here: what an identity may do is said by its grants alone."""

_ACCOUNT_LENGTH = 30
_DIGEST = 8


def project(scope: Scope) -> GcpProject:
    """Where everything of a scope is. Raises InputError when the stack names none."""
    if scope.config.gcp is None:
        raise InputError(
            "tradewind:gcp is missing. Add `project` and `projectNumber`, as `gcloud projects describe` prints them."
        )
    return scope.config.gcp


def labels(scope: Scope, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The scope's tags as labels. Raises InputError for an environment, or for tags, that labels can't tell apart."""
    found: dict[str, str] = {}
    for key, value in {**scope.tags, **(more or {})}.items():
        label = as_label(key)
        if label in found or not label[:1].isalpha():
            why = "two of them are the same label" if label in found else "a label begins with a letter"
            raise InputError(
                f"tradewind:tags.{key}: Google Cloud writes it `{label}`, and {why}. Name it differently."
            )
        found[label] = as_label(value)
    if found[ENV_TAG] != scope.env:
        raise InputError(
            f"the stack's name `{scope.env}` can't be a label of Google Cloud, by which the controller finds its machines: "
            "use at most 63 of a-z, 0-9 and -"
        )
    return found


def account_name(env: str, what: str) -> str:
    """Of a service account: 6 to 30 of a-z, 0-9 and -, a letter first; one such name in a project."""
    digest = hashlib.sha256(f"{env}/{what}".encode()).hexdigest()[:_DIGEST]
    slug = re.sub(r"[^a-z0-9]+", "-", f"tw-{env}-{what}".lower()).strip("-")
    return f"{slug[: _ACCOUNT_LENGTH - _DIGEST - 1].rstrip('-')}-{digest}"


def closed(user_data: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """Metadata of a machine that nobody logs in to: no keys of the project's, no serial console."""
    return {
        "user-data": user_data,
        "block-project-ssh-keys": "TRUE",
        "serial-port-enable": "FALSE",
    }
