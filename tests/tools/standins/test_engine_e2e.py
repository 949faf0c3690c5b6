"""Pulumi's real engine with the stand-ins of three clouds and of the TLS provider."""

import pytest

from tests.standins import Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PROGRAM = """
import base64
import os

import pulumi
import pulumi_aws as aws
import pulumi_azure_native as azure
import pulumi_gcp as gcp
import pulumi_tls as tls
from pulumi_aws import autoscaling, ec2, secretsmanager
from pulumi_azure_native import network, resources
from pulumi_gcp import compute

cidr = os.environ.get("CIDR", "10.0.0.0/20")
on_aws = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-east-1", default_tags={"tags": {"owner": "me"}}))
on_gcp = pulumi.ResourceOptions(provider=gcp.Provider("gcp", project="project-1"))
on_azure = pulumi.ResourceOptions(provider=azure.Provider("azure", location="eastus"))

vpc = ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=on_aws)
subnet = ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block=cidr, availability_zone_id="use1-az1", opts=on_aws)
template = ec2.LaunchTemplate(
    "template",
    image_id="ami-0123456789abcdef0",
    user_data=base64.b64encode(b"#cloud-config").decode(),
    tags={"template": os.environ.get("TAG", "1")},
    opts=on_aws,
)
specification = {"launch_template_id": template.id, "version": template.latest_version.apply(str)}
autoscaling.Group(
    "group",
    min_size=0,
    max_size=3,
    vpc_zone_identifiers=[subnet.id],
    mixed_instances_policy={
        "launch_template": {
            "launch_template_specification": specification,
            "overrides": [{"instance_type": "g5.xlarge"}],
        }
    },
    opts=on_aws,
)
key = tls.PrivateKey("key", algorithm="ECDSA", ecdsa_curve="P256")
secret = secretsmanager.Secret("secret", opts=on_aws)
secretsmanager.SecretVersion("version", secret_id=secret.id, secret_string=key.private_key_pem, opts=on_aws)
net = compute.Network("net", auto_create_subnetworks=False, opts=on_gcp)
compute.Subnetwork("sub", network=net.id, ip_cidr_range="10.1.0.0/20", region="us-central1", opts=on_gcp)
group = resources.ResourceGroup("group", opts=on_azure)
network.VirtualNetwork(
    "vnet", resource_group_name=group.name, address_space={"address_prefixes": ["10.2.0.0/16"]}, opts=on_azure
)
pulumi.export("key", key.private_key_pem)
pulumi.export("public", key.public_key_pem)
pulumi.export("vpc", vpc.id)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return Program(tmp_path_factory.mktemp("p"), PROGRAM)


def test_a_program_on_three_clouds_is_previewed_and_lives_its_whole_life_without_credentials(program):
    assert program.preview() == {"create": 15}
    assert program.live.objects() == []
    assert program.up() == {"create": 15}
    assert program.outputs()["public"].startswith("-----BEGIN PUBLIC KEY-----")
    assert program.preview() == {"same": 15}
    program.refresh()
    assert program.preview() == {"same": 15}

    secret_key = program.outputs()["key"]
    assert secret_key.startswith("-----BEGIN EC PRIVATE KEY-----")
    line = secret_key.splitlines()[1]
    files = [path for path in program.root.rglob("*") if path.is_file() and "home" not in path.parts]
    assert files
    assert not [path for path in files if line.encode() in path.read_bytes()]

    assert program.preview(CIDR="10.0.16.0/20") == {"same": 13, "replace": 1, "update": 1}
    program.destroy()
    assert program.live.objects() == []


def test_an_outputs_type_that_does_not_fit_is_told_before_anything_is_created(program):
    program.write(PROGRAM.replace("min_size=0", 'min_size=pulumi.Output.from_input("none")'))
    assert "minSize: expected an integer, got a string" in program.refused()
    program.write(PROGRAM)
