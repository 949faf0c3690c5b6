"""Controller and edge hosts in Azure, as they are declared."""

import base64

import pulumi
import pytest

from components.cloud import HostArgs, Identity
from components.hosts.azure import AzureHosts, AzureHostsArgs, static_address
from tests.components.azure_world import SUBSCRIPTION, network, recorded, scope

TEXT = "#cloud-config\n"


def host(of, where, name, role, *, zone=None, instance_type="Standard_D2as_v5"):
    none = pulumi.ResourceOptions()
    return HostArgs(
        scope=of,
        name=name,
        role=role,
        network=where,
        zone=zone,
        instance_type=instance_type,
        identity=Identity(attach=f"/identity/{role}", principal=role),
        address=static_address(f"{name}-address", scope=of, region="eastus", group="shared", opts=none),
        user_data=TEXT,
    )


def declare(role="edge", count=2, balanced=True, **how):
    def declared():
        of = scope()
        where = network(of)
        names = [f"edge-azure-eastus-{n + 1}" for n in range(count)] if role == "edge" else ["controller"]
        none = pulumi.ResourceOptions()
        balancer = (
            static_address("edge-azure-eastus", scope=of, region="eastus", group="shared", opts=none)
            if balanced
            else None
        )
        hosts = tuple(host(of, where, name, role, **how) for name in names)
        AzureHosts(f"{role}-azure-eastus", AzureHostsArgs(hosts=hosts, balancer=balancer))

    return recorded(declared)


@pytest.fixture(scope="module")
def two_edges():
    return declare()


@pytest.fixture(scope="module")
def controller():
    return declare("controller", 1, balanced=False)


def test_each_host_has_a_static_address_of_its_own(two_edges):
    cards = two_edges.of("network:NetworkInterface")
    assert {c["ipConfigurations"][0]["publicIPAddress"]["id"] for c in cards.values()} == {
        "/edge-azure-eastus-1-address",
        "/edge-azure-eastus-2-address",
    }
    for address in two_edges.of("network:PublicIPAddress").values():
        assert address["publicIPAllocationMethod"] == "Static"
        assert address["sku"]["name"] == "Standard"


def test_a_role_chooses_the_firewall_and_all_hosts_are_insiders_of_their_network(two_edges, controller):
    assert {c["networkSecurityGroup"]["id"] for c in two_edges.of("network:NetworkInterface").values()} == {
        "/network-eastus-edges"
    }
    card = controller.one("network:NetworkInterface")
    assert card["networkSecurityGroup"] == {"id": "/network-eastus-controller"}
    assert card["ipConfigurations"][0]["applicationSecurityGroups"] == [{"id": "/network-eastus-insiders"}]


def test_several_edges_stand_behind_a_balancer_that_asks_each_whether_it_is_ready(two_edges):
    balancer = two_edges.one("network:LoadBalancer")
    [rule], [probe] = balancer["loadBalancingRules"], balancer["probes"]
    assert (rule["protocol"], rule["frontendPort"], rule["backendPort"]) == ("Tcp", 443, 443)
    assert (probe["protocol"], probe["port"], probe["requestPath"]) == ("Https", 443, "/edge/ready")
    assert rule["disableOutboundSnat"] is True
    assert balancer["frontendIPConfigurations"][0]["publicIPAddress"] == {"id": "/edge-azure-eastus"}
    own = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/tw-prod-eastus-beb70971/providers/Microsoft.Network/loadBalancers/"
    assert rule["probe"]["id"] == f"{own}{balancer['loadBalancerName']}/probes/{probe['name']}"
    members = {
        tuple(p["id"] for p in c["ipConfigurations"][0]["loadBalancerBackendAddressPools"])
        for c in two_edges.of("network:NetworkInterface").values()
    }
    assert members == {("/edge-azure-eastus-balancer/backendAddressPools/hosts",)}


def test_hosts_of_a_region_without_zones_are_on_different_racks(two_edges):
    racks = two_edges.one("compute:AvailabilitySet")
    assert (racks["platformFaultDomainCount"], racks["sku"]["name"]) == (2, "Aligned")
    machines = two_edges.of("compute:VirtualMachine").values()
    assert {m["availabilitySet"]["id"] for m in machines} == {"/edge-azure-eastus-racks"}


def test_a_zone_is_used_where_there_is_one():
    declared = declare(zone="2")
    assert not declared.of("compute:AvailabilitySet")
    assert {tuple(m["zones"]) for m in declared.of("compute:VirtualMachine").values()} == {("2",)}


def test_a_single_host_has_neither_balancer_nor_racks(controller):
    assert not controller.of("network:LoadBalancer")
    assert not controller.of("compute:AvailabilitySet")
    card = controller.one("network:NetworkInterface")
    assert card["ipConfigurations"][0].get("loadBalancerBackendAddressPools", []) == []


def test_a_host_is_a_small_machine_with_its_identity_that_nobody_logs_in_to(controller):
    machine = controller.one("compute:VirtualMachine")
    assert machine["hardwareProfile"] == {"vmSize": "Standard_D2as_v5"}
    assert machine["identity"]["userAssignedIdentities"] == ["/identity/controller"]
    assert machine["osProfile"]["allowExtensionOperations"] is False
    assert machine["osProfile"]["linuxConfiguration"]["disablePasswordAuthentication"] is True
    assert machine["securityProfile"]["securityType"] == "TrustedLaunch"
    assert base64.b64decode(machine["userData"]).decode() == TEXT
    assert "priority" not in machine


def test_a_type_that_was_chosen_is_used():
    machine = declare("controller", 1, balanced=False, instance_type="Standard_D4as_v5").one(
        "compute:VirtualMachine"
    )
    assert machine["hardwareProfile"] == {"vmSize": "Standard_D4as_v5"}
