"""The user's own login to each cloud, for its state bucket: where it comes from, which command makes it, which right it needs.

A login is asked for before the bucket is: so one that is missing is told as that, and not as a bucket that can't be read.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spec.errors import OutsideError

Ask = Callable[[], Mapping[str, Any]]
"""What a store of that cloud wants to be shown, and when that ends."""


@dataclass(frozen=True)
class Cloud:
    """How its users speak of it. `login`: the command that logs in; `reads`, `writes`: rights on the state bucket."""

    name: str
    login: str
    reads: str
    writes: str


CLOUDS = {
    "s3": Cloud(
        "AWS",
        "`aws sso login` (or what else makes `aws sts get-caller-identity` work; AWS_PROFILE chooses the profile)",
        "s3:GetObject on its objects and s3:ListBucket on itself",
        "s3:PutObject and s3:DeleteObject on commands/*",
    ),
    "gs": Cloud(
        "Google Cloud",
        "`gcloud auth application-default login`",
        "roles/storage.objectViewer",
        "roles/storage.objectUser",
    ),
    "az": Cloud(
        "Azure",
        "`az login` (with `--tenant` where you have several)",
        "the role Storage Blob Data Reader, which an owner of the subscription does not have by that",
        "the role Storage Blob Data Contributor",
    ),
}
"""By scheme of a bucket's URL."""
SCHEMES = {"aws": "s3", "gcp": "gs", "azure": "az"}
"""By cloud."""


class Login:
    """What a store shows its cloud. The first answer is fetched at once: raises OutsideError where there is no login."""

    def __init__(self, scheme: str, *, tenant: str = "") -> None:
        for library in ("botocore", "google.auth", "azure"):  # what they have to say is in the error
            logging.getLogger(library).setLevel(logging.CRITICAL)
        try:
            self._ask = _azure(tenant) if scheme == "az" else _ASKED[scheme]()
            self._first: Mapping[str, Any] | None = self._ask()
        except Exception as e:  # noqa: BLE001  three libraries, each with many errors, and all mean the same
            raise no_login(scheme, str(e)) from None

    def __call__(self) -> Mapping[str, Any]:
        """Asked again when the answer before has ended."""
        first, self._first = self._first, None
        return first or self._ask()


def no_login(scheme: str, why: str) -> OutsideError:
    """In a line: libraries tell of every way that they have tried."""
    cloud = CLOUDS[scheme]
    said = next((line.strip() for line in why.splitlines() if line.strip()), "")
    return OutsideError(f"no login to {cloud.name}: {said[:300].rstrip('.')}. Log in with {cloud.login}.")


def _aws() -> Ask:
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.Session()
    if session.get_credentials() is None:
        raise ValueError("neither the environment nor a profile has credentials")
    return Boto3CredentialProvider(session)


def _gcp() -> Ask:
    import google.auth
    from obstore.auth.google import GoogleCredentialProvider

    with warnings.catch_warnings(
        action="ignore"
    ):  # of logins without a quota project, which a bucket needs not
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return GoogleCredentialProvider(credentials)


def _azure(tenant: str) -> Ask:
    from azure.identity import DefaultAzureCredential
    from obstore.auth.azure import AzureCredentialProvider

    more = {"additionally_allowed_tenants": [tenant]} if tenant else {}
    return AzureCredentialProvider(DefaultAzureCredential(**more), tenant_id=tenant or None)


_ASKED: dict[str, Callable[[], Ask]] = {"s3": _aws, "gs": _gcp}
