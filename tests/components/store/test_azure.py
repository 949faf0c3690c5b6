"""Objects and secrets of an environment in Azure, as they are declared."""

import re
from pathlib import Path

import pulumi
import pytest
from pulumi.runtime import rpc

from components.azure import key_vault, storage_account
from spec.errors import InputError
from tests.components.azure_world import SUBSCRIPTION, TENANT, recorded, scope, store

VALUE = "hf_not-for-everybody"


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    made = {}

    def declare():
        made["store"] = kept = store(scope(), tmp_path_factory.mktemp("files"))
        none = pulumi.ResourceOptions()
        kept.write("desired", "desired/prod.json", "{}", none)
        kept.write("bundle", "bundles/abc.tar.gz", b"\x1f\x8b\x00\xff", none)
        kept.secret("hf-token", owner="service-chat", value=VALUE, opts=none)
        kept.secret("leaf", owner="pool-chat.azure.eastus.T4x1.spot", value="{}", renewed=True, opts=none)

    recorder = recorded(declare)
    recorder.store = made["store"]
    return recorder


def test_addresses_are_known_before_the_update(declared):
    account = declared.one("storage:StorageAccount")["accountName"]
    vault = declared.one("keyvault:Vault")["vaultName"]
    assert declared.store.url == f"az://{account}/tradewind"
    assert declared.store.vault_url == f"https://{vault}.vault.azure.net"


def test_nothing_is_public_and_nothing_is_in_clear(declared):
    account = declared.one("storage:StorageAccount")
    assert account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert account["enableHttpsTrafficOnly"] is True
    assert declared.one("storage:BlobContainer")["publicAccess"] == "None"


def test_the_vault_asks_roles_and_forgets_after_a_week(declared):
    vault = declared.one("keyvault:Vault")["properties"]
    assert vault["enableRbacAuthorization"] is True
    assert vault["tenantId"] == TENANT
    assert vault["softDeleteRetentionInDays"] == 7
    assert "enablePurgeProtection" not in vault


def test_text_is_an_object_as_it_is_and_bytes_come_from_a_file(declared):
    blobs = declared.of("storage:Blob")
    assert blobs["desired"]["source"].text == "{}"
    assert blobs["desired"]["blobName"] == "desired/prod.json"
    assert Path(blobs["bundle"]["source"].path).read_bytes() == b"\x1f\x8b\x00\xff"


def test_secrets_have_an_owner_in_their_name_and_a_value_that_is_marked_secret(declared):
    secrets = declared.of("keyvault:Secret")
    assert set(secrets) == {
        "tradewind-prod-service-chat-hf-token",
        "tradewind-prod-pool-chat-azure-eastus-T4x1-spot-leaf",
    }
    properties = secrets["tradewind-prod-service-chat-hf-token"]["properties"]
    assert properties[rpc._special_sig_key] == rpc._special_secret_sig
    assert properties["value"] == {"value": VALUE}
    assert all(re.fullmatch(r"[0-9A-Za-z-]{1,127}", name) for name in secrets)


@pytest.mark.parametrize("env", ["p", "prod", "production-of-the-whole-company", "eu-west_2"])
def test_worldwide_names_fit_and_differ_by_subscription(env):
    account, vault = storage_account(env, SUBSCRIPTION), key_vault(env, SUBSCRIPTION)
    assert re.fullmatch(r"[a-z0-9]{3,24}", account)
    assert re.fullmatch(r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]", vault)
    assert storage_account(env, TENANT) != account
    assert key_vault(env, TENANT) != vault


def test_a_stack_that_names_no_subscription_is_told_where_to_find_it(tmp_path):
    with pytest.raises(InputError, match=r"tradewind:azure is missing.*az account show"):
        recorded(lambda: store(scope(azure=None), tmp_path))


def test_another_incarnation_has_another_vault_because_azure_keeps_the_name_of_a_deleted_one():
    first, again = key_vault("prod", SUBSCRIPTION), key_vault("prod", SUBSCRIPTION, 2)
    assert first == key_vault("prod", SUBSCRIPTION, 1) != again
    assert len(again) <= 24
    assert again.startswith("tw-prod-")
