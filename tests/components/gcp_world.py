"""An environment's Google Cloud, declared without an engine and recorded as plain values."""

import pulumi
from pulumi_gcp import Provider

from components.cloud import Address, HostArgs, Identity, NetworkArgs, PoolsArgs, Scope
from components.identity.gcp import GcpController, GcpControllerArgs, GcpReplica, GcpReplicaArgs
from components.network.gcp import GcpNetwork
from components.pools.gcp import GcpPools
from components.store.gcp import GcpStore, GcpStoreArgs
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind, pool_id
from spec.stack import parse
from tests.loop import set_loop

PROJECT, NUMBER = "acme-llm", "123456789012"
REGION, ZONES = "us-central1", ("us-central1-a", "us-central1-b")
CALLERS = {"edge-a-1": "198.51.100.7/32", "controller": "203.0.113.9/32"}


class Recorder(pulumi.runtime.Mocks):
    """Names every object by its given name, and keeps what was declared."""

    def __init__(self):
        self.resources = {}

    def new_resource(self, args):
        self.resources[args.typ, args.name] = dict(args.inputs)
        outputs = {"name": args.name, **args.inputs}
        match args.typ:
            case "gcp:serviceaccount/account:Account":
                email = f"{args.inputs['accountId']}@{PROJECT}.iam.gserviceaccount.com"
                outputs |= {
                    "email": email,
                    "member": f"serviceAccount:{email}",
                    "name": f"projects/{PROJECT}/serviceAccounts/{email}",
                    "uniqueId": f"number of {args.name}",
                }
            case "gcp:compute/address:Address":
                outputs["address"] = "192.0.2.1"
        outputs["selfLink"] = f"link/{outputs['name']}"
        return f"/{args.name}", outputs

    def call(self, args):
        return {}

    def of(self, type_):
        """By name, those of a type, of which only the end is given."""
        end = f":{type_}"
        return {name: inputs for (typ, name), inputs in self.resources.items() if typ.endswith(end)}

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


def scope(env="prod", **config):
    settings = {
        "gcp": {"project": PROJECT, "projectNumber": NUMBER},
        "tags": {"cost-center": "ml"},
        **config,
    }
    provider = Provider("gcp", project=PROJECT)
    return Scope(env=env, cloud="gcp", config=parse(settings, file="Pulumi.prod.yaml"), provider=provider)


def network(of, region=REGION, callers=CALLERS, **how):
    args = NetworkArgs(scope=of, region=region, zones=ZONES, cidr="10.7.0.0/16", callers=callers, **how)
    return GcpNetwork(f"network-{region}", args).network


def store(of, files, **how):
    return GcpStore("store", GcpStoreArgs(scope=of, region=REGION, files=files, protect=False, **how))


def replica(of, kept, mounted=()):
    return GcpReplica("chat", GcpReplicaArgs(scope=of, store=kept, service="chat", mounted=mounted))


def controller(of, kept, foreign=None):
    return GcpController("controller", GcpControllerArgs(scope=of, store=kept, foreign=foreign))


def pools(of, where, *, user_data="#cloud-config\n", disk_gib=256, identity=None):
    args = PoolsArgs(
        scope=of,
        networks={where.region: where},
        identities={"chat": identity or Identity(attach="chat@accounts", principal="serviceAccount:chat")},
        user_data=lambda _pool: user_data,
        disk_gib=lambda _pool: disk_gib,
    )
    return GcpPools(args)


def pool(accelerator="L4", count=1, type_="g2-standard-8", market=Market.SPOT, zone=ZONES[0]):
    return Pool(
        id=pool_id(
            service="chat", cloud="gcp", place=zone, accelerator=accelerator, count=count, market=market
        ),
        service="chat",
        kind=PoolKind.VM,
        cloud="gcp",
        region=zone.rpartition("-")[0],
        zone=zone,
        market=market,
        accelerator=accelerator,
        accelerator_count=count,
        instance_types=(type_,),
        max_size=4,
        prices=Prices(),
    )


def host(
    of,
    where,
    name="edge-1",
    role="edge",
    *,
    identity=None,
    address=None,
    zone=ZONES[0],
    text="#cloud-config\n",
):
    return HostArgs(
        scope=of,
        name=name,
        role=role,
        network=where,
        zone=zone,
        instance_type="e2-standard-2",
        identity=identity or Identity(attach=f"{role}@accounts", principal=f"serviceAccount:{role}"),
        address=address or Address(ip="192.0.2.9", attach="192.0.2.9"),
        user_data=text,
    )
