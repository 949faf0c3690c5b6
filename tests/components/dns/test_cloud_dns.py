"""The environment's name in Cloud DNS, as it is declared."""

import pytest

from catalog.load import load
from components.dns import DnsArgs, Site
from components.dns.cloud_dns import CloudDns
from components.dns.gcp_places import nearest
from policies.fixed import PRICED
from spec.errors import InputError
from tests.components.dns.names_world import EAST, EUROPE, NAME, NEXT_DOOR, recorded, scope


def declared(*sites, policy="latency"):
    def declare():
        of = scope("cloud_dns", policy)
        CloudDns("names", DnsArgs(scope=of, dns=of.config.dns, sites=sites))

    return recorded(declare)


def record(*sites, policy="latency"):
    return declared(*sites, policy=policy).one("RecordSet")


def test_callers_are_led_to_the_nearest_place_and_places_that_google_calls_the_same_are_one():
    found = record(EAST, NEXT_DOOR, EUROPE)["routingPolicy"]
    assert {g["location"]: g["healthCheckedTargets"]["externalEndpoints"] for g in found["geos"]} == {
        "us-east4": ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        "europe-west4": ["192.0.2.4"],
    }
    assert "primaryBackup" not in found
    assert not found.get("enableGeoFencing"), "the next place answers where one has no edge that is ready"


def test_with_failover_the_first_edge_of_the_settings_answers_and_else_the_nearest_of_the_others():
    found = record(EUROPE, EAST, NEXT_DOOR, policy="failover")["routingPolicy"]
    assert found["primaryBackup"]["primary"]["externalEndpoints"] == ["192.0.2.4"]
    [others] = found["primaryBackup"]["backupGeos"]
    assert others["location"] == "us-east4"
    assert others["healthCheckedTargets"]["externalEndpoints"] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert "geos" not in found


def test_one_edge_alone_has_nobody_to_fail_over_to():
    found = record(EUROPE, policy="failover")["routingPolicy"]
    assert [g["location"] for g in found["geos"]] == ["europe-west4"]


def test_an_edge_that_is_not_ready_is_left_out_as_google_s_rules_for_addresses_of_the_internet_allow():
    world = declared(EAST, EUROPE)
    check = world.one("HealthCheck")
    assert check["httpsHealthCheck"] == {"host": NAME, "port": 443, "requestPath": "/edge/ready"}
    assert len(set(check["sourceRegions"])) == 3
    assert check["checkIntervalSec"] >= 30
    assert check["timeoutSec"] <= check["checkIntervalSec"]
    assert world.one("RecordSet")["routingPolicy"]["healthCheck"] == "id of names-ready"


@pytest.mark.parametrize("policy", ["latency", "failover"])
def test_the_record_is_in_the_user_s_zone_and_no_address_is_without_a_check(policy):
    found = record(EAST, EUROPE, policy=policy)
    assert (found["managedZone"], found["name"], found["type"], found["ttl"]) == (
        "the-zone",
        f"{NAME}.",
        "A",
        30,
    )
    assert "rrdatas" not in str(found)


@pytest.mark.parametrize("policy", ["latency", "failover"])
def test_the_policies_count_the_check_of_each_address(policy):
    price = PRICED["gcp:dns/recordSet:RecordSet"]
    assert price(record(EAST, EUROPE, policy=policy)) == pytest.approx(3 * 0.75 / 730)
    assert price({"name": f"{NAME}.", "type": "A", "rrdatas": ["192.0.2.1"]}) == 0


def test_every_region_with_prices_is_near_to_one_of_google_s():
    offers = load().offers
    known = {offer.region for offer in offers if offer.cloud == "gcp"}
    for offer in offers:
        if offer.cloud in ("aws", "azure"):
            assert nearest(offer.cloud, offer.region)
    assert nearest("gcp", "us-east1") in known


def test_a_region_that_is_not_known_is_named_with_the_way_out():
    elsewhere = Site(id="e", cloud="azure", region="westeurop", address="192.0.2.9")
    with pytest.raises(
        InputError, match=r"azure/westeurop.*Did you mean `westeurope`.*another owner of the name"
    ):
        declared(elsewhere)
