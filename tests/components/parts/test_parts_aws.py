"""AWS put together, as an environment calls it."""

import json
from pathlib import Path

import pulumi
import pytest

from components import audiences
from components.cloud import Foreign
from components.parts import PartsArgs
from components.parts.aws import AwsParts
from lb.config import AwsConfig
from planner.layout import EdgeHost, EdgePlace, Layout, Region
from tests.components.aws_world import ACCOUNT, REGION, ZONES, a_pool, known, recorded, scope

EDGE = EdgePlace(
    "edge-aws-us-east-1",
    "aws",
    REGION,
    tuple(EdgeHost(f"edge-aws-us-east-1-{n}", n, zone, "c7i.large") for n, zone in enumerate(ZONES, start=1)),
)
AT_HOME = Layout(
    ("aws", REGION), ZONES[0], "t3.small", (Region("aws", REGION, ZONES, "10.1.0.0/16"),), (EDGE,)
)
AWAY = Layout(("gcp", "us-central1"), "a", "e2-small", AT_HOME.regions, (EDGE,))
GOOGLE = Foreign(issuer="https://accounts.google.com", subject="1", audience=audiences.AWS)


def assembled(layout, *, foreign=None, gangs=(), use=lambda parts, addresses: None):
    def declare():
        environment = pulumi.ComponentResource("test:Environment", "environment")
        parts = AwsParts(
            PartsArgs(
                scope=scope(),
                parent=environment,
                layout=layout,
                pools=[a_pool(ZONES[1])],
                region=REGION,
                files=Path("unused"),
                protect=True,
                gangs=frozenset(gangs),
            )
        )
        addresses = parts.addresses()
        parts.networks({name: f"192.0.2.{n}/32" for n, name in enumerate(sorted(addresses))})
        parts.controller(foreign, ())
        parts.replicas({"chat": ["s3://weights/llama", "gs://elsewhere/x", "s3://weights/other"]})
        use(parts, addresses)

    return recorded(declare)


def test_every_host_has_an_address_and_callers_get_the_balancer_s_of_each_zone():
    found = {}

    def use(parts, addresses):
        found.update(hosts=sorted(addresses), callers=parts.callers_of(EDGE))

    world = assembled(AT_HOME, use=use)
    assert found["hosts"] == ["controller", "edge-aws-us-east-1-1", "edge-aws-us-east-1-2"]
    assert len(found["callers"]) == 2
    assert len(world.of("Eip")) == 3 + 2


def test_an_address_of_the_controller_is_declared_at_home_only():
    world = assembled(AWAY, foreign=GOOGLE)
    assert not [name for name in world.of("Eip") if "controller" in name]
    assert not world.options["aws:s3/bucket:Bucket", "aws-store"]["protect"], "what it holds is made anew"


@pytest.mark.parametrize(
    ("layout", "foreign", "roles"),
    [(AT_HOME, None, {"controller", "edges", "replicas"}), (AWAY, GOOGLE, {"edges", "replicas"})],
)
def test_a_region_has_firewalls_for_the_machines_that_it_has(layout, foreign, roles):
    groups = assembled(layout, foreign=foreign).of("SecurityGroup")
    assert groups.keys() == {f"aws-{REGION}-{role}" for role in roles}


def test_a_region_lets_machines_reach_each_other_only_for_services_with_gangs_that_have_pools_there():
    world = assembled(AT_HOME, gangs={"chat", "elsewhere"})
    assert {n for n in world.of("SecurityGroup") if "peers" in n} == {f"aws-{REGION}-peers-chat"}


def test_replicas_may_read_the_buckets_that_their_service_mounts_and_none_of_another_cloud():
    policy = assembled(AT_HOME).of("RolePolicy")["aws-chat"]["policy"]
    [mounted] = [s for s in json.loads(policy)["Statement"] if s["Sid"] == "Mounted"]
    read = ("llama", "llama/*", "other", "other/*")
    assert mounted["Resource"] == [f"arn:aws:s3:::weights/{pattern}" for pattern in read]


@pytest.mark.parametrize(("layout", "foreign"), [(AT_HOME, None), (AWAY, GOOGLE)])
def test_the_driver_is_told_a_bucket_and_a_role_only_where_they_are_not_the_host_s_own(layout, foreign):
    found = {}
    assembled(layout, foreign=foreign, use=lambda parts, _: found.update(parts.driver()))
    assert found["regions"] == [REGION]
    assert found["private_in"] == ([REGION] if layout is AT_HOME else [])
    understood = AwsConfig(**{name: known(value) for name, value in found.items()})
    assert understood.secrets == REGION
    if layout is AT_HOME:
        assert not {"role_arn", "bucket"} & found.keys()
    else:
        assert understood.role_arn.startswith(f"arn:aws:iam::{ACCOUNT}:Role/tw-prod-controller-")
        assert found["bucket"].startswith("s3://")
        assert found["bucket_region"] == REGION
