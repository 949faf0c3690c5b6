"""Hosts, balancer, secrets and names of AWS, by the components of this project. Run by Pulumi."""

import os

import pulumi
from pulumi_aws import Provider

from components.cloud import HostArgs, NetworkArgs, Scope
from components.dns import DnsArgs, Site
from components.dns.route53 import Route53
from components.hosts.aws import AwsHosts, AwsHostsArgs, static_address
from components.identity.aws import AwsController, AwsControllerArgs, AwsEdge, AwsEdgeArgs
from components.network.aws import AwsNetwork
from components.store.aws import AwsStore, AwsStoreArgs
from spec.clouds import Dns
from spec.stack import parse

ACCOUNT, REGION, ZONES = "123456789012", "us-east-1", ("use1-az1", "use1-az4")
BOOT = f"#cloud-config\n# {os.environ['TEMPLATE']}\n"

config = parse({"aws": {"accountId": ACCOUNT}, "tags": {"tag": os.environ["TAG"]}}, file="Pulumi.proof.yaml")
provider = Provider("aws", region=REGION, allowed_account_ids=[ACCOUNT])
scope = Scope(env="proof", cloud="aws", config=config, provider=provider)
none = pulumi.ResourceOptions()


def address(name):
    return static_address(name, scope=scope, region=REGION, opts=none)


own = {name: address(name) for name in ("edge-1", "edge-2", "controller")}
callers = {name: pulumi.Output.concat(one.ip, "/32") for name, one in own.items()}
network = AwsNetwork(
    "network", NetworkArgs(scope=scope, region=REGION, zones=ZONES, cidr="10.7.0.0/16", callers=callers)
).network
store = AwsStore("store", AwsStoreArgs(scope=scope, region=REGION, protect=False))
store.secret("token", owner="controller", value=pulumi.Output.secret("a token"), opts=none)
store.write("pointer", "hosts/edge.json", "{}", none)
identities = {
    "edge": AwsEdge("edges", AwsEdgeArgs(scope=scope, store=store)).identity,
    "controller": AwsController("controllers", AwsControllerArgs(scope=scope, store=store)).identity,
}


def host(name, role, zone):
    return HostArgs(
        scope=scope,
        name=name,
        role=role,
        network=network,
        zone=zone,
        instance_type="t3.small",
        identity=identities[role],
        address=own[name],
        user_data=BOOT,
    )


balancer = {zone: address(f"callers-{zone}") for zone in ZONES}
edges = tuple(host(f"edge-{n}", "edge", zone) for n, zone in enumerate(ZONES, start=1))
AwsHosts("edge", AwsHostsArgs(hosts=edges, balancer=balancer))
AwsHosts("controller-hosts", AwsHostsArgs(hosts=(host("controller", "controller", ZONES[0]),), balancer={}))
sites = (
    Site(id="aws", cloud="aws", region=REGION, address=balancer[ZONES[0]].ip, more=(balancer[ZONES[1]].ip,)),
    Site(id="gcp", cloud="gcp", region="us-central1", address="198.51.100.9"),
)
names = Dns(
    owner="route53", zone="Z0123456789ABCDEFGHIJ", name="llm.example.com", policy=os.environ["POLICY"]
)
Route53("names", DnsArgs(scope=scope, dns=names, sites=sites))
