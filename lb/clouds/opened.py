"""The clouds of a controller, put together from its config: a driver each, and the bucket that its machines read."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from typing import Any

import httpx

from lb.bucket import Bucket, open_bucket
from lb.certificates.challenge import CloudDns, Cloudflare, Records, Route53
from lb.certificates.stores import AZURE_SCOPE, AwsSecrets, AzureSecrets, GcpSecrets, SecretStore
from lb.clouds.local import LocalDriver
from lb.clouds.protocol import Driver
from lb.config import AcmeConfig, AwsConfig, AzureConfig, ControllerConfig, GcpConfig, read_token


@dataclass(frozen=True)
class Clouds:
    """By the cloud's name. `buckets`: only of clouds whose machines do not read the state bucket."""

    drivers: dict[str, Driver] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    secrets: dict[str, SecretStore] = field(default_factory=dict)
    """Only of clouds whose config says where they are."""
    zones: dict[str, Records] = field(default_factory=dict)
    """By owner of a zone: where names are proved to an ACME authority."""


def open_clouds(config: ControllerConfig, client: httpx.AsyncClient) -> Clouds:
    """Nothing is asked of any cloud before its driver or bucket is used. Clouds that are not used are not loaded."""
    found, clouds = Clouds(), config.clouds
    if clouds.local is not None:
        found.drivers["local"] = LocalDriver(clouds.local.home)
    if clouds.aws is not None:
        _aws(clouds.aws, config, found)
    if clouds.gcp is not None:
        _gcp(clouds.gcp, config, client, found)
    if clouds.azure is not None:
        _azure(clouds.azure, config, client, found)
    acme = _acme(config, "cloudflare")
    if acme is not None and acme.token_file is not None:
        found.zones["cloudflare"] = Cloudflare(functools.partial(read_token, acme.token_file), zone=acme.zone)
    return found


def _acme(config: ControllerConfig, owner: str) -> AcmeConfig | None:
    """How names are proved, when that owner's zone is where."""
    acme = config.certificates.acme if config.certificates is not None else None
    return acme if acme is not None and acme.owner == owner else None


def _own_token(config: ControllerConfig) -> Any:
    from lb.clouds import federation  # loads three clouds' libraries: a controller of one computer needs none

    home = config.home
    azure = config.clouds.azure
    client_id = azure.client_id if azure is not None else None
    if home is None:
        return _nobody
    return federation.own_token(home.cloud, region=home.region, azure_client_id=client_id)


def _nobody(_audience: str) -> str:
    raise ValueError("home: it must name the host's cloud, or other clouds can't know who this is")


def _aws(aws: AwsConfig, config: ControllerConfig, found: Clouds) -> None:
    from botocore.config import Config

    from lb.clouds.aws import AwsDriver
    from lb.clouds.federation import aws_session, aws_store_credentials

    session = aws_session(aws, _own_token(config))
    patience = Config(connect_timeout=3, read_timeout=7, retries={"mode": "standard", "max_attempts": 2})
    lock = threading.Lock()

    @functools.cache
    def make(service: str, region: str) -> Any:
        return session.client(service, region_name=region, config=patience)

    def clients(service: str, region: str) -> Any:
        with lock:  # a session may not make two clients at the same time
            return make(service, region)

    found.drivers["aws"] = AwsDriver(clients, regions=aws.regions, private_in=aws.private_in)
    if aws.secrets:
        found.secrets["aws"] = AwsSecrets(functools.partial(clients, "secretsmanager", aws.secrets))
    if acme := _acme(config, "route53"):  # one service for the world, behind this region
        found.zones["route53"] = Route53(functools.partial(clients, "route53", "us-east-1"), zone=acme.zone)
    if aws.bucket:
        found.buckets["aws"] = open_bucket(
            aws.bucket, credentials=aws_store_credentials(session), region=aws.bucket_region
        )


def _gcp(gcp: GcpConfig, config: ControllerConfig, client: httpx.AsyncClient, found: Clouds) -> None:
    from lb.clouds.federation import GcpTokens, gcp_credentials
    from lb.clouds.gcp import GcpDriver

    tokens = GcpTokens(lambda: gcp_credentials(gcp, _own_token(config)))
    found.drivers["gcp"] = GcpDriver(
        client, tokens.bearer, project=gcp.project, env=config.env, private_in=gcp.private_in
    )
    if gcp.secrets:
        found.secrets["gcp"] = GcpSecrets(client, tokens.bearer, project=gcp.secrets)
    if acme := _acme(config, "cloud_dns"):
        found.zones["cloud_dns"] = CloudDns(lambda: tokens.now()[0], project=gcp.project, zone=acme.zone)
    if gcp.bucket:
        found.buckets["gcp"] = open_bucket(gcp.bucket, credentials=tokens.for_store)


def _azure(azure: AzureConfig, config: ControllerConfig, client: httpx.AsyncClient, found: Clouds) -> None:
    from lb.clouds.azure import AzureDriver
    from lb.clouds.federation import AzureTokens

    tokens = AzureTokens(azure, _own_token(config))
    found.drivers["azure"] = AzureDriver(
        client,
        tokens.bearer(),
        subscription=azure.subscription,
        regions=azure.regions,
        private_in=azure.private_in,
    )
    if azure.secrets:
        found.secrets["azure"] = AzureSecrets(client, tokens.bearer(AZURE_SCOPE), vault=azure.secrets)
    if azure.bucket:
        found.buckets["azure"] = open_bucket(azure.bucket, credentials=tokens.for_store)
