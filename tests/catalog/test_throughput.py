import pytest

from catalog.accelerators import KINDS
from catalog.load import load
from catalog.throughput import (
    COLUMNS,
    THROUGHPUT_CSV,
    Basis,
    load_datasheets,
    load_speeds,
    read_throughput,
)
from planner.fit import quantization_of
from spec.errors import InputError, SpecError

GOOD = "my-8b,bf16,L4,1,4000,300,16,1000,200,32,measured,vllm,2026-11-02,https://example.org/run,ours"


@pytest.fixture
def table(tmp_path):
    def write(*rows, columns=COLUMNS):
        path = tmp_path / "mine.csv"
        path.write_text("\n".join([",".join(columns), *rows]) + "\n")
        return path

    return write


def test_every_row_of_ours_names_a_public_source_and_how_its_figures_came_about():
    rows = read_throughput(THROUGHPUT_CSV)
    assert rows
    for row in rows:
        assert row.source.startswith("https://")
        assert row.note
        assert row.basis in {Basis.CITED, Basis.DERIVED}, "nothing was measured by us yet"
        assert row.basis is Basis.CITED or any(c.isdigit() for c in row.note), "the arithmetic is in the note"
        assert quantization_of(row.quantization)[0] == row.quantization


def test_every_accelerator_of_nvidia_that_is_sold_has_a_data_sheet():
    sold = {offer.accelerator for offer in load().offers}
    assert {k.name for k in KINDS if k.vendor == "nvidia"} & sold <= set(load_datasheets())


def test_every_data_sheet_has_links_and_the_day_on_which_they_were_looked_up():
    for sheet in load_datasheets().values():
        assert all(link.startswith("https://") for link in sheet.source.split(" "))
        assert len(sheet.as_of) == len("2026-11-28")


def test_eight_bit_units_are_twice_as_fast_as_sixteen_bit_ones_where_a_sheet_has_them():
    """A figure with sparsity beside one without is the slip that vendors' sheets invite."""
    for sheet in load_datasheets().values():
        assert sheet.fp8_tflops is None or 1.95 < sheet.fp8_tflops / sheet.fp16_tflops < 2.05
        if sheet.int8_tops is not None and sheet.accelerator != "B300":  # which has hardly any for int8
            assert 1.95 < sheet.int8_tops / sheet.fp16_tflops < 2.05


def test_the_users_rows_come_before_ours(table):
    speeds = load_speeds(table(GOOD))
    assert speeds.rows[0].model == "my-8b"
    assert speeds.rows[0].basis is Basis.MEASURED
    assert speeds.rows[1:] == load_speeds().rows


@pytest.mark.parametrize(
    ("old", "new", "column", "why"),
    [
        (",300,16,", ",0,16,", "decode_tokens_s", "a number above 0; it is `0`"),
        (",300,16,", ",nan,16,", "decode_tokens_s", "a number above 0; it is `nan`"),
        (",4000,", ",-1,", "prefill_tokens_s", "a number above 0; it is `-1`"),
        (",16,1000,", ",1.5,1000,", "concurrency", "a whole number above 0"),
        (",16,1000,", ",1⁶,1000,", "concurrency", "a whole number above 0"),
        (",200,32,", ",200,8,", "max_concurrency", "at least concurrency, 16"),
        (",L4,", ",L5,", "accelerator", "nobody has an accelerator `L5`"),
        ("measured", "guessed", "basis", "measured, cited, derived"),
        ("measured", "estimated", "basis", "measured, cited, derived"),
        ("https://example.org/run", "", "source", "must be a word"),
        ("2026-11-02", "yesterday", "as_of", "ISO date"),
    ],
)
def test_a_wrong_cell_is_named_with_its_row(table, old, new, column, why):
    assert old in GOOD
    with pytest.raises(SpecError) as e:
        read_throughput(table(GOOD, GOOD.replace("my-8b", "my-9b").replace(old, new)))
    (problem,) = e.value.problems
    assert (problem.line, problem.field) == (3, column)
    assert why in problem.message


def test_all_wrong_rows_are_told_at_once(table):
    with pytest.raises(SpecError) as e:
        read_throughput(table("a,b", GOOD, GOOD.replace("L4", "L5")))
    assert [p.line for p in e.value.problems] == [2, 4]


def test_two_rows_about_one_thing_are_an_error_with_both_rows(table):
    with pytest.raises(SpecError, match=r"mine.csv:3: row 2 is about the same model"):
        read_throughput(table(GOOD, GOOD.replace("300", "301")))


def test_a_table_that_is_no_text_is_an_error(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(b"\xff\xfe,")
    with pytest.raises(InputError, match=r"mine.csv is no CSV file"):
        read_throughput(path)


def test_another_header_is_an_error(table):
    with pytest.raises(SpecError, match="the header must be `model,quantization"):
        read_throughput(table(GOOD, columns=COLUMNS[::-1]))


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"none.csv can't be read"):
        read_throughput(tmp_path / "none.csv")
