"""Rights of machines in Azure, as they are declared."""

import pulumi
import pytest

from components.cloud import Foreign
from components.identity.azure import AzureEdge, AzureEdgeArgs
from spec.errors import InputError
from tests.components.azure_world import (
    SUBSCRIPTION,
    TENANT,
    controller,
    network,
    recorded,
    replica,
    scope,
    store,
)

READS_OBJECTS = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
WRITES_OBJECTS = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
READS_SECRETS = "4633458b-17de-408a-b874-0445c86b69e6"
WRITES_SECRETS = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
OWNERS = (
    "controller",
    "edge",
    "service-chat",
    "service-chat-2",
    "pool-chat.azure.eastus.T4x1.spot",
    "pool-chat-2.x",
)
AWS = Foreign(issuer="https://issuer", subject="arn:aws:iam::1:role/c", audience="api://AzureADTokenExchange")


def declare_all(files, foreign=None, regions=("eastus", "westus3")):
    def declare():
        of = scope()
        kept = store(of, files)
        for owner in OWNERS:
            kept.secret("s", owner=owner, value="x", opts=pulumi.ResourceOptions())
        kept.secret("leaf", owner="controller", value="x", renewed=True, opts=pulumi.ResourceOptions())
        replica(of, kept)
        AzureEdge("edge", AzureEdgeArgs(scope=of, store=kept))
        controller(of, kept, [network(of, region) for region in regions], foreign)

    return recorded(declare)


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    return declare_all(tmp_path_factory.mktemp("files"))


def rights(recorder, whose):
    """Role and place of every assignment of an identity."""
    return {
        (a["roleDefinitionId"].rpartition("/")[2], a["scope"])
        for a in recorder.of("authorization:RoleAssignment").values()
        if a["principalId"] == f"principal of {whose}"
    }


def condition(recorder, whose):
    return recorder.of("authorization:RoleAssignment")[f"{whose}-objects"].get("condition", "")


def test_a_replica_reads_its_own_secrets_and_those_of_its_pools_and_nothing_else_of_the_vault(declared):
    assert rights(declared, "identity-chat") == {
        (READS_OBJECTS, "/store-container"),
        (READS_SECRETS, "/tradewind-prod-service-chat-s"),
        (READS_SECRETS, "/tradewind-prod-pool-chat-azure-eastus-T4x1-spot-s"),
    }


def test_a_replica_reads_only_what_its_service_runs_and_lists_nothing(declared):
    allowed = condition(declared, "identity-chat")
    for prefix in ("bundles/", "hosts/", "assignments/chat."):
        assert f"@Resource[{BLOBS}:path] StringStartsWith '{prefix}'" in allowed
    assert allowed.count("StringStartsWith") == 3
    assert f"ActionMatches{{'{BLOBS}/read'}}" in allowed
    assert "Blob.List" not in allowed
    assert allowed.count("(") == allowed.count(")")


def test_a_replica_reads_and_lists_the_containers_that_its_service_mounts_wherever_they_are(tmp_path):
    def declare():
        of = scope()
        replica(of, store(of, tmp_path), mounted=("acct/models", "other/adapters"))

    declared = recorded(declare)
    mounts = declared.of("authorization:RoleAssignment")["identity-chat-mounts"]
    assert mounts["scope"] == f"/subscriptions/{SUBSCRIPTION}"
    container = "@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name]"
    for account, name in (("acct", "models"), ("other", "adapters")):
        only = f"@Resource[Microsoft.Storage/storageAccounts:name] StringEquals '{account}' AND {container} StringEquals '{name}'"
        assert f"({only})" in mounts["condition"]
    assert mounts["condition"].count("(") == mounts["condition"].count(")")
    role = declared.of("authorization:RoleDefinition")["identity-chat-may-mounts-chat"]
    assert role["permissions"] == [{"actions": [], "dataActions": [f"{BLOBS}/read"]}]


def test_a_replica_without_mounts_has_no_right_on_the_subscription(declared):
    assert "identity-chat-mounts" not in declared.of("authorization:RoleAssignment")


def test_an_edge_reads_its_code_its_snapshots_and_its_own_secrets(declared):
    assert rights(declared, "edge") == {
        (READS_OBJECTS, "/store-container"),
        (READS_SECRETS, "/tradewind-prod-edge-s"),
    }
    assert condition(declared, "edge").count("StringStartsWith") == 2


def test_the_controller_at_home_reads_its_own_secrets_and_renews_certificates_but_not_a_services_secrets(
    declared,
):
    on_data = {(role, place) for role, place in rights(declared, "controller") if "prod" in place}
    assert on_data == {
        (READS_SECRETS, "/tradewind-prod-controller-s"),
        (WRITES_SECRETS, "/tradewind-prod-controller-leaf"),
        (WRITES_SECRETS, "/tradewind-prod-edge-s"),
        (WRITES_SECRETS, "/tradewind-prod-pool-chat-azure-eastus-T4x1-spot-s"),
        (WRITES_SECRETS, "/tradewind-prod-pool-chat-2-x-s"),
    }
    assert (WRITES_OBJECTS, "/store-container") in rights(declared, "controller")
    assert condition(declared, "controller") == ""


def test_a_controller_of_another_cloud_writes_assignments_and_snapshots_only_and_reads_no_secret_of_its_own(
    tmp_path,
):
    declared = declare_all(tmp_path, AWS)
    assert not [place for _, place in rights(declared, "controller") if "prod-controller" in place]
    allowed = condition(declared, "controller")
    assert "StringStartsWith 'assignments/'" in allowed
    assert "StringStartsWith 'edges/'" in allowed
    assert all(f"{BLOBS}/{action}" in allowed for action in ("write", "add/action", "delete"))
    assert allowed.count("(") == allowed.count(")")


def test_a_controller_of_another_cloud_acts_as_the_identity_without_a_key(tmp_path):
    credential = declare_all(tmp_path, AWS).one("managedidentity:FederatedIdentityCredential")
    assert (credential["issuer"], credential["subject"]) == (AWS.issuer, AWS.subject)
    assert credential["audiences"] == [AWS.audience]


def test_at_home_no_other_cloud_is_trusted(declared):
    assert not declared.of("managedidentity:FederatedIdentityCredential")


def test_the_controllers_own_role_makes_and_deletes_no_group_and_ends_at_its_regions(declared):
    roles = declared.of("authorization:RoleDefinition")
    pools, quotas = roles["controller-may-pools"], roles["controller-may-quotas"]
    groups = ["/network-eastus-group", "/network-westus3-group"]
    assert pools["assignableScopes"] == groups
    [permission] = pools["permissions"]
    assert "Microsoft.Compute/virtualMachineScaleSets/write" in permission["actions"]
    assert not {a for a in permission["actions"] if "*" in a}
    assert "Microsoft.Compute/virtualMachineScaleSets/delete" not in permission["actions"]
    assert quotas["permissions"] == [{"actions": ["Microsoft.Compute/locations/usages/read"]}]
    assert {place for role, place in rights(declared, "controller") if role.endswith("may-pools")} == set(
        groups
    )


def test_an_environment_without_pools_in_azure_gives_its_controller_no_role_of_its_own(tmp_path):
    assert not declare_all(tmp_path, regions=()).of("authorization:RoleDefinition")


def test_names_of_rights_are_guids_that_stay_the_same_and_differ_from_each_other(declared, tmp_path):
    def names(recorder):
        found = recorder.of("authorization:RoleAssignment")
        return {name: a["roleAssignmentName"] for name, a in found.items()}

    again = names(declare_all(tmp_path))
    assert names(declared) == again
    assert len(set(again.values())) == len(again)
    assert all(len(guid) == 36 for guid in again.values())


def test_other_clouds_see_an_azure_controller_by_its_tenant_and_principal(tmp_path):
    seen = {}

    def declare():
        of = scope()
        shown = controller(of, store(of, tmp_path)).shown_to("api://AzureADTokenExchange")
        seen.update(issuer=shown.issuer, audience=shown.audience)
        pulumi.Output.from_input(shown.subject).apply(lambda subject: seen.update(subject=subject))

    recorded(declare)
    assert seen == {
        "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "audience": "api://AzureADTokenExchange",
        "subject": "principal of controller",
    }


def test_azure_signs_for_one_audience_only(tmp_path):
    def declare():
        of = scope()
        controller(of, store(of, tmp_path)).shown_to("sts.amazonaws.com")

    with pytest.raises(InputError, match=r"not for sts\.amazonaws\.com"):
        recorded(declare)


def test_the_controller_may_use_the_reservations_that_are_named_and_do_nothing_else_with_them(tmp_path):
    group = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/capacityReservationGroups/a100"
    named = {"azure/eastus": {"Standard_NC24ads_A100_v4": {"machines": 2, "name": group}}}

    def declare():
        of = scope(reservations=named)
        controller(of, store(of, tmp_path))

    recorder = recorded(declare)
    role = recorder.of("authorization:RoleDefinition")["controller-may-reservations"]
    assert role["assignableScopes"] == [group]
    [permission] = role["permissions"]
    assert {action.rpartition("/")[2] for action in permission["actions"]} == {"read", "action"}
    assert not [action for action in permission["actions"] if action.endswith(("write", "delete"))]
    assert recorder.of("authorization:RoleAssignment")["controller-reservation-g-a100"]["scope"] == group
