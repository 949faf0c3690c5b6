"""Create, read, update and delete: what a provider sends, what its cloud keeps, and what neither will do."""

import json
import sqlite3
import subprocess
import sys

import pytest

from tests.tools.standins.plugin import Aborted, Plugin
from tools.standins.live import Clouds
from tools.standins.wire import UNKNOWN, Secret

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
GROUP, TEMPLATE = "aws:autoscaling/group:Group", "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
SECRET = "aws:secretsmanager/secret:Secret"
VALUE = "aws:secretsmanager/secretVersion:SecretVersion"
SET, RESOURCE_GROUP = "azure-native:compute:VirtualMachineScaleSet", "azure-native:resources:ResourceGroup"
VAULT = {"tenantId": "t", "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True}
BUCKET, OBJECT = "aws:s3/bucket:Bucket", "aws:s3/bucketObjectv2:BucketObjectv2"


@pytest.fixture
def aws(live):
    return Plugin("aws", region="us-east-1", defaultTags='{"tags": {"owner": "me"}}')


@pytest.fixture
def azure(live):
    plugin = Plugin("azure-native", location="eastus")
    plugin.create(RESOURCE_GROUP, {"resourceGroupName": "g", "location": "eastus"}, name="g")
    return plugin


def group(template, **more):
    specification = {"launchTemplateSpecification": {"launchTemplateId": template}}
    return {
        "name": "pool",
        "minSize": 0,
        "maxSize": 8,
        "desiredCapacity": 0,
        "mixedInstancesPolicy": {"launchTemplate": specification},
        **more,
    }


def template(**more):
    return {"name": "template", "imageId": "ami-0123456789abcdef0", **more}


def scale_set(**more):
    return {
        "resourceGroupName": "g",
        "vmScaleSetName": "pool",
        "orchestrationMode": "Flexible",
        "platformFaultDomainCount": 1,
        "sku": {"name": "Standard_NC24ads_A100_v4", "capacity": 0},
        **more,
    }


# ---------------------------------------------------------------- previews


def test_a_preview_knows_what_is_given_and_not_what_the_cloud_will_say(live, aws):
    id_, outputs = aws.create(VPC, {"cidrBlock": "10.0.0.0/16"}, preview=True)
    assert id_ == ""
    assert outputs["cidrBlock"] == "10.0.0.0/16"
    assert outputs["arn"] is UNKNOWN
    assert outputs["mainRouteTableId"] is UNKNOWN
    assert "ipv4IpamPoolId" not in outputs
    assert live.objects() == []
    assert live.journal() == []


def test_a_preview_of_an_update_keeps_the_clouds_own_values_but_for_those_that_it_renews(aws):
    id_, state = aws.create(TEMPLATE, template())
    new = template(description="new")
    outputs = aws.update(TEMPLATE, id_, template(), new, state=state, preview=True)
    assert outputs["arn"] == state["arn"]
    assert outputs["description"] == "new"
    assert outputs["latestVersion"] is UNKNOWN


def test_without_a_folder_for_live_objects_only_previews_are_served(aws, monkeypatch):
    monkeypatch.delenv("TRADEWIND_STANDIN_DIR")
    aws.create(VPC, {"cidrBlock": "10.0.0.0/16"}, preview=True)
    with pytest.raises(Aborted, match="creates nothing real"):
        aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})


# ---------------------------------------------------------------- bridged providers


def test_a_created_object_has_outputs_in_the_forms_of_its_cloud(aws):
    id_, outputs = aws.create(VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}})
    assert id_.startswith("vpc-")
    assert outputs["arn"] == f"arn:aws:ec2:us-east-1:123456789012:vpc/{id_}"
    assert outputs["tagsAll"] == {"owner": "me", "a": "b"}


def test_an_update_sends_only_what_changed_so_a_size_set_outside_stays(live, aws):
    template_id, _ = aws.create(TEMPLATE, template(), name="template")
    id_, state = aws.create(GROUP, group(template_id))
    live.set(GROUP, id_, "desiredCapacity", 3)
    outputs = aws.update(GROUP, id_, group(template_id), group(template_id, maxSize=9), state=state)
    assert [r.sent for r in live.journal("update")] == [{"maxSize": 9}]
    assert live.one(GROUP).properties["desiredCapacity"] == 3
    assert outputs["desiredCapacity"] == 3  # providers read back what they updated


def test_a_group_follows_a_largest_size_below_its_own(live, aws):
    template_id, _ = aws.create(TEMPLATE, template(), name="template")
    id_, state = aws.create(GROUP, group(template_id))
    live.set(GROUP, id_, "desiredCapacity", 5)
    aws.update(GROUP, id_, group(template_id), group(template_id, maxSize=2), state=state)
    assert live.one(GROUP).properties["desiredCapacity"] == 2


def test_a_property_that_is_left_out_is_removed(live, aws):
    id_, state = aws.create(VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}})
    old = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}}
    outputs = aws.update(VPC, id_, old, {"cidrBlock": "10.0.0.0/16"}, state=state)
    assert "tags" not in outputs
    assert outputs["tagsAll"] == {"owner": "me"}
    assert live.one(VPC).properties.get("tags") is None


def test_what_takes_no_arguments_never_differs_whatever_it_puts_out(live, aws):
    issuer = "aws:iam/outboundWebIdentityFederation:OutboundWebIdentityFederation"
    _, state = aws.create(issuer, {})
    assert state["issuerIdentifier"]
    assert not aws.diff(issuer, {}, {}, state=state).diffs


def test_a_template_gets_a_new_version_with_each_change(live, aws):
    id_, state = aws.create(TEMPLATE, template())
    outputs = aws.update(TEMPLATE, id_, template(), template(instanceType="g5.xlarge"), state=state)
    assert (state["latestVersion"], outputs["latestVersion"]) == (1, 2)


def test_a_refresh_tells_the_live_size_in_outputs_and_in_the_arguments_that_were_given(live, aws):
    template_id, _ = aws.create(TEMPLATE, template(), name="template")
    inputs = group(template_id)
    id_, state = aws.create(GROUP, inputs)
    live.set(GROUP, id_, "desiredCapacity", 3)
    _, outputs, arguments = aws.read(GROUP, id_, state, inputs)
    assert outputs["desiredCapacity"] == arguments["desiredCapacity"] == 3
    assert arguments == {**inputs, "desiredCapacity": 3}
    without = {name: value for name, value in inputs.items() if name != "desiredCapacity"}
    assert aws.read(GROUP, id_, state, without)[2] == without


def test_what_somebody_deleted_outside_is_gone_after_a_refresh(live, aws):
    id_, state = aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    aws.delete(VPC, id_)
    assert aws.read(VPC, id_, state, {})[0] == ""
    aws.delete(VPC, id_)
    with pytest.raises(Aborted, match="is gone from the cloud"):
        aws.update(VPC, id_, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}})


# ---------------------------------------------------------------- whole objects


def test_an_update_of_azure_sends_the_whole_object(live, azure):
    id_, state = azure.create(SET, scale_set())
    azure.update(SET, id_, scale_set(), scale_set(tags={"a": "b"}), state=state)
    [request] = live.journal("update", SET)
    assert request.sent == scale_set(tags={"a": "b"})


@pytest.mark.parametrize("size", [0, 1])
def test_a_put_sets_the_size_whatever_its_edit_is_about(live, azure, size):
    given = scale_set(sku={"name": "Standard_NC24ads_A100_v4", "capacity": size})
    id_, state = azure.create(SET, given)
    live.set(SET, id_, "sku.capacity", 3)
    azure.update(SET, id_, given, {**given, "tags": {"a": "b"}}, state=state)
    assert live.one(SET).properties["sku"]["capacity"] == size


def test_a_refresh_of_azure_makes_an_argument_of_the_live_size(live, azure):
    id_, state = azure.create(SET, scale_set())
    assert azure.read(SET, id_, state, scale_set())[2] == scale_set()
    live.set(SET, id_, "sku.capacity", 3)
    _, outputs, arguments = azure.read(SET, id_, state, scale_set())
    assert outputs["sku"]["capacity"] == arguments["sku"]["capacity"] == 3


def test_a_resource_template_writes_its_resources_whole_and_leaves_a_size_that_it_does_not_carry(live, azure):
    id_, _ = azure.create(SET, scale_set(), name="pool")
    live.set(SET, id_, "sku.capacity", 3)
    resource = {
        "type": "Microsoft.Compute/virtualMachineScaleSets",
        "apiVersion": "2024-11-01",
        "name": "pool",
        "location": "eastus",
        "tags": {"a": "[[b"},
        "properties": {"platformFaultDomainCount": 1, "virtualMachineProfile": {"priority": "Spot"}},
    }
    text = {"$schema": "s", "contentVersion": "1.0.0.0", "resources": [resource]}
    edit = {
        "resourceGroupName": "g",
        "deploymentName": "d",
        "properties": {"mode": "Incremental", "template": text},
    }
    azure.create("azure-native:resources:Deployment", edit, name="edit")
    pool = live.one(SET).properties
    assert pool["tags"] == {"a": "[b"}
    assert pool["virtualMachineProfile"] == {"priority": "Spot"}
    assert pool["sku"]["capacity"] == 3
    [request] = live.journal("update", SET)
    assert "sku" not in request.sent


def test_a_change_that_azure_refuses_is_refused_in_the_preview_already(azure):
    id_, state = azure.create(SET, scale_set())
    with pytest.raises(Aborted, match="PropertyChangeNotAllowed: orchestrationMode"):
        azure.update(SET, id_, scale_set(), scale_set(orchestrationMode="Uniform"), state=state, preview=True)


# ---------------------------------------------------------------- replacement


@pytest.mark.parametrize(
    ("package", "type_", "old", "new", "replaces"),
    [
        ("aws", VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.1.0.0/16"}, ["cidrBlock"]),
        ("aws", VPC, {"tags": {"a": "b"}}, {"tags": {"a": "c"}}, []),
        ("aws", GROUP, {"name": "a", "maxSize": 1}, {"name": "b", "maxSize": 2}, ["name"]),
        ("aws", INSTANCE, {"userData": "a"}, {"userData": "b"}, []),
        (
            "aws",
            INSTANCE,
            {"userData": "a", "userDataReplaceOnChange": True},
            {"userData": "b", "userDataReplaceOnChange": True},
            ["userData"],
        ),
        ("aws", TEMPLATE, {"userData": "YQ=="}, {"userData": "Yg=="}, []),
        (
            "gcp",
            "gcp:compute/instanceTemplate:InstanceTemplate",
            {"disks": [{"diskSizeGb": 10}]},
            {"disks": [{"diskSizeGb": 20}]},
            ["disks"],
        ),
        (
            "gcp",
            "gcp:compute/instanceGroupManager:InstanceGroupManager",
            {"zone": "a", "targetSize": 0},
            {"zone": "a", "targetSize": 3},
            [],
        ),
        ("azure-native", SET, scale_set(), scale_set(tags={"a": "b"}), []),
        ("azure-native", SET, scale_set(), scale_set(resourceGroupName="h"), ["resourceGroupName"]),
        ("azure-native", SET, {"location": "eastus"}, {"location": "westus"}, ["location"]),
    ],
)
def test_a_change_is_an_update_or_a_replacement_as_in_the_real_provider(package, type_, old, new, replaces):
    answer = Plugin(package).diff(type_, old, new)
    assert list(answer.replaces) == replaces
    assert answer.changes == answer.DIFF_SOME


def test_no_change_is_no_diff_and_one_deep_inside_is_named_with_its_path():
    aws = Plugin("aws")
    old = group("lt-1", tags=[{"key": "a", "value": "b", "propagateAtLaunch": True}])
    assert aws.diff(GROUP, old, old).changes == 1
    new = group("lt-1", tags=[{"key": "a", "value": "c", "propagateAtLaunch": True}])
    assert list(aws.diff(GROUP, old, new).detailedDiff) == ["tags[0].value"]
    assert list(aws.diff(GROUP, old, group(UNKNOWN)).detailedDiff) == [
        "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateId",
        "tags",
    ]


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ({"bucket": "a-name"}, {"bucket": "a-name", "objectLockEnabled": True}, True),
        ({"bucket": "a-name"}, {"bucket": "another"}, False),
    ],
)
def test_the_old_object_goes_first_when_its_name_is_wanted_again(old, new, first):
    assert Plugin("aws").diff(BUCKET, old, new).deleteBeforeReplace is first


# ---------------------------------------------------------------- what only live objects decide


def test_a_reference_to_what_does_not_exist_is_refused(aws):
    with pytest.raises(Aborted, match="names vpc-00000000000000000, which does not exist"):
        aws.create(SUBNET, {"vpcId": "vpc-00000000000000000", "cidrBlock": "10.0.0.0/20"})


def test_subnets_lie_in_their_network_and_apart_from_each_other(aws):
    vpc, _ = aws.create(VPC, {"cidrBlock": "10.0.0.0/16"}, name="vpc")
    aws.create(SUBNET, {"vpcId": vpc, "cidrBlock": "10.0.0.0/20"}, name="one")
    with pytest.raises(Aborted, match=r"10\.0\.8\.0/21 overlaps 10\.0\.0\.0/20 of one"):
        aws.create(SUBNET, {"vpcId": vpc, "cidrBlock": "10.0.8.0/21"}, name="two")
    with pytest.raises(Aborted, match=r"10\.1\.0\.0/20 is not within 10\.0\.0\.0/16"):
        aws.create(SUBNET, {"vpcId": vpc, "cidrBlock": "10.1.0.0/20"}, name="two")
    aws.create(SUBNET, {"vpcId": vpc, "cidrBlock": "10.0.16.0/20"}, name="two")


def test_a_template_with_market_options_is_refused_by_a_group_of_mixed_instances(aws):
    spot = template(instanceMarketOptions={"marketType": "spot"})
    template_id, _ = aws.create(TEMPLATE, spot, name="template")
    with pytest.raises(Aborted, match="has market options: a mixed group refuses it"):
        aws.create(GROUP, group(template_id))
    alone = {key: value for key, value in group("").items() if key != "mixedInstancesPolicy"}
    aws.create(GROUP, {**alone, "launchTemplate": {"id": template_id}})


def test_a_name_that_is_taken_is_refused(aws):
    aws.create(SECRET, {"name": "a"}, name="one")
    with pytest.raises(Aborted, match="a exists already"):
        Plugin("aws", region="us-east-1").create(SECRET, {"name": "a"}, name="two")


def test_azure_objects_need_their_group_and_go_with_it(live, azure):
    with pytest.raises(Aborted, match="ResourceGroupNotFound: other"):
        azure.create(SET, scale_set(resourceGroupName="other"))
    azure.create(SET, scale_set())
    azure.delete(RESOURCE_GROUP, next(o.id for o in live.objects(RESOURCE_GROUP)))
    assert live.objects() == []


def test_what_is_in_use_or_not_empty_is_not_deleted(live, aws):
    vpc, _ = aws.create(VPC, {"cidrBlock": "10.0.0.0/16"}, name="vpc")
    subnet, _ = aws.create(SUBNET, {"vpcId": vpc, "cidrBlock": "10.0.0.0/20"}, name="subnet")
    with pytest.raises(Aborted, match="DependencyViolation: it is in use by subnet"):
        aws.delete(VPC, vpc)
    aws.delete(SUBNET, subnet)
    aws.delete(VPC, vpc)

    bucket, _ = aws.create(BUCKET, {"bucket": "some-bucket"}, name="bucket")
    inside, _ = aws.create(OBJECT, {"bucket": bucket, "key": "k", "content": "c"}, name="object")
    with pytest.raises(Aborted, match="BucketNotEmpty: it holds 1 objects"):
        aws.delete(BUCKET, bucket)
    aws.delete(OBJECT, inside)
    aws.delete(BUCKET, bucket)
    assert live.objects() == []


def test_names_that_a_cloud_keeps_after_a_deletion_can_not_be_had_again(live, aws, azure):
    for window, free in ((0, True), (7, False)):
        secret = {"name": f"after-{window}", "recoveryWindowInDays": window}
        id_, _ = aws.create(SECRET, secret, name="secret")
        aws.delete(SECRET, id_)
        if free:
            aws.create(SECRET, secret, name="secret")
        else:
            with pytest.raises(Aborted, match="scheduled for deletion"):
                aws.create(SECRET, secret, name="secret")

    vault = {"resourceGroupName": "g", "vaultName": "a-vault", "properties": VAULT}
    id_, _ = azure.create("azure-native:keyvault:Vault", vault)
    azure.delete("azure-native:keyvault:Vault", id_)
    with pytest.raises(Aborted, match="exists in deleted state"):
        azure.create("azure-native:keyvault:Vault", vault)
    azure.create("azure-native:keyvault:Vault", {**vault, "properties": {**VAULT, "createMode": "recover"}})


# ---------------------------------------------------------------- secrets, cancel, kills


def test_secrets_stay_secret_and_are_nowhere_in_the_live_state(live, aws):
    arn, _ = aws.create(SECRET, {"name": "a"}, name="secret")
    inputs = {"secretId": arn, "secretString": Secret("hunter2")}
    id_, outputs = aws.create(VALUE, inputs, name="value")
    assert outputs["secretString"] == Secret("hunter2")
    assert aws.read(VALUE, id_, outputs, inputs)[1:] == (outputs, inputs)
    assert b"hunter2" not in live.path.read_bytes()
    [request] = live.journal("create", VALUE)
    assert list(request.sent["secretString"]) == ["secret_sha256"]


def test_another_value_of_a_secret_in_google_cloud_is_another_version_beside_the_first(live):
    gcp = Plugin("gcp", project="example-project")
    secret, _ = gcp.create(
        "gcp:secretmanager/secret:Secret", {"secretId": "s", "replication": {"auto": {}}}, name="s"
    )
    values = [{"secret": secret, "secretData": f"value {n}"} for n in range(20)]
    version = "gcp:secretmanager/secretVersion:SecretVersion"
    made = [gcp.create(version, value, name=f"v{n}")[0] for n, value in enumerate(values)]
    assert len(set(made)) == len(made)


def test_after_a_cancel_nothing_is_changed_any_more(live, aws):
    aws.cancel()
    with pytest.raises(Aborted, match="cancelled"):
        aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    assert live.objects() == []


def test_a_stand_in_that_is_killed_while_it_writes_leaves_the_old_state(live, tmp_path):
    script = f"""
import os, pathlib, signal
from tools.standins.live import Clouds, Live
clouds = Clouds(pathlib.Path({str(tmp_path / "live")!r}))
with clouds.transaction() as session:
    session.put(Live("t", "whole", "n", "", "u", {{}}))
with clouds.transaction() as session:
    session.put(Live("t", "half", "n", "", "u", {{}}))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -9
    assert [o.id for o in Clouds(tmp_path / "live").objects()] == ["whole"]
    with sqlite3.connect(live.path) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)


def test_what_a_test_reads_back_is_what_was_sent(live, aws):
    aws.create(VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}})
    [request] = live.journal()
    assert (request.operation, request.type) == ("create", VPC)
    assert json.loads(json.dumps(request.sent)) == {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}}
