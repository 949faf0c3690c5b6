"""Google Cloud put together, as an environment calls it."""

import pulumi
import pytest

from components.audiences import audience
from components.cloud import Foreign
from components.parts import PartsArgs
from components.parts.gcp import GcpParts
from lb.config import GcpConfig
from planner.layout import EdgeHost, EdgePlace, Layout, Region
from tests.components.gcp_world import PROJECT, REGION, ZONES, pool, recorded, scope

EDGE = EdgePlace(
    "edge-gcp-us-central1",
    "gcp",
    REGION,
    tuple(
        EdgeHost(f"edge-gcp-us-central1-{n}", n, zone, "e2-standard-2")
        for n, zone in enumerate(ZONES, start=1)
    ),
)
REGIONS = (Region("gcp", REGION, ZONES, "10.1.0.0/16"),)
AT_HOME = Layout(("gcp", REGION), ZONES[0], "e2-small", REGIONS, (EDGE,))
AWAY = Layout(("aws", "us-east-1"), "use1-az1", "t3.small", REGIONS, ())


def assembled(tmp_path, layout, *, away=False, use=lambda parts, addresses: None):
    def declare():
        parts = GcpParts(
            PartsArgs(
                scope=scope(),
                parent=pulumi.ComponentResource("test:Environment", "environment"),
                layout=layout,
                pools=[pool()],
                region=REGION,
                files=tmp_path,
                protect=True,
            )
        )
        addresses = parts.addresses()
        parts.networks({name: f"192.0.2.{n}/32" for n, name in enumerate(sorted(addresses))})
        shown = Foreign(
            issuer="https://issuer", subject="arn:role", audience=audience("gcp", scope().env, scope().config)
        )
        parts.controller(shown if away else None, ())
        parts.replicas({"chat": ["gs://weights/llama", "s3://elsewhere/x", "gs://weights/other"]})
        use(parts, addresses)

    return recorded(declare)


def driver(tmp_path, layout, *, away=False):
    """The controller's settings, as it reads them."""
    found = {}

    def use(parts, _addresses):
        pulumi.Output.from_input(parts.driver()).apply(found.update)

    assembled(tmp_path, layout, away=away, use=use)
    return GcpConfig.model_validate(found)


def test_every_host_has_an_address_and_callers_get_the_balancer_s(tmp_path):
    found = {}

    def use(parts, addresses):
        found.update(hosts=sorted(addresses), callers=parts.callers_of(EDGE))

    world = assembled(tmp_path, AT_HOME, use=use)
    assert found["hosts"] == ["controller", "edge-gcp-us-central1-1", "edge-gcp-us-central1-2"]
    assert len(found["callers"]) == 1
    assert len(world.of("Address")) == 3 + 1


def test_the_controller_at_home_is_told_no_bucket_and_no_federation(tmp_path):
    config = driver(tmp_path, AT_HOME)
    assert (config.project, config.secrets, config.regions) == (PROJECT, PROJECT, {REGION})
    assert config.bucket is None
    assert config.federation is None
    assert config.private_in == {REGION}


def test_a_controller_elsewhere_is_told_the_bucket_and_how_it_becomes_somebody_here(tmp_path):
    config = driver(tmp_path, AWAY, away=True)
    assert config.bucket.startswith("gs://tw-prod-acme-llm-")
    assert config.federation.service_account.endswith("@acme-llm.iam.gserviceaccount.com")
    assert config.federation.provider.startswith("//iam.googleapis.com/projects/123456789012/")
    assert config.federation.audience == f"https:{config.federation.provider}"


@pytest.mark.parametrize(("layout", "ports"), [(AT_HOME, {"443", "9443", "9444"}), (AWAY, {"9443"})])
def test_a_region_has_doors_for_the_machines_that_it_has(tmp_path, layout, ports):
    doors = assembled(tmp_path, layout).of("Firewall").values()
    assert {door["allows"][0]["ports"][0] for door in doors} == ports


def test_replicas_read_the_buckets_of_this_cloud_that_they_mount_each_once(tmp_path):
    grants = assembled(tmp_path, AT_HOME).of("BucketIAMMember")
    assert [name for name in grants if "mounts" in name] == ["gcp-chat-mounts-weights"]
