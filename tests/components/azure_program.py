"""A Pulumi program with everything that an environment declares in Azure; run by `test_azure_e2e`."""

import os
from pathlib import Path

import pulumi

from components.cloud import HostArgs
from components.dns import DnsArgs, Site
from components.dns.azure_traffic_manager import TrafficManager
from components.hosts.azure import AzureHosts, AzureHostsArgs, static_address
from components.identity.azure import AzureEdge, AzureEdgeArgs
from spec.clouds import Dns
from spec.names import Market
from tests.components.azure_world import controller, network, pool, pools, replica, scope, store

TAG, TEXT = os.environ.get("TAG", "one"), os.environ.get("TEXT", "#cloud-config\n# one\n")
TYPE = os.environ.get("TYPE", "Standard_NC24ads_A100_v4")
NONE = pulumi.ResourceOptions()

of = scope(tags={"team": TAG}, incarnation=int(os.environ.get("INCARNATION", "1")))
kept = store(of, Path("objects"))
kept.write("desired", "desired/prod.json", os.environ.get("DESIRED", "{}"), NONE)
kept.write("bundle", "bundles/abc.tar.gz", b"\x1f\x8b\x00\xff", NONE)
kept.secret("token", owner="service-chat", value="hf_x", opts=NONE)
kept.secret("leaf", owner="edge", value="{}", renewed=True, opts=NONE)
names = ("controller", "edge-1", "edge-2", "edges")
addresses = {
    name: static_address(f"{name}-address", scope=of, region="eastus", group=kept.group, opts=NONE)
    for name in names
}
callers = {name: pulumi.Output.concat(address.ip, "/32") for name, address in addresses.items()}
where = network(of, callers=callers)
identities = {
    "controller": controller(of, kept, [where]).identity,
    "edge": AzureEdge("edge", AzureEdgeArgs(scope=of, store=kept)).identity,
}
mine = pools(of, where, user_data=TEXT, identity=replica(of, kept, ("acct/models",)).identity)
mine.declare(pool(type_=TYPE), NONE)
mine.declare(pool("V100", 1, "Standard_NC6s_v3", Market.ON_DEMAND), NONE)


def host(name, role):
    return HostArgs(
        scope=of,
        name=name,
        role=role,
        network=where,
        zone=None,
        instance_type="Standard_D2as_v5",
        identity=identities[role],
        address=addresses[name],
        user_data=TEXT,
    )


AzureHosts("hosts-controller", AzureHostsArgs(hosts=(host("controller", "controller"),)))
AzureHosts(
    "hosts-edges",
    AzureHostsArgs(hosts=(host("edge-1", "edge"), host("edge-2", "edge")), balancer=addresses["edges"]),
)
sites = (
    Site(id="edge-azure-eastus", cloud="azure", region="eastus", address=addresses["edges"].ip),
    Site(id="edge-aws-us-east-1", cloud="aws", region="us-east-1", address="198.51.100.7"),
)
dns = Dns(owner="azure_traffic_manager", name="llm.example.com")
pulumi.export("cname", TrafficManager("names", DnsArgs(scope=of, dns=dns, sites=sites)).cname)
