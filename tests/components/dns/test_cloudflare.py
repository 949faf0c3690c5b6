"""The environment's name at Cloudflare, as it is declared."""

import pytest

from components.dns import DnsArgs
from components.dns.cloudflare import Cloudflare
from policies.fixed import FREE_TYPES, PRICED
from tests.components.dns.names_world import EAST, EUROPE, NAME, NEXT_DOOR, recorded, scope


def declared(*sites, policy="latency"):
    def declare():
        of = scope("cloudflare", policy)
        Cloudflare("names", DnsArgs(scope=of, dns=of.config.dns, sites=sites))

    return recorded(declare)


def test_one_address_is_a_plain_record_that_costs_nothing():
    world = declared(EUROPE)
    assert not world.of("LoadBalancer")
    record = world.one("DnsRecord")
    assert (record["zoneId"], record["name"], record["type"], record["content"]) == (
        "the-zone",
        NAME,
        "A",
        "192.0.2.4",
    )
    assert record["ttl"] == 60, "less than that is refused"
    assert record["proxied"] is False
    assert "cloudflare:index/dnsRecord:DnsRecord" in FREE_TYPES


def test_two_addresses_of_one_edge_are_asked_whether_they_are_ready():
    [pool] = declared(EAST).of("LoadBalancerPool").values()
    assert [origin["address"] for origin in pool["origins"]] == ["192.0.2.1", "192.0.2.2"]
    assert pool["minimumOrigins"] == 1
    assert pool["monitor"] == "id of names-ready"


def test_requests_never_pass_through_cloudflare():
    balancer = declared(EAST, EUROPE).one("LoadBalancer")
    assert balancer["proxied"] is False
    assert balancer["ttl"] == 30


@pytest.mark.parametrize(("policy", "steering"), [("latency", "dynamic_latency"), ("failover", "off")])
def test_callers_are_led_by_measurements_or_in_the_order_of_the_settings(policy, steering):
    balancer = declared(EUROPE, EAST, NEXT_DOOR, policy=policy).one("LoadBalancer")
    assert balancer["steeringPolicy"] == steering
    assert balancer["defaultPools"] == [
        f"id of names-{edge}" for edge in ("edge-azure-westeurope", "edge-aws-us-east-1", "edge-gcp-us-east4")
    ]


def test_an_edge_is_asked_whether_it_is_ready_whoever_issued_its_certificate():
    monitor = declared(EAST).one("LoadBalancerMonitor")
    assert (monitor["type"], monitor["port"], monitor["path"]) == ("https", 443, "/edge/ready")
    assert monitor["header"] == {"Host": [NAME]}
    assert monitor["allowInsecure"] is True


def test_pools_and_monitor_are_of_the_account_that_has_the_zone():
    world = declared(EAST, EUROPE)
    assert world.asked == [("cloudflare:index/getZone:getZone", {"zoneId": "the-zone"})]
    of_account = [*world.of("LoadBalancerPool").values(), world.one("LoadBalancerMonitor")]
    assert {inputs["accountId"] for inputs in of_account} == {"account of the zone"}


@pytest.mark.parametrize(("policy", "usd_month"), [("latency", 3 * 5 + 10), ("failover", 3 * 5)])
def test_the_policies_count_each_address_and_the_steering(policy, usd_month):
    world = declared(EAST, EUROPE, policy=policy)
    pools = world.of("LoadBalancerPool").values()
    usd_hour = sum(PRICED["cloudflare:index/loadBalancerPool:LoadBalancerPool"](pool) for pool in pools)
    usd_hour += PRICED["cloudflare:index/loadBalancer:LoadBalancer"](world.one("LoadBalancer"))
    assert usd_hour == pytest.approx(usd_month / 730)
