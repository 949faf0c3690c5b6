"""The plan of a stack: in the clouds it has hosts, what they cost, and names that drivers find pools by."""

import pytest

from catalog.fixed import load_fixed
from catalog.load import load
from planner.environment import plan_stack, zones_of
from spec.errors import InputError
from spec.read import read_services
from spec.stack import load_stack, parse
from tests.e2e.checkout import ROOT

HOURS = 730


def planned(stack="staging", **changes):
    config = load_stack(ROOT, stack)
    config = config.model_copy(update=parse(changes, file="f").model_dump(include=set()) | _models(changes))
    specs = read_services([ROOT / path for path in config.services])
    return plan_stack(specs, load(), config, env=stack, prices=load_fixed())


def _models(changes):
    parsed = parse(changes, file="Pulumi.test.yaml")
    names = {"edges": "edges", "home": "home", "external": "external", "providers": "providers", "dns": "dns"}
    return {names[k]: getattr(parsed, names[k]) for k in changes}


def test_the_local_stack_has_no_layout_and_no_fixed_costs():
    found = planned("dev")
    assert (found.layout, found.fixed, found.plan.fixed_usd_hour) == (None, (), 0)


def test_hosts_addresses_disks_and_certificates_cost_something_while_no_replica_runs():
    found = planned()
    counted = {(i.cloud, i.what): i.count for i in found.fixed}
    pools = len(found.plan.services[0].pools)
    assert counted == {
        ("aws", "t3.small"): 1,
        ("aws", "c7i.large"): 1,
        ("aws", "address"): 2,
        ("aws", "disk_gib"): 60,
        ("aws", "secret"): pools + 6,  # a certificate each; of the controller 3, of the edges 3
    }
    prices = load_fixed()
    expected = sum(count * prices[key] for key, count in counted.items())
    assert found.plan.cost.idle_usd_month == pytest.approx(expected * HOURS)
    assert found.plan.cost.worst_usd_hour == pytest.approx(
        found.plan.services[0].cost.worst_usd_hour + expected
    )


def test_a_second_edge_host_brings_a_balancer_with_an_address_in_each_zone():
    one, two = planned(), planned(edges=[{"cloud": "aws", "region": "us-east-1", "hosts": 2}])
    more = {i.what: i.count for i in two.fixed}
    assert more["balancer"] == 1
    assert more["address"] == {i.what: i.count for i in one.fixed}["address"] + 1 + 2


def test_several_addresses_at_cloudflare_are_an_add_on_and_one_is_a_plain_record():
    name = {"owner": "cloudflare", "zone": "z", "name": "llm.example.com"}

    def billed(hosts, policy):
        edges = [{"cloud": "aws", "region": "us-east-1", "hosts": hosts}]
        found = planned(edges=edges, dns={**name, "policy": policy}).fixed
        return {i.what: i.count for i in found if i.cloud == "cloudflare"}

    assert billed(1, "latency") == {}
    assert billed(2, "latency") == {"endpoint": 2, "steering": 1}
    assert billed(2, "failover") == {"endpoint": 2}


def test_rented_endpoints_are_fixed_costs_and_hosted_providers_a_worst_case():
    rented = [{"name": "h", "service": "qwen-7b", "url": "https://h.example.com", "usdHour": 3}]
    models = {"m": {"model": "m", "usdPerMillionInput": 1, "usdPerMillionOutput": 1}}
    hosted = [{"name": "p", "kind": "bedrock", "region": "us-east-1", "models": models, "maxUsdHour": 20}]
    before, after = planned().plan.cost, planned(external=rented, providers=hosted).plan.cost
    assert after.expected_usd_hour == pytest.approx(before.expected_usd_hour + 3)
    assert after.worst_usd_hour == pytest.approx(before.worst_usd_hour + 23)
    assert after.idle_usd_month == pytest.approx(before.idle_usd_month + 3 * HOURS)


def test_every_pool_has_the_name_that_its_driver_looks_for():
    for pool in planned().plan.services[0].pools:
        assert pool.resource["group"].startswith("tw-staging-qwen-7b-aws-")


def test_a_host_type_without_a_price_is_named_with_those_that_have_one():
    home = {"cloud": "aws", "region": "us-east-1", "instanceType": "t3.smal"}
    with pytest.raises(
        InputError, match=r"no price is known for t3\.smal on aws.*Did you mean `t3\.small`\?"
    ):
        planned(home=home)


def test_the_zones_of_a_region_are_those_of_the_price_table():
    zones = zones_of(load())
    assert "use1-az1" in zones["aws", "us-east-1"]
    assert zones["azure", "eastus"] == ()
