"""Settings that are wrong together: each is told with its place and the way out, all of them at once."""

import pytest

from catalog.load import load
from planner.check import check, check_secret_names
from planner.layout import Secret
from spec.errors import SpecError
from spec.stack import parse

AWS = {"accountId": "123456789012"}
GCP = {"project": "acme-llm", "projectNumber": "123456789012"}
AZURE = {
    "subscriptionId": "00000000-1111-2222-3333-444444444444",
    "tenantId": "55555555-6666-7777-8888-999999999999",
}
EVERYTHING = {
    "clouds": ["aws", "gcp", "azure"],
    "aws": AWS,
    "gcp": GCP,
    "azure": AZURE,
    "home": {"cloud": "aws", "region": "us-east-1"},
    "edges": [{"cloud": "aws", "region": "us-east-1"}],
}
RENTED = {"name": "h", "service": "svc", "url": "https://h.example.com", "usdHour": 3}


def problems(service, env="prod", **settings):
    values = {k: v for k, v in {**EVERYTHING, **settings}.items() if v is not None}
    config = parse(values, file=f"Pulumi.{env}.yaml")
    try:
        check(config, [service("L4:1")], load(), env=env)
    except SpecError as e:
        return str(e).splitlines()
    return []


def test_settings_that_fit_are_passed(service):
    assert problems(service) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"home": None},
            "tradewind:home: is missing: in which cloud and region the controller runs. Add `cloud` and `region`.",
        ),
        (
            {"edges": []},
            "tradewind:edges: is missing: the regions in which callers' requests arrive. Add an entry with `cloud` and `region`.",
        ),
        (
            {"clouds": ["aws", "local", "gcp", "azure"]},
            "tradewind:clouds: mixes `local` with others. What runs on this computer is a stack of its own.",
        ),
        (
            {"gcp": None},
            (
                "tradewind:gcp: is missing: the account in which everything of that cloud is declared. "
                "Add `project` and `projectNumber`, as `gcloud projects describe` prints them."
            ),
        ),
        (
            {"home": {"cloud": "azure", "region": "eastsu"}},
            (
                "tradewind:home.region: no zone of azure/eastsu is known. Did you mean `eastus`? For another region, "
                "name a network of yours in `tradewind:network`, with its subnets by zone."
            ),
        ),
        (
            {
                "network": {
                    "aws/us-east-2": {"id": "vpc-1", "subnets": {"use1-az1": "s-1", "use2-az5": "s-2"}}
                }
            },
            (
                "tradewind:network.aws/us-east-2.subnets.use1-az1: is no zone of us-east-2. "
                "Known are use2-az1, use2-az2, use2-az3."
            ),
        ),
        (
            {"network": {"aws/us-east-2": {"id": "vpc-1", "subnets": {"use2-az9": "s-2"}}}},
            (
                "tradewind:network.aws/us-east-2.subnets.use2-az9: is no zone of us-east-2: "
                "no region of AWS has more than 6. Did you mean `use2-az3`?"
            ),
        ),
        (
            {"regions": ["us-east-1", "aws/us-east-2"]},
            "tradewind:regions[1]: nobody has a region `aws/us-east-2` with accelerators. Did you mean `us-east-2`?",
        ),
        (
            {"edges": [{"cloud": "gcp", "region": "us-centrall1"}]},
            "tradewind:edges[0].region: no zone of gcp/us-centrall1 is known. Did you mean `us-central1`?",
        ),
        (
            {"gcp": {**GCP, "region": "us-est4"}},
            "tradewind:gcp.region: no zone of gcp/us-est4 is known. Did you mean `us-west4`?",
        ),
        (
            {"edges": [{"cloud": "aws", "region": "us-east-1"}] * 2},
            "tradewind:edges: has 2 entries for aws/us-east-1. One entry may have several `hosts`.",
        ),
        (
            {"network": {"aws": "create"}},
            "tradewind:network.aws: is no `<cloud>/<region>`. For example `aws/us-east-1`.",
        ),
        (
            {"network": {"asw/us-east-1": {"id": "vpc-1", "subnets": {"use1-az1": "s"}}}},
            "tradewind:network.asw/us-east-1: is no `<cloud>/<region>`. Did you mean `aws`?",
        ),
        (
            {"network": {"aws/us-eats-1": "create"}},
            "tradewind:network.aws/us-eats-1: aws has no region `us-eats-1` with accelerators. Did you mean `us-east-1`?",
        ),
        (
            {"network": {"aws/us-east-1": {"id": "vpc-1", "subnets": {"us-east-1a": "s"}}}},
            (
                "tradewind:network.aws/us-east-1.subnets.us-east-1a: is no zone id: AWS gives the letters of its zones "
                "differently in each account. `aws ec2 describe-subnets` prints each subnet's AvailabilityZoneId. "
                "Of us-east-1: use1-az1, "
            ),
        ),
        (
            {"quotas": {"gcp/us-centrla1": {"L4": {"spot": 1}}}},
            "tradewind:quotas.gcp/us-centrla1: gcp has no region `us-centrla1` with accelerators. Did you mean `us-central1`?",
        ),
        (
            {"external": [{**RENTED, "service": "vsc"}]},
            "tradewind:external[0].service: no service is named `vsc`. Did you mean `svc`?",
        ),
    ],
)
def test_each_mistake_is_told_with_its_place_and_the_way_out(service, settings, told):
    (found,) = problems(service, **settings)
    assert found.startswith(f"Pulumi.prod.yaml: {told}")


def test_the_owner_of_the_name_needs_an_account_too(service):
    dns = {"owner": "route53", "zone": "Z1", "name": "llm.example.com"}
    place = {"cloud": "gcp", "region": "us-central1"}
    (found,) = problems(service, clouds=["gcp"], home=place, edges=[place], dns=dns, aws=None)
    assert "tradewind:aws: is missing" in found


@pytest.mark.parametrize("env", ["x" * 41, "Prod", "prod.eu", "1prod"])
def test_a_stack_whose_name_can_t_be_a_part_of_other_names_is_refused(service, env):
    (found,) = problems(service, env=env)
    assert found == (
        f"Pulumi.{env}.yaml: the stack's name `{env}` can't be a part of names in the clouds. "
        "Use at most 40 of a-z, 0-9 and -, a letter first."
    )


def test_a_region_of_the_user_s_own_network_need_not_be_in_the_price_table(service):
    there = {"aws/mx-central-1": {"id": "vpc-1", "subnets": {"mxc1-az1": "subnet-1"}}}
    edges = [{"cloud": "aws", "region": "mx-central-1"}]
    assert problems(service, network=there, edges=edges) == []


def test_all_mistakes_are_told_at_once(service):
    assert len(problems(service, home=None, edges=[], aws=None, gcp=None)) == 4


def test_a_name_that_a_cloud_s_store_does_not_take_is_told_with_its_limit():
    secrets = [Secret("azure", f"pool-{'x' * 110}", "leaf"), Secret("aws", "controller", "token")]
    with pytest.raises(SpecError) as e:
        check_secret_names(secrets, "prod")
    assert "1 secrets get names that azure does not take: `tradewind-prod-pool-xx" in str(e.value)
    assert (
        "has 135 letters, and 127 are allowed. Give the stack, the service or the secret a shorter name."
        in str(e.value)
    )
    check_secret_names([Secret("aws", f"pool-{'x' * 110}", "leaf")], "prod")


@pytest.mark.parametrize(
    ("addresses", "told"),
    [
        (
            {"taken": ["10.4.0.0/16"]},
            (
                "tradewind:addresses: gives 10.0.0.0/8 to the environment, which overlaps 10.4.0.0/16. "
                "Choose a `cidr` beside them, for instance 10.128.0.0/9."
            ),
        ),
        (
            {"cidr": "172.16.0.0/12", "taken": ["172.20.0.0/14", "10.0.0.0/8"]},
            "which overlaps 172.20.0.0/14. Choose a `cidr` beside them, for instance 172.24.0.0/13.",
        ),
        (
            {"taken": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]},
            "which overlaps 10.0.0.0/8. No private range is left.",
        ),
        (
            {"taken": ["10.4.0.1/16"]},
            "must be a range of addresses like 10.64.0.0/12 (10.4.0.1/16 has host bits set).",
        ),
    ],
)
def test_a_range_that_others_have_is_refused_with_one_that_is_free(addresses, told):
    with pytest.raises(SpecError) as e:
        parse({"addresses": addresses}, file="Pulumi.prod.yaml")
    assert told in str(e.value)


def test_a_range_beside_those_that_others_have_is_taken():
    given = {"cidr": "10.128.0.0/9", "taken": ["10.4.0.0/16"]}
    assert parse({"addresses": given}, file="f").addresses.cidr == "10.128.0.0/9"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("envs.HF_TOKEN", {"envs": {"HF_TOKEN": "hf_" + "a1" * 17}}),
        ("envs.DB_PASSWORD", {"envs": {"DB_PASSWORD": "correct-horse-battery-9"}}),
        ("setup", {"setup": f"huggingface-cli login --token hf_{'a1' * 17}"}),
        ("run", {"run": f"OPENAI_API_KEY=sk-{'a1' * 17} serve"}),
    ],
)
def test_a_secret_in_clear_in_a_service_is_refused_and_not_shown(service, field, fields):
    config = parse(EVERYTHING, file="Pulumi.prod.yaml")
    with pytest.raises(SpecError) as e:
        check(config, [service("L4:1", **fields)], load(), env="prod")
    assert str(e.value) == (
        f"svc.yaml: {field}: holds what looks like a secret, in clear. Name it in `secrets`, and give it: "
        "pulumi config set --secret --path 'tradewind:secrets.NAME'"
    )


def test_an_environment_that_only_speaks_of_tokens_holds_no_secret(service):
    envs = {"TOKENIZER": "meta-llama/Llama-3.1-8B-Instruct", "MAX_TOKENS": "8192", "HF_TOKEN": ""}
    run = 'serve --max-num-batched-tokens=16384 --api-key="$API_KEY" --port 8000'
    config = parse(EVERYTHING, file="Pulumi.prod.yaml")
    check(config, [service("L4:1", envs=envs, run=run)], load(), env="prod")
