"""The environment's name in Azure, as it is declared."""

import re

import pytest

from components.dns import DnsArgs, Site
from components.dns.azure_places import nearest
from components.dns.azure_traffic_manager import TrafficManager
from spec.clouds import Dns
from spec.errors import InputError
from tests.components.azure_world import recorded, scope

SITES = (
    Site(id="edge-aws-us-east-1", cloud="aws", region="us-east-1", address="198.51.100.7"),
    Site(id="edge-gcp-europe-west4", cloud="gcp", region="europe-west4", address="198.51.100.8"),
    Site(id="edge-azure-westus3", cloud="azure", region="westus3", address="198.51.100.9"),
)


def declare(policy="latency", sites=SITES):
    made = {}

    def declared():
        dns = Dns(owner="azure_traffic_manager", name="llm.example.com", policy=policy, ttl_s=30)
        made["name"] = TrafficManager("names", DnsArgs(scope=scope(), dns=dns, sites=sites))

    recorder = recorded(declared)
    recorder.name = made["name"]
    return recorder


@pytest.fixture(scope="module")
def declared():
    return declare()


def endpoints(recorder):
    return {e["endpointName"]: e for e in recorder.of("trafficmanager:Endpoint").values()}


def test_callers_are_led_to_the_nearest_edge_by_its_place_among_azures_regions(declared):
    assert declared.one("trafficmanager:Profile")["trafficRoutingMethod"] == "Performance"
    assert {name: e["endpointLocation"] for name, e in endpoints(declared).items()} == {
        "edge-aws-us-east-1": "eastus",
        "edge-gcp-europe-west4": "westeurope",
        "edge-azure-westus3": "westus3",
    }
    assert {e["target"] for e in endpoints(declared).values()} == {site.address for site in SITES}


def test_with_failover_the_first_edge_that_is_ready_in_the_order_of_the_settings_answers():
    declared = declare("failover")
    assert declared.one("trafficmanager:Profile")["trafficRoutingMethod"] == "Priority"
    ordered = sorted(endpoints(declared).values(), key=lambda e: e["priority"])
    assert [e["endpointName"] for e in ordered] == [site.id for site in SITES]
    assert not [e for e in ordered if "endpointLocation" in e]


def test_every_address_of_a_balancer_is_led_to_and_watched():
    balanced = (
        Site(id="a", cloud="aws", region="us-east-1", address="198.51.100.1", more=("198.51.100.2",)),
        Site(id="b", cloud="aws", region="us-west-2", address="198.51.100.3"),
    )
    found = endpoints(declare("failover", balanced))
    assert {name: (e["target"], e["priority"]) for name, e in found.items()} == {
        "a": ("198.51.100.1", 1),
        "a-2": ("198.51.100.2", 2),
        "b": ("198.51.100.3", 3),
    }


def test_an_edge_that_is_not_ready_gets_no_callers(declared):
    monitor = declared.one("trafficmanager:Profile")["monitorConfig"]
    assert (monitor["protocol"], monitor["port"], monitor["path"]) == ("HTTPS", 443, "/edge/ready")
    assert (monitor["intervalInSeconds"], monitor["timeoutInSeconds"]) == (10, 5)


def test_the_user_is_told_which_record_to_set(declared):
    dns = declared.one("trafficmanager:Profile")["dnsConfig"]
    assert dns["ttl"] == 30
    assert declared.name.endpoint == f"{dns['relativeName']}.trafficmanager.net"
    assert declared.name.cname == f"llm.example.com. 30 IN CNAME {declared.name.endpoint}."
    assert re.fullmatch(r"[a-z0-9-]{1,63}", dns["relativeName"])


def test_a_region_that_nobody_has_placed_is_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"aws/us-east-9.*Did you mean `us-east-.*policy: failover"):
        nearest("aws", "us-east-9")
    far = (Site(id="edge", cloud="gcp", region="mars-north1", address="198.51.100.7"),)
    assert endpoints(declare("failover", far))["edge"]["target"] == "198.51.100.7"
