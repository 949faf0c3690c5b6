import json

from policies.config import policy_config
from policies.money import POLICIES
from spec.stack import Limits


def test_each_limit_of_the_stack_reaches_the_policy_of_its_figure():
    limits = Limits(
        expected_usd_hour=1,
        worst_usd_hour=2,
        runaway_usd_hour=3,
        expected_usd_month=4,
        worst_usd_month=5,
        runaway_usd_month=6,
    )
    assert policy_config(limits) == {
        "cost-expected": {"enforcementLevel": "mandatory", "usdHour": 1, "usdMonth": 4},
        "cost-worst": {"enforcementLevel": "mandatory", "usdHour": 2, "usdMonth": 5},
        "cost-runaway": {"enforcementLevel": "mandatory", "usdHour": 3, "usdMonth": 6},
        "prices-known": {"enforcementLevel": "mandatory"},
    }


def test_a_limit_that_is_not_set_is_left_out_and_zero_is_set():
    config = policy_config(Limits(worst_usd_hour=0))
    assert config["cost-worst"] == {"enforcementLevel": "mandatory", "usdHour": 0}
    assert config["cost-expected"] == {"enforcementLevel": "mandatory"}


def test_every_policy_is_named_and_the_whole_is_json():
    config = policy_config(Limits())
    assert set(config) == {policy.name for policy in POLICIES}
    assert json.loads(json.dumps(config)) == config
