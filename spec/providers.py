"""Capacity of others, as the stack's configuration names it: hosted providers, and endpoints that are rented by the hour.

Both are described now and validated now; edges send requests to them in a later version. Keys never stand here: `key`
names one of `tradewind:secrets`.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from spec.base import Usd
from spec.clouds import Name, SecretName
from spec.quantities import Wrong
from spec.setting import Setting

ProviderKind = Literal[
    "openai", "azure_openai", "anthropic", "gemini", "vertex", "bedrock", "openai_compatible"
]

BASE_URLS: dict[str, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
}
"""Where the kinds with one address are; looked up in November 2026 in each provider's documentation."""

BY_IDENTITY: dict[str, str] = {"vertex": "gcp", "bedrock": "aws"}
"""Kinds that know a caller by its identity in that cloud, so that there is no key."""


def _https(value: str) -> str:
    """An address that a key may be sent to: encrypted, without credentials in it, and not inside anybody's network."""
    parts = urlsplit(value)
    try:
        host, _port = parts.hostname, parts.port
    except ValueError as e:
        raise Wrong(f"is no URL: {e}") from None
    if parts.scheme != "https" or not host:
        raise Wrong("must begin with https:// and a host")
    if parts.username or parts.password:
        raise Wrong(
            "holds a user name or a password", "Put the key into tradewind:secrets, and name it by `key`."
        )
    if parts.query or parts.fragment:
        raise Wrong("must end with a path, without `?` and `#`")
    try:
        public = ipaddress.ip_address(host).is_global
    except ValueError:
        public = host != "localhost"
    if not public:
        raise Wrong(f"names `{host}`, which is nobody's public address")
    return value.rstrip("/")


HttpsUrl = Annotated[str, AfterValidator(_https)]


class HostedModel(Setting):
    """One model of a provider. Prices: USD per million tokens; cached input costs as much as other input unless told."""

    model: str = Field(min_length=1)
    usd_per_million_input: Usd
    usd_per_million_output: Usd
    usd_per_million_cached_input: Usd | None = None


class Provider(Setting):
    """One entry of `tradewind:providers`. `models`: by the name that callers use.

    `region`: of Vertex and Bedrock. `max_usd_hour`, `max_usd_month`: what the edges may spend there; a fallback
    without a limit is a budget without one.
    """

    name: Name
    kind: ProviderKind
    base_url: HttpsUrl | None = None
    region: str = ""
    models: dict[str, HostedModel] = Field(min_length=1)
    key: SecretName | None = None
    max_usd_hour: Usd | None = None
    max_usd_month: Usd | None = None

    @model_validator(mode="after")
    def _complete(self) -> Provider:
        if self.kind in BY_IDENTITY:
            if not self.region:
                raise Wrong(f"is of the kind {self.kind} and has no region", "Add `region`.")
            if self.key is not None:
                cloud = BY_IDENTITY[self.kind]
                raise Wrong(
                    f"has a key, but {self.kind} knows the edges by their identity in {cloud}",
                    "Leave `key` out.",
                )
        elif self.key is None:
            raise Wrong("has no key", "Add `key`, the name of one of tradewind:secrets.")
        if self.base_url is None and self.kind in ("azure_openai", "openai_compatible"):
            raise Wrong(f"is of the kind {self.kind} and has no baseUrl", "Add `baseUrl: https://...`.")
        return self

    @property
    def url(self) -> str | None:
        """Where it is; None where its SDK's rules make it from the region."""
        return self.base_url or BASE_URLS.get(self.kind)


class External(Setting):
    """One entry of `tradewind:external`: an endpoint of an AI cloud that serves one service, at a price per hour.

    `usd_hour`: what it costs while it is there, used or not. `capacity_units`: how many replicas it stands for. `health`:
    path that answers 200 when it serves.
    """

    name: Name
    service: str = Field(min_length=1)
    url: HttpsUrl
    usd_hour: Usd
    capacity_units: float = Field(1.0, gt=0)
    accelerator: str = ""
    key: SecretName | None = None
    health: str = Field("/v1/models", pattern=r"^/\S*$")
