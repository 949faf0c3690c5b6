"""How many replicas are expected by the clock, over a week and over a year."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.decide.scaling.schedule import floor
from planner.expected import MONDAY, replicas_over, shares
from spec.scaling import Scaling, Schedule

HOUR = 3600.0
MIDNIGHT = datetime(MONDAY.year, MONDAY.month, MONDAY.day, tzinfo=UTC).timestamp()


def schedule(cron="0 8 * * 1-5", *, zone="UTC", hours=10.0, least=4):
    return Schedule(cron=cron, timezone=zone, duration_s=hours * HOUR, min_replicas=least)


def scaling(*schedules, least=1, most=10):
    return Scaling(min_replicas=least, max_replicas=most, schedules=schedules)


def test_without_schedules_the_minimum_is_expected_and_at_least_one():
    assert shares(Scaling(min_replicas=3, max_replicas=9)) == ((3, 1.0),)
    assert shares(Scaling(min_replicas=0, max_replicas=9)) == ((1, 1.0),)
    assert replicas_over(Scaling(min_replicas=0, max_replicas=9), 7) == ((0.0, 1),)


def test_working_hours_are_their_part_of_the_week():
    assert dict(shares(scaling(schedule()))) == pytest.approx({1: 118 / 168, 4: 50 / 168})


def test_hours_are_those_of_the_time_zone():
    begin, end = 7 * HOUR, 17 * HOUR  # 8 to 18 in Berlin, in winter
    assert replicas_over(scaling(schedule(zone="Europe/Berlin")), 1) == ((0.0, 1), (begin, 4), (end, 1))


def test_of_several_floors_the_highest_counts():
    both = scaling(schedule(), schedule("0 12 * * *", hours=2, least=6))
    day = [(at / HOUR, n) for at, n in replicas_over(both, 1)]
    assert day == [(0, 1), (8, 4), (12, 6), (14, 4), (18, 1)]


def test_a_floor_that_began_before_the_week_is_on_from_its_first_second():
    assert replicas_over(scaling(schedule("0 20 * * 0", hours=10)), 1) == ((0.0, 4), (6 * HOUR, 1))


def test_begins_that_come_while_it_is_on_prolong_it():
    assert replicas_over(scaling(schedule("0 * * * *", hours=1)), 7) == ((0.0, 4),)
    assert shares(scaling(schedule("0 * * * *", hours=168))) == ((4, 1.0),)


def test_more_than_the_maximum_is_never_expected():
    assert shares(scaling(schedule("0 0 * * *", hours=24, least=20), most=5)) == ((5, 1.0),)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            schedule,
            st.sampled_from(["0 8 * * 1-5", "30 22 * * *", "*/20 3 * * 6", "15 1 9 * *", "0 0 * * 0"]),
            zone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles"]),
            hours=st.sampled_from([0.1, 1, 23.5, 100, 168]),
            least=st.integers(0, 12),
        ),
        max_size=3,
    ),
    st.lists(st.integers(0, 7 * 86_400 - 1), min_size=20, max_size=20),
)
def test_at_every_moment_it_is_what_the_controller_would_hold(schedules, moments):
    wanted = scaling(*schedules)
    steps = replicas_over(wanted, 7)
    assert steps[0][0] == 0
    assert all(a < b and m != n for (a, m), (b, n) in pairwise(steps))
    for moment in moments:
        held = [n for at, n in steps if at <= moment][-1]
        assert held == max(1, min(10, floor(wanted, MIDNIGHT + moment).replicas))
