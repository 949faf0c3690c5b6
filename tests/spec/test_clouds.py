"""What a stack in real clouds may configure, and what each mistake in it is told."""

import pytest

from spec.errors import SpecError
from spec.stack import parse

MODELS = {"chat": {"model": "m", "usdPerMillionInput": 1, "usdPerMillionOutput": 2}}
SECRET = "sk-live-12345"
KEY = f"{SECRET}-abcdefghijklmnop"


def provider(**more):
    return {"providers": [{"name": "p", "kind": "openai", "models": MODELS, "key": "k", **more}]}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"secrets": {"openai": SECRET}},
            "tradewind:secrets.openai: stands in clear in a file that is committed. Replace it at its source, then: pulumi",
        ),
        (provider(kind="opnai"), "tradewind:providers[0].kind: must be one of `openai`, "),
        (provider(kind="opnai"), "not `opnai`. Did you mean `openai`?"),
        (provider(models={}), "tradewind:providers[0].models: must not be empty."),
        (
            provider(modles={}),
            "tradewind:providers[0].modles: is not a known setting. Did you mean `models`?",
        ),
        (
            provider(models={"chat": {**MODELS["chat"], "usdPerMilionInput": 1}}),
            "tradewind:providers[0].models.chat.usdPerMilionInput: is not a known setting. Did you mean `usdPerMillionInput`?",
        ),
        (provider(key=None), "has no key. Add `key`, the name of one of tradewind:secrets."),
        (provider(kind="bedrock", key=None), "is of the kind bedrock and has no region. Add `region`."),
        (provider(kind="vertex", region="us-central1"), "vertex knows the edges by their identity in gcp"),
        (
            provider(key=KEY),
            "tradewind:providers[0].key: names a secret, and looks like the value of one. Replace it",
        ),
        (provider(kind="openai_compatible"), "has no baseUrl. Add `baseUrl: https://...`."),
        (provider(baseUrl="http://api.example.com"), "must begin with https:// and a host"),
        (provider(baseUrl=f"https://me:{SECRET}@api.example.com"), "holds a user name or a password"),
        (provider(baseUrl="https://10.0.0.1/v1"), "names `10.0.0.1`, which is nobody's public address"),
        (provider(baseUrl="https://api.example.com/v1?key=1"), "must end with a path, without `?` and `#`"),
        ({"providers": provider()["providers"] * 2}, "tradewind:providers: has two entries named `p`"),
        ({"network": {"aws/us-east-1": "creat"}}, "must be `create`, or the `id` and the `subnets`"),
        (
            {"network": {"aws/us-east-1": {"id": "vpc-1"}}},
            "tradewind:network.aws/us-east-1.subnets: is missing.",
        ),
        ({"quotas": {"aws/us-east-1": {"L4": {"spto": 1}}}}, "Did you mean `spot`?"),
        ({"dns": {"owner": "route53"}}, "tradewind:dns: has an owner and no name"),
        ({"dns": {"owner": "cloud_dns", "name": "llm.example.com"}}, "has the owner cloud_dns and no zone"),
        ({"addresses": {"cidr": "8.8.0.0/16"}}, "must be a private range of at least a /16"),
        (
            {"addresses": {"cidr": "10.0.0.1/8"}},
            "must be a range of addresses like 10.64.0.0/12 (10.0.0.1/8 has host bits set), not `10.0.0.1/8`.",
        ),
        ({"aws": {"accountId": "12"}}, "tradewind:aws.accountId: "),
        ({"edges": [{"cloud": "asw", "region": "us-east-1"}]}, "Did you mean `aws`?"),
    ],
)
def test_each_mistake_is_told_with_its_place_and_the_way_out(values, told):
    with pytest.raises(SpecError) as error:
        parse(values, file="Pulumi.prod.yaml")
    assert told in str(error.value)
    assert str(error.value).startswith("Pulumi.prod.yaml: tradewind:")
    assert SECRET not in str(error.value), "whatever was wrong, no secret is shown"


def test_of_a_secret_only_its_name_is_known():
    config = parse({"secrets": {"openai": {"secure": "v1:abc"}}}, file="Pulumi.prod.yaml")
    assert config.secrets.keys() == {"openai"}
    assert "v1:abc" not in repr(config)


def test_a_network_of_the_users_has_its_ids_and_others_are_created():
    there = {"id": "vpc-1", "subnets": {"use1-az1": "subnet-1"}}
    config = parse({"network": {"aws/us-east-1": there, "gcp/us-central1": "create"}}, file="f")
    assert config.network["aws/us-east-1"].subnets == {"use1-az1": "subnet-1"}
    assert config.network["gcp/us-central1"] is None


@pytest.mark.parametrize(
    ("kind", "url"),
    [("openai", "https://api.openai.com/v1"), ("anthropic", "https://api.anthropic.com/v1")],
)
def test_the_kinds_with_one_address_know_it(kind, url):
    assert parse(provider(kind=kind), file="f").providers[0].url == url
