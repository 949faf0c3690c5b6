"""A region's network in AWS: what is open, to whom, and that nothing in it costs money while it is idle."""

import ipaddress

import pytest

from components.network.aws import subnet_cidrs
from spec.errors import InputError
from tests.components.aws_world import REGION, ZONES, a_pool, network_of, pools_of, recorded, scope


@pytest.fixture(scope="module")
def created():
    return recorded(lambda: network_of(scope()))


def doors(recorder, role):
    """Who reaches which port of the machines of a role."""
    return {
        (int(d["fromPort"]), int(d["toPort"]), d.get("cidrIpv4") or d.get("referencedSecurityGroupId"))
        for d in recorder.of("SecurityGroupIngressRule").values()
        if d["securityGroupId"] == f"id of network-{REGION}-{role}"
    }


def test_replicas_are_reached_on_one_port_by_edges_and_controller_only(created):
    assert doors(created, "replicas") == {
        (9443, 9443, "198.51.100.7/32"),
        (9443, 9443, "203.0.113.9/32"),
        (9443, 9443, f"id of network-{REGION}-edges"),
        (9443, 9443, f"id of network-{REGION}-controller"),
    }


def test_only_the_callers_port_of_edges_is_open_to_the_world(created):
    assert doors(created, "edges") == {(443, 443, "0.0.0.0/0")}
    world = [d for d in created.of("SecurityGroupIngressRule").values() if d.get("cidrIpv4") == "0.0.0.0/0"]
    assert [int(d["fromPort"]) for d in world] == [443]


def test_the_controller_is_asked_by_edges(created):
    assert doors(created, "controller") == {
        (9444, 9444, "198.51.100.7/32"),
        (9444, 9444, f"id of network-{REGION}-edges"),
    }


def test_a_region_with_replicas_only_has_their_group_and_no_door_for_machines_that_are_not_there():
    found = {}
    recorder = recorded(lambda: found.update(network=network_of(scope(), roles=frozenset({"replicas"}))))
    assert recorder.of("SecurityGroup").keys() == {f"network-{REGION}-replicas"}
    assert doors(recorder, "replicas") == {(9443, 9443, "198.51.100.7/32"), (9443, 9443, "203.0.113.9/32")}
    assert (found["network"].edges, found["network"].controller) == ("", "")


def test_rules_are_tcp_and_say_what_they_are_for(created):
    for name, door in created.of("SecurityGroupIngressRule").items():
        assert door["ipProtocol"] == "tcp"
        assert name.endswith(door["description"])


def test_no_security_group_has_rules_inline_because_the_two_ways_undo_each_other(created):
    for group in created.of("SecurityGroup").values():
        assert not {"ingress", "egress"} & group.keys()
    assert not {"ingress", "egress"} & created.one("DefaultSecurityGroup").keys()


def test_every_zone_has_a_subnet_by_its_id_that_leads_to_the_internet(created):
    subnets = created.of("Subnet")
    assert {s["availabilityZoneId"] for s in subnets.values()} == set(ZONES)
    assert all("availabilityZone" not in s for s in subnets.values())
    assert {a["subnetId"] for a in created.of("RouteTableAssociation").values()} == {
        f"id of {name}" for name in subnets
    }
    assert created.one("Route")["gatewayId"] == f"id of network-{REGION}-gateway"


def test_a_subnet_is_given_out_when_it_has_a_way_out_because_addresses_and_balancers_need_one(created):
    for name in created.of("RouteTableAssociation"):
        options = created.options["aws:ec2/routeTableAssociation:RouteTableAssociation", name]
        assert f"network-{REGION}-out" in options["depends_on"]

    def declare():
        a_scope = scope()
        pools_of(a_scope, network_of(a_scope), a_pool(ZONES[0]))

    group = recorded(declare).options["aws:autoscaling/group:Group", a_pool(ZONES[0]).id]
    assert f"network-{REGION}-{ZONES[0]}-routes" in group["depends_on"]


def test_nothing_costs_while_it_is_idle(created):
    assert not created.of("NatGateway")
    assert created.one("VpcEndpoint")["vpcEndpointType"] == "Gateway"
    assert created.one("VpcEndpoint")["serviceName"] == "com.amazonaws.us-east-1.s3"


def test_everything_is_in_the_region_and_has_the_environment_s_tags(created):
    for (type_, name), declared in created.resources.items():
        if type_.startswith("aws:"):
            assert declared["region"] == REGION, name
            if "tags" in declared:
                assert declared["tags"]["tradewind-env"] == "prod"
                assert declared["tags"]["cost-center"] == "ml"
            assert "::aws::" in created.options[type_, name]["provider"]


def test_a_network_of_the_user_s_gets_groups_and_nothing_else():
    config = {"aws/us-east-1": {"id": "vpc-1", "subnets": {ZONES[0]: "subnet-1", ZONES[1]: "subnet-4"}}}
    found = {}
    recorder = recorded(lambda: found.update(network=network_of(scope(network=config))))
    assert found["network"].id == "vpc-1"
    assert found["network"].subnets == {ZONES[0]: "subnet-1", ZONES[1]: "subnet-4"}
    assert not recorder.of("Vpc")
    assert not recorder.of("Subnet")
    assert {g["vpcId"] for g in recorder.of("SecurityGroup").values()} == {"vpc-1"}


def test_a_zone_for_which_the_user_s_network_has_no_subnet_is_named():
    config = {"aws/us-east-1": {"id": "vpc-1", "subnets": {ZONES[0]: "subnet-1"}}}
    with pytest.raises(
        InputError, match=r"tradewind:network\.aws/us-east-1\.subnets has no subnet for use1-az4"
    ):
        recorded(lambda: network_of(scope(network=config)))


def test_another_zone_moves_no_subnet():
    before = subnet_cidrs("10.42.0.0/16", ["use1-az4", "use1-az1"])
    after = subnet_cidrs("10.42.0.0/16", ["use1-az1", "use1-az2", "use1-az4", "use1-atl2-az1"])
    assert before.items() <= after.items()
    assert before["use1-az4"] == "10.42.64.0/20"


def test_subnets_never_overlap():
    zones = [f"usw2-az{n}" for n in range(1, 5)] + [
        f"usw2-{city}-az{n}" for city in ("lax1", "phx2") for n in (1, 2)
    ]
    found = [ipaddress.IPv4Network(c) for c in subnet_cidrs("10.0.0.0/16", zones).values()]
    assert len(found) == len(zones)
    assert not any(a.overlaps(b) for a in found for b in found if a is not b)


def test_machines_of_one_service_s_gangs_reach_each_other_and_nobody_else_does():
    found = {}

    def declare():
        found.update(network=network_of(scope(), gangs=("chat", "code")))

    recorder = recorded(declare)
    for service in ("chat", "code"):
        peers = f"id of network-{REGION}-peers-{service}"
        assert doors(recorder, f"peers-{service}") == {(1024, 65535, peers)}
    assert doors(recorder, "replicas") == doors(recorded(lambda: network_of(scope())), "replicas")
    assert found["network"].peers.keys() == {"chat", "code"}


def test_where_no_replica_is_several_machines_none_reaches_another(created):
    assert {name.rpartition("-")[2] for name in created.of("SecurityGroup")} == {
        "replicas",
        "edges",
        "controller",
    }
