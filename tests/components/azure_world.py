"""An environment's Azure, declared without an engine and recorded as plain values."""

import pulumi
from pulumi_azure_native import Provider

from components.cloud import Identity, NetworkArgs, PoolsArgs, Scope
from components.identity.azure import (
    AzureController,
    AzureControllerArgs,
    AzureReplica,
    AzureReplicaArgs,
)
from components.network.azure import AzureNetwork
from components.pools.azure import AzurePools
from components.store.azure import AzureStore, AzureStoreArgs
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind, pool_id
from spec.stack import parse
from tests.loop import set_loop

SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
TENANT = "00000000-0000-4000-8000-000000000002"
CALLERS = {"edge-a-1": "198.51.100.7/32", "controller": "203.0.113.9/32"}


class Recorder(pulumi.runtime.Mocks):
    """Names every object by its type and its given name, and keeps what was declared."""

    def __init__(self):
        self.resources = {}

    def new_resource(self, args):
        self.resources[args.typ, args.name] = dict(args.inputs)
        names = {
            "azure-native:resources:ResourceGroup": "resourceGroupName",
            "azure-native:storage:StorageAccount": "accountName",
            "azure-native:storage:BlobContainer": "containerName",
            "azure-native:keyvault:Vault": "vaultName",
            "azure-native:network:VirtualNetwork": "virtualNetworkName",
            "azure-native:managedidentity:UserAssignedIdentity": "resourceName",
        }
        outputs = dict(args.inputs)
        if "identity" in outputs:  # a list as input, a map as output
            ids = args.inputs["identity"]["userAssignedIdentities"]
            outputs["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {i: {} for i in ids}}
        outputs["name"] = args.inputs.get(names.get(args.typ, "")) or args.name
        outputs |= {"clientId": f"client of {args.name}", "principalId": f"principal of {args.name}"}
        return f"/{args.name}", outputs

    def call(self, args):
        return {}

    def of(self, type_):
        return {
            name: inputs for (typ, name), inputs in self.resources.items() if typ == f"azure-native:{type_}"
        }

    def one(self, type_):
        [(_, inputs)] = self.of(type_).items()
        return inputs


def recorded(declare):
    """What `declare` declares; its exceptions come through."""
    recorder = Recorder()
    set_loop()
    pulumi.runtime.set_mocks(recorder, project="tradewind", stack="prod")
    pulumi.runtime.test(declare)()
    return recorder


def scope(**config):
    settings = {
        "azure": {"subscriptionId": SUBSCRIPTION, "tenantId": TENANT},
        "tags": {"cost-center": "ml"},
        **config,
    }
    provider = Provider("azure", subscription_id=SUBSCRIPTION, tenant_id=TENANT)
    return Scope(
        env="prod", cloud="azure", config=parse(settings, file="Pulumi.prod.yaml"), provider=provider
    )


def network(of, region="eastus", callers=CALLERS, gangs=()):
    args = NetworkArgs(scope=of, region=region, zones=(), cidr="10.7.0.0/16", callers=callers, gangs=gangs)
    return AzureNetwork(f"network-{region}", args).network


def store(of, files):
    return AzureStore("store", AzureStoreArgs(scope=of, region="eastus", files=files, protect=False))


def replica(of, kept, mounted=()):
    args = AzureReplicaArgs(scope=of, store=kept, service="chat", mounted=mounted)
    return AzureReplica("identity-chat", args)


def controller(of, kept, networks=(), foreign=None):
    args = AzureControllerArgs(
        scope=of, store=kept, networks={n.region: n for n in networks}, foreign=foreign
    )
    return AzureController("controller", args)


def pools(of, where, *, user_data="#cloud-config\n", disk_gib=256, identity=None):
    args = PoolsArgs(
        scope=of,
        networks={where.region: where},
        identities={"chat": identity or Identity(attach="/identity/chat", principal="chat")},
        user_data=lambda _pool: user_data,
        disk_gib=lambda _pool: disk_gib,
    )
    return AzurePools(args)


def pool(
    accelerator="A100-80GB", count=1, type_="Standard_NC24ads_A100_v4", market=Market.SPOT, region="eastus"
):
    return Pool(
        id=pool_id(
            service="chat", cloud="azure", place=region, accelerator=accelerator, count=count, market=market
        ),
        service="chat",
        kind=PoolKind.VM,
        cloud="azure",
        region=region,
        market=market,
        accelerator=accelerator,
        accelerator_count=count,
        instance_types=(type_,),
        max_size=4,
        prices=Prices(),
    )
