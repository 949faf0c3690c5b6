"""The controller's own configuration: a small JSON file that the stack program writes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from spec.base import Port, Seconds, Written
from spec.errors import InputError, Problem, SpecError, did_you_mean


class LocalCloudConfig(Written):
    """Where the local cloud lives. `home`: the folder of the stack."""

    home: Path


class _RealCloud(Written):
    """`bucket`: what the cloud's machines read; None = the state bucket. `regions`: with pools.

    `secrets`: where the controller writes certificates: the region (AWS), the project (GCP), the vault's URL (Azure).

    `private_in`: regions in which every edge and the controller are in the replicas' own network.
    """

    bucket: str | None = None
    secrets: str = ""
    regions: frozenset[str] = Field(min_length=1)
    private_in: frozenset[str] = frozenset()


class AwsConfig(_RealCloud):
    """`role_arn`: the role to take on by federation; None = the host's own. `bucket_region`: of the bucket."""

    role_arn: str | None = None
    bucket_region: str = ""


class GcpFederation(Written):
    """`provider`: full name of the workload identity provider; `audience`: what its tokens are for."""

    provider: str
    audience: str
    service_account: str


class GcpConfig(_RealCloud):
    """`federation`: None = the host's own service account."""

    project: str
    federation: GcpFederation | None = None


class AzureConfig(_RealCloud):
    """`client_id`: of the controller's identity; `federated`: whether another cloud's host acts as it."""

    subscription: str
    tenant: str
    client_id: str
    federated: bool = False


class CloudsConfig(Written):
    """The clouds that have a driver here; None = not used."""

    local: LocalCloudConfig | None = None
    aws: AwsConfig | None = None
    gcp: GcpConfig | None = None
    azure: AzureConfig | None = None


class HomeConfig(Written):
    """The cloud and region of the controller's own host."""

    cloud: Literal["aws", "gcp", "azure"]
    region: str


class AcmeConfig(Written):
    """The authority that issues what callers see, and who owns the zone in which names are proved.

    `zone`: the owner's own id of it. `token_file`: of an API token, where the owner is Cloudflare.
    """

    directory: str
    email: str = ""
    owner: Literal["route53", "cloud_dns", "cloudflare"]
    zone: str
    token_file: Path | None = None


class CertificatesConfig(Written):
    """The authority's certificate and key, and what is issued beside the pools' leafs.

    `edges`: clouds with edge hosts. `public`: who issues what callers see; None = the user's own certificate.
    """

    ca_file: Path
    ca_key_file: Path
    edges: frozenset[Literal["aws", "gcp", "azure"]] = frozenset()
    public: Literal["own_ca", "acme"] | None = None
    acme: AcmeConfig | None = None

    @model_validator(mode="after")
    def _whole(self) -> CertificatesConfig:
        if (self.public == "acme") != (self.acme is not None):
            raise ValueError("public is `acme` exactly when `acme` says by whom")
        return self


class ControllerConfig(Written):
    """Everything the controller is told at start; what should run comes from the bucket."""

    stack: str = Field(min_length=1)
    env: str = Field(min_length=1)
    bucket: str
    host: str = "127.0.0.1"
    port: Port
    token_file: Path
    tick_s: Seconds = Field(1.0, gt=0, le=60)
    home: HomeConfig | None = None
    """None = this computer."""
    clouds: CloudsConfig = CloudsConfig()
    apart: dict[Literal["aws", "gcp", "azure"], str] = Field(default_factory=dict)
    """Clouds that a stack of their own declares, and its name: its fragment of the desired state is in that cloud's bucket."""
    certificates: CertificatesConfig | None = None
    """None = everything is plain HTTP on this computer."""

    @model_validator(mode="after")
    def _somewhere(self) -> ControllerConfig:
        if self.certificates is not None and self.home is None:
            raise ValueError(
                "home: it must name the host's cloud, whose secrets hold the controller's certificate"
            )
        for cloud in self.apart:
            known = getattr(self.clouds, cloud)
            if known is None or known.bucket is None:
                raise ValueError(
                    f"apart.{cloud}: clouds.{cloud} must name a bucket, which holds its fragment"
                )
        return self


def read_config(path: Path) -> ControllerConfig:
    """Reads the file; raises SpecError with every problem of it, InputError when there is no such file."""
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path}: cannot read the controller's config: {e.strerror}") from e
    try:
        return ControllerConfig.model_validate_json(raw)
    except ValidationError as e:
        raise SpecError([_problem(path, error) for error in e.errors(include_url=False)]) from e


def read_token(path: Path) -> str:
    """The bearer token that callers must show; raises InputError when it is missing or empty."""
    try:
        token = path.read_text().strip()
    except OSError as e:
        raise InputError(f"token_file: cannot read {path}: {e.strerror}") from e
    if not token:
        raise InputError(f"token_file: {path} is empty; it must hold the token that callers show")
    return token


def _problem(path: Path, error: ErrorDetails) -> Problem:
    field = ".".join(str(x) for x in error["loc"])
    unknown = error["type"] == "extra_forbidden"
    models = (
        ControllerConfig,
        HomeConfig,
        CloudsConfig,
        LocalCloudConfig,
        AwsConfig,
        GcpConfig,
        GcpFederation,
        AzureConfig,
    )
    known = [name for model in models for name in model.model_fields]
    return Problem(
        file=str(path),
        field=field,
        message="is not a known field" if unknown else f"{error['msg']} (found {error['input']!r})",
        hint=did_you_mean(str(error["loc"][-1]), known) if unknown else None,
    )
