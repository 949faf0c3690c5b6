"""The clouds of a controller, put together from its config: a driver each, and the bucket that its machines read."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from lb.bucket import Bucket, open_bucket
from lb.clouds.local import LocalDriver
from lb.clouds.protocol import Driver
from lb.config import AwsConfig, AzureConfig, ControllerConfig, GcpConfig


@dataclass(frozen=True)
class Clouds:
    """By the cloud's name. `buckets`: only of clouds whose machines do not read the state bucket."""

    drivers: Mapping[str, Driver]
    buckets: Mapping[str, Bucket]


def open_clouds(config: ControllerConfig, client: httpx.AsyncClient) -> Clouds:
    """Nothing is asked of any cloud before its driver or bucket is used. Clouds that are not used are not loaded."""
    drivers: dict[str, Driver] = {}
    buckets: dict[str, Bucket] = {}
    clouds = config.clouds
    if clouds.local is not None:
        drivers["local"] = LocalDriver(clouds.local.home)
    if clouds.aws is not None:
        _aws(clouds.aws, config, drivers, buckets)
    if clouds.gcp is not None:
        _gcp(clouds.gcp, config, client, drivers, buckets)
    if clouds.azure is not None:
        _azure(clouds.azure, config, client, drivers, buckets)
    return Clouds(drivers, buckets)


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


def _aws(
    aws: AwsConfig, config: ControllerConfig, drivers: dict[str, Driver], buckets: dict[str, Bucket]
) -> None:
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

    drivers["aws"] = AwsDriver(clients, regions=aws.regions, private_in=aws.private_in)
    if aws.bucket:
        buckets["aws"] = open_bucket(
            aws.bucket, credentials=aws_store_credentials(session), region=aws.bucket_region
        )


def _gcp(
    gcp: GcpConfig,
    config: ControllerConfig,
    client: httpx.AsyncClient,
    drivers: dict[str, Driver],
    buckets: dict[str, Bucket],
) -> None:
    from lb.clouds.federation import GcpTokens, gcp_credentials
    from lb.clouds.gcp import GcpDriver

    tokens = GcpTokens(lambda: gcp_credentials(gcp, _own_token(config)))
    drivers["gcp"] = GcpDriver(
        client, tokens.bearer, project=gcp.project, env=config.env, private_in=gcp.private_in
    )
    if gcp.bucket:
        buckets["gcp"] = open_bucket(gcp.bucket, credentials=tokens.for_store)


def _azure(
    azure: AzureConfig,
    config: ControllerConfig,
    client: httpx.AsyncClient,
    drivers: dict[str, Driver],
    buckets: dict[str, Bucket],
) -> None:
    from lb.clouds.azure import AzureDriver
    from lb.clouds.federation import AzureTokens

    tokens = AzureTokens(azure, _own_token(config))
    drivers["azure"] = AzureDriver(
        client,
        tokens.bearer(),
        subscription=azure.subscription,
        regions=azure.regions,
        private_in=azure.private_in,
    )
    if azure.bucket:
        buckets["azure"] = open_bucket(azure.bucket, credentials=tokens.for_store)
