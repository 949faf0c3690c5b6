"""Rights of machines in Google Cloud, as they are declared."""

import re

import pulumi
import pytest

from components.audiences import gcp_provider
from components.cloud import Foreign
from components.identity.gcp import GcpEdge, GcpEdgeArgs
from spec.names import secret_name
from tests.components.gcp_world import NUMBER, controller, network, recorded, replica, scope, store

READS, WRITES = "roles/secretmanager.secretAccessor", "roles/secretmanager.secretVersionManager"
OWNERS = (
    "controller",
    "edge",
    "service-chat",
    "service-chat-2",
    "pool-chat.gcp.us-central1-a.L4x1.spot",
    "pool-chat-2.x",
    "pool-chat-gcp.x",
    "service-chat-gcp",
)
AWS = Foreign(
    issuer="https://issuer", subject="arn:aws:iam::1:role/c", audience="https://iam.googleapis.com/x"
)


def declare_all(files, foreign=None, mounted=(), **config):
    def declare():
        of = scope(**config)
        network(of)
        kept = store(of, files)
        for owner in OWNERS:
            kept.secret("s", owner=owner, value="x", opts=pulumi.ResourceOptions())
        replica(of, kept, mounted)
        GcpEdge("edge", GcpEdgeArgs(scope=of, store=kept))
        controller(of, kept, foreign)

    return recorded(declare)


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    return declare_all(tmp_path_factory.mktemp("files"))


def on_secrets(recorder, whose):
    """Roles, and the owners of the secrets that their conditions let through."""
    found = set()
    for name, grant in recorder.of("projects/iAMMember:IAMMember").items():
        if name.startswith(f"{whose}-") and name.endswith("-secrets"):
            beginnings = re.findall(
                r'resource\.name\.startsWith\("([^"]*)"\)', grant["condition"]["expression"]
            )
            found |= {
                (grant["role"], owner)
                for owner in OWNERS
                for beginning in beginnings
                if f"projects/{NUMBER}/secrets/{secret_name('gcp', 'prod', owner, 's')}".startswith(beginning)
            }
    return found


def on_objects(recorder, whose, what="objects"):
    """Role, and the keys by their prefixes with what else the condition lets through."""
    grant = recorder.of("BucketIAMMember")[f"{whose}-{what}"]
    expression = grant.get("condition", {}).get("expression", "")
    clauses = [clause for clause in expression.split(" || ") if clause]
    return grant["role"], {clause.rpartition("/objects/")[2].rstrip('")') or clause for clause in clauses}


def test_a_replica_reads_its_own_secrets_and_those_of_its_pools_and_no_other_services(declared):
    assert on_secrets(declared, "chat") == {
        (READS, "service-chat"),
        (READS, "pool-chat.gcp.us-central1-a.L4x1.spot"),
    }


def test_one_grant_holds_for_all_pools_so_that_pools_add_none(tmp_path):
    def grants(owners):
        def declare():
            of = scope()
            network(of)
            kept = store(of, tmp_path)
            for owner in owners:
                kept.secret("s", owner=owner, value="x", opts=pulumi.ResourceOptions())
            replica(of, kept)
            controller(of, kept)

        recorder = recorded(declare)
        return sum("iam" in type_.lower() for type_, _ in recorder.resources)

    more = tuple(f"pool-chat.gcp.us-central1-{zone}.L4x1.spot" for zone in "bcf")
    assert grants(OWNERS) == grants(OWNERS + more)


def test_a_replica_reads_only_what_its_service_runs_and_lists_nothing(declared):
    assert on_objects(declared, "chat") == (
        "roles/storage.objectViewer",
        {"bundles/", "hosts/", "assignments/chat."},
    )
    expression = declared.of("BucketIAMMember")["chat-objects"]["condition"]["expression"]
    assert "resource.type" not in expression
    assert expression.count('resource.name.startsWith("projects/_/buckets/tw-prod-acme-llm-') == 3


def test_an_edge_reads_its_code_its_snapshots_and_its_own_secrets(declared):
    assert on_secrets(declared, "edge") == {(READS, "edge")}
    assert on_objects(declared, "edge") == ("roles/storage.objectViewer", {"hosts/", "edges/"})


def test_buckets_that_a_service_mounts_are_read_by_its_replicas(tmp_path):
    grant = declare_all(tmp_path, mounted=("weights",)).of("BucketIAMMember")["chat-mounts-weights"]
    assert (grant["bucket"], grant["role"]) == ("weights", "roles/storage.objectViewer")
    assert "condition" not in grant


def test_the_controller_at_home_keeps_the_state_and_renews_certificates_but_reads_no_services_secrets(
    declared,
):
    pools = ("pool-chat.gcp.us-central1-a.L4x1.spot", "pool-chat-2.x", "pool-chat-gcp.x")
    assert on_secrets(declared, "controller") == {
        (READS, "controller"),
        *((role, owner) for role in (READS, WRITES) for owner in ("edge", *pools)),
    }
    renews = declared.of("projects/iAMMember:IAMMember")["controller-renews-secrets"]["condition"][
        "expression"
    ]
    own = secret_name("gcp", "prod", "controller", "leaf")
    assert f'"projects/{NUMBER}/secrets/{own}"' in renews, "its own certificate, and not the authority's key"
    assert on_objects(declared, "controller") == ("roles/storage.objectUser", set())


def test_a_controller_of_another_cloud_writes_assignments_and_snapshots_and_reads_no_secret_of_its_own(
    tmp_path,
):
    declared = declare_all(tmp_path, AWS)
    assert (READS, "controller") not in on_secrets(declared, "controller")
    role, keys = on_objects(declared, "controller")
    assert role == "roles/storage.objectUser"
    assert {"assignments/", "edges/"} < keys
    assert keys - {"assignments/", "edges/"} == {'resource.type == "storage.googleapis.com/Bucket'}


def test_a_controller_of_another_cloud_reads_the_fragment_of_a_cloud_with_a_stack_of_its_own(tmp_path):
    part = declare_all(tmp_path, AWS, part={"of": "prod", "cloud": "gcp"})
    assert on_objects(part, "controller", "fragment") == ("roles/storage.objectViewer", {"desired/"})


def test_the_controllers_own_role_makes_and_deletes_no_group_and_no_machine_but_through_its_group(declared):
    permissions = set(declared.one("IAMCustomRole")["permissions"])
    assert "compute.instanceGroupManagers.update" in permissions
    assert not {p for p in permissions if p.endswith((".create", ".delete", ".setIamPolicy")) or "*" in p}
    grant = declared.of("projects/iAMMember:IAMMember")["controller-pools"]
    assert grant["member"].startswith("serviceAccount:tw-prod-controller-")


def test_one_subject_of_one_issuer_may_act_as_the_controller_and_without_a_key(tmp_path):
    declared = declare_all(tmp_path, AWS)
    provider = declared.one("WorkloadIdentityPoolProvider")
    assert provider["oidc"] == {"issuerUri": AWS.issuer, "allowedAudiences": [AWS.audience]}
    assert provider["attributeCondition"] == f'assertion.sub == "{AWS.subject}"'
    pool = declared.one("WorkloadIdentityPool")["workloadIdentityPoolId"]
    grant = declared.one("serviceaccount/iAMMember:IAMMember")
    assert grant["role"] == "roles/iam.workloadIdentityUser"
    assert grant["serviceAccountId"].startswith("projects/acme-llm/serviceAccounts/tw-prod-controller-")
    assert grant["member"] == (
        f"principal://iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/{pool}"
        f"/subject/{AWS.subject}"
    )


def test_the_provider_is_named_before_it_is_there(tmp_path):
    found = {}

    def declare():
        of = scope()
        found["name"] = gcp_provider(of.env, of.config)
        controller(of, store(of, tmp_path), AWS)

    declared = recorded(declare)
    provider = declared.one("WorkloadIdentityPoolProvider")
    assert found["name"] == (
        f"//iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/"
        f"{provider['workloadIdentityPoolId']}/providers/{provider['workloadIdentityPoolProviderId']}"
    )


def test_at_home_no_other_cloud_is_trusted(declared):
    assert not declared.of("WorkloadIdentityPool")
    assert not declared.of("serviceaccount/iAMMember:IAMMember")


def test_other_clouds_see_a_google_controller_by_the_number_of_its_account(tmp_path):
    seen = {}

    def declare():
        of = scope()
        shown = controller(of, store(of, tmp_path)).shown_to("sts.amazonaws.com")
        seen.update(issuer=shown.issuer, audience=shown.audience)
        pulumi.Output.from_input(shown.subject).apply(lambda subject: seen.update(subject=subject))

    recorded(declare)
    assert seen == {
        "issuer": "https://accounts.google.com",
        "audience": "sts.amazonaws.com",
        "subject": "number of controller",
    }


def test_names_of_accounts_stay_within_what_google_takes(declared):
    names = {a["accountId"] for a in declared.of("Account").values()}
    assert len(names) == 3
    assert all(6 <= len(name) <= 30 for name in names)


def test_another_incarnation_has_another_identity_pool_because_google_keeps_the_name_of_a_deleted_one(
    tmp_path,
):
    first, again = (declare_all(tmp_path, AWS, incarnation=n) for n in (1, 2))
    pools = {r.one("WorkloadIdentityPool")["workloadIdentityPoolId"] for r in (first, again)}
    assert len(pools) == 2
    accounts = [{a["accountId"] for a in r.of("Account").values()} for r in (first, again)]
    assert accounts[0] == accounts[1], "and nothing else"
