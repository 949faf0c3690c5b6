import pytest
from pulumi_policy import StackValidationArgs

from policies.all import POLICIES
from policies.config import policy_config
from spec.stack import Limits, StackConfig
from tests.policies.stack import UNKNOWN, pool, resource, service


def judge(resources, limits=None):
    """What each policy reports, as the pack would: [(policy, message, urn)]."""
    config = policy_config(StackConfig(limits=limits or Limits()))
    said = []
    for policy in POLICIES:
        settings = {k: v for k, v in config[policy.name].items() if k != "enforcementLevel"}
        args = StackValidationArgs(list(resources), settings)
        policy.validate(args, lambda message, urn=None, name=policy.name: said.append((name, message, urn)))
    return said


STACK = (service(), pool("local-east-a", price=2.4), pool("local-east-b", price=1.4))


def test_a_stack_within_its_limits_passes_in_silence():
    limits = Limits(expected_usd_hour=2.8, worst_usd_hour=7.2, runaway_usd_hour=11.4, worst_usd_month=5256)
    assert judge(STACK, limits) == []


def test_a_stack_without_limits_passes():
    assert judge(STACK) == []


@pytest.mark.parametrize(
    ("limits", "policy"),
    [
        (Limits(expected_usd_hour=2.7), "cost-expected"),
        (Limits(expected_usd_month=2000), "cost-expected"),
        (Limits(worst_usd_hour=7.1), "cost-worst"),
        (Limits(worst_usd_month=5000), "cost-worst"),
        (Limits(runaway_usd_hour=11.3), "cost-runaway"),
        (Limits(runaway_usd_month=8000), "cost-runaway"),
    ],
)
def test_each_limit_is_judged_by_the_policy_of_its_figure_alone(limits, policy):
    assert [name for name, _, _ in judge(STACK, limits)] == [policy]


def test_an_unknown_price_is_refused_even_without_limits():
    bad = pool("local-west-a", price=UNKNOWN)
    [(policy, message, urn)] = judge([*STACK, bad])
    assert policy == "prices-known"
    assert message.startswith("chat.local.local-west-a.L4x1.spot: price unknown at preview")
    assert urn == bad.urn


def test_an_unknown_price_closes_every_limited_figure():
    limits = Limits(expected_usd_hour=1000, worst_usd_hour=1000, runaway_usd_hour=1000)
    said = judge([*STACK, pool("local-west-a", price=None)], limits)
    assert [name for name, _, _ in said] == ["cost-expected", "cost-worst", "cost-runaway", "prices-known"]


def test_no_message_carries_a_property_or_a_second_line():
    everything = [
        *STACK,
        pool("local-west-a", price="hush"),
        resource("aws:ec2/instance:Instance", "host", {"userData": "hush"}, provider=True),
    ]
    said = judge(everything, Limits(worst_usd_hour=1))
    assert {policy for policy, _, _ in said} >= {"cost-worst", "prices-known"}
    assert not any("hush" in message or "\n" in message for _, message, _ in said)


def test_what_the_program_exports_changes_no_figure():
    outputs = resource("pulumi:pulumi:Stack", "tradewind-dev", {"cost": {"worst_usd_hour": 0.01}})
    [(policy, message, _)] = judge([*STACK, outputs], Limits(worst_usd_hour=5))
    assert policy == "cost-worst"
    assert "7.20 USD/hour" in message
