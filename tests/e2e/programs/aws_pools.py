"""One pool of AWS with all that it needs, by the components of this project. Run by Pulumi."""

import os

import pulumi
from pulumi_aws import Provider

from components.cloud import NetworkArgs, PoolsArgs, Scope
from components.identity.aws import AwsController, AwsControllerArgs, AwsReplica, AwsReplicaArgs
from components.network.aws import AwsNetwork
from components.pools.aws import AwsPools
from components.store.aws import AwsStore, AwsStoreArgs
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind
from spec.stack import parse

ACCOUNT, REGION, ZONE = "123456789012", "us-east-1", "use1-az1"

config = parse({"aws": {"accountId": ACCOUNT}, "tags": {"tag": os.environ["TAG"]}}, file="Pulumi.proof.yaml")
provider = Provider("aws", region=REGION, allowed_account_ids=[ACCOUNT])
scope = Scope(env="proof", cloud="aws", config=config, provider=provider)
network = AwsNetwork(
    "network",
    NetworkArgs(
        scope=scope, region=REGION, zones=(ZONE,), cidr="10.7.0.0/16", callers={"edge": "198.51.100.7/32"}
    ),
).network
store = AwsStore("store", AwsStoreArgs(scope=scope, region=REGION, protect=False))
replica = AwsReplica("replica", AwsReplicaArgs(scope=scope, store=store, service="chat"))
AwsController("controller", AwsControllerArgs(scope=scope, store=store))
pools = AwsPools(
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
        id="chat.aws.use1-az1.L4x1.spot",
        service="chat",
        kind=PoolKind.VM,
        cloud="aws",
        region=REGION,
        zone=ZONE,
        market=Market.SPOT,
        accelerator="L4",
        accelerator_count=1,
        instance_types=("g6.xlarge", "g6.2xlarge"),
        max_size=8,
        prices=Prices(),
    ),
    pulumi.ResourceOptions(),
)
