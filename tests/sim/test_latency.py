"""What callers met: percentiles in little memory, and what counts as late."""

import random

import pytest

from sim.latency import Callers, Times


def callers(goal_s=2.0, counts_from=0.0, end_s=600.0):
    return Callers(goal_s=goal_s, counts_from=counts_from, end_s=end_s)


def test_percentiles_are_right_to_one_percent():
    source = random.Random(1)
    seconds = sorted(source.lognormvariate(0, 2) for _ in range(20_000))
    times = Times()
    for s in seconds:
        times.add(s)
    for share in (0.5, 0.9, 0.99):
        assert times.percentile(share) == pytest.approx(seconds[int(share * 20_000) - 1], rel=0.0101)


def test_of_nothing_there_is_no_percentile_and_nothing_is_too_short_or_too_long_to_count():
    times = Times()
    assert times.percentile(0.5) is None
    times.add(0.0)
    times.add(1e12)
    assert times.percentile(0.5) == 0.001
    assert times.percentile(1.0) > 86_400 * 365


def test_late_is_whatever_had_no_first_byte_in_time():
    found = callers()
    for arrived in (1.0, 2.0, 3.0, 4.0, 5.0):
        found.came(arrived)
    found.began(1.0, 3.0)
    found.began(2.0, 4.5)
    found.failed(3.0, "no_replica")
    found.waits(4.0, 7.0)
    found.waits(5.0, 7.0)
    met = found.met()
    assert met.late == pytest.approx(3 / 5)
    assert (met.requests, met.failed, met.no_replica) == (5, 1, 1)


def test_an_answer_that_began_late_and_broke_is_late_once():
    found = callers()
    for arrived in (1.0, 2.0):
        found.came(arrived)
        found.began(arrived, arrived + (9 if arrived == 2 else 1))
        found.failed(arrived, "broken", began_after_s=9 if arrived == 2 else 1)
    met = found.met()
    assert (met.broken, met.late) == (2, 1.0)


def test_a_minute_misses_its_goal_when_more_than_one_in_a_hundred_is_late():
    found = callers()
    for minute, late in ((0, 1), (1, 2), (2, 0)):
        for n in range(100):
            at = 60 * minute + n * 0.5
            found.came(at)
            found.began(at, at + (3 if n < late else 1))
    assert found.met().late_minutes == pytest.approx(1 / 3)


def test_what_came_before_anybody_could_be_ready_is_not_counted():
    found = callers(counts_from=120.0)
    for at in (119.0, 121.0):
        found.came(at)
        found.retried(at)
        found.began(at, at + 5)
        found.done(at, at + 6)
        found.failed(at, "lost")
    met = found.met()
    assert (met.requests, met.retried, met.answered, met.lost) == (1, 1, 1, 1)


def test_without_a_request_nothing_was_late():
    met = callers().met()
    assert (met.requests, met.late, met.late_minutes, met.ttft_p99_s) == (0, 0.0, 0.0, None)
