"""Request traces: what is read and written, and what is refused with its row."""

import io
import resource

import pytest

from sim.requests import PROBLEMS_SHOWN, read, write
from spec.errors import SpecError

HEADER = "time_s,prompt_tokens,output_tokens\n"


def reading(tmp_path, text):
    path = tmp_path / "r.csv"
    path.write_text(text)
    return read(path)


def wrong(tmp_path, text):
    with pytest.raises(SpecError) as e:
        reading(tmp_path, text)
    return [str(p).removeprefix(str(tmp_path / "r.csv")) for p in e.value.problems]


def test_rows_are_requests_in_any_order_of_columns(tmp_path):
    found = reading(tmp_path, "output_tokens,time_s,prompt_tokens\n7,0.5,100\n0,2,30\n")
    assert (list(found.times), list(found.prompts), list(found.outputs)) == ([0.5, 2.0], [100, 30], [7, 0])
    assert (len(found), found.end_s, found.mean_tokens) == (2, 2.0, (65.0, 3.5))
    assert [found.until(t) for t in (0.5, 1, 3)] == [0, 1, 2]


def test_equal_rows_are_two_requests_that_came_together(tmp_path):
    assert len(reading(tmp_path, HEADER + "1,5,5\n1,5,5\n")) == 2


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("5,1,1\n4,1,1\n", ":3: time_s: 4 is before the row above (5). Sort the rows by time_s."),
        ("-1,1,1\n", ":2: time_s: must be a number, 0 or more, got '-1'."),
        ("nan,1,1\n", ":2: time_s: must be a number, 0 or more, got 'nan'."),
        ("inf,1,1\n", ":2: time_s: must be a number, 0 or more, got 'inf'."),
        (",1,1\n", ":2: time_s: is empty."),
        (
            "1700000000,1,1\n",
            ":2: time_s: 1700000000 s are more than a year. Times count from the beginning of the trace.",
        ),
        ("1,-1,1\n", ":2: prompt_tokens: must be a whole number from 0 to 100000000, got '-1'."),
        ("1,1.5,1\n", ":2: prompt_tokens: must be a whole number from 0 to 100000000, got '1.5'."),
        (
            "1,1,200000000\n",
            ":2: output_tokens: must be a whole number from 0 to 100000000, got '200000000'.",
        ),
        ("1,1,nan\n", ":2: output_tokens: must be a whole number from 0 to 100000000, got 'nan'."),
        ("1,1,\n", ":2: output_tokens: is empty."),
        ("1,1\n", ":2: has 2 values, the header has 3."),
        ("1,1,1,1\n", ":2: has 4 values, the header has 3."),
        ("", ": has no rows."),
        ("0,1,1\n0,2,2\n", ": time_s: every row is at 0, so the trace covers no time."),
    ],
)
def test_a_wrong_row_is_named_with_what_is_wrong(tmp_path, rows, said):
    assert wrong(tmp_path, HEADER + rows) == [said]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("time_s,prompt_tokens,outptu_tokens\n", ":1: outptu_tokens: is no column of a request trace"),
        ("time_s,prompt_tokens\n", ":1: output_tokens: is missing in the header"),
        ("time_s,time_s,prompt_tokens,output_tokens\n", ":1: time_s: stands in the header more than once."),
        ("\n", ":1: is empty: a request trace begins with the names of its columns, time_s,"),
        ("0,10,20\n", ":1: is no header: a request trace begins with the names of its columns, time_s,"),
    ],
)
def test_a_wrong_header_is_told_before_any_row(tmp_path, header, said):
    assert wrong(tmp_path, header + "x,y\n")[0].startswith(said)


def test_a_wrong_row_says_all_that_is_wrong_with_it_but_no_file_more_than_helps(tmp_path):
    assert len(wrong(tmp_path, HEADER + "-1,x,-2\n")) == 3
    assert len(wrong(tmp_path, HEADER + "1,x,1\n" * 500)) == PROBLEMS_SHOWN


def test_what_is_no_file_or_no_text_or_no_csv_is_said(tmp_path):
    with pytest.raises(SpecError, match="no such file"):
        read(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="is no CSV file: it is no text in UTF-8"):
        read(tmp_path / "bytes.csv")
    assert wrong(tmp_path, HEADER + '0,"1"2,1\n')[0].startswith(":2: is no CSV:")


def test_one_second_and_one_year_are_fine(tmp_path):
    assert reading(tmp_path, HEADER + "0,1,1\n1,1,1\n").end_s == 1
    assert reading(tmp_path, HEADER + f"0,1,1\n{365 * 86_400},1,1\n").end_s == 365 * 86_400


def test_what_is_written_is_read_again(tmp_path):
    rows = [(0.25, 12, 3), (7.5, 0, 1), (7.5, 900, 0)]
    out = io.StringIO()
    write(iter(rows), out)
    found = reading(tmp_path, out.getvalue())
    assert list(zip(found.times, found.prompts, found.outputs, strict=True)) == rows


def test_a_request_takes_few_bytes_of_memory(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = reading(tmp_path, HEADER + "".join(f"{n / 100},1000,200\n" for n in range(300_000)))
    kept = sum(a.itemsize * len(a) for a in (found.times, found.prompts, found.outputs))
    assert kept == 16 * 300_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 * 1024
