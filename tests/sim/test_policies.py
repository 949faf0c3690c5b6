"""Policies by name."""

import pytest

from sim.conditions import Conditions
from sim.policies import DEFAULT, check, make
from spec.errors import InputError


@pytest.mark.parametrize("name", DEFAULT)
def test_every_policy_of_the_comparison_has_a_name_that_is_known(name):
    check(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("spothegde", "Did you mean `spothedge`?"),
        ("ondemand", "Did you mean `on-demand`?"),
        ("xyz", "There are tradewind, on-demand"),
        ("on-demand+extra=1", "has no variants"),
        ("omniscient+fallback", "takes no variants"),
        ("round-robin+falback", "Did you mean `fallback`?"),
        ("round-robin+extra=-1", "from 0 to 1000"),
        ("round-robin+extra=9999", "from 0 to 1000"),
        ("round-robin+extra", "Did you mean `extra=1`?"),
        ("round-robin+fallback=1", "Did you mean `fallback`?"),
        ("round-robin+extra=1+extra=2", "has `extra` twice"),
        ("round-robin+slo=99", "is no variant"),
        ("round-robin+", "Variants are `+fallback` and `+extra=1`"),
        ("tradewind+slo=0.999", "Write `99.9`"),
        ("tradewind+slo=all", "from 50 to 99.99"),
        ("tradewind+qps", "needs a request trace"),
    ],
)
def test_a_wrong_name_is_told_with_the_way_out(name, said):
    with pytest.raises(InputError) as wrong:
        check(name)
    assert said in str(wrong.value)


def test_two_policies_of_a_name_know_nothing_of_each_other():
    assert make("round-robin", Conditions()) is not make("round-robin", Conditions())
