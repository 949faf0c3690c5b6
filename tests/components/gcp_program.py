"""A Pulumi program with everything that an environment declares in Google Cloud; run by `test_gcp_e2e`."""

import os
from pathlib import Path

import pulumi

from components.cloud import Foreign
from components.hosts.gcp import GcpHosts, GcpHostsArgs, static_address
from components.identity.gcp import GcpEdge, GcpEdgeArgs
from spec.names import Market
from tests.components.gcp_world import (
    REGION,
    ZONES,
    controller,
    host,
    network,
    pool,
    pools,
    replica,
    scope,
    store,
)

TAG, TEXT = os.environ.get("TAG", "one"), os.environ.get("TEXT", "#cloud-config\n# one\n")
HOST_TEXT = os.environ.get("HOST_TEXT", "#cloud-config\n# host\n")
NONE = pulumi.ResourceOptions()
AWAY = Foreign(
    issuer="https://issuer", subject="arn:aws:iam::1:role/c", audience="https://iam.googleapis.com/x"
)

of = scope(tags={"team": TAG}, incarnation=int(os.environ.get("INCARNATION", "1")))
kept = store(of, Path("objects"))
kept.write("desired", "desired/prod.json", os.environ.get("DESIRED", "{}"), NONE)
kept.write("bundle", "bundles/abc.tar.gz", b"\x1f\x8b\x00\xff", NONE)
kept.secret("token", owner="service-chat", value=os.environ.get("TOKEN", "hf_x"), opts=NONE)
kept.secret("leaf", owner="edge", value=os.environ.get("LEAF", "{}"), renewed=True, opts=NONE)
names = ("controller", "edge-1", "edge-2", "edges")
addresses = {name: static_address(f"{name}-address", scope=of, region=REGION, opts=NONE) for name in names}
callers = {name: pulumi.Output.concat(address.ip, "/32") for name, address in addresses.items()}
where = network(of, callers=callers)
identities = {
    "controller": controller(of, kept, AWAY if "AWAY" in os.environ else None).identity,
    "edge": GcpEdge("edge", GcpEdgeArgs(scope=of, store=kept)).identity,
}
mine = pools(of, where, user_data=TEXT, identity=replica(of, kept).identity)
mine.declare(pool(), NONE)
mine.declare(pool(zone=ZONES[1]), NONE)
mine.declare(pool("T4", 1, "n1-standard-4", Market.ON_DEMAND), NONE)
mine.declare(pool("H200", 8, "a3-ultragpu-8g", Market.RESERVED), NONE)


def made(name, role, zone):
    return host(
        of, where, name, role, identity=identities[role], address=addresses[name], zone=zone, text=HOST_TEXT
    )


GcpHosts("hosts-controller", GcpHostsArgs(hosts=(made("controller", "controller", ZONES[0]),)))
edges = (made("edge-1", "edge", ZONES[0]), made("edge-2", "edge", ZONES[1]))
GcpHosts("hosts-edges", GcpHostsArgs(hosts=edges, balancer=addresses["edges"]))
