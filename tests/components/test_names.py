"""The environment's name by whichever owner keeps it, as an environment in another cloud declares it."""

import pulumi
import pytest
from pulumi.runtime import rpc

from components.names import Names
from spec.secrets import CLOUDFLARE_TOKEN
from spec.stack import parse
from tests.components.aws_world import known
from tests.components.dns.names_world import EAST, EUROPE, NAME, recorded, scope

PROJECT = {"project": "example-project", "projectNumber": "123456789012"}


def declared(owner, *, secrets=(), **settings):
    found = {}

    def declare():
        config = parse({"dns": {"owner": owner, "zone": "the-zone", "name": NAME}} | settings, file="f")
        environment = pulumi.ComponentResource("test:Environment", "environment")
        elsewhere = {"aws": scope("route53", "latency")}
        given = {name: pulumi.Output.secret(f"value of {name}") for name in secrets}
        found["names"] = Names.of(environment, config, (EAST, EUROPE), elsewhere, given)

    world = recorded(declare)
    return world, found["names"]


def test_cloudflare_is_shown_the_token_of_the_settings_and_nothing_tells_it():
    world, names = declared("cloudflare", secrets=[CLOUDFLARE_TOKEN, "other"])
    token = world.resources["pulumi:providers:cloudflare", "cloudflare"]["apiToken"]
    assert token[rpc._special_sig_key] == rpc._special_secret_sig
    assert token["value"] == f"value of {CLOUDFLARE_TOKEN}"
    assert world.one("LoadBalancer")["name"] == NAME
    assert (names.endpoint, names.cname) == (f"https://{NAME}", "")


def test_a_preview_may_come_before_the_token():
    world, _ = declared("cloudflare")
    assert "apiToken" not in world.resources["pulumi:providers:cloudflare", "cloudflare"]


def test_a_name_in_cloud_dns_is_declared_in_the_project_of_the_settings_although_no_machine_is_there():
    world, names = declared("cloud_dns", gcp=PROJECT)
    assert world.resources["pulumi:providers:gcp", "gcp"]["project"] == "example-project"
    assert world.one("RecordSet")["name"] == f"{NAME}."
    assert (names.endpoint, names.endpoint_of("edge")) == (f"https://{NAME}", f"https://{NAME}")


def test_without_a_name_an_edge_is_known_by_the_address_that_its_callers_use():
    _, names = declared("none", dns={"owner": "none"})
    found = {site.id: known(names.endpoint_of(site.id)) for site in (EAST, EUROPE)}
    assert found == {site.id: f"https://{site.address}" for site in (EAST, EUROPE)}


@pytest.mark.parametrize("owner", ["cloudflare", "cloud_dns"])
def test_another_owner_declares_nothing_of_the_first(owner):
    world, _ = declared(owner, gcp=PROJECT)
    assert len({typ.split(":")[0] for typ, _ in world.resources} & {"cloudflare", "gcp"}) == 1
