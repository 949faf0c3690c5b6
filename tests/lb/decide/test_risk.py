"""How long places stay up or down: the law of the study, and what follows from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.decide.risk import hazard, loss, mean_stay_s, stays

SECONDS = st.floats(0, 1e7)


def test_the_hazard_is_that_of_the_study():
    per_hour = {age_h: hazard(age_h * 3600) * 3600 for age_h in (0.5, 2, 24)}
    assert {h: round(v, 2) for h, v in per_hour.items()} == {0.5: 0.72, 2: 0.33, 24: 0.04}


@given(SECONDS, SECONDS)
def test_a_place_stays_the_longer_the_older_it_is_and_the_less_the_longer_one_waits(age, span):
    assert 0 < stays(age, span) <= 1
    assert stays(age + 600, span) >= stays(age, span) >= stays(age, span + 600)
    assert loss(age, span) == 1 - stays(age, span)


@given(st.floats(0, 1e6))
def test_the_hazard_is_the_loss_of_a_moment(age):
    assert abs(loss(age, 1.0) / hazard(age) - 1) < 1e-3


@given(st.floats(0, 1e6), st.floats(60, 1e6))
def test_the_mean_stay_is_the_sum_of_the_chances_to_be_there_still(age, most):
    steps = 2000
    summed = sum(stays(age, (n + 0.5) * most / steps) for n in range(steps)) * most / steps
    assert mean_stay_s(age, most) == pytest.approx(summed, rel=2e-3)
