"""Traces: what is read and written, what is refused with its row, and what the stated rules fill in."""

import io
import math
import time

import pytest

from sim.trace import PROBLEMS_SHOWN, Series, Trace, read, region_of, write
from spec.errors import SpecError

HEADER = "time_s,zone,capacity,spot_price,ondemand_price\n"


def reading(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return read(path)


def wrong(tmp_path, text):
    with pytest.raises(SpecError) as e:
        reading(tmp_path, text)
    return [str(p).removeprefix(str(tmp_path / "t.csv")) for p in e.value.problems]


def test_values_hold_until_the_next_row_and_an_empty_price_is_the_last_known(tmp_path):
    trace = reading(tmp_path, HEADER + "0,us-east-1a,4,0.9,3.0\n50,us-east-1a,2,,\n100,us-east-1a,2,1.1,\n")
    series = trace.zones["us-east-1a"]
    assert [series.capacity_at(t) for t in (0, 49.9, 50, 1000)] == [4, 4, 2, 2]
    assert list(series.spot) == [0.9, 0.9, 1.1]
    assert list(series.on_demand) == [3.0, 3.0, 3.0]
    assert (trace.end_s, trace.notes) == (100, ())


def test_columns_stand_in_any_order_and_prices_may_be_missing(tmp_path):
    trace = reading(tmp_path, "zone,capacity,time_s\na,1,0\na,0,9\n")
    assert list(trace.zones["a"].capacity) == [1, 0]
    assert math.isnan(trace.zones["a"].spot[0])


def test_a_zone_that_ends_early_holds_its_last_value_and_one_that_begins_late_has_nothing_before(tmp_path):
    trace = reading(tmp_path, "time_s,zone,capacity\n0,a,3\n60,b,5\n100,b,5\n")
    assert trace.zones["a"].capacity_at(99) == 3
    assert trace.zones["b"].capacity_at(59) == 0
    assert trace.notes == (
        "a ends at 0 s, the trace at 100 s: its capacity of 3 is taken to hold until then.",
        "b begins at 60 s: it has no capacity before.",
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "0,a,1,,\n50,a,2,,\n20,a,1,,\n",
            ":4: time_s: 20 is before the row above (50). Sort the rows by time_s.",
        ),
        ("0,a,1,,\n0,a,2,,\n", ":3: zone: a has a row at 0 already."),
        ("0,a,-1,,\n", ":2: capacity: must be a number, 0 or more, got '-1'."),
        ("0,a,nan,,\n", ":2: capacity: must be a number, 0 or more, got 'nan'."),
        ("inf,a,1,,\n", ":2: time_s: must be a number, 0 or more, got 'inf'."),
        ("0,a,1.5,,\n", ":2: capacity: must be a whole number up to 1000000, got '1.5'."),
        ("0,a,1e9,,\n", ":2: capacity: must be a whole number up to 1000000, got '1e9'."),
        (
            "0,a,,,\n",
            ":2: capacity: is empty. A zone without a measurement has no row then: its last one holds.",
        ),
        ("0,a,1,cheap,\n", ":2: spot_price: must be a number, 0 or more, got 'cheap'."),
        ("0,a,1,,-3\n", ":2: ondemand_price: must be a number, 0 or more, got '-3'."),
        ("0,,1,,\n", ":2: zone: '' is no name like us-east-1a."),
        ("0,a b,1,,\n", ":2: zone: 'a b' is no name like us-east-1a."),
        ("0,a,1\n", ":2: has 3 values, the header has 5."),
        (
            "1700000000,a,1,,\n",
            ":2: time_s: 1700000000 s are more than a year. Times count from the beginning of the trace.",
        ),
        ("0,a,1,1e7,\n", ":2: spot_price: must be USD per hour, 1,000,000 at most, got '1e7'."),
        ("", ": has no rows."),
        (
            "0,a,1,,\n0,b,1,,\n",
            ": time_s: every row is at 0, so the trace covers no time. Close every zone at its end.",
        ),
    ],
)
def test_a_wrong_row_is_named_with_what_is_wrong(tmp_path, rows, said):
    assert wrong(tmp_path, HEADER + rows) == [said]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("time_s,zone,capacity,spot\n", ":1: spot: is no column of a trace"),
        ("time_s,zone\n", ":1: capacity: is missing in the header"),
        ("time_s,zone,capacity,capacity\n", ":1: capacity: stands in the header more than once."),
        ("time_s,zones,capacity\n", ":1: zones: is no column of a trace, which has time_s,zone,capacity,"),
        ("\n", ":1: is empty: a trace begins with the names of its columns, time_s,zone,capacity,"),
        ("0,us-east-1a,4\n", ":1: is no header: a trace begins with the names of its columns, time_s,"),
    ],
)
def test_a_wrong_header_is_told_before_any_row(tmp_path, header, said):
    assert wrong(tmp_path, header + "x,y\n")[0].startswith(said)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_that_no_commas_separate_are_told_with_the_way_out(tmp_path, mark):
    (said,) = wrong(tmp_path, f"time_s{mark}zone{mark}capacity\n0{mark}a{mark}1\n")
    assert said.startswith(":1: is no header: ")
    assert said.endswith(" Columns are separated by commas.")


def test_an_empty_file_is_told_in_one_line(tmp_path):
    assert len(wrong(tmp_path, "")) == 1


def test_spreadsheets_marks_and_line_ends_are_fine(tmp_path):
    trace = reading(tmp_path, "\ufefftime_s,zone,capacity\r\n0,a,2\r\n\r\n60,a,1\r\n")
    assert list(trace.zones["a"].capacity) == [2, 1]


def test_all_wrong_rows_are_told_at_once_but_not_more_than_help(tmp_path):
    assert len(wrong(tmp_path, HEADER + "0,a,-1,,\n0,b,1,,\n1,a,x,,\n")) == 2
    assert len(wrong(tmp_path, HEADER + "0,a,-1,,\n" * 500)) == PROBLEMS_SHOWN


def test_what_is_no_file_or_no_text_is_said(tmp_path):
    with pytest.raises(SpecError, match="no such file"):
        read(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="is no CSV file: it is no text in UTF-8"):
        read(tmp_path / "bytes.csv")
    with pytest.raises(SpecError, match="can't be read: Is a directory"):
        read(tmp_path)


def test_a_broken_quote_is_told_with_its_row(tmp_path):
    assert wrong(tmp_path, HEADER + '0,"a"b,1,,\n')[0].startswith(":2: is no CSV:")


def test_one_second_and_one_year_and_500_zones_are_fine(tmp_path):
    assert reading(tmp_path, "time_s,zone,capacity\n0,a,1\n1,a,1\n").end_s == 1
    year = 365 * 86_400
    rows = [f"0,z{n},{n % 5}" for n in range(500)] + [f"{year},z{n},{n % 5}" for n in range(500)]
    trace = reading(tmp_path, "time_s,zone,capacity\n" + "\n".join(rows))
    assert (len(trace.zones), trace.days) == (500, 365)


def test_what_is_written_is_read_again(tmp_path):
    text = "time_s,zone,capacity,spot_price\n0,b,1,0.5\n0,a,2,\n30.5,a,0,0.25\n60,b,3,0.5\n"
    out = io.StringIO()
    write(reading(tmp_path, text), out)
    assert out.getvalue() == text


def test_unknown_prices_come_from_the_ratio():
    nan = math.nan
    trace = Trace("t", {}, 9)
    for zone, spot, on_demand in (("a", 2.0, nan), ("b", nan, 6.0), ("c", nan, nan), ("d", 1.0, 5.0)):
        trace.zones[zone] = Series()
        trace.zones[zone].append(0, 1, spot, on_demand)
    priced = trace.priced(4).zones
    assert [(s.spot[0], s.on_demand[0]) for s in priced.values()] == [(2, 8), (1.5, 6), (1, 4), (1, 5)]


def test_a_price_known_only_later_is_taken_for_the_time_before():
    series = Series()
    series.append(0, 1, math.nan, math.nan)
    series.append(5, 1, 2.0, math.nan)
    assert list(Trace("t", {"a": series}, 9).priced(3).zones["a"].spot) == [2, 2]


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("us-east-1a", "us-east-1"),
        ("us-central1-a", "us-central1"),
        ("use1-az3", "use1"),
        ("local-east-b", "local-east"),
        ("eastus", "eastus"),
    ],
)
def test_the_region_of_a_zone(zone, region):
    assert region_of(zone) == region


def test_a_long_trace_is_read_in_seconds(tmp_path):
    rows = "\n".join(f"{n},z{n % 9},{n % 4},0.5,1.5" for n in range(100_000))
    started = time.perf_counter()
    reading(tmp_path, HEADER + rows)
    assert time.perf_counter() - started < 5
