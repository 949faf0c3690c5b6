import random
from dataclasses import FrozenInstanceError

import pytest

from catalog.accelerators import kind_of
from catalog.load import COLUMNS, LOCAL_CSV, PRICES_CSV, Catalog, dump, load
from spec.errors import InputError, SpecError
from spec.names import Market

GOOD = "aws,us-east-1,use1-az1,g6.xlarge,4,16,L4,1,24,0.8048,0.3,test,2026-01-02"


@pytest.fixture
def table(tmp_path):
    def write(*rows, columns=COLUMNS):
        path = tmp_path / "table.csv"
        path.write_text("\n".join([",".join(columns), *rows]) + "\n")
        return path

    return write


def test_the_projects_own_tables_load():
    catalog = load()
    assert len(load(PRICES_CSV).offers) == 1290
    assert catalog.clouds == {"aws", "azure", "gcp", "lambda", "local", "nebius", "runpod"}
    assert {o.zone for o in load(LOCAL_CSV).offers} == {"local-east-a", "local-east-b", "local-west-a"}


def test_the_tables_are_stored_in_their_canonical_text():
    assert PRICES_CSV.read_text() == dump(load(PRICES_CSV).offers)
    assert LOCAL_CSV.read_text() == dump(load(LOCAL_CSV).offers)


def test_memory_in_the_table_is_that_of_the_accelerators_name():
    for offer in load().offers:
        assert offer.accelerator_memory_gib == kind_of(offer.accelerator).memory_gib


def test_the_order_of_the_rows_does_not_matter():
    offers = list(load().offers)
    random.Random(3).shuffle(offers)
    assert Catalog(tuple(offers)) == load()


def test_an_offer_can_not_be_changed(table):
    offer = load(table(GOOD)).offers[0]
    with pytest.raises(FrozenInstanceError):
        offer.spot_usd_hour = 1


def test_empty_cells_are_unknown(table):
    offer = load(table("gcp,us-east1,,tpu-v5litepod-4,,,TPU-v5e,4,16,4.8,,test,unknown")).offers[0]
    assert offer.zone is None
    assert offer.vcpus is None
    assert offer.price(Market.SPOT) is None
    assert offer.price(Market.ON_DEMAND) == 4.8
    assert offer.price(Market.RESERVED) == 4.8


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("0.8048", "-1", "on_demand_usd_hour", "above 0; it is `-1`"),
        ("0.8048", "nan", "on_demand_usd_hour", "above 0; it is `nan`"),
        ("0.8048", "inf", "on_demand_usd_hour", "above 0; it is `inf`"),
        ("0.8048", "cheap", "on_demand_usd_hour", "above 0; it is `cheap`"),
        (",0.3,", ",0.9,", "spot_usd_hour", "spot 0.9 is dearer than on demand 0.8048"),
        (",L4,", ",L5,", "accelerator", "nobody has an accelerator `L5`"),
        (",L4,", ",l4,", "accelerator", "write it as `L4`"),
        (",L4,1,", ",L4,0,", "accelerator_count", "whole number above 0"),
        (",L4,1,", ",L4,1.5,", "accelerator_count", "whole number above 0"),
        ("2026-01-02", "yesterday", "as_of", "ISO date"),
        ("aws,", ",", "cloud", "must be a word"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(table, old, new, field, message):
    with pytest.raises(SpecError) as e:
        load(table(GOOD, GOOD.replace("xlarge", "2xlarge").replace(old, new, 1)))
    assert str(e.value).startswith(f"table.csv:3: {field}:")
    assert message in str(e.value)


def test_all_wrong_rows_are_said_at_once(table):
    with pytest.raises(SpecError) as e:
        load(table(GOOD.replace("0.3", "x"), GOOD, "a,b"))
    assert [p.line for p in e.value.problems] == [2, 4]


def test_a_place_and_type_may_not_have_two_rows(table):
    with pytest.raises(SpecError, match=r"table.csv:3: this place and instance type have a row already"):
        load(table(GOOD, GOOD))


def test_another_header_is_refused(table):
    with pytest.raises(SpecError, match=r"table.csv:1: the header must be"):
        load(table(GOOD, columns=("cloud", "region")))


def test_a_missing_table_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"none.csv can't be read: No such file"):
        load(tmp_path / "none.csv")


def test_a_table_of_bytes_is_said_in_one_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"is no CSV file"):
        load(tmp_path / "t.csv")
