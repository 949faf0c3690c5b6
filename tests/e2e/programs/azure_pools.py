"""One pool of Azure with all that it needs, by the components of this project. Run by Pulumi."""

import os
from pathlib import Path

import pulumi
from pulumi_azure_native import Provider

from components.cloud import NetworkArgs, PoolsArgs, Scope
from components.identity.azure import AzureController, AzureControllerArgs, AzureReplica, AzureReplicaArgs
from components.network.azure import AzureNetwork
from components.pools.azure import AzurePools
from components.store.azure import AzureStore, AzureStoreArgs
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind
from spec.stack import parse

SUBSCRIPTION, TENANT = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
REGION = "eastus"

config = parse(
    {"azure": {"subscriptionId": SUBSCRIPTION, "tenantId": TENANT}, "tags": {"tag": os.environ["TAG"]}},
    file="Pulumi.proof.yaml",
)
provider = Provider("azure", subscription_id=SUBSCRIPTION, tenant_id=TENANT)
scope = Scope(env="proof", cloud="azure", config=config, provider=provider)
network = AzureNetwork(
    "network",
    NetworkArgs(
        scope=scope, region=REGION, zones=(), cidr="10.7.0.0/16", callers={"edge": "198.51.100.7/32"}
    ),
).network
store = AzureStore("store", AzureStoreArgs(scope=scope, region=REGION, files=Path.cwd(), protect=False))
replica = AzureReplica("replica", AzureReplicaArgs(scope=scope, store=store, service="chat"))
AzureController("controller", AzureControllerArgs(scope=scope, store=store, networks={REGION: network}))
pools = AzurePools(
    PoolsArgs(
        scope=scope,
        networks={REGION: network},
        identities={"chat": replica.identity},
        user_data=lambda _pool: f"#cloud-config\n# {os.environ['TEMPLATE']}\n",
        disk_gib=lambda _pool: 256,
    )
)
pools.declare(
    Pool(
        id="chat.azure.eastus.A100-80GBx1.spot",
        service="chat",
        kind=PoolKind.VM,
        cloud="azure",
        region=REGION,
        market=Market.SPOT,
        accelerator="A100-80GB",
        accelerator_count=1,
        instance_types=("Standard_NC24ads_A100_v4",),
        max_size=8,
        prices=Prices(),
    ),
    pulumi.ResourceOptions(),
)
