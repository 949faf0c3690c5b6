"""The bucket and the secrets of an environment in AWS."""

import base64
import json

import pulumi
import pytest
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key

from components.store.aws import AwsStore, AwsStoreArgs, bucket_name
from tests.components.aws_world import ACCOUNT, REGION, recorded, scope

BUCKET = "prod-state"


def store(**more):
    config = {"home": {"cloud": "aws", "region": REGION, "bucket": BUCKET}}
    return AwsStore("store", AwsStoreArgs(scope=scope(**config), region=REGION, **more))


@pytest.fixture(scope="module")
def created():
    def declare():
        made = store()
        assert made.url == f"s3://{BUCKET}"
        opts = pulumi.ResourceOptions()
        made.write("text", "desired/prod.json", "{}", opts)
        made.write("binary", "bundles/ab.tar.gz", b"\x1f\x8b", opts)
        made.write("file", "hosts/node.tar", pulumi.FileAsset(__file__), opts)
        made.secret("hf-token", owner="service-chat", value="hf_secret", opts=opts)
        made.secret("leaf", owner="edge", value="{}", renewed=True, opts=opts)

    return recorded(declare)


def test_the_bucket_is_private_encrypted_and_takes_tls_only(created):
    block = created.one("BucketPublicAccessBlock")
    assert all(block[k] for k in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls"))
    assert block["restrictPublicBuckets"]
    assert created.one("BucketOwnershipControls")["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    [rule] = created.one("BucketServerSideEncryptionConfiguration")["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "AES256"
    [denied] = json.loads(created.one("BucketPolicy")["policy"])["Statement"]
    assert denied["Effect"] == "Deny"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert denied["Resource"] == [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]


def test_what_was_overwritten_can_be_had_back_and_then_is_gone_by_itself(created):
    assert created.one("BucketVersioning")["versioningConfiguration"] == {"status": "Enabled"}
    rules = created.one("BucketLifecycleConfiguration")["rules"]
    days = {
        r["filter"]["prefix"]: r["noncurrentVersionExpiration"]["noncurrentDays"]
        for r in rules
        if "noncurrentVersionExpiration" in r
    }
    assert days[""] == 30
    assert days["status.json"] == days["lease/"] == 1
    assert not any("days" in r.get("expiration", {}) for r in rules), "nothing current ends by itself"


def test_the_bucket_is_guarded_unless_the_environment_is_one_to_throw_away(created):
    assert created.options["aws:s3/bucket:Bucket", "store"]["protect"]
    thrown_away = recorded(lambda: store(protect=False))
    assert not thrown_away.options["aws:s3/bucket:Bucket", "store"]["protect"]
    assert thrown_away.one("Bucket")["forceDestroy"], "the controller's objects do not hold a destroy up"


def test_objects_are_written_as_they_are(created):
    objects = {o["key"]: o for o in created.of("BucketObjectv2").values()}
    assert objects["desired/prod.json"]["content"] == "{}"
    assert base64.b64decode(objects["bundles/ab.tar.gz"]["contentBase64"]) == b"\x1f\x8b"
    assert objects["hosts/node.tar"]["source"].path == __file__
    assert {o["bucket"] for o in objects.values()} == {BUCKET}


def test_secrets_have_the_names_by_which_machines_ask_for_them(created):
    names = {s["name"]: n for n, s in created.of("Secret").items()}
    assert names.keys() == {"tradewind/prod/service-chat/hf-token", "tradewind/prod/edge/leaf"}
    values = {v["secretId"]: v["secretString"] for v in created.of("SecretVersion").values()}
    assert values[f"id of {names['tradewind/prod/edge/leaf']}"]["value"] == "{}"


def test_a_value_is_a_secret_of_the_state_even_when_it_was_given_as_text(created):
    for version in created.of("SecretVersion").values():
        assert version["secretString"][_special_sig_key] == _special_secret_sig


def test_a_deleted_secret_frees_its_name_so_that_the_environment_can_come_back(created):
    assert {s["recoveryWindowInDays"] for s in created.of("Secret").values()} == {0}


def test_a_secret_that_the_controller_renews_is_written_once(created):
    ignored = {
        name: options["ignore_changes"]
        for (type_, name), options in created.options.items()
        if type_.endswith(":SecretVersion")
    }
    assert ignored == {"edge-leaf-aws-value": ["secretString"], "service-chat-hf-token-aws-value": []}


def test_the_bucket_s_name_is_known_before_it_is_there_and_new_in_another_region():
    names = []
    recorded(lambda: names.extend(bucket_name(scope(), r) for r in (REGION, "us-west-2", REGION)))
    assert names[0] == names[2] != names[1]
    assert ACCOUNT in names[0]
    assert len(names[0]) <= 63


def test_home_in_another_cloud_gives_its_bucket_s_name_to_that_cloud_only():
    names = []
    config = {"home": {"cloud": "gcp", "region": "us-central1", "bucket": "of-gcp"}}
    recorded(lambda: names.append(bucket_name(scope(**config), REGION)))
    assert names != ["of-gcp"]
