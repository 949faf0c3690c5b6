"""Synthetic request traces: as long and as restless as the traces they imitate, and the same for the same seed."""

import statistics
from itertools import pairwise

import pytest

from sim.arrivals import Asks, generate_requests

PUBLISHED = {
    Asks.CONVERSATION: {"prompt": (1020, 1154.7), "output": (129, 211.1)},
    Asks.CODE: {"prompt": (1469, 2047.8), "output": (13, 27.9)},
}
"""Median and mean of the Azure LLM inference trace of 2023."""


def a_day(asks=Asks.CONVERSATION, seed=1, rate=0.3, days=1.0):
    return list(generate_requests(asks, seed=seed, days=days, rate=rate))


@pytest.mark.parametrize("asks", Asks)
def test_lengths_have_the_published_medians_and_means(asks):
    rows = a_day(asks)
    for column, name in ((1, "prompt"), (2, "output")):
        median, mean = PUBLISHED[asks][name]
        found = [row[column] for row in rows]
        assert statistics.median(found) == pytest.approx(median, rel=0.05)
        assert statistics.fmean(found) == pytest.approx(mean, rel=0.12)


def test_requests_come_in_order_and_within_the_days():
    rows = a_day(days=0.1)
    assert all(a[0] <= b[0] for a, b in pairwise(rows))
    assert rows[0][0] >= 0
    assert rows[-1][0] < 8640


def test_the_rate_is_what_was_asked_for_over_many_days_beside_the_bursts():
    rates = [len(a_day(rate=0.05, seed=seed)) / 86_400 for seed in range(20)]
    assert 0.05 <= statistics.fmean(rates) <= 0.0625


def test_there_is_a_day_and_a_night():
    by_hour = [0] * 24
    for seed in range(10):
        for at, *_ in a_day(rate=0.02, seed=seed):
            by_hour[int(at // 3600)] += 1
    assert sum(by_hour[10:14]) > 2 * (sum(by_hour[:2]) + sum(by_hour[22:]))


def test_minutes_differ_by_more_than_chance_as_much_as_in_the_published_hour():
    """There the counts of a minute have 16 times the variance of a Poisson process at 5.5 requests per second."""
    ratios = []
    for seed in range(5):
        counts = [0] * 60
        for at, *_ in generate_requests(Asks.CONVERSATION, seed=seed, days=0.3, rate=5.5):
            if 6 * 3600 <= at < 7 * 3600:
                counts[int(at // 60) % 60] += 1
        ratios.append(statistics.variance(counts) / statistics.fmean(counts))
    assert 5 < statistics.median(ratios) < 50


def test_the_same_seed_gives_the_same_trace_and_another_one_another():
    made = [a_day(seed=seed, days=0.02) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
