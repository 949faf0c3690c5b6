import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.observe.window import Window, grown, percentile


def test_growth_slides_out_of_the_window_in_parts():
    window = Window(60, began=0)
    window.add({"n": 100}, since=0, at=10)
    assert window.growth(10) == {"n": 100}
    assert window.growth(60) == {"n": 100}
    assert window.growth(65) == {"n": pytest.approx(50)}
    assert window.growth(70) == {"n": 0}


def test_growth_after_a_quiet_time_is_not_spread_over_it():
    window = Window(60, began=0)
    window.add({"n": 1}, since=0, at=1)
    window.add({"n": 8}, since=199, at=200)
    assert window.growth(200) == {"n": 8}


def test_a_young_window_divides_by_its_age_but_never_by_almost_nothing():
    window = Window(60, began=100)
    assert [window.seconds(t) for t in (100, 103, 130, 1000)] == [5, 5, 30, 60]


def test_a_counter_that_is_lower_than_before_began_anew():
    assert grown({"a": 5, "b": 5}, {"a": 7, "b": 2, "c": 1}) == {"a": 2, "b": 2, "c": 1}


@given(st.lists(st.tuples(st.floats(0.1, 20), st.integers(0, 50)), min_size=1, max_size=60))
def test_growth_is_never_negative_nor_more_than_came(steps):
    window, at, came = Window(60, began=0), 0.0, 0
    for seconds, number in steps:
        window.add({"n": number}, since=at, at=at + seconds)
        at, came = at + seconds, came + number
        for later in (0, 1, 30, 61, 1000):
            assert -1e-9 <= window.growth(at + later).get("n", 0) <= came + 1e-9
    assert window.growth(at + 61).get("n", 0) == pytest.approx(0)


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        (0.5, [0, 0, 0], None),
        (0.5, [10, 0, 0], 5),
        (0.5, [0, 10, 0], 55),
        (0.95, [0, 100, 0], 95.5),
        (0.5, [1, 1, 0], 10),
        (0.5, [0, 0, 3], 100),
    ],
)
def test_a_percentile_is_interpolated_within_its_bucket(share, counts, expected):
    assert percentile(share, counts, (10, 100)) == expected
