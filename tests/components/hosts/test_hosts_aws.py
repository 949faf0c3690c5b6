"""Controller and edge hosts of AWS, and the balancer before several edges."""

import pulumi
import pytest

from components.cloud import Address, HostArgs, Identity
from components.hosts.aws import AwsHosts, AwsHostsArgs, static_address
from tests.components.aws_world import REGION, ZONES, network_of, recorded, scope

BOOT = "#cloud-config\n# of an edge\n"


def declared(*, role="edge", count=2, balanced=True):
    def declare():
        a_scope = scope()
        network = network_of(a_scope)
        opts = pulumi.ResourceOptions()

        def address(name):
            return static_address(name, scope=a_scope, region=REGION, opts=opts)

        hosts = tuple(
            HostArgs(
                scope=a_scope,
                name=f"{role}-{n + 1}",
                role=role,
                network=network,
                zone=ZONES[n],
                instance_type="t3.small",
                identity=Identity(attach=f"profile of {role}", principal=f"role of {role}"),
                address=address(f"{role}-{n + 1}"),
                user_data=BOOT,
            )
            for n in range(count)
        )
        balancer = {zone: address(f"callers-{zone}") for zone in ZONES} if balanced else {}
        assert all(isinstance(a, Address) for a in balancer.values())
        AwsHosts("edge-aws", AwsHostsArgs(hosts=hosts, balancer=balancer))

    return recorded(declare)


@pytest.fixture(scope="module")
def pair():
    return declared()


def test_each_host_is_one_machine_in_its_zone_with_an_address_of_its_own(pair):
    assert pair.of("Instance").keys() == {"edge-1", "edge-2"}
    for number, zone in enumerate(ZONES, start=1):
        machine = pair.of("Instance")[f"edge-{number}"]
        assert machine["subnetId"] == f"id of network-us-east-1-{zone}"
        address = pair.of("EipAssociation")[f"edge-{number}-address"]
        assert address["instanceId"] == f"id of edge-{number}"
        assert address["allocationId"] == f"allocation of edge-{number}"


def test_the_next_machine_takes_the_address_over(pair):
    for name in ("edge-1-address", "edge-2-address"):
        assert pair.of("EipAssociation")[name]["allowReassociation"]


def test_hosts_ask_for_tokens_encrypt_their_disk_and_let_nobody_in(pair):
    for machine in pair.of("Instance").values():
        assert machine["metadataOptions"]["httpTokens"] == "required"
        assert machine["metadataOptions"]["httpPutResponseHopLimit"] == 1
        assert machine["rootBlockDevice"]["encrypted"]
        assert machine["vpcSecurityGroupIds"] == ["id of network-us-east-1-edges"]
        assert machine["iamInstanceProfile"] == "profile of edge"
        assert "keyName" not in machine


def test_an_edit_of_the_user_data_is_a_new_machine_and_a_newer_image_is_not(pair):
    for name, machine in pair.of("Instance").items():
        assert machine["userData"] == BOOT
        assert machine["userDataReplaceOnChange"]
        assert machine["ami"] == "ami-0123456789abcdef0"
        ignored = pair.options["aws:ec2/instance:Instance", name]["ignore_changes"]
        assert ignored == ["ami", "associatePublicIpAddress"]


def test_the_balancer_has_a_static_address_in_each_zone(pair):
    balancer = pair.one("LoadBalancer")
    assert balancer["loadBalancerType"] == "network"
    assert [m["allocationId"] for m in balancer["subnetMappings"]] == [
        f"allocation of callers-{zone}" for zone in ZONES
    ]
    assert len(balancer["name"]) <= 32


def test_the_balancer_passes_tls_through_to_edges_that_say_that_they_are_ready(pair):
    targets = pair.one("TargetGroup")
    assert (targets["protocol"], targets["port"]) == ("TCP", 443)
    assert targets["healthCheck"]["protocol"] == "HTTPS"
    assert targets["healthCheck"]["path"] == "/edge/ready"
    assert pair.one("Listener")["protocol"] == "TCP"
    assert {a["targetId"] for a in pair.of("TargetGroupAttachment").values()} == {
        "id of edge-1",
        "id of edge-2",
    }


def test_a_connection_may_be_silent_while_a_service_comes_back(pair):
    assert pair.one("Listener")["tcpIdleTimeoutSeconds"] > 350


def test_one_edge_needs_no_balancer():
    alone = declared(count=1, balanced=False)
    assert not alone.of("LoadBalancer")
    assert not alone.of("TargetGroup")
    assert len(alone.of("Eip")) == 1


def test_the_controller_has_the_controller_s_firewall():
    machine = declared(role="controller", count=1, balanced=False).one("Instance")
    assert machine["vpcSecurityGroupIds"] == ["id of network-us-east-1-controller"]
    assert machine["instanceType"] == "t3.small"
