"""Who a machine is in AWS, and that it may do nothing that its role has no use for."""

import json
import re

import pytest

from components.cloud import Foreign
from components.identity.aws import (
    AwsController,
    AwsControllerArgs,
    AwsEdge,
    AwsEdgeArgs,
    AwsReplica,
    AwsReplicaArgs,
)
from components.store.aws import AwsStore, AwsStoreArgs
from spec.errors import InputError
from spec.names import secret_name
from tests.components.aws_world import ACCOUNT, REGION, known, recorded, scope

AZURE = "api://AzureADTokenExchange"
GOOGLE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/tw/providers/home"


def store_of(a_scope):
    return AwsStore("store", AwsStoreArgs(scope=a_scope, region=REGION))


def replica(service="chat", **more):
    def declare():
        a_scope = scope()
        AwsReplica(service, AwsReplicaArgs(scope=a_scope, store=store_of(a_scope), service=service, **more))

    return recorded(declare)


def controller(*, config=None, use=lambda made: None, **more):
    def declare():
        a_scope = scope(**(config or {}))
        use(AwsController("controller", AwsControllerArgs(scope=a_scope, store=store_of(a_scope), **more)))

    return recorded(declare)


def statements(recorder):
    return {s["Sid"]: s for s in json.loads(recorder.one("RolePolicy")["policy"])["Statement"]}


def may(recorder, action, resource):
    """Whether a policy without conditions, or the tag of which is right, allows it."""

    def like(pattern, text):
        return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text)

    return any(
        like(a, action) and like(r, resource)
        for s in statements(recorder).values()
        for a in s["Action"]
        for r in s["Resource"]
    )


def bucket(recorder):
    return recorder.one("Bucket")["bucket"]


def secret(owner, name="x"):
    return (
        f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{secret_name('aws', 'prod', owner, name)}-AbCdEf"
    )


@pytest.fixture(scope="module")
def chat():
    return replica()


@pytest.fixture(scope="module")
def at_home():
    return controller(audiences=(AZURE, GOOGLE))


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("bundles/ab.tar.gz", True),
        ("hosts/node.json", True),
        ("assignments/chat.aws.use1-az1.L4x1.spot.json", True),
        ("assignments/chat2.aws.use1-az1.L4x1.spot.json", False),
        ("assignments/images.aws.use1-az1.L4x1.spot.json", False),
        ("desired/prod.json", False),
        ("keys.json", False),
        ("lease/1.json", False),
        ("edges/edge-1/snapshot.json", False),
    ],
)
def test_a_replica_reads_what_its_service_runs(chat, key, allowed):
    assert may(chat, "s3:GetObject", f"arn:aws:s3:::{bucket(chat)}/{key}") is allowed
    assert not may(chat, "s3:PutObject", f"arn:aws:s3:::{bucket(chat)}/{key}")


@pytest.mark.parametrize(
    ("owner", "allowed"),
    [
        ("service-chat", True),
        ("pool-chat.aws.use1-az1.L4x1.spot", True),
        ("service-chat2", False),
        ("pool-chat2.aws.use1-az1.L4x1.spot", False),
        ("edge", False),
        ("controller", False),
    ],
)
def test_a_replica_reads_its_own_secrets(chat, owner, allowed):
    assert may(chat, "secretsmanager:GetSecretValue", secret(owner)) is allowed
    assert not may(chat, "secretsmanager:PutSecretValue", secret(owner))


def test_a_replica_does_nothing_else(chat):
    actions = {a for s in statements(chat).values() for a in s["Action"]}
    assert actions == {"s3:GetObject", "secretsmanager:GetSecretValue"}


def test_a_replica_reads_and_lists_what_its_service_mounts_and_nothing_beside_it():
    recorder = replica(mounted=(("weights", "llama"), ("whole", "")))
    for key in ("llama/1.safetensors", "llama"):
        assert may(recorder, "s3:GetObject", f"arn:aws:s3:::weights/{key}")
    for key in ("llama-3/1.safetensors", "other/x"):
        assert not may(recorder, "s3:GetObject", f"arn:aws:s3:::weights/{key}")
    assert may(recorder, "s3:GetObject", "arn:aws:s3:::whole/a/b")
    lists = {
        s["Resource"][0]: s.get("Condition") for s in statements(recorder).values() if "List" in s["Sid"]
    }
    assert lists == {
        "arn:aws:s3:::weights": {"StringLike": {"s3:prefix": ["llama", "llama/*"]}},
        "arn:aws:s3:::whole": None,
    }


def test_a_machine_s_role_is_for_machines_of_ec2_and_hosts_name_its_profile(chat):
    role, profile = chat.one("Role"), chat.one("InstanceProfile")
    [trusted] = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trusted["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert profile["role"] == role["name"]
    assert len(role["name"]) <= 64


def test_an_edge_reads_its_snapshots_and_secrets_and_nothing_else():
    def declare():
        a_scope = scope()
        AwsEdge("edge", AwsEdgeArgs(scope=a_scope, store=store_of(a_scope)))

    recorder = recorded(declare)
    objects = f"arn:aws:s3:::{bucket(recorder)}"
    assert may(recorder, "s3:GetObject", f"{objects}/edges/edge-1/snapshot.json")
    assert may(recorder, "secretsmanager:GetSecretValue", secret("edge"))
    assert not may(recorder, "s3:GetObject", f"{objects}/keys.json")
    assert not may(recorder, "secretsmanager:GetSecretValue", secret("service-chat"))
    actions = {a for s in statements(recorder).values() for a in s["Action"]}
    assert actions == {"s3:GetObject", "secretsmanager:GetSecretValue"}


def test_the_controller_resizes_groups_with_this_environment_s_tag_only(at_home):
    sizes = statements(at_home)["Sizes"]
    assert sizes["Condition"] == {"StringEquals": {"autoscaling:ResourceTag/tradewind-env": "prod"}}
    [group] = sizes["Resource"]
    assert group.endswith(":autoScalingGroupName/tw-*")
    assert ACCOUNT in group


def test_the_controller_creates_deletes_and_passes_nothing(at_home):
    actions = {a for s in statements(at_home).values() for a in s["Action"]}
    assert not [
        a for a in actions if re.search(r"\*|:Create|:Update|PassRole|RunInstances|AssumeRole|DeleteAuto", a)
    ]
    anywhere = {a for s in statements(at_home).values() if s["Resource"] == ["*"] for a in s["Action"]}
    assert all(re.search(r":(Describe|List)", a) for a in anywhere - {"sts:GetWebIdentityToken"})


def test_the_controller_at_home_has_the_state_and_renews_certificates(at_home):
    objects = f"arn:aws:s3:::{bucket(at_home)}"
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert may(at_home, action, f"{objects}/lease/1.json")
    assert may(at_home, "s3:ListBucket", objects)
    assert may(at_home, "secretsmanager:GetSecretValue", secret("controller", "ca-key"))
    assert may(at_home, "secretsmanager:PutSecretValue", secret("controller", "leaf"))
    for name in ("ca-key", "ca", "token", "leaf-of-another"):
        assert not may(at_home, "secretsmanager:PutSecretValue", secret("controller", name))
    for owner in ("edge", "pool-chat.aws.use1-az1.L4x1.spot"):
        assert may(at_home, "secretsmanager:PutSecretValue", secret(owner, "leaf"))
    assert not may(at_home, "secretsmanager:GetSecretValue", secret("service-chat"))


def test_tokens_for_other_clouds_are_for_their_audiences_and_minutes(at_home):
    condition = statements(at_home)["Tokens"]["Condition"]
    assert condition["ForAllValues:StringEquals"] == {"sts:IdentityTokenAudience": [AZURE, GOOGLE]}
    assert condition["NumericLessThanEquals"] == {"sts:DurationSeconds": 300}


def test_other_clouds_are_shown_the_account_s_issuer_and_the_role():
    found = {}
    controller(audiences=(AZURE,), use=lambda made: found.update(foreign=made.shown_to(AZURE)))
    assert known(found["foreign"].issuer) == "https://tokens.example"
    assert known(found["foreign"].subject).startswith(f"arn:aws:iam::{ACCOUNT}:Role/tw-prod-controller")
    assert found["foreign"].audience == AZURE


def test_a_token_for_somebody_else_is_refused():
    with pytest.raises(InputError, match="may not ask for tokens for x"):
        controller(audiences=(AZURE,), use=lambda made: made.shown_to("x"))


def test_the_account_s_issuer_stays_when_one_of_its_environments_goes(at_home):
    [options] = [o for (t, _), o in at_home.options.items() if "outboundWebIdentityFederation" in t]
    assert options["retain_on_delete"]


def test_a_second_environment_of_the_account_uses_the_issuer_that_is_there():
    config = {"aws": {"accountId": ACCOUNT, "accountWide": "existing"}}
    found = {}
    recorder = controller(
        config=config, audiences=(AZURE,), use=lambda made: found.update(foreign=made.shown_to(AZURE))
    )
    assert not recorder.of("OutboundWebIdentityFederation")
    assert known(found["foreign"].issuer) == "https://tokens.example"


def test_a_controller_that_needs_no_other_cloud_asks_for_no_tokens():
    recorder = controller()
    assert not recorder.of("OutboundWebIdentityFederation")
    assert "Tokens" not in statements(recorder)


@pytest.fixture(scope="module")
def from_azure():
    foreign = Foreign(
        issuer="https://sts.windows.net/tenant/", subject="principal", audience="api://tradewind"
    )
    return controller(foreign=foreign)


def test_a_controller_in_azure_takes_on_a_role_with_its_own_token_only(from_azure):
    provider = from_azure.one("OpenIdConnectProvider")
    assert provider["url"] == "https://sts.windows.net/tenant/"
    assert provider["clientIdLists"] == ["api://tradewind"]
    [trusted] = json.loads(from_azure.one("Role")["assumeRolePolicy"])["Statement"]
    assert trusted["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trusted["Principal"]["Federated"].endswith("OpenIdConnectProvider/controller-issuer")
    assert trusted["Condition"]["StringEquals"] == {
        "sts.windows.net/tenant/:aud": "api://tradewind",
        "sts.windows.net/tenant/:sub": "principal",
    }


def test_a_controller_elsewhere_writes_assignments_snapshots_and_certificates_and_reads_no_state(from_azure):
    objects = f"arn:aws:s3:::{bucket(from_azure)}"
    assert may(from_azure, "s3:PutObject", f"{objects}/assignments/p.json")
    assert may(from_azure, "s3:PutObject", f"{objects}/edges/e.json")
    assert not may(from_azure, "s3:PutObject", f"{objects}/bundles/ab.tar.gz")
    assert not may(from_azure, "s3:GetObject", f"{objects}/lease/1.json")
    assert not may(from_azure, "s3:GetObject", f"{objects}/desired/prod.json")
    assert not may(from_azure, "secretsmanager:GetSecretValue", secret("controller", "ca-key"))
    assert may(from_azure, "secretsmanager:PutSecretValue", secret("pool-chat.aws.z.L4x1.spot", "leaf"))
    assert not from_azure.of("InstanceProfile")


def test_a_controller_elsewhere_reads_the_fragment_of_a_cloud_with_a_stack_of_its_own():
    foreign = Foreign(
        issuer="https://sts.windows.net/tenant/", subject="principal", audience="api://tradewind"
    )
    part = controller(foreign=foreign, config={"part": {"of": "prod", "cloud": "aws"}})
    objects = f"arn:aws:s3:::{bucket(part)}"
    assert may(part, "s3:GetObject", f"{objects}/desired/prod-aws.json")
    assert not may(part, "s3:PutObject", f"{objects}/desired/prod-aws.json")


def test_google_is_known_to_iam_and_its_audience_is_the_one_that_was_asked_for():
    foreign = Foreign(
        issuer="https://accounts.google.com", subject="1234567890", audience="sts.amazonaws.com"
    )
    recorder = controller(foreign=foreign)
    assert not recorder.of("OpenIdConnectProvider")
    [trusted] = json.loads(recorder.one("Role")["assumeRolePolicy"])["Statement"]
    assert trusted["Principal"] == {"Federated": "accounts.google.com"}
    assert trusted["Condition"]["StringEquals"] == {
        "accounts.google.com:aud": "1234567890",
        "accounts.google.com:oaud": "sts.amazonaws.com",
        "accounts.google.com:sub": "1234567890",
    }


def test_the_controller_proves_the_environment_s_name_by_one_record():
    name = {"owner": "route53", "zone": "Z1", "name": "llm.example.com"}
    recorder = controller(config={"dns": name, "tls": {"mode": "acme"}})
    proof = statements(recorder)["Proof"]
    assert proof["Resource"] == ["arn:aws:route53:::hostedzone/Z1"]
    allowed = proof["Condition"]["ForAllValues:StringEquals"]
    assert allowed["route53:ChangeResourceRecordSetsNormalizedRecordNames"] == [
        "_acme-challenge.llm.example.com"
    ]
    assert "Proof" not in statements(controller(config={"dns": name}))


def test_an_environment_without_an_account_says_how_to_name_it():
    with pytest.raises(InputError, match=r"tradewind:aws is missing"):
        controller(config={"aws": None})
