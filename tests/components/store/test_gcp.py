"""The bucket and the secrets of an environment in Google Cloud, as they are declared."""

from pathlib import Path

import pulumi
import pytest

from tests.components.gcp_world import PROJECT, recorded, scope, store

NONE = pulumi.ResourceOptions()


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    files = tmp_path_factory.mktemp("files")

    def declare():
        kept = store(scope(), files)
        kept.write("text", "desired/prod.json", "{}", NONE)
        kept.write("bytes", "bundles/abc.tar.gz", b"\x1f\x8b\xff", NONE)
        kept.write("file", "hosts/node.tar", pulumi.FileAsset(str(files / "x")), NONE)
        kept.secret("HF_TOKEN", owner="service-chat", value="hf_x", opts=NONE)
        kept.secret("leaf", owner="pool-chat.gcp.us-central1-a.L4x1.spot", value="{}", opts=NONE)
        found.append(kept)

    found = []
    recorder = recorded(declare)
    recorder.store = found[0]
    return recorder


def test_nobody_outside_reads_the_bucket_and_rights_are_given_by_grants_alone(declared):
    bucket = declared.one("Bucket")
    assert bucket["publicAccessPrevention"] == "enforced"
    assert bucket["uniformBucketLevelAccess"] is True


def test_what_was_overwritten_can_be_had_back_for_a_while_and_what_churns_for_a_day(declared):
    bucket = declared.one("Bucket")
    assert bucket["versioning"] == {"enabled": True}
    rules = {
        tuple(r["condition"].get("matchesPrefixes", ())): r["condition"].get("daysSinceNoncurrentTime")
        for r in bucket["lifecycleRules"]
        if r["action"]["type"] == "Delete"
    }
    assert rules == {("status.json", "lease/", "edges/", "history.jsonl.gz"): 1, (): 30}
    assert all(r["condition"].get("withState", "ARCHIVED") == "ARCHIVED" for r in bucket["lifecycleRules"])


def test_a_destroyed_environment_is_gone_whole(declared):
    bucket = declared.one("Bucket")
    assert bucket["forceDestroy"] is True
    assert bucket["softDeletePolicy"] == {"retentionDurationSeconds": 0}


def test_the_bucket_is_named_before_it_is_there_and_differs_between_projects(declared):
    assert declared.store.url == f"gs://{declared.one('Bucket')['name']}"
    assert declared.one("Bucket")["name"].startswith(f"tw-prod-{PROJECT}-")


def test_the_bucket_at_home_may_be_named_by_the_user(tmp_path):
    at_home = {"cloud": "gcp", "region": "us-central1", "bucket": "my-own-state"}
    assert recorded(lambda: store(scope(home=at_home), tmp_path)).one("Bucket")["name"] == "my-own-state"
    elsewhere = {**at_home, "cloud": "aws", "region": "us-east-1"}
    assert recorded(lambda: store(scope(home=elsewhere), tmp_path)).one("Bucket")["name"] != "my-own-state"


def test_text_is_written_as_it_is_and_bytes_through_a_file(declared):
    objects = {o["name"]: o for o in declared.of("BucketObject").values()}
    assert objects["desired/prod.json"]["content"]["value"] == "{}"  # the SDK takes all content for secret
    assert objects["desired/prod.json"]["contentType"] == "application/json"
    assert Path(objects["bundles/abc.tar.gz"]["source"].path).read_bytes() == b"\x1f\x8b\xff"
    assert "content" not in objects["bundles/abc.tar.gz"]
    assert objects["hosts/node.tar"]["source"].path.endswith("/x")


def test_secrets_have_the_names_that_machines_ask_for_and_values_are_secret(declared):
    assert {s["secretId"] for s in declared.of("Secret").values()} == {
        "tradewind_prod_service-chat_HF_TOKEN",
        "tradewind_prod_pool-chat_gcp_us-central1-a_L4x1_spot_leaf",
    }
    for version in declared.of("SecretVersion").values():
        assert isinstance(version["secretData"], dict), "a plain value would stand in the state in clear"


def test_what_costs_money_carries_the_environments_labels(declared):
    labels = {"cost-center": "ml", "tradewind-env": "prod"}
    assert declared.one("Bucket")["labels"] == labels
    assert all(s["labels"] == labels for s in declared.of("Secret").values())
