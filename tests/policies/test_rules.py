"""Every rule both ways: what is right passes in silence, what is wrong is named with a way out."""

import base64

import pytest

from policies.all import RULES
from spec.labels import ENV_TAG
from spec.policies import PARAMETERS
from tests.policies import clouds
from tests.policies.stack import UNKNOWN, found, pool, resource

HIDDEN = "sk-live-abcdefghijklmnopqrstuvwxyz012345"


def bucket(kind="aws:s3/bucket:Bucket", **props):
    return resource(kind, "store", props, provider=True)


def beside(of, kind, **props):
    return resource(f"aws:s3/{kind}", "beside", props, provider=True, depends={"bucket": [of]})


CLOSED = dict.fromkeys(
    ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
)
STORE = bucket()
ENCRYPTION = "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
BLOCK = "bucketPublicAccessBlock:BucketPublicAccessBlock"
ENVIRONMENT = {"hosts": True, "tls": "own_ca", "providers": [{"name": "p", "maxUsdHour": 20}], "external": []}


def environment(**props):
    return resource("tradewind:environment:Environment", "env", {**ENVIRONMENT, **props})


def google_machine(labels=None):
    """Its `tags` are those of its network, and its labels those of the bill."""
    labelled = {ENV_TAG: "prod"} if labels is None else labels
    props = {"machineType": "e2-small", "tags": ["tw-prod-edges"], "labels": labelled}
    return resource("gcp:compute/instance:Instance", "edge-1", props, provider=True)


def machine(**props):
    given = {
        "instanceType": "t3.small",
        "rootBlockDevice": {"encrypted": True, "volumeSize": 30.0},
        "metadataOptions": {"httpTokens": "required"},
        "tags": {ENV_TAG: "prod"},
        **props,
    }
    return resource(
        "aws:ec2/instance:Instance", "host", given, provider=True, depends={key: [] for key in props}
    )


PEER_PORTS = {"fromPort": 1024.0, "toPort": 65535.0}
PEER_ALLOWS = [{"protocol": "tcp", "ports": ["1024-65535"]}]
PEERS = [{"id": UNKNOWN}]
BETWEEN_PEERS = [
    clouds.aws_rule(referencedSecurityGroupId=UNKNOWN, **PEER_PORTS),
    clouds.gcp_firewall(sourceRanges=None, sourceTags=["peers"], targetTags=["peers"], allows=PEER_ALLOWS),
    clouds.azure_group(
        sourceAddressPrefix=None,
        sourceApplicationSecurityGroups=PEERS,
        destinationApplicationSecurityGroups=PEERS,
        destinationPortRange="1024-65535",
    ),
]
BETWEEN_ALL = [
    clouds.aws_rule(cidrIpv4="0.0.0.0/0", **PEER_PORTS),
    clouds.gcp_firewall(sourceRanges=None, targetTags=["peers"], allows=PEER_ALLOWS),
    clouds.gcp_firewall(sourceRanges=["0.0.0.0/0"], sourceTags=["peers"], allows=PEER_ALLOWS),
    clouds.azure_group(
        sourceAddressPrefix="*",
        destinationApplicationSecurityGroups=PEERS,
        destinationPortRange="1024-65535",
    ),
]
BETWEEN_NEIGHBOURS = [
    clouds.aws_rule(cidrIpv4="10.64.0.0/16", **PEER_PORTS),
    clouds.gcp_firewall(sourceRanges=["10.64.0.0/16"], sourceTags=["peers"], allows=PEER_ALLOWS),
    clouds.azure_group(sourceAddressPrefix="VirtualNetwork", destinationPortRange="1024-65535"),
]

RIGHT = [
    ("open-ports", clouds.aws_rule(cidrIpv4="0.0.0.0/0", fromPort=443.0, toPort=443.0)),
    ("open-ports", clouds.azure_group(sourceAddressPrefix="*", destinationPortRange="443")),
    ("open-ports", clouds.azure_group(access="Deny", sourceAddressPrefix="*", destinationPortRange="*")),
    ("open-ports", clouds.gcp_firewall(direction="EGRESS", sourceRanges=["0.0.0.0/0"])),
    ("no-ssh", clouds.aws_rule(cidrIpv4="203.0.113.7/32")),
    ("replica-ingress", clouds.aws_rule(cidrIpv4="203.0.113.7/32")),
    ("replica-ingress", clouds.aws_rule(referencedSecurityGroupId=UNKNOWN)),
    ("replica-ingress", clouds.aws_rule(cidrIpv4=UNKNOWN, of_this_stack=[clouds.address()])),
    ("replica-ingress", clouds.azure_group()),
    *((rule, gang) for rule in ("open-ports", "no-ssh", "replica-ingress") for gang in BETWEEN_PEERS),
    ("replica-ingress", clouds.gcp_firewall()),
    ("encrypted-disks", clouds.aws_template()),
    ("encrypted-disks", machine()),
    ("metadata-v2", clouds.aws_template()),
    ("no-static-keys", machine()),
    ("no-secrets-in-clear", clouds.aws_template()),
    ("no-secrets-in-clear", pool(env={"HF_HOME": "/models", "TOKENIZERS_PARALLELISM": "false"})),
    ("rules-aws", clouds.aws_pool()),
    ("rules-gcp", clouds.gcp_pool()),
    ("rules-gcp", clouds.gcp_template()),
    ("rules-azure", clouds.azure_pool()),
    ("hosted-cap", environment()),
    ("tls", environment()),
    ("cost-tags", clouds.aws_pool()),
    ("cost-tags", clouds.azure_pool()),
    ("cost-tags", clouds.gcp_pool()),
    ("cost-tags", machine()),
    ("cost-tags", google_machine()),
]


@pytest.mark.parametrize(
    ("rule", "of"), RIGHT, ids=[f"{r}-{o.resource_type.rpartition(':')[2]}" for r, o in RIGHT]
)
def test_what_is_right_passes_in_silence(rule, of):
    assert found(rule, of) == []


WRONG = [
    ("open-ports", clouds.aws_rule(cidrIpv4="0.0.0.0/0"), "lets everybody reach port 9443"),
    (
        "open-ports",
        clouds.aws_rule(cidrIpv6="::/0", ipProtocol="-1"),
        "lets everybody reach ports 0 to 65535",
    ),
    ("open-ports", clouds.aws_rule(cidrIpv4="128.0.0.0/1"), "lets everybody reach port 9443"),
    ("open-ports", clouds.aws_rule(cidrIpv6="2000::/3"), "lets everybody reach port 9443"),
    ("open-ports", clouds.azure_group(sourceAddressPrefix="Internet"), "lets everybody reach port 9443"),
    *(("open-ports", everybody, "lets everybody reach ports 1024 to 65535") for everybody in BETWEEN_ALL),
    *(("replica-ingress", wide, "more than single addresses") for wide in BETWEEN_NEIGHBOURS),
    ("open-ports", clouds.azure_group(sourceAddressPrefix="*", destinationPortRange="*"), "ports 0 to 65535"),
    ("open-ports", clouds.gcp_firewall(sourceRanges=["0.0.0.0/0"]), "lets everybody reach port 9443"),
    ("open-ports", clouds.gcp_firewall(sourceRanges=[]), "lets everybody reach port 9443"),
    ("no-ssh", clouds.aws_rule(cidrIpv4="203.0.113.7/32", fromPort=0.0, toPort=100.0), "reach port 22"),
    ("no-ssh", clouds.azure_group(destinationPortRange="22"), "reach port 22"),
    ("no-ssh", clouds.gcp_firewall(allows=[{"protocol": "tcp"}]), "reach port 22"),
    ("replica-ingress", clouds.aws_rule(cidrIpv4="10.0.0.0/8"), "more than single addresses"),
    (
        "replica-ingress",
        clouds.azure_group(sourceAddressPrefix="VirtualNetwork"),
        "more than single addresses",
    ),
    ("replica-ingress", clouds.gcp_firewall(sourceRanges=["203.0.113.0/24"]), "more than single addresses"),
    (
        "encrypted-disks",
        clouds.aws_template(**{"blockDeviceMappings.0.ebs": {}}),
        "a disk that is not encrypted",
    ),
    ("encrypted-disks", clouds.aws_template(blockDeviceMappings=[]), "names no disk"),
    ("encrypted-disks", machine(rootBlockDevice={"encrypted": False}), "a disk that is not encrypted"),
    (
        "encrypted-disks",
        machine(ebsBlockDevices=[{"encrypted": True}, {"encrypted": False}]),
        "a disk that is not encrypted",
    ),
    ("encrypted-disks", machine(rootBlockDevice=None), "a disk that is not encrypted"),
    ("encrypted-disks", resource("aws:ebs/volume:Volume", "v", {}, provider=True), "is not encrypted"),
    ("metadata-v2", clouds.aws_template(metadataOptions={}), "Set `httpTokens: required`"),
    (
        "no-static-keys",
        resource("aws:iam/accessKey:AccessKey", "k", {}, provider=True),
        "is an access key of AWS",
    ),
    (
        "no-static-keys",
        resource("gcp:serviceaccount/key:Key", "k", {}, provider=True),
        "key of a service account",
    ),
    (
        "no-secrets-in-clear",
        machine(userData=f"export OPENAI_API_KEY={HIDDEN}"),
        "its userData holds what looks like",
    ),
    (
        "no-secrets-in-clear",
        clouds.aws_template(userData=base64.b64encode(f"token: {HIDDEN}".encode()).decode()),
        "its userData holds what looks like",
    ),
    ("no-secrets-in-clear", pool(env={"DB_PASSWORD": "correct-horse-battery-9"}), "its env holds"),
    ("no-secrets-in-clear", pool(env={"X": "-----BEGIN EC PRIVATE KEY-----"}), "its env holds"),
    ("rules-aws", clouds.aws_pool(capacityRebalance=True), "capacityRebalance launches machines"),
    ("rules-aws", clouds.aws_pool(waitForCapacityTimeout="10m"), "wait for spot machines"),
    ("rules-aws", clouds.aws_pool(minSize=1.0), "Set minSize to 0"),
    (
        "rules-aws",
        clouds.aws_pool(template=clouds.aws_template(instanceMarketOptions={"marketType": "spot"})),
        "AWS refuses both together",
    ),
    ("rules-gcp", clouds.gcp_template(**{"scheduling.preemptible": False}), "is SPOT and not preemptible"),
    ("rules-gcp", clouds.gcp_template(**{"scheduling.automaticRestart": None}), "restarts by itself"),
    ("rules-gcp", clouds.gcp_template(**{"scheduling.onHostMaintenance": "MIGRATE"}), "TERMINATE"),
    ("rules-gcp", clouds.gcp_pool(waitForInstances=True), "wait for spot machines"),
    ("rules-gcp", clouds.gcp_pool(updatePolicy={"type": "PROACTIVE"}), "replace machines by itself"),
    (
        "rules-azure",
        clouds.azure_pool(**{"virtualMachineProfile.evictionPolicy": "Deallocate"}),
        "keeps the disks",
    ),
    ("rules-azure", clouds.azure_pool(**{"virtualMachineProfile.billingProfile": {}}), "evicted by price"),
    ("rules-azure", clouds.azure_pool(orchestrationMode="Uniform"), "can't be shrunk by name"),
    ("rules-azure", clouds.azure_pool(**{"sku.capacity": 3.0}), "is declared with a size"),
    ("hosted-cap", environment(providers=[{"name": "p"}]), "the hosted provider p has no limit"),
    ("tls", environment(tls=""), "its edges have no certificate"),
    (
        "tls",
        resource("aws:lb/listener:Listener", "l", {"protocol": "HTTP"}, provider=True),
        "without encryption",
    ),
    ("cost-tags", machine(tags={}), f"lacks the tags {ENV_TAG}"),
    ("cost-tags", google_machine(labels={}), f"lacks the tags {ENV_TAG}"),
]


@pytest.mark.parametrize(("rule", "of", "told"), WRONG, ids=[f"{r}-{t[:25]}" for r, _, t in WRONG])
def test_what_is_wrong_is_named_with_its_resource(rule, of, told):
    messages = found(rule, of)
    assert any(told in message for message in messages), messages
    assert all(message.startswith(f"{of.name}: ") and "\n" not in message for message in messages)
    assert HIDDEN not in "".join(messages), "no value of a property is ever in a message"


UNKNOWNS = [
    ("open-ports", clouds.aws_rule(cidrIpv4=UNKNOWN)),
    ("no-ssh", clouds.aws_rule(cidrIpv4="10.0.0.1/32", fromPort=UNKNOWN)),
    ("replica-ingress", clouds.gcp_firewall(sourceRanges=UNKNOWN)),
    ("encrypted-disks", clouds.aws_template(**{"blockDeviceMappings.0.ebs.encrypted": UNKNOWN})),
    ("encrypted-disks", machine(ebsBlockDevices=UNKNOWN)),
    ("metadata-v2", clouds.aws_template(**{"metadataOptions.httpTokens": UNKNOWN})),
    ("no-secrets-in-clear", machine(userData=UNKNOWN)),
    ("rules-aws", clouds.aws_pool(capacityRebalance=UNKNOWN)),
    ("rules-gcp", clouds.gcp_template(**{"scheduling.preemptible": UNKNOWN})),
    ("rules-azure", clouds.azure_pool(**{"virtualMachineProfile.evictionPolicy": UNKNOWN})),
    ("cost-tags", machine(tags=UNKNOWN)),
]


@pytest.mark.parametrize(("rule", "of"), UNKNOWNS, ids=[r for r, _ in UNKNOWNS])
def test_what_a_preview_cannot_know_fails_closed(rule, of):
    assert any("is known only after the update, and this policy needs it." in m for m in found(rule, of))


def test_a_bucket_needs_its_encryption_and_its_block_beside_it():
    assert found("encrypted-buckets", STORE, beside(STORE, ENCRYPTION)) == []
    assert found("private-buckets", STORE, beside(STORE, BLOCK, **CLOSED)) == []
    assert "nothing says how it is encrypted" in found("encrypted-buckets", STORE)[0]
    assert "nothing keeps the public out" in found("private-buckets", STORE)[0]
    open_one = beside(STORE, BLOCK, **{**CLOSED, "blockPublicPolicy": False})
    assert found("private-buckets", STORE, open_one) == ["beside: blockPublicPolicy must be true."]


def test_buckets_of_the_other_clouds_are_closed_by_themselves():
    azure, gcp = "azure-native:storage:StorageAccount", "gcp:storage/bucket:Bucket"
    assert found("private-buckets", bucket(azure, allowBlobPublicAccess=False)) == []
    assert found("private-buckets", bucket(azure, allowBlobPublicAccess=True)) != []
    closed = {"publicAccessPrevention": "enforced", "uniformBucketLevelAccess": True}
    assert found("private-buckets", bucket(gcp, **closed)) == []
    assert len(found("private-buckets", bucket(gcp))) == 2


def test_every_policy_has_its_settings_and_a_source():
    known = set(PARAMETERS) - {"cost-expected", "cost-worst", "cost-runaway", "prices-known"}
    assert {rule.name for rule in RULES} == known
    assert all(rule.source and rule.words.endswith(".") for rule in RULES)
