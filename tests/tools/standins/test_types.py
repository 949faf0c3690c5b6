"""Arguments against the types of the installed SDKs."""

import pytest

from tests.tools.standins.plugin import Aborted, Plugin
from tools.standins.sdk import Sdk
from tools.standins.wire import UNKNOWN, Secret

GROUP = "aws:autoscaling/group:Group"
SET = "azure-native:compute:VirtualMachineScaleSet"


@pytest.fixture(scope="module")
def aws():
    return Plugin("aws", region="us-east-1")


@pytest.fixture(scope="module")
def azure():
    return Plugin("azure-native")


def group(**more):
    return {"minSize": 0, "maxSize": 3, "launchTemplate": {"id": "lt-1"}, **more}


def test_a_misspelled_property_is_refused_with_the_nearest_name(aws):
    assert aws.refusals(GROUP, group(desiredCapcity=1)) == [
        "desiredCapcity: desiredCapcity is no property here; did you mean desiredCapacity?"
    ]


def test_a_python_name_in_a_plain_dictionary_is_refused_with_the_name_that_the_provider_knows(aws):
    [reason] = aws.refusals(GROUP, group(tags=[{"key": "a", "value": "b", "propagate_at_launch": True}]))[:1]
    assert reason == (
        "tags[0].propagate_at_launch: propagate_at_launch is no property here; did you mean propagateAtLaunch?"
    )


def test_a_missing_required_property_is_named_as_programs_and_as_the_provider_write_it(aws):
    assert aws.refusals(GROUP, {"minSize": 0, "launchTemplate": {"id": "lt-1"}}) == [
        "maxSize: maxSize (max_size) is required: an integer"
    ]


def test_a_missing_property_of_a_nested_object_is_named_with_its_path(aws):
    refused = aws.refusals(GROUP, group(tags=[{"key": "a", "value": "b"}]))
    assert refused == [
        "tags[0].propagateAtLaunch: propagateAtLaunch (propagate_at_launch) is required: a boolean"
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"maxSize": "3"}, "maxSize: expected an integer, got a string"),
        ({"maxSize": 2.5}, "maxSize: expected an integer, got a number"),
        ({"maxSize": True}, "maxSize: expected an integer, got a boolean"),
        ({"forceDelete": "yes"}, "forceDelete: expected a boolean, got a string"),
        ({"vpcZoneIdentifiers": "subnet-1"}, "vpcZoneIdentifiers: expected a list of a string, got a string"),
        ({"vpcZoneIdentifiers": [1]}, "vpcZoneIdentifiers[0]: expected a string, got a number"),
        (
            {"launchTemplate": "lt-1"},
            "launchTemplate: expected an object (GroupLaunchTemplate), got a string",
        ),
        ({"tags": {"a": "b"}}, "tags: expected a list of an object (GroupTag), got an object"),
    ],
)
def test_a_wrong_type_is_refused_with_what_was_expected(aws, given, reason):
    assert aws.refusals(GROUP, group(**given)) == [reason]


def test_a_value_that_azure_does_not_have_is_refused_with_the_nearest(azure):
    inputs = {"resourceGroupName": "g", "platformFaultDomainCount": 1, "orchestrationMode": "Flexibel"}
    assert azure.refusals(SET, inputs) == [
        "orchestrationMode: expected one of Uniform, Flexible, got 'Flexibel'; did you mean Flexible?"
    ]


def test_values_of_aws_that_are_newer_than_the_sdk_pass(aws):
    inputs = {"ami": "ami-0123456789abcdef0", "instanceType": "p9.48xlarge"}
    assert aws.refusals("aws:ec2/instance:Instance", inputs) == []


def test_unknown_and_secret_values_pass_where_their_type_would(aws):
    assert aws.refusals(GROUP, group(maxSize=UNKNOWN, vpcZoneIdentifiers=[UNKNOWN])) == []
    assert aws.refusals(GROUP, group(desiredCapacity=Secret(1), vpcZoneIdentifiers=UNKNOWN)) == []


def test_a_wrong_secret_value_is_refused_without_being_shown(aws):
    [reason] = aws.refusals(GROUP, group(maxSize=Secret("hunter2")))
    assert "hunter2" not in reason


def test_a_property_of_several_types_takes_each_of_them(aws):
    document = '{"Version": "2012-10-17", "Statement": []}'
    policy = {"bucket": "some-bucket", "policy": document}
    assert aws.refusals("aws:s3/bucketPolicy:BucketPolicy", policy) == []
    assert aws.refusals("aws:s3/bucketPolicy:BucketPolicy", {**policy, "policy": 1})


def test_a_resource_that_the_sdk_does_not_have_is_named_with_the_sdks_version(aws):
    with pytest.raises(Aborted, match=rf"aws SDK {Sdk('aws').version} has no resource aws:ec2/vpx:Vpx"):
        aws.check("aws:ec2/vpx:Vpx", {})


def test_arguments_of_a_function_are_judged_too(aws):
    _, failures = aws.invoke("aws:ssm/getParameter:getParameter", nam="/a")
    assert failures == ["nam: nam is no argument of it; did you mean name?"]


def test_a_function_that_asks_a_cloud_is_refused(aws):
    with pytest.raises(Aborted, match="asks a cloud, and a stand-in has none to ask"):
        aws.invoke("aws:index/getCallerIdentity:getCallerIdentity")


def test_an_image_parameter_has_one_id_per_name_and_region(aws):
    first, _ = aws.invoke("aws:ssm/getParameter:getParameter", name="/image")
    again, _ = aws.invoke("aws:ssm/getParameter:getParameter", name="/image")
    other, _ = aws.invoke("aws:ssm/getParameter:getParameter", name="/image", region="eu-west-1")
    assert first["value"].startswith("ami-")
    assert first["value"] == again["value"] != other["value"]


@pytest.mark.parametrize(
    ("package", "token"),
    [
        ("aws", "aws:lb/targetGroup:TargetGroup"),
        ("gcp", "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate"),
        ("gcp", "gcp:projects/iAMCustomRole:IAMCustomRole"),
        ("azure-native", "azure-native:network:PublicIPAddress"),
        ("azure-native", "azure-native:managedidentity:FederatedIdentityCredential"),
        ("tls", "tls:index/locallySignedCert:LocallySignedCert"),
        ("cloudflare", "cloudflare:index/dnsRecord:DnsRecord"),
        ("kubernetes", "kubernetes:apps/v1:Deployment"),
        ("kubernetes", "kubernetes:helm.sh/v3:Release"),
    ],
)
def test_the_generated_sources_of_every_sdk_can_be_read(package, token):
    resource = Sdk(package).resource(token)
    assert resource.inputs
    assert all(field.type for field in resource.inputs.values())


def test_types_read_from_the_sources_are_those_that_the_sdk_itself_has():
    from pulumi._types import input_type_types, resource_types
    from pulumi_gcp.compute import InstanceTemplate
    from pulumi_gcp.compute.instance_template import InstanceTemplateArgs

    read = Sdk("gcp").resource("gcp:compute/instanceTemplate:InstanceTemplate")
    assert set(read.inputs) == set(input_type_types(InstanceTemplateArgs))
    assert set(read.outputs) == set(resource_types(InstanceTemplate))
