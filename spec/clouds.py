"""The parts of a stack's configuration that only real clouds have: accounts, networks, hosts, names, certificates.

Everything here is plain: values of secrets stand in `tradewind:secrets` alone, and everything else names them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from spec.in_clear import looks_like_a_secret
from spec.quantities import Wrong
from spec.setting import Setting

CloudName = Literal["aws", "gcp", "azure"]
"""Clouds that hosts, networks and machines can be declared in."""

CLOUDS: tuple[CloudName, ...] = get_args(CloudName)

Region = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
_SMALLEST_PREFIX = 16
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


def _a_name(value: str) -> str:
    if looks_like_a_secret(value):
        raise Wrong(
            "names a secret, and looks like the value of one",
            "Replace it at its source, give the new one by: pulumi config set --secret --path 'tradewind:secrets.NAME', "
            "and write NAME here.",
        )
    return value


SecretName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,60}$"), AfterValidator(_a_name)]
"""As services name theirs, for instance HF_TOKEN, or as settings do."""


class _Account(Setting):
    """`region`: of what the cloud has once (bucket, secrets); empty = the controller's, or the first with pools by name."""

    region: str = Field("", pattern=r"^$|^[a-z][a-z0-9-]{1,39}$")


class AwsAccount(_Account):
    """`tradewind:aws`.

    `account_wide`: what an account has only once (its own issuer of tokens, and each issuer that it believes) is
    created, or used as another environment of the same account has created it.
    """

    account_id: str = Field(pattern=r"^\d{12}$")
    account_wide: Literal["create", "existing"] = "create"


class GcpProject(_Account):
    """`tradewind:gcp`. The number is the one that Google's identity federation speaks of."""

    project: str = Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    project_number: str = Field(pattern=r"^\d{5,20}$")


_UUID = r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"


class AzureSubscription(_Account):
    """`tradewind:azure`."""

    subscription_id: str = Field(pattern=_UUID)
    tenant_id: str = Field(pattern=_UUID)


class Home(Setting):
    """`tradewind:home`: where the controller and the state bucket are.

    `bucket`: its name, which is taken worldwide or not at all; empty = made from the environment's and the account's.
    """

    cloud: CloudName
    region: Region
    bucket: str = Field("", pattern=r"^$|^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
    instance_type: str = ""
    """Of the controller's host; empty = a small one."""
    deletion: Literal["guarded", "allowed"] = "guarded"
    """Whether Pulumi refuses to delete what can't be had back: the authority and the state bucket."""


class EdgeSite(Setting):
    """One entry of `tradewind:edges`: Envoys that take callers' requests in one region.

    More than one host stands behind the cloud's own L4 balancer, each in another zone where the region has them.
    """

    cloud: CloudName
    region: Region
    hosts: int = Field(1, ge=1, le=8)
    instance_type: str = ""
    """Empty = a small one."""


class Part(Setting):
    """`tradewind:part`: that this stack declares one cloud of another environment, whose file has all other settings."""

    of: str = Field(min_length=1)
    cloud: CloudName


class ExistingNetwork(Setting):
    """A network of the user's: its id, and the id of a subnet for each zone (AWS) or of the one for the region."""

    id: str = Field(min_length=1)
    subnets: dict[str, str] = Field(min_length=1)


class Dns(Setting):
    """`tradewind:dns`: the one owner of the environment's name. `zone`: the owner's own id of the zone.

    `policy`: `latency` sends callers to the nearest site; `failover` to the first one that is healthy, in the order of
    `tradewind:edges`. `ttl_s`: seconds for which resolvers may remember an answer.
    """

    owner: Literal["route53", "cloud_dns", "azure_traffic_manager", "cloudflare", "none"] = "none"
    zone: str = ""
    name: str = Field("", pattern=r"^$|^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$")
    policy: Literal["latency", "failover"] = "latency"
    ttl_s: int = Field(30, ge=10, le=3600)

    @model_validator(mode="after")
    def _name_and_owner(self) -> Dns:
        if self.owner != "none" and not self.name:
            raise Wrong("has an owner and no name", "Add `name: llm.example.com`, or leave the owner out.")
        if self.owner in ("route53", "cloud_dns", "cloudflare") and not self.zone:
            raise Wrong(f"has the owner {self.owner} and no zone", "Add `zone`, the owner's own id of it.")
        return self


class Tls(Setting):
    """`tradewind:tls`: the certificate that callers see at the edges.

    `acme`: issued and renewed by an ACME authority, proved by DNS. `files`: the user's own, as the secrets `cert` and
    `key` name them. `own_ca`: of the environment's own authority, for callers that are given its certificate.
    """

    mode: Literal["acme", "files", "own_ca"] = "own_ca"
    email: str = ""
    directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    cert: SecretName = "edge-cert"
    key: SecretName = "edge-key"


class CatalogAge(Setting):
    """`tradewind:catalog`: how old prices may be, in days; older ones are warned of or refused."""

    warn_days: int = Field(60, ge=1)
    fail_days: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _warns_before_it_fails(self) -> CatalogAge:
        if (
            self.fail_days is not None
            and "warn_days" in self.model_fields_set
            and self.warn_days >= self.fail_days
        ):
            raise Wrong(
                f"warns after {self.warn_days} days, and fails after {self.fail_days} already",
                "Warn earlier.",
            )
        return self


class Quota(Setting):
    """How many accelerators of a kind an account may have in a region, by market; None = not limited by this."""

    spot: int | None = Field(None, ge=0)
    on_demand: int | None = Field(None, ge=0)


def _encrypted(value: Any) -> str:
    """In the file a secret is `{secure: ...}`; what Pulumi has decrypted never comes here."""
    if isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str):
        return ENCRYPTED
    raise Wrong(
        "stands in clear in a file that is committed",
        "Replace it at its source, then: pulumi config set --secret --path 'tradewind:secrets.NAME'",
    )


ENCRYPTED = "[secret]"
Encrypted = Annotated[str, BeforeValidator(_encrypted)]
"""That there is a value, and nothing of it."""


def _choice(value: Any) -> Any:
    if isinstance(value, str):
        if value == "create":
            return None
        raise Wrong("must be `create`, or the `id` and the `subnets` of a network that is there")
    return value


NetworkChoice = Annotated[ExistingNetwork | None, BeforeValidator(_choice)]
"""None = created."""


class Addresses(Setting):
    """`tradewind:addresses`: the private range of the environment, of which each region gets a /16.

    `taken`: ranges of networks that the environment's own may be joined with, at an office or in another account.
    """

    cidr: str = "10.0.0.0/8"
    taken: tuple[str, ...] = ()

    @field_validator("cidr")
    @classmethod
    def _private(cls, value: str) -> str:
        network = _range(value)
        if not network.is_private or network.prefixlen > _SMALLEST_PREFIX:
            raise Wrong("must be a private range of at least a /16")
        return value

    @model_validator(mode="after")
    def _apart(self) -> Addresses:
        own, taken = ipaddress.IPv4Network(self.cidr), [_range(t) for t in self.taken]
        if overlapping := [str(t) for t in taken if t.overlaps(own)]:
            free = _largest_free(taken)
            hint = (
                f"Choose a `cidr` beside them, for instance {free}." if free else "No private range is left."
            )
            raise Wrong(f"gives {own} to the environment, which overlaps {' and '.join(overlapping)}", hint)
        return self


def _range(value: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(value)
    except ValueError as e:
        raise Wrong(f"must be a range of addresses like 10.64.0.0/12 ({e})") from None


def _largest_free(taken: Sequence[ipaddress.IPv4Network]) -> ipaddress.IPv4Network | None:
    """The largest private range that overlaps none of them."""
    for prefix in range(8, _SMALLEST_PREFIX + 1):
        for whole in map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")):
            if prefix >= whole.prefixlen:
                for part in whole.subnets(new_prefix=prefix):
                    if not any(part.overlaps(t) for t in taken):
                        return part
    return None
