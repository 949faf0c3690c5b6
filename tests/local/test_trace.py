"""The trace of the local cloud: what it says when, and what is refused."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.trace import Quote, Trace, TraceError, region_of

TRACES = Path(__file__).parents[2] / "local" / "traces"
CALM = TRACES / "calm.csv"


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "trace.csv"
        path.write_text(text)
        return path

    return write


def test_the_default_trace_has_three_zones_in_two_regions_and_all_prices():
    trace = Trace.load(CALM)
    assert trace.zones() == ("local-east-a", "local-east-b", "local-west-a")
    assert {region_of(z) for z in trace.zones()} == {"local-east", "local-west"}
    quotes = [trace.at(z, 10**6) for z in trace.zones()]
    assert [q.capacity for q in quotes] == [8, 8, 8]
    assert len({q.spot for q in quotes}) == 3
    assert all(q.spot < q.on_demand for q in quotes)


def test_a_row_holds_until_the_next_one_of_its_zone(written):
    trace = Trace.load(
        written(
            "time_s,zone,capacity,spot_price,ondemand_price\n5,a-b,2,0.1,0.9\n7,a-c,1,,\n9.5,a-b,0,,0.8\n"
        )
    )
    assert trace.at("a-b", 4.9) == Quote(0)
    assert trace.at("a-b", 5) == Quote(2, 0.1, 0.9)
    assert trace.at("a-b", 9.4) == Quote(2, 0.1, 0.9)
    assert trace.at("a-b", 9.5) == Quote(0, 0.1, 0.8)
    assert trace.at("a-c", 100) == Quote(1)
    assert trace.at("nowhere-a", 100) == Quote(0)


def test_columns_may_come_in_any_order_and_prices_may_be_left_out(written):
    trace = Trace.load(written("\ufeffzone,time_s,capacity\r\na-b,0,3\r\n"))
    assert trace.at("a-b", 0) == Quote(3)


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("", 1, "column time_s is missing"),
        ("time_s,zone\n", 1, "column capacity is missing"),
        ("time_s,zone,capacity,price\n", 1, "column 'price' is unknown"),
        ("time_s,zone,capacity\n", None, "has no rows"),
        ("time_s,zone,capacity\n0,a-b\n", 2, "more or fewer values"),
        ("time_s,zone,capacity\n0,a-b,1,2\n", 2, "more or fewer values"),
        ("time_s,zone,capacity\nsoon,a-b,1\n", 2, "time_s must be a number"),
        ("time_s,zone,capacity\n,a-b,1\n", 2, "time_s is empty"),
        ("time_s,zone,capacity\n-1,a-b,1\n", 2, "0 or more"),
        ("time_s,zone,capacity\n0,a-b,1\n0,a-c,nan\n", 3, "capacity must be a number"),
        ("time_s,zone,capacity\n0,a-b,1.5\n", 2, "capacity must be a whole number"),
        ("time_s,zone,capacity\n0,a-b,\n", 2, "capacity must be a whole number"),
        ("time_s,zone,capacity\n0,nozone,1\n", 2, "zone 'nozone'"),
        ("time_s,zone,capacity,spot_price\n0,a-b,1,inf\n", 2, "spot_price must be a number"),
        ("time_s,zone,capacity\n9,a-b,1\n8,a-b,1\n", 3, "before that of the row above"),
        ("time_s,zone,capacity\n9,a-b,1\n9,a-b,2\n", 3, "has a row for time_s 9 already"),
        ('time_s,zone,capacity\n0,"a-b,1\n', 2, "is no CSV"),
    ],
)
def test_a_bad_row_is_named_by_its_line(written, text, row, message):
    path = written(text)
    with pytest.raises(TraceError) as error:
        Trace.load(path)
    assert error.value.row == row
    assert message in error.value.message
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["calm", "stormy"])
def test_the_traces_that_come_along_know_the_same_zones_and_every_price(name):
    trace = Trace.load(TRACES / f"{name}.csv")
    assert trace.zones() == ("local-east-a", "local-east-b", "local-west-a")
    for zone in trace.zones():
        for at in range(0, 3700, 30):
            quote = trace.at(zone, at)
            assert 0 < quote.spot < quote.on_demand


def test_the_stormy_trace_takes_a_whole_region_away_and_ends_calm():
    trace = Trace.load(TRACES / "stormy.csv")
    taken = [at for at in range(3600) if not any(trace.at(f"local-east-{z}", at).capacity for z in "ab")]
    assert (taken[0], taken[-1]) == (900, 1199)
    assert all(any(trace.at(z, at).capacity for z in trace.zones()) for at in range(3600))
    assert all(trace.at(zone, 3600).capacity == 4 for zone in trace.zones())


def test_a_missing_file_and_a_binary_one_are_one_error(tmp_path):
    with pytest.raises(TraceError, match="no such file"):
        Trace.load(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="can't be read"):
        Trace.load(tmp_path / "b.csv")


@given(st.text(max_size=80))
def test_no_text_at_all_makes_it_crash(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "trace.csv"
    path.write_text("time_s,zone,capacity\n" + text, encoding="utf-8", errors="replace")
    with contextlib.suppress(TraceError):
        Trace.load(path)


def test_the_current_trace_is_the_same_object_until_its_file_changes(tmp_path):
    file = tmp_path / "trace.csv"
    file.write_text("time_s,zone,capacity\n0,here-a,1\n")
    first = Trace.current(file)
    assert Trace.current(file) is first
    file.write_text("time_s,zone,capacity\n0,here-a,12\n")
    assert Trace.current(file).at("here-a", 0) == Quote(12)
