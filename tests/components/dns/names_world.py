"""Owners of names outside of the clouds' own worlds, declared without an engine and recorded as plain values."""

import pulumi
import pulumi_cloudflare
from pulumi_gcp import Provider

from components.cloud import Scope
from components.dns import Site
from spec.stack import parse
from tests.loop import set_loop

NAME = "llm.example.com"
EAST = Site(
    id="edge-aws-us-east-1", cloud="aws", region="us-east-1", address="192.0.2.1", more=("192.0.2.2",)
)
NEXT_DOOR = Site(id="edge-gcp-us-east4", cloud="gcp", region="us-east4", address="192.0.2.3")
EUROPE = Site(id="edge-azure-westeurope", cloud="azure", region="westeurope", address="192.0.2.4")


class Recorder(pulumi.runtime.Mocks):
    """Keeps what was declared, by type and name."""

    def __init__(self):
        self.resources, self.asked = {}, []

    def new_resource(self, args):
        self.resources[args.typ, args.name] = dict(args.inputs)
        return f"id of {args.name}", dict(args.inputs)

    def call(self, args):
        self.asked.append((args.token, dict(args.args)))
        return {"account": {"id": "account of the zone", "name": "example"}}

    def of(self, type_):
        return {name: given for (typ, name), given in self.resources.items() if typ.endswith(f":{type_}")}

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


def scope(owner, policy):
    dns = {"owner": owner, "zone": "the-zone", "name": NAME, "policy": policy, "ttlS": 30}
    config = parse(
        {"gcp": {"project": "example-project", "projectNumber": "123456789012"}, "dns": dns}, file="f"
    )
    if owner == "cloudflare":
        return Scope(
            env="prod", cloud=owner, config=config, provider=pulumi_cloudflare.Provider("cloudflare")
        )
    return Scope(env="prod", cloud="gcp", config=config, provider=Provider("gcp", project="example-project"))
