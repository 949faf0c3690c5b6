"""The secret stores of the clouds, as far as the controller writes certificates into them: read a value, write another.

The stack declares the secrets; here nothing is created or deleted, and the identity needs no right to.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Protocol

import httpx

from lb.clouds.protocol import DriverError, NotFound
from lb.clouds.rest import Rest, Token, endpoint

GCP_BASE = "https://secretmanager.googleapis.com"
GCP_ELSEWHERE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"
"""As on all machines: `components/boot/host_secrets.py` and the node's agent read it too."""
AZURE_VERSION = "7.4"
AZURE_SCOPE = "https://vault.azure.net/.default"


class SecretStore(Protocol):
    """One cloud's secrets. All calls raise DriverError."""

    async def read(self, name: str) -> str | None:
        """The newest value; None when the secret is not there, or has none."""
        ...

    async def write(self, name: str, value: str) -> None:
        """Makes it the newest value. The secret must be there: raises NotFound."""
        ...


class AwsSecrets:
    """Secrets Manager. AWS itself drops the versions before the last two. `client` gives boto3's."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    async def read(self, name: str) -> str | None:
        """The current version."""
        from lb.clouds.aws_errors import call

        try:
            return (await call(self._client().get_secret_value, SecretId=name))["SecretString"]
        except NotFound:
            return None

    async def write(self, name: str, value: str) -> None:
        """A new current version."""
        from lb.clouds.aws_errors import call

        await call(self._client().put_secret_value, SecretId=name, SecretString=value)


class GcpSecrets:
    """Secret Manager. Versions cost money each, so that the one before the last is kept and older ones are destroyed.

    Not the first, which the stack declares: a refresh would miss it, and the next update would write it anew, as the latest.
    """

    def __init__(self, client: httpx.AsyncClient, token: Token, *, project: str) -> None:
        base = f"{endpoint(GCP_ELSEWHERE, GCP_BASE)}/v1"
        self._rest = Rest(client, base, token, refine=_as_it_is)
        self._secrets = f"/projects/{project}/secrets"

    async def read(self, name: str) -> str | None:
        """The latest version."""
        try:
            found = await self._rest.call("GET", f"{self._secrets}/{name}/versions/latest:access")
        except NotFound:
            return None
        return base64.b64decode(found["payload"]["data"]).decode()

    async def write(self, name: str, value: str) -> None:
        """Adds a version, and destroys the one that is now the third."""
        data = base64.b64encode(value.encode()).decode()
        body = {"payload": {"data": data}}
        added = await self._rest.call("POST", f"{self._secrets}/{name}:addVersion", body=body)
        number = int(added["name"].rpartition("/")[2]) - 2
        if number > 1:
            try:
                await self._rest.call("POST", f"{self._secrets}/{name}/versions/{number}:destroy", body={})
            except DriverError:
                return  # destroyed already, or it costs six cents a month


class AzureSecrets:
    """A Key Vault."""

    def __init__(self, client: httpx.AsyncClient, token: Token, *, vault: str) -> None:
        self._rest = Rest(client, vault.rstrip("/"), token, refine=_as_it_is)

    async def read(self, name: str) -> str | None:
        """The current version."""
        try:
            return (await self._rest.call("GET", f"/secrets/{name}", params={"api-version": AZURE_VERSION}))[
                "value"
            ]
        except NotFound:
            return None

    async def write(self, name: str, value: str) -> None:
        """A new current version. A vault would also create the secret, which the stack did not declare."""
        if await self.read(name) is None:
            raise NotFound(f"the vault has no secret {name}; the stack declares it")
        body = {"value": value, "contentType": "application/json"}
        await self._rest.call("PUT", f"/secrets/{name}", params={"api-version": AZURE_VERSION}, body=body)


def _as_it_is(_code: str, _message: str) -> type[DriverError] | None:
    return None
