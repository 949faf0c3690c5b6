"""A stack's configuration: whatever is wrong in its file is said with file, setting, value and the way out."""

import math
import re
from pathlib import Path

import pytest
import yaml
from pydantic.alias_generators import to_camel

from spec import stack
from spec.errors import InputError, SpecError
from spec.stack import load_stack, parse

ROOT = Path(__file__).parents[2]
FILE = "Pulumi.dev.yaml"


@pytest.fixture
def project(tmp_path):
    """A checkout with Pulumi.yaml and a way to write the stack's file."""
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())

    def write(text):
        (tmp_path / FILE).write_text(text)
        return tmp_path

    return write


def refusal(**values):
    with pytest.raises(SpecError) as e:
        parse(values, file=FILE)
    assert e.value.exit_code == 1
    return str(e.value)


def test_the_committed_stack_is_in_order():
    config = load_stack(ROOT, "dev")
    assert config.services == ("services/chat.yaml",)
    assert config.is_local
    assert (ROOT / config.local.trace).is_file()


def test_the_dev_and_the_vllm_stack_may_be_up_at_the_same_time():
    dev, vllm = (load_stack(ROOT, name).local for name in ("dev", "vllm"))
    ports = [(x.edge_port, x.edge_agent_port, x.controller_port) for x in (dev, vllm)]
    assert not set(ports[0]) & set(ports[1])


def test_every_setting_is_in_the_documentation():
    pages = "\n".join((ROOT / "docs" / name).read_text() for name in ("setup.md", "policies.md"))
    settings = [
        to_camel(name)
        for part in (stack.StackConfig, stack.Limits, stack.StackBudget, stack.LocalCloud)
        for name in part.model_fields
    ]
    assert len(settings) > 20
    assert [name for name in settings if not re.search(rf"\b{name}\b", pages)] == []


def test_pulumi_yaml_declares_nothing_that_would_tie_it_to_one_name():
    assert "config" not in yaml.safe_load((ROOT / "Pulumi.yaml").read_text())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"services": "services/chat.yaml"}, "tradewind:services: must be a list, not `services/chat.yaml`."),
        ({"services": []}, "tradewind:services: must not be empty."),
        ({"services": [1]}, "tradewind:services[0]: must be text, not `1`. Put it in quotes."),
        ({"services": ["a.yaml", ""]}, "tradewind:services[1]: must not be empty."),
        (
            {"clouds": ["lokal"]},
            (
                "tradewind:clouds[0]: must be one of `local`, `aws`, `gcp`, `azure` or `kubernetes`, not `lokal`. "
                "Did you mean `local`?"
            ),
        ),
        ({"clouds": []}, "tradewind:clouds: must not be empty."),
        ({"maxRegions": 0}, "tradewind:maxRegions: must be at least 1, not `0`."),
        ({"maxPoolsPerService": 501}, "tradewind:maxPoolsPerService: must be at most 500, not `501`."),
        ({"maxPoolsPerService": 1.5}, "tradewind:maxPoolsPerService: must be a whole number, not `1.5`."),
        ({"local": {"edgePort": -1}}, "tradewind:local.edgePort: must be at least 1, not `-1`."),
        ({"local": {"edgePort": 65536}}, "tradewind:local.edgePort: must be at most 65535, not `65536`."),
        ({"local": {"edgePort": "http"}}, "tradewind:local.edgePort: must be a whole number, not `http`."),
        (
            {"local": {"edgePort": True}},
            "tradewind:local.edgePort: must be a number, a text, a list or a map",
        ),
        ({"local": {"trace": ""}}, "tradewind:local.trace: must not be empty."),
        ({"local": {"noticeS": -1}}, "tradewind:local.noticeS: must be at least 0, not `-1`."),
        ({"local": {"noticeS": 1e300}}, "tradewind:local.noticeS: must be at most 86400, not `1e+300`."),
        (
            {"local": {"traceSpeed": 1e308}},
            "tradewind:local.traceSpeed: must be at most 10000, not `1e+308`.",
        ),
        ({"local": {"traceSpeed": 0}}, "tradewind:local.traceSpeed: must be above 0, not `0`."),
        ({"local": {"traceSpeed": "fast"}}, "tradewind:local.traceSpeed: must be a number, not `fast`."),
        ({"local": [1]}, "tradewind:local: must be a map of fields, not `[1]`."),
        ({"limits": None}, "tradewind:limits: must be a map of fields, not `null`."),
        ({"limits": {"worstUsdHour": -1}}, "tradewind:limits.worstUsdHour: must be at least 0, not `-1`."),
        (
            {"limits": {"worstUsdHour": "lots"}},
            "tradewind:limits.worstUsdHour: must be a number, not `lots`.",
        ),
        ({"limits": {"worstUsdHour": math.nan}}, "tradewind:limits.worstUsdHour: must be a finite number"),
        ({"limits": {"worstUsdHour": math.inf}}, "tradewind:limits.worstUsdHour: must be a finite number"),
        (
            {"limits": {"worstUsdHuor": 1}},
            "tradewind:limits.worstUsdHuor: is not a known setting. Did you mean `worstUsdHour`?",
        ),
        ({"limts": {}}, "tradewind:limts: is not a known setting. Did you mean `limits`?"),
        (
            {"local": {"zone": "x"}},
            "tradewind:local.zone: is not a known setting. Known: edgePort, edgeAgentPort, controllerPort, trace, noticeS, traceSpeed.",
        ),
        (
            {"budget": {"onExhausted": "hald"}},
            "tradewind:budget.onExhausted: must be one of `hold`, `floor` or `stop`, not `hald`. Did you mean `hold`?",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_way_out(values, said):
    assert refusal(**values).startswith(f"{FILE}: {said}")


def test_old_prices_are_warned_of_before_they_are_refused():
    said = refusal(catalog={"warnDays": 90, "failDays": 30})
    assert "tradewind:catalog: warns after 90 days, and fails after 30 already" in said
    assert parse({"catalog": {"failDays": 30}}, file=FILE).catalog.fail_days == 30


def test_a_wrong_item_of_a_list_is_said_once():
    assert refusal(clouds=["lokal"]).count("\n") == 0


def test_all_problems_are_said_at_once():
    text = refusal(local={"edgePort": 0, "controllerPort": 0}, maxRegions=-1, limts=1)
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize(
    ("ports", "names"),
    [
        ({"edgePort": 18083}, "edgePort and controllerPort"),
        (
            {"edgePort": 5, "edgeAgentPort": 5, "controllerPort": 5},
            "edgePort and edgeAgentPort and controllerPort",
        ),
    ],
)
def test_one_port_for_two_programs_is_refused(ports, names):
    text = refusal(local=ports)
    assert f"tradewind:local: gives port {max(ports.values())} to {names}." in text
    assert "Each needs a port of its own." in text


def test_what_the_file_leaves_out_has_defaults(project):
    config = load_stack(project("config: {}\n"), "dev")
    assert config.max_pools_per_service == 24
    assert config == load_stack(project("# nothing\nconfig:\n"), "dev")


def test_what_pulumi_yaml_says_for_all_stacks_holds_where_a_stack_says_nothing(project):
    root = project("config: {'tradewind:maxRegions': 3}")
    common = "name: x\nconfig: {'tradewind:maxRegions': 5, 'tradewind:tags': {value: {team: ml}}, 'aws:region': us-east-1}\n"
    (root / "Pulumi.yaml").write_text(common)
    config = load_stack(root, "dev")
    assert (config.max_regions, config.tags) == (3, {"team": "ml"})


def test_a_setting_may_leave_out_the_namespace_of_the_project(project):
    assert load_stack(project("config: {maxRegions: 3}"), "dev").max_regions == 3
    assert load_stack(project("config: {'tradewind:maxRegions': 3}"), "dev").max_regions == 3


def test_settings_of_the_clouds_own_providers_are_none_of_ours(project):
    load_stack(project("config: {'aws:region': us-east-1, 'azure-native:location': westeurope}"), "dev")


def test_a_misspelt_namespace_is_not_taken_for_another_provider(project):
    root = project("config: {'tradewnid:limits': {worstUsdHour: 1}}")
    with pytest.raises(
        SpecError, match=r"tradewnid:limits: is not a known setting. Did you mean `tradewind`\?"
    ):
        load_stack(root, "dev")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config:\n  - a\n", "`config` must be a map of settings"),
        ("just text", "`config` must be a map of settings"),
        ("config:\n\ttradewind:services: []\n", f"{FILE}:2: is not valid YAML"),
        ("config: {a: [}\n", f"{FILE}:1: is not valid YAML"),
        ("config: \x00", "can't be read"),
    ],
)
def test_a_file_that_is_no_map_of_settings_is_said_by_line(project, text, said):
    root = project(text)
    with pytest.raises(InputError) as e:
        load_stack(root, "dev")
    assert said in str(e.value)
    assert FILE in str(e.value)


def test_an_empty_file_is_a_stack_with_defaults(project):
    assert load_stack(project(""), "dev") == load_stack(project("config: {}"), "dev")


def test_bytes_that_are_no_text_are_said(project):
    root = project("")
    (root / FILE).write_bytes(b"config: \xff\xfe")
    with pytest.raises(InputError, match="can't be read"):
        load_stack(root, "dev")


def test_a_stack_without_a_file_is_told_the_nearest_one(project):
    root = project("config: {}")
    with pytest.raises(InputError, match=r"Pulumi.dve.yaml does not exist. Did you mean `dev`\?"):
        load_stack(root, "dve")
    with pytest.raises(InputError, match=r"There are: dev."):
        load_stack(root, "production")


@pytest.mark.parametrize("owner", ["none", "azure_traffic_manager"])
def test_acme_needs_a_zone_in_which_the_name_is_proved(owner):
    dns = {"owner": owner, "name": "llm.example.com"}
    with pytest.raises(SpecError, match="no zone to prove a name in") as e:
        parse({"tls": {"mode": "acme"}, "dns": dns}, file="Pulumi.prod.yaml")
    assert "tradewind:tls: has the mode acme" in str(e.value)
    assert "route53, cloud_dns and cloudflare" in str(e.value)
    zone = {"owner": "cloudflare", "name": "llm.example.com", "zone": "z"}
    assert parse({"tls": {"mode": "acme"}, "dns": zone}, file="Pulumi.prod.yaml").tls.mode == "acme"


WHOLE = """\
config:
  tradewind:clouds: [aws, azure]
  tradewind:home: {cloud: aws, region: us-east-1}
  tradewind:apart: [azure]
  tradewind:secrets: {caller-key: {secure: x}}
"""
PART = "config: {'tradewind:part': {of: prod, cloud: azure}, 'tradewind:secrets': {openai: {secure: y}}}"


@pytest.fixture
def split(project):
    """An environment of two stacks, and a way to write the part's file."""

    def write(part=PART, whole=WHOLE):
        root = project("config: {}")
        (root / "Pulumi.prod.yaml").write_text(whole)
        (root / "Pulumi.prod-azure.yaml").write_text(part)
        return root

    return write


def test_a_part_has_the_settings_of_its_environment_and_secrets_of_its_own(split):
    root = split()
    whole, part = load_stack(root, "prod"), load_stack(root, "prod-azure")
    assert (whole.env("prod"), part.env("prod-azure")) == ("prod", "prod")
    assert [whole.declares(c) for c in ("aws", "azure")] == [True, False]
    assert [part.declares(c) for c in ("aws", "azure")] == [False, True]
    assert (set(whole.secrets), set(part.secrets)) == ({"caller-key"}, {"openai"})
    assert part.clouds == whole.clouds


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (
            "config: {'tradewind:part': {of: prod, cloud: azure}, 'tradewind:limits': {worstUsdHour: 1}}",
            WHOLE,
            "Pulumi.prod-azure.yaml: tradewind:limits: is not for a part. Set it in Pulumi.prod.yaml.",
        ),
        (
            "config: {'tradewind:part': {of: prod, cloud: gcp}}",
            WHOLE,
            (
                "Pulumi.prod-azure.yaml: tradewind:part: is about gcp, which is not apart in Pulumi.prod.yaml. "
                "Add it there to `tradewind:apart`."
            ),
        ),
        ("config: {'tradewind:part': {of: prdo, cloud: azure}}", WHOLE, "Did you mean `prod`?"),
        (
            PART,
            WHOLE.replace("[azure]", "[aws]"),
            "Pulumi.prod.yaml: tradewind:apart: names aws, where the controller is",
        ),
        ("config: {'tradewind:part': {of: prod}}", WHOLE, "tradewind:part.cloud: is missing."),
    ],
)
def test_a_part_that_does_not_fit_its_environment_is_told_the_way_out(split, part, whole, said):
    with pytest.raises(InputError) as e:
        load_stack(split(part, whole), "prod-azure")
    assert said in str(e.value)
