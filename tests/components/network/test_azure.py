"""Who reaches a machine in Azure, as it is declared."""

import pytest

from spec.errors import InputError
from tests.components.azure_world import CALLERS, network, recorded, scope


@pytest.fixture(scope="module")
def declared():
    return recorded(lambda: network(scope()))


def rules(recorder, role):
    return recorder.of("network:NetworkSecurityGroup")[f"network-eastus-{role}"]["securityRules"]


def allowed(recorder, role):
    return [r for r in rules(recorder, role) if r["access"] == "Allow"]


def test_replicas_are_reached_on_one_port_by_the_environments_edges_and_controller_only(declared):
    by_role, by_address = allowed(declared, "replicas")
    assert {r["destinationPortRange"] for r in (by_role, by_address)} == {"9443"}
    assert by_role["sourceApplicationSecurityGroups"] == [{"id": "/network-eastus-insiders"}]
    assert sorted(by_address["sourceAddressPrefixes"]) == sorted(CALLERS.values())
    assert not {"sourceAddressPrefix", "sourceAddressPrefixes"} & by_role.keys()


def test_only_edges_take_callers_from_everywhere_and_only_on_their_port(declared):
    open_to_all = {
        (role, r["destinationPortRange"])
        for role in ("replicas", "edges", "controller")
        for r in allowed(declared, role)
        if r.get("sourceAddressPrefix") in ("*", "Internet", "0.0.0.0/0")
    }
    assert open_to_all == {("edges", "443")}


def test_the_controller_answers_edges_and_nobody_else(declared):
    assert {r["destinationPortRange"] for r in allowed(declared, "controller")} == {"9444"}


@pytest.mark.parametrize("role", ["replicas", "edges", "controller"])
def test_what_azure_allows_by_default_is_denied_by_the_last_rule(declared, role):
    last = max(rules(declared, role), key=lambda r: r["priority"])
    assert last["access"] == "Deny"
    assert (last["protocol"], last["sourceAddressPrefix"], last["destinationPortRange"]) == ("*", "*", "*")
    assert (
        last["priority"] == 4096
    )  # Azure's own AllowVnetInBound and AllowAzureLoadBalancerInBound follow at 65000
    assert len({r["priority"] for r in rules(declared, role)}) == len(rules(declared, role))


def test_the_network_has_no_gateway_and_no_way_out_of_its_own(declared):
    subnet = declared.one("network:Subnet")
    assert subnet["defaultOutboundAccess"] is False
    assert "natGateway" not in subnet
    assert declared.one("network:VirtualNetwork")["addressSpace"] == {"addressPrefixes": ["10.7.0.0/16"]}
    assert subnet["addressPrefix"] == "10.7.0.0/17"


def test_everything_is_tagged_for_the_bill(declared):
    for name in ("resources:ResourceGroup", "network:VirtualNetwork", "network:NetworkSecurityGroup"):
        for inputs in declared.of(name).values():
            assert inputs["tags"] == {"cost-center": "ml", "tradewind-env": "prod"}


def test_an_environment_without_foreign_callers_has_no_empty_rule():
    declared = recorded(lambda: network(scope(), callers={}))
    assert [r["name"] for r in allowed(declared, "replicas")] == ["insiders"]


def test_the_users_own_network_is_used_and_not_declared():
    chosen = {"azure/eastus": {"id": "/vnet", "subnets": {"machines": "/vnet/subnets/gpu"}}}
    found = {}

    def declare():
        found["network"] = network(scope(network=chosen))

    declared = recorded(declare)
    assert not declared.of("network:VirtualNetwork")
    assert not declared.of("network:Subnet")
    assert (found["network"].id, found["network"].subnets) == ("/vnet", {"": "/vnet/subnets/gpu"})
    assert len(declared.of("network:NetworkSecurityGroup")) == 3


def test_several_subnets_of_a_region_are_refused_because_azures_span_it():
    chosen = {"azure/eastus": {"id": "/vnet", "subnets": {"a": "/a", "b": "/b"}}}
    with pytest.raises(InputError, match=r"azure/eastus.subnets names 2: a, b"):
        recorded(lambda: network(scope(network=chosen)))


def test_machines_of_one_service_s_gangs_reach_each_other_and_nobody_else_does():
    recorder = recorded(lambda: network(scope(), gangs=("chat", "code")))
    between = [r for r in allowed(recorder, "replicas") if r["name"].startswith("peers-of-")]
    for service, rule in zip(("chat", "code"), between, strict=True):
        group = [{"id": f"/network-eastus-peers-{service}"}]
        assert rule["sourceApplicationSecurityGroups"] == group
        assert rule["destinationApplicationSecurityGroups"] == group
        assert not {"sourceAddressPrefix", "destinationAddressPrefix"} & rule.keys()
        assert (rule["protocol"], rule["destinationPortRange"]) == ("Tcp", "1024-65535")
    priorities = [r["priority"] for r in rules(recorder, "replicas")]
    assert len(set(priorities)) == len(priorities)
