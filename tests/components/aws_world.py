"""An environment's AWS, declared without an engine and recorded as plain values."""

import asyncio

import pulumi
from pulumi.runtime.mocks import MockMonitor
from pulumi_aws import Provider

from components.cloud import ROLES, Identity, NetworkArgs, PoolsArgs, Scope
from components.network.aws import AwsNetwork
from components.pools.aws import AwsPools
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind, pool_id
from spec.stack import parse
from tests.loop import set_loop

ACCOUNT = "123456789012"
REGION = "us-east-1"
ZONES = ("use1-az1", "use1-az4")
CALLERS = {"edge-gcp-1": "198.51.100.7/32", "controller": "203.0.113.9/32"}
USER_DATA = "#cloud-config\n# of chat\n"


class Recorder(pulumi.runtime.Mocks):
    """Keeps what was declared, by type and name. `options`: what Pulumi itself was told of it."""

    def __init__(self):
        self.resources = {}
        self.options = {}

    def new_resource(self, args):
        inputs = dict(args.inputs)
        self.resources[args.typ, args.name] = inputs
        return f"id of {args.name}", {
            "name": args.name,
            **inputs,
            **self.outputs(args.typ, args.name, inputs),
        }

    def outputs(self, type_, name, inputs):
        if type_.startswith("aws:iam/"):
            kind = type_.rpartition(":")[2]
            return {"arn": f"arn:aws:iam::{ACCOUNT}:{kind}/{inputs.get('name', name)}"} | (
                {"issuerIdentifier": "https://tokens.example"} if "Outbound" in type_ else {}
            )
        return {"publicIp": "192.0.2.1", "allocationId": f"allocation of {name}", "arn": f"arn of {name}"}

    def call(self, args):
        if args.token == "aws:ssm/getParameter:getParameter":
            return {**args.args, "value": "not this one", "insecureValue": "ami-0123456789abcdef0"}
        return {"issuerIdentifier": "https://tokens.example"}

    def of(self, type_):
        return {
            name: inputs
            for (typ, name), inputs in self.resources.items()
            if typ.startswith("aws:") and typ.endswith(f":{type_}")
        }

    def one(self, type_):
        [(_, inputs)] = self.of(type_).items()
        return inputs


class Monitor(MockMonitor):
    """Keeps the options, which mocks are not told of."""

    def RegisterResource(self, request):  # noqa: N802 - Pulumi's name
        if request.type.startswith("aws:"):
            self.mocks.options[request.type, request.name] = {
                "ignore_changes": list(request.ignoreChanges),
                "protect": request.protect,
                "retain_on_delete": request.retainOnDelete,
                "provider": request.provider,
                "depends_on": [urn.rpartition("::")[2] for urn in request.dependencies],
            }
        return super().RegisterResource(request)


def recorded(declare, recorder=None):
    """What `declare` declares; its exceptions come through."""
    recorder = recorder or Recorder()
    set_loop()
    pulumi.runtime.set_mocks(recorder, project="tradewind", stack="prod", monitor=Monitor(recorder))
    pulumi.runtime.test(declare)()
    return recorder


def known(value):
    """What an output or a coroutine of a recorded program comes to; of plain values, themselves."""
    waits = value.future() if isinstance(value, pulumi.Output) else value
    return asyncio.get_event_loop().run_until_complete(waits) if hasattr(waits, "__await__") else value


def scope(**config):
    settings = {
        "aws": {"accountId": ACCOUNT},
        "home": {"cloud": "aws", "region": REGION},
        "tags": {"cost-center": "ml"},
        **config,
    }
    provider = Provider("aws", region=REGION, allowed_account_ids=[ACCOUNT])
    return Scope(env="prod", cloud="aws", config=parse(settings, file="Pulumi.prod.yaml"), provider=provider)


def network_of(a_scope, *, region=REGION, roles=ROLES, gangs=()):
    return AwsNetwork(
        f"network-{region}",
        NetworkArgs(
            scope=a_scope,
            region=region,
            zones=ZONES,
            cidr="10.42.0.0/16",
            callers=CALLERS,
            roles=roles,
            gangs=gangs,
        ),
    ).network


def a_pool(zone=ZONES[0], *, market=Market.SPOT, types=("g6.xlarge",), accelerator="L4", **more):
    named = pool_id(service="chat", cloud="aws", place=zone, accelerator=accelerator, count=1, market=market)
    return Pool(
        **{
            "id": named,
            "service": "chat",
            "kind": PoolKind.VM,
            "cloud": "aws",
            "region": REGION,
            "zone": zone,
            "market": market,
            "accelerator": accelerator,
            "accelerator_count": 1,
            "instance_types": types,
            "max_size": 4,
            "prices": Prices(spot=0.3, on_demand=0.8, as_of="2026-01-01"),
            **more,
        }
    )


def pools_of(a_scope, network, *pools, identity=None, disk_gib=256):
    identity = identity or Identity(attach="profile of chat", principal="role of chat")
    declared = AwsPools(
        PoolsArgs(
            scope=a_scope,
            networks={network.region: network},
            identities={"chat": identity},
            user_data=lambda _pool: USER_DATA,
            disk_gib=lambda _pool: disk_gib,
        )
    )
    for pool in pools:
        declared.declare(pool, pulumi.ResourceOptions())
