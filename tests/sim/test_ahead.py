"""The least capacity ahead, against the plain definition."""

from hypothesis import given
from hypothesis import strategies as st

from sim.ahead import least_ahead


def test_a_drop_is_seen_before_it_comes_and_a_rise_only_when_it_does():
    assert least_ahead([0, 100, 300], [5, 2, 4], 30) == [(0, 5), (70, 2), (300, 4)]


def test_without_a_window_nothing_moves_and_equal_values_are_one():
    assert least_ahead([0, 10, 20], [3, 3, 1], 0) == [(0, 3), (20, 1)]


def test_a_zone_that_begins_late_has_nothing_before():
    assert least_ahead([50], [3], 10) == [(0, 0), (50, 3)]


@given(st.dictionaries(st.integers(0, 60), st.integers(0, 4), min_size=1), st.integers(1, 30))
def test_it_is_the_least_value_within_the_window(steps, window):
    times = sorted(steps)
    found = least_ahead(times, [steps[t] for t in times], window)

    def at(changes, t):
        return next((v for since, v in reversed(changes) if since <= t), 0)

    plain = [(t, steps[t]) for t in times]
    for t in range(70):
        expected = min(at(plain, u) for u in range(t, t + window + 1))
        assert at(found, t) == expected
