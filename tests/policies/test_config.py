import json

import pytest

from policies.all import POLICIES
from policies.config import policy_config
from spec.errors import SpecError
from spec.stack import Limits, StackConfig, parse


def test_each_limit_of_the_stack_reaches_the_policy_of_its_figure():
    limits = Limits(
        expected_usd_hour=1,
        worst_usd_hour=2,
        runaway_usd_hour=3,
        expected_usd_month=4,
        worst_usd_month=5,
        runaway_usd_month=6,
    )
    config = policy_config(StackConfig(limits=limits))
    assert {
        name: config[name] for name in ("cost-expected", "cost-worst", "cost-runaway", "prices-known")
    } == {
        "cost-expected": {"enforcementLevel": "mandatory", "usdHour": 1, "usdMonth": 4},
        "cost-worst": {"enforcementLevel": "mandatory", "usdHour": 2, "usdMonth": 5},
        "cost-runaway": {"enforcementLevel": "mandatory", "usdHour": 3, "usdMonth": 6},
        "prices-known": {"enforcementLevel": "mandatory"},
    }


def test_a_limit_that_is_not_set_is_left_out_and_zero_is_set():
    config = policy_config(StackConfig(limits=Limits(worst_usd_hour=0)))
    assert config["cost-worst"] == {"enforcementLevel": "mandatory", "usdHour": 0}
    assert config["cost-expected"] == {"enforcementLevel": "mandatory"}


def test_every_policy_is_named_and_the_whole_is_json():
    config = policy_config(StackConfig(limits=Limits()))
    assert set(config) == {policy.name for policy in POLICIES}
    assert json.loads(json.dumps(config)) == config


def test_levels_and_parameters_of_the_stack_reach_their_policies():
    given = {"spot-share": {"level": "advisory", "min": 0.5}, "no-ssh": {"level": "disabled"}}
    config = policy_config(parse({"policies": given, "catalog": {"failDays": 90}}, file="f"))
    assert config["spot-share"] == {"enforcementLevel": "advisory", "min": 0.5}
    assert config["no-ssh"] == {"enforcementLevel": "disabled"}
    assert config["prices-fresh"] == {"enforcementLevel": "mandatory", "days": 90}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"spot-shar": {"min": 0.5}}, "has no policy `spot-shar`. Did you mean `spot-share`?"),
        (
            {"no-ssh": {"min": 0.5}},
            "gives no-ssh the parameter `min`, which it does not take (it takes: none)",
        ),
        (
            {"spot-share": {"level": "warn"}},
            "must be one of `mandatory`, `advisory` or `disabled`, not `warn`",
        ),
    ],
)
def test_a_policy_that_is_misspelt_is_told_before_anything_is_judged(given, told):
    with pytest.raises(SpecError) as error:
        parse({"policies": given}, file="f")
    assert told in str(error.value)
