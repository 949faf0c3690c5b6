"""One pool of Google Cloud with all that it needs, by the components of this project. Run by Pulumi."""

import os
from pathlib import Path

import pulumi
from pulumi_gcp import Provider

from components.cloud import NetworkArgs, PoolsArgs, Scope
from components.identity import gcp as identities
from components.network import gcp as networks
from components.pools import gcp as groups
from components.store import gcp as stores
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind
from spec.stack import parse

PROJECT, REGION, ZONE = "project-1", "us-central1", "us-central1-a"

config = parse(
    {"gcp": {"project": PROJECT, "projectNumber": "123456789012"}, "tags": {"tag": os.environ["TAG"]}},
    file="Pulumi.proof.yaml",
)
provider = Provider("gcp", project=PROJECT)
scope = Scope(env="proof", cloud="gcp", config=config, provider=provider)
network = networks.GcpNetwork(
    "network",
    NetworkArgs(
        scope=scope, region=REGION, zones=(ZONE,), cidr="10.7.0.0/16", callers={"edge": "198.51.100.7/32"}
    ),
).network
store = stores.GcpStore(
    "store", stores.GcpStoreArgs(scope=scope, region=REGION, files=Path.cwd(), protect=False)
)
store.secret(
    "token", owner="service-chat", value=pulumi.Output.secret("a token"), opts=pulumi.ResourceOptions()
)
replica = identities.GcpReplica(
    "replica", identities.GcpReplicaArgs(scope=scope, store=store, service="chat")
)
identities.GcpController("controller", identities.GcpControllerArgs(scope=scope, store=store))
pools = groups.GcpPools(
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
        id="chat.gcp.us-central1-a.L4x1.spot",
        service="chat",
        kind=PoolKind.VM,
        cloud="gcp",
        region=REGION,
        zone=ZONE,
        market=Market.SPOT,
        accelerator="L4",
        accelerator_count=1,
        instance_types=("g2-standard-4",),
        max_size=8,
        prices=Prices(),
    ),
    pulumi.ResourceOptions(),
)
