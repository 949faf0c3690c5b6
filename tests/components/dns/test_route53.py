"""The environment's name in Route 53."""

import pytest

from catalog.load import load
from components.dns import DnsArgs, Site
from components.dns.aws_places import nearest
from components.dns.route53 import Route53
from spec.errors import InputError
from tests.components.aws_world import recorded, scope

NAME = "llm.example.com"
EAST = Site(
    id="edge-aws-us-east-1", cloud="aws", region="us-east-1", address="192.0.2.1", more=("192.0.2.2",)
)
NEXT_DOOR = Site(id="edge-gcp-us-east4", cloud="gcp", region="us-east4", address="192.0.2.3")
EUROPE = Site(id="edge-azure-westeurope", cloud="azure", region="westeurope", address="192.0.2.4")


def declared(*sites, policy="latency"):
    def declare():
        dns = {"owner": "route53", "zone": "Z1", "name": NAME, "policy": policy, "ttlS": 20}
        a_scope = scope(dns=dns)
        Route53("names", DnsArgs(scope=a_scope, dns=a_scope.config.dns, sites=sites))

    return recorded(declare)


def resolve(world, name, *, ready, near="us-east-1"):
    """The addresses that Route 53 would answer with, by its own rules for the records that were declared."""
    records = [r for r in world.of("Record").values() if r["name"] == name]
    assert len({r.get("setIdentifier") for r in records}) == len(records)
    by_policy = sorted(records, key=lambda r: rank(r, near))
    for record in by_policy:
        found = answers(world, record, ready=ready, near=near)
        if not found:
            continue
        if "weightedRoutingPolicies" in record:
            return sorted(a for r in records for a in answers(world, r, ready=ready, near=near))
        return found
    return []


def rank(record, near):
    if failover := record.get("failoverRoutingPolicies"):
        return failover[0]["type"] != "PRIMARY"
    if latency := record.get("latencyRoutingPolicies"):
        return latency[0]["region"] != near
    return 0


def answers(world, record, *, ready, near):
    if aliases := record.get("aliases"):
        assert aliases[0]["evaluateTargetHealth"]
        return resolve(world, aliases[0]["name"], ready=ready, near=near)
    [check] = [c for n, c in world.of("HealthCheck").items() if record["healthCheckId"] == f"id of {n}"]
    return [a for a in record["records"] if check["ipAddress"] == a and a in ready]


ALL = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}


def test_callers_are_led_to_the_edge_that_is_near():
    world = declared(EAST, EUROPE)
    assert resolve(world, NAME, ready=ALL, near="us-east-1") == ["192.0.2.1", "192.0.2.2"]
    assert resolve(world, NAME, ready=ALL, near="eu-central-1") == ["192.0.2.4"]


def test_an_address_that_is_not_ready_is_not_given_and_then_another_place():
    world = declared(EAST, EUROPE)
    assert resolve(world, NAME, ready=ALL - {"192.0.2.1"}) == ["192.0.2.2"]
    assert resolve(world, NAME, ready={"192.0.2.4"}) == ["192.0.2.4"]


def test_edges_of_two_clouds_in_one_place_share_its_record_because_route_53_takes_one_for_each_region():
    world = declared(EAST, NEXT_DOOR)
    latency = [r for r in world.of("Record").values() if "latencyRoutingPolicies" in r]
    assert [r["latencyRoutingPolicies"][0]["region"] for r in latency] == ["us-east-1"]
    assert resolve(world, NAME, ready=ALL) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_failover_gives_the_first_edge_that_is_ready_in_the_order_of_the_settings():
    world = declared(EUROPE, EAST, NEXT_DOOR, policy="failover")
    assert resolve(world, NAME, ready=ALL) == ["192.0.2.4"]
    assert resolve(world, NAME, ready=ALL - {"192.0.2.4"}) == ["192.0.2.1", "192.0.2.2"]
    assert resolve(world, NAME, ready={"192.0.2.3"}) == ["192.0.2.3"]


def test_failover_with_one_edge_is_that_edge():
    world = declared(EUROPE, policy="failover")
    assert resolve(world, NAME, ready=ALL) == ["192.0.2.4"]


def test_another_policy_stands_before_the_name_moves_to_it_because_route_53_mixes_none():
    names = {}
    for policy in ("latency", "failover"):
        records = declared(EAST, EUROPE, policy=policy).of("Record")
        apex = [n for n, r in records.items() if r["name"] == NAME]
        assert apex == ["names"], "one record, so that it is moved and not replaced"
        assert not {"setIdentifier", "latencyRoutingPolicies"} & records["names"].keys()
        names[policy] = {r["name"] for r in records.values() if "weightedRoutingPolicies" not in r}
    assert names["latency"] & names["failover"] == {NAME}


def test_every_address_is_asked_over_tls_whether_it_is_ready():
    checks = declared(EAST, EUROPE).of("HealthCheck").values()
    assert {c["ipAddress"] for c in checks} == {"192.0.2.1", "192.0.2.2", "192.0.2.4"}
    for check in checks:
        assert (check["type"], check["port"], check["resourcePath"]) == ("HTTPS", 443, "/edge/ready")
        assert check["fqdn"] == NAME
        assert check["enableSni"]


@pytest.mark.parametrize("policy", ["latency", "failover"])
def test_an_alias_is_declared_after_the_records_that_it_names(policy):
    world = declared(EAST, EUROPE, NEXT_DOOR, policy=policy)
    records = world.of("Record")
    for name, record in records.items():
        for alias in record.get("aliases") or ():
            named = {n for n, r in records.items() if r["name"] == alias["name"]}
            assert named
            assert named <= set(world.options["aws:route53/record:Record", name]["depends_on"])


def test_records_are_in_the_user_s_zone_and_forgotten_as_soon_as_the_settings_say():
    for record in declared(EAST, EUROPE).of("Record").values():
        assert record["zoneId"] == "Z1"
        assert record["name"] == NAME or record["name"].endswith(f".{NAME}")
        assert record.get("ttl") == (None if "aliases" in record else 20)


def test_an_alias_has_a_region_of_aws_for_every_region_with_prices():
    for offer in load().offers:
        if offer.cloud in ("gcp", "azure"):
            assert nearest(offer.cloud, offer.region)


def test_a_region_that_is_not_known_is_named_with_the_way_out():
    elsewhere = Site(id="e", cloud="gcp", region="us-east44", address="192.0.2.9")
    with pytest.raises(InputError, match=r"gcp/us-east44.*us-east4.*policy: failover"):
        declared(elsewhere)
