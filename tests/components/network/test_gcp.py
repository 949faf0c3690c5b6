"""A region's network in Google Cloud, as it is declared."""

import pytest

from spec.errors import InputError
from tests.components.gcp_world import CALLERS, recorded, scope
from tests.components.gcp_world import network as declare_network


def declare(callers=CALLERS, existing=None, **how):
    def declared():
        of = scope(**({"network": {"gcp/us-central1": existing}} if existing else {}))
        found.append(declare_network(of, callers=callers, **how))

    found = []
    recorder = recorded(declared)
    return recorder, found[0]


def doors(recorder):
    """By port: ranges, tags that may come in, and the tag that they come to."""
    return {
        f["allows"][0]["ports"][0]: (f.get("sourceRanges"), f.get("sourceTags"), f["targetTags"])
        for f in recorder.of("Firewall").values()
    }


def test_a_region_has_a_network_of_its_own_with_half_of_its_range_and_a_free_way_to_google():
    recorder, _ = declare()
    assert recorder.one("Network")["autoCreateSubnetworks"] is False
    subnet = recorder.one("Subnetwork")
    assert (subnet["region"], subnet["ipCidrRange"]) == ("us-central1", "10.7.0.0/17")
    assert subnet["privateIpGoogleAccess"] is True


def test_replicas_are_reached_on_one_port_by_edges_and_controller_only():
    recorder, network = declare()
    ranges, tags, of = doors(recorder)["9443"]
    assert ranges == ["203.0.113.9/32", "198.51.100.7/32"]
    assert (tags, of) == ([network.edges, network.controller], [network.replicas])


def test_the_controller_is_asked_by_edges_and_edges_by_everybody():
    recorder, network = declare()
    ranges, tags, of = doors(recorder)["9444"]
    assert (sorted(ranges), tags, of) == (
        sorted(CALLERS.values()),
        [network.edges],
        [network.controller],
    )
    assert doors(recorder)["443"] == (["0.0.0.0/0"], None, [network.edges])


def test_there_is_no_other_door_and_no_way_to_log_in():
    recorder, _ = declare()
    assert doors(recorder).keys() == {"9443", "9444", "443"}
    assert {a["protocol"] for f in recorder.of("Firewall").values() for a in f["allows"]} == {"tcp"}


def test_a_region_has_doors_for_the_machines_that_it_has():
    recorder, _ = declare(roles=frozenset({"replicas"}))
    assert doors(recorder).keys() == {"9443"}


def test_roles_of_two_environments_in_one_network_are_told_apart_by_their_tags():
    _, network = declare()
    assert all(tag.startswith("tw-prod-us-central1-") for tag in (network.replicas, network.edges))
    assert len({network.replicas, network.edges, network.controller}) == 3


def test_a_network_of_the_users_own_gets_doors_and_nothing_else():
    recorder, network = declare(existing={"id": "own", "subnets": {"a": "sub", "b": "sub"}})
    assert not recorder.of("Network")
    assert not recorder.of("Subnetwork")
    assert (network.id, network.subnets) == ("own", {"": "sub"})
    assert {f["network"] for f in recorder.of("Firewall").values()} == {"own"}


def test_two_subnets_for_one_region_are_one_too_many():
    with pytest.raises(InputError, match=r"network\.gcp/us-central1\.subnets names 2: one, two\."):
        declare(existing={"id": "own", "subnets": {"a": "one", "b": "two"}})


def test_machines_of_one_service_s_gangs_reach_each_other_and_nobody_else_does():
    recorder, network = declare(gangs=("chat", "code"))
    for service in ("chat", "code"):
        [door] = [f for f in recorder.of("Firewall").values() if f["targetTags"] == [network.peers[service]]]
        assert door["sourceTags"] == [network.peers[service]]
        assert "sourceRanges" not in door
        assert door["allows"] == [{"protocol": "tcp", "ports": ["1024-65535"]}]
    assert network.peers["chat"] != network.peers["code"]
