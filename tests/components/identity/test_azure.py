"""Rights of machines in Azure, as they are declared."""

import pulumi
import pytest

from components.cloud import Foreign
from components.identity.azure import AzureController, AzureControllerArgs, foreign
from tests.components.azure_world import SUBSCRIPTION, TENANT, identity, recorded, scope, store

READS_OBJECTS = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
WRITES_OBJECTS = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
READS_SECRETS = "4633458b-17de-408a-b874-0445c86b69e6"
WRITES_SECRETS = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"


def declare_all(files, home=None, groups=("eastus", "westus3")):
    def declare():
        of = scope()
        kept = store(of, files)
        for owner in ("service-chat", "pool-a", "controller"):
            kept.secret("s", owner=owner, value="x", opts=pulumi.ResourceOptions())
        identity(of, kept, objects=("bundles/", "hosts/"), secrets=("service-chat", "pool-a"))
        controller = identity(of, kept, "controller", None, secrets=("controller",), renews=("pool-a",))
        args = AzureControllerArgs(
            scope=of,
            controller=controller,
            store=kept,
            groups={region: f"/groups/{region}" for region in groups},
            foreign=home,
        )
        AzureController("controller", args)

    return recorded(declare)


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    return declare_all(tmp_path_factory.mktemp("files"))


def rights(recorder, whose):
    """Role and place of every assignment of an identity."""
    return {
        (a["roleDefinitionId"].rpartition("/")[2], a["scope"])
        for a in recorder.of("authorization:RoleAssignment").values()
        if a["principalId"] == f"principal of identity-{whose}"
    }


def test_a_replica_reads_its_own_secrets_and_nothing_of_the_vault_beyond(declared):
    assert rights(declared, "service-chat") == {
        (READS_OBJECTS, "/store-container"),
        (READS_SECRETS, "/tradewind-prod-service-chat-s"),
        (READS_SECRETS, "/tradewind-prod-pool-a-s"),
    }


def test_a_replica_reads_only_below_its_keys_and_lists_nothing(declared):
    [condition] = [
        a["condition"]
        for name, a in declared.of("authorization:RoleAssignment").items()
        if name == "identity-service-chat-objects"
    ]
    blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
    assert f"ActionMatches{{'{blobs}/read'}}" in condition
    assert f"@Resource[{blobs}:path] StringStartsWith 'bundles/'" in condition
    assert f"@Resource[{blobs}:path] StringStartsWith 'hosts/'" in condition
    assert "Blob.List" not in condition
    assert condition.count("(") == condition.count(")")


def test_the_controller_writes_objects_and_the_certificates_that_it_renews(declared):
    assert {
        (WRITES_OBJECTS, "/store-container"),
        (READS_SECRETS, "/tradewind-prod-controller-s"),
        (WRITES_SECRETS, "/tradewind-prod-pool-a-s"),
    } <= rights(declared, "controller")


def test_the_controllers_own_role_makes_and_deletes_no_group_and_ends_at_its_regions(declared):
    roles = declared.of("authorization:RoleDefinition")
    pools, quotas = roles["controller-pools"], roles["controller-quotas"]
    assert pools["assignableScopes"] == ["/groups/eastus", "/groups/westus3"]
    [permission] = pools["permissions"]
    assert "Microsoft.Compute/virtualMachineScaleSets/write" in permission["actions"]
    assert not {a for a in permission["actions"] if "*" in a}
    assert "Microsoft.Compute/virtualMachineScaleSets/delete" not in permission["actions"]
    assert quotas["permissions"] == [{"actions": ["Microsoft.Compute/locations/usages/read"]}]


def test_names_of_assignments_are_guids_that_stay_the_same_and_differ_from_each_other(declared, tmp_path):
    def names(recorder):
        found = recorder.of("authorization:RoleAssignment")
        return {name: a["roleAssignmentName"] for name, a in found.items()}

    again = names(declare_all(tmp_path))
    assert names(declared) == again
    assert len(set(again.values())) == len(again)
    assert all(len(guid) == 36 for guid in again.values())


def test_a_controller_of_another_cloud_acts_as_the_identity_without_a_key(tmp_path):
    home = Foreign(
        issuer="https://issuer", subject="arn:aws:iam::1:role/c", audience="api://AzureADTokenExchange"
    )
    credential = declare_all(tmp_path, home).one("managedidentity:FederatedIdentityCredential")
    assert (credential["issuer"], credential["subject"]) == ("https://issuer", "arn:aws:iam::1:role/c")
    assert credential["audiences"] == ["api://AzureADTokenExchange"]


def test_at_home_no_other_cloud_is_trusted(declared):
    assert not declared.of("managedidentity:FederatedIdentityCredential")


def test_other_clouds_see_an_azure_controller_by_its_tenant_and_principal(tmp_path):
    seen = {}

    def declare():
        of = scope()
        shown = foreign(of, identity(of, store(of, tmp_path), "controller", None))
        seen.update(issuer=shown.issuer, audience=shown.audience)
        pulumi.Output.from_input(shown.subject).apply(lambda subject: seen.update(subject=subject))

    recorded(declare)
    assert seen == {
        "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "audience": "api://AzureADTokenExchange",
        "subject": "principal of identity-controller",
    }


def test_an_environment_without_pools_in_azure_gives_its_controller_no_role(tmp_path):
    assert not declare_all(tmp_path, groups=()).of("authorization:RoleDefinition")
    assert SUBSCRIPTION not in str(rights(declare_all(tmp_path, groups=()), "controller"))
