"""Pulumi declares a pool, the controller sets its size: no update of the stack may ever send another one.

Real engine, real SDKs, stand-ins of the providers that keep live sizes (see docs/previews.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.standins import ROOT, Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PROGRAMS = Path(__file__).parent / "programs"
OUTSIDE = 3
"""The size that the controller sets behind Pulumi's back."""


@dataclass(frozen=True)
class Group:
    """What a pool is in a cloud, and where its size stands."""

    type: str
    size: str


GROUPS = {
    "aws": Group("aws:autoscaling/group:Group", "desiredCapacity"),
    "gcp": Group("gcp:compute/instanceGroupManager:InstanceGroupManager", "targetSize"),
    "azure": Group("azure-native:compute:VirtualMachineScaleSet", "sku.capacity"),
}


CLOUDS = [cloud for cloud in GROUPS if (ROOT / "components" / "pools" / f"{cloud}.py").exists()]
"""The clouds that have pools."""


def at(values, path):
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def sizes_sent(program, group):
    """By every update since the pools were created."""
    return [at(r.sent, group.size) for r in program.live.journal("update", group.type)]


def edited_after_a_resize(program, group):
    """Up, a resize outside of Pulumi, then a new tag and a new template. Gives back the live size."""
    program.up(TAG="one", TEMPLATE="one")
    pool = program.live.one(group.type)
    assert at(pool.properties, group.size) == 0
    program.live.set(group.type, pool.id, group.size, OUTSIDE)
    changed = program.up(TAG="two", TEMPLATE="two")
    assert changed.get("update"), "the edits reached nothing"
    return at(program.live.one(group.type).properties, group.size)


# ---------------------------------------------------------------- the proof


@pytest.mark.parametrize("cloud", CLOUDS)
def test_edits_of_a_stack_leave_the_size_that_the_controller_set(tmp_path, cloud):
    program, group = Program(tmp_path, (PROGRAMS / f"{cloud}_pools.py").read_text()), GROUPS[cloud]
    assert edited_after_a_resize(program, group) == OUTSIDE
    assert set(sizes_sent(program, group)) <= {None, OUTSIDE}

    now = {"TAG": "two", "TEMPLATE": "two"}
    assert set(program.preview(**now)) == {"same"}
    program.refresh(**now)
    assert set(program.preview(**now)) == {"same"}
    assert at(program.live.one(group.type).properties, group.size) == OUTSIDE

    program.destroy(**now)
    assert program.live.objects() == []


# ---------------------------------------------------------------- the proof can fail

RAW = {
    "aws": """
provider = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-east-1"))
template = aws.ec2.LaunchTemplate("t", image_id="ami-0123456789abcdef0", user_data=TEMPLATE, opts=provider)
specification = {"launch_template_id": template.id, "version": template.latest_version.apply(str)}
aws.autoscaling.Group(
    "pool",
    min_size=0,
    max_size=8,
    desired_capacity=int(os.environ.get("SIZE", "0")),
    availability_zones=["us-east-1a"],
    mixed_instances_policy={"launch_template": {
        "launch_template_specification": specification, "overrides": [{"instance_type": "g5.xlarge"}]}},
    tags=[{"key": "tag", "value": TAG, "propagate_at_launch": True}],
    opts=pulumi.ResourceOptions.merge(provider, pulumi.ResourceOptions(ignore_changes=IGNORED)),
)
""",
    "gcp": """
provider = pulumi.ResourceOptions(provider=gcp.Provider("gcp", project="project-1"))
template = gcp.compute.InstanceTemplate(
    "t", name_prefix="t-", machine_type="n1-standard-4", metadata={"user-data": TEMPLATE},
    disks=[{"source_image": "projects/debian-cloud/global/images/family/debian-12"}],
    network_interfaces=[{"network": "default"}], opts=provider)
gcp.compute.InstanceGroupManager(
    "pool", zone="us-central1-a", base_instance_name="pool", wait_for_instances=False,
    target_size=int(os.environ.get("SIZE", "0")),
    versions=[{"instance_template": template.self_link_unique}],
    all_instances_config={"labels": {"tag": TAG}},
    opts=pulumi.ResourceOptions.merge(provider, pulumi.ResourceOptions(ignore_changes=IGNORED)),
)
""",
    "azure": """
provider = pulumi.ResourceOptions(provider=azure.Provider("azure", location="eastus"))
group = azure.resources.ResourceGroup("g", opts=provider)
azure.compute.VirtualMachineScaleSet(
    "pool", resource_group_name=group.name, orchestration_mode="Flexible", platform_fault_domain_count=1,
    sku={"name": "Standard_NC24ads_A100_v4", "tier": "Standard", **({"capacity": 0} if CAPACITY else {})},
    virtual_machine_profile={"user_data": TEMPLATE, "priority": "Spot", "eviction_policy": "Delete"},
    tags={"tag": TAG},
    opts=pulumi.ResourceOptions.merge(provider, pulumi.ResourceOptions(ignore_changes=IGNORED)),
)
""",
}
HEAD = """
import base64, os
import pulumi, pulumi_aws as aws, pulumi_gcp as gcp, pulumi_azure_native as azure
from pulumi_aws import autoscaling, ec2
from pulumi_gcp import compute
from pulumi_azure_native import compute as _compute, resources
TAG, TEMPLATE = os.environ["TAG"], base64.b64encode(os.environ["TEMPLATE"].encode()).decode()
IGNORED = [name for name in os.environ.get("IGNORED", "").split(",") if name]
CAPACITY = "CAPACITY" in os.environ
"""


@pytest.mark.parametrize(("cloud", "size"), [("aws", "desiredCapacity"), ("gcp", "targetSize")])
def test_a_bridged_provider_sends_no_size_that_the_program_ignores(tmp_path, monkeypatch, cloud, size):
    monkeypatch.setenv("IGNORED", size)
    program, group = Program(tmp_path, HEAD + RAW[cloud]), GROUPS[cloud]
    assert edited_after_a_resize(program, group) == OUTSIDE
    assert set(sizes_sent(program, group)) == {None}


@pytest.mark.parametrize(("cloud", "size"), [("aws", "desiredCapacity"), ("gcp", "targetSize")])
def test_a_program_that_does_not_ignore_the_size_is_caught(tmp_path, monkeypatch, cloud, size):
    program, group = Program(tmp_path, HEAD + RAW[cloud]), GROUPS[cloud]
    edited_after_a_resize(program, group)
    monkeypatch.setenv("SIZE", "1")
    program.up(TAG="three", TEMPLATE="two")
    assert 1 in sizes_sent(program, group)
    assert at(program.live.one(group.type).properties, group.size) == 1


def test_an_azure_program_that_carries_its_capacity_is_caught_although_it_ignores_changes(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("IGNORED", "sku.capacity")
    monkeypatch.setenv("CAPACITY", "yes")
    program, group = Program(tmp_path, HEAD + RAW["azure"]), GROUPS["azure"]
    assert edited_after_a_resize(program, group) == 0
    assert sizes_sent(program, group) == [0]


def test_an_azure_program_that_leaves_its_capacity_out_is_refused_as_azure_does(tmp_path):
    program = Program(tmp_path, HEAD + RAW["azure"])
    assert "Required parameter 'sku.capacity' is missing" in program.refused(TAG="one", TEMPLATE="one")
