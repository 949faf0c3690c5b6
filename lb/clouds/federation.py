"""Who the controller is in each cloud: its host's own identity at home, and by federation everywhere else.

At home the host has an identity by itself. Another cloud is shown a token that the home cloud signs for that purpose,
and gives a credential of an hour for it. Nowhere is there a key that could be stolen from a disk. Everything here
blocks, and is called in threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.core.exceptions
import azure.identity
import boto3
import botocore.session
import google.auth
import google.auth.exceptions
import google.auth.transport.requests
from botocore.credentials import AssumeRoleWithWebIdentityCredentialFetcher, DeferredRefreshableCredentials
from google.auth import identity_pool
from google.oauth2 import id_token

from lb.clouds.protocol import Denied
from lb.clouds.rest import Token
from lb.config import AwsConfig, AzureConfig, GcpConfig

AWS_AUDIENCE = "sts.amazonaws.com"
AZURE_AUDIENCE = "api://AzureADTokenExchange"
"""Fixed by Azure for tokens of others; Azure signs tokens for others with the same one."""

ARM_SCOPE = "https://management.azure.com/.default"
BLOB_SCOPE = "https://storage.azure.com/.default"
GCP_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_RENEW_BEFORE = timedelta(minutes=5)

OwnToken = Callable[[str], str]
"""A signed token that says who this host is, for an audience."""


def own_token(home: str, *, region: str = "", azure_client_id: str | None = None) -> OwnToken:
    """How a host of that cloud tells others who it is. `region`: of an AWS host."""
    if home == "aws":
        return lambda audience: boto3.client("sts", region_name=region).get_web_identity_token(
            Audience=[audience], SigningAlgorithm="RS256", DurationSeconds=300
        )["WebIdentityToken"]
    if home == "gcp":
        return lambda audience: id_token.fetch_id_token(google.auth.transport.requests.Request(), audience)
    if home == "azure":
        managed = azure.identity.ManagedIdentityCredential(client_id=azure_client_id)
        return lambda _audience: managed.get_token(f"{AZURE_AUDIENCE}/.default").token
    raise ValueError(f"no host of the cloud {home!r} has an identity")


# ---------------------------------------------------------------- AWS


def aws_session(config: AwsConfig, own: OwnToken) -> boto3.Session:
    """The host's own role, or the one that it takes on with its token. Nothing is asked before the first call."""
    if config.role_arn is None:
        return boto3.Session()
    session = botocore.session.Session()
    session.set_config_variable("region", min(config.regions))
    fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=session.create_client,
        web_identity_token_loader=lambda: own(AWS_AUDIENCE),
        role_arn=config.role_arn,
        extra_args={"RoleSessionName": "tradewind-controller"},
    )
    session._credentials = DeferredRefreshableCredentials(  # noqa: SLF001  botocore has no other door for it
        refresh_using=fetcher.fetch_credentials, method="assume-role-with-web-identity"
    )
    return boto3.Session(botocore_session=session)


def aws_store_credentials(session: boto3.Session) -> Callable[[], Mapping[str, Any]]:
    """For the object store, asked again when they are about to expire."""

    def credentials() -> Mapping[str, Any]:
        found = session.get_credentials()
        if found is None:
            raise Denied("AWS: the host has no role")
        frozen = found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _RENEW_BEFORE,
        }

    return credentials


# ---------------------------------------------------------------- GCP


class _Supplier(identity_pool.SubjectTokenSupplier):
    """Google's name for whoever has the token that is exchanged."""

    def __init__(self, own: OwnToken, audience: str) -> None:
        self._own = own
        self._audience = audience

    def get_subject_token(self, context: object, request: object) -> str:  # noqa: ARG002  Google's signature
        return self._own(self._audience)


def gcp_credentials(config: GcpConfig, own: OwnToken) -> Any:
    """The host's own service account, or the one that it acts as with its token."""
    if config.federation is None:
        return google.auth.default(scopes=[GCP_SCOPE])[0]
    by = config.federation
    return identity_pool.Credentials(
        audience=by.provider,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",  # noqa: S106  the name of a kind
        token_url="https://sts.googleapis.com/v1/token",  # noqa: S106  an address
        subject_token_supplier=_Supplier(own, by.audience),
        service_account_impersonation_url=(
            f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{by.service_account}:generateAccessToken"
        ),
        scopes=[GCP_SCOPE],
    )


class GcpTokens:
    """Access tokens of Google credentials, renewed by whoever finds them too old; several threads may ask."""

    def __init__(self, credentials: Callable[[], Any]) -> None:
        """`credentials`: looked for at the first call, because at home that asks the metadata server."""
        self._make = credentials
        self._credentials: Any = None
        self._lock = threading.Lock()

    def now(self) -> tuple[str, datetime]:
        """A token and when it ends. Raises Denied."""
        with self._lock:
            try:
                self._credentials = self._credentials or self._make()
                if not self._credentials.valid or self._ends() < datetime.now(UTC) + _RENEW_BEFORE:
                    self._credentials.refresh(google.auth.transport.requests.Request())
            except google.auth.exceptions.GoogleAuthError as e:
                raise Denied(f"GCP: {e}") from e
            return self._credentials.token, self._ends()

    def for_store(self) -> Mapping[str, Any]:
        """For the object store."""
        token, ends = self.now()
        return {"token": token, "expires_at": ends}

    async def bearer(self) -> str:
        """For the driver."""
        return (await asyncio.to_thread(self.now))[0]

    def _ends(self) -> datetime:
        return self._credentials.expiry.replace(tzinfo=UTC)  # Google's are naive, and mean UTC


# ---------------------------------------------------------------- Azure


class AzureTokens:
    """Access tokens of the controller's identity in Azure; the library keeps and renews them."""

    def __init__(self, config: AzureConfig, own: OwnToken) -> None:
        self._credential: Any
        if config.federated:
            self._credential = azure.identity.ClientAssertionCredential(
                config.tenant, config.client_id, lambda: own(AZURE_AUDIENCE)
            )
        else:
            self._credential = azure.identity.ManagedIdentityCredential(client_id=config.client_id)

    def now(self, scope: str) -> tuple[str, datetime]:
        """A token and when it ends. Raises Denied."""
        try:
            found = self._credential.get_token(scope)
        except azure.core.exceptions.AzureError as e:
            raise Denied(f"Azure: {str(e).splitlines()[0]}") from e
        return found.token, datetime.fromtimestamp(found.expires_on, UTC)

    def for_store(self) -> Mapping[str, Any]:
        """For the object store."""
        token, ends = self.now(BLOB_SCOPE)
        return {"token": token, "expires_at": ends}

    def bearer(self, scope: str = ARM_SCOPE) -> Token:
        """For the driver."""

        async def token() -> str:
            return (await asyncio.to_thread(self.now, scope))[0]

        return token
