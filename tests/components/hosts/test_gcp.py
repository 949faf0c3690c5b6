"""Hosts in Google Cloud, as they are declared."""

import pulumi
import pytest

from components.cloud import Address
from components.hosts.gcp import GcpHosts, GcpHostsArgs, static_address
from tests.components.gcp_world import ZONES, host, network, recorded, scope

BALANCER = Address(ip="192.0.2.50", attach="192.0.2.50")


def declare(*names, balancer=None, role="edge", **how):
    def declared():
        of = scope()
        where = network(of)
        hosts = tuple(
            host(of, where, name, role, zone=ZONES[n % 2], **how)
            for n, name in enumerate(names or ("edge-1",))
        )
        GcpHosts("edges", GcpHostsArgs(hosts=hosts, balancer=balancer))

    return recorded(declared)


def test_a_host_goes_out_by_its_static_address_and_has_the_firewall_of_its_role():
    machine = declare().one("compute/instance:Instance")
    [card] = machine["networkInterfaces"]
    assert card["accessConfigs"] == [{"natIp": "192.0.2.9", "networkTier": "PREMIUM"}]
    assert machine["tags"][0].startswith("tw-prod-us-central1-edges-")
    assert (
        declare(role="controller")
        .one("compute/instance:Instance")["tags"][0]
        .startswith("tw-prod-us-central1-controller-")
    )


def test_a_host_boots_only_what_is_signed_and_nobody_logs_in():
    machine = declare().one("compute/instance:Instance")
    assert machine["shieldedInstanceConfig"]["enableSecureBoot"] is True
    assert machine["metadata"]["block-project-ssh-keys"] == "TRUE"
    assert machine["metadata"]["user-data"] == "#cloud-config\n"


def test_other_user_data_is_another_name_and_so_another_machine():
    names = {
        declare(text=text).one("compute/instance:Instance")["name"]
        for text in ("#cloud-config\n", "#cloud-config\n#\n")
    }
    assert len(names) == 2


def test_a_single_edge_is_reached_at_its_own_address():
    declared = declare()
    assert not declared.of("ForwardingRule")
    assert not declared.of("InstanceGroup")


@pytest.fixture(scope="module")
def balanced():
    return declare("edge-1", "edge-2", "edge-3", balancer=BALANCER)


def test_several_edges_stand_behind_one_address_that_passes_their_callers_through(balanced):
    rule = balanced.one("ForwardingRule")
    assert (rule["ipAddress"], rule["ports"], rule["ipProtocol"]) == ("192.0.2.50", ["443"], "TCP")
    service = balanced.one("RegionBackendService")
    assert {rule["loadBalancingScheme"], service["loadBalancingScheme"]} == {"EXTERNAL"}
    assert service["connectionDrainingTimeoutSec"] == 300


def test_each_zones_hosts_are_in_its_group(balanced):
    machines = {m["name"]: m["zone"] for m in balanced.of("compute/instance:Instance").values()}
    groups = {g["zone"]: g["instances"] for g in balanced.of("InstanceGroup").values()}
    assert {zone: len(members) for zone, members in groups.items()} == {ZONES[0]: 2, ZONES[1]: 1}
    for zone, members in groups.items():
        assert {machines[m.removeprefix("link/")] for m in members} == {zone}
    assert len(balanced.one("RegionBackendService")["backends"]) == 2


def test_the_balancer_asks_each_host_whether_it_is_ready(balanced):
    check = balanced.one("RegionHealthCheck")
    assert check["httpsHealthCheck"] == {"port": 443, "requestPath": "/edge/ready"}
    assert check["timeoutSec"] <= check["checkIntervalSec"]


def test_a_static_address_is_named_by_itself():
    found = {}

    def declare():
        made = static_address("a", scope=scope(), region="us-central1", opts=pulumi.ResourceOptions())
        pulumi.Output.from_input(made.attach).apply(lambda attach: found.update(attach=attach))

    assert recorded(declare).one("Address")["addressType"] == "EXTERNAL"
    assert found == {"attach": "192.0.2.1"}
