import json

import pytest
import typer
from typer.testing import CliRunner

from catalog.load import PRICES_CSV, load
from catalog.quotes import Quote, Quotes
from cli import catalog
from spec.errors import InputError


@pytest.fixture
def tw():
    app = typer.Typer()
    catalog.register(app)

    @app.command()
    def other():
        """A second command, so that the first keeps its name."""

    def run(*words):
        return CliRunner().invoke(app, ["catalog", *words])

    return run


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A copy of the price table, and a source that says that one GCP price rose by a tenth."""
    path = tmp_path / "prices.csv"
    path.write_text(PRICES_CSV.read_text())
    quotes = [
        Quote(
            cloud=o.cloud,
            location=o.zone or o.region,
            instance_type=o.instance_type,
            vcpus=o.vcpus,
            memory_gib=o.memory_gib,
            accelerator=o.accelerator,
            accelerator_count=o.accelerator_count,
            spot=False,
            price=o.on_demand_usd_hour * (1.1 if o.zone == "us-east4-a" and o.accelerator_count == 8 else 1),
        )
        for o in load(path).offers
        if o.cloud == "gcp" and o.accelerator == "L4"
    ]
    monkeypatch.setattr(catalog, "PRICES_CSV", path)
    monkeypatch.setattr(catalog, "fetch", lambda clouds: Quotes(tuple(quotes), ("azure",), "gpuhunt test"))
    return path


def test_shapes_are_listed_with_their_cheapest_prices(tw):
    shapes = json.loads(tw("show", "a10g", "--json").stdout)["shapes"]
    assert {s["accelerator"] for s in shapes} == {"A10G"}
    assert {s["accelerator_count"] for s in shapes} == {1, 4, 8}
    assert "A10G:8" in tw("show", "A10g").stdout


def test_an_unknown_accelerator_offers_a_near_one(tw):
    result = tw("show", "A1OG")
    assert isinstance(result.exception, InputError)
    assert "Did you mean `A10G`?" in str(result.exception)


def test_an_accelerator_that_nobody_sells_is_said(tw):
    assert "nobody in the price table has MI300X" in str(tw("show", "MI300X").exception)


def test_a_refresh_prints_the_difference_and_writes_the_table(tw, table):
    out = tw("refresh").stdout
    assert "~ gcp us-east4-a g2-standard-96 L4:8, on demand 7.97712 -> 8.77483 (+10.0 %)" in out
    assert "nothing came of azure; its rows stay as they are" in out
    (changed,) = [
        o for o in load(table).offers if o.zone == "us-east4-a" and o.instance_type == "g2-standard-96"
    ]
    assert (changed.on_demand_usd_hour, changed.source) == (8.774832, "skypilot-catalog v8")


def test_a_dry_run_writes_nothing(tw, table):
    before = table.read_bytes()
    out = json.loads(tw("refresh", "--dry-run", "--json").stdout)
    assert out["written"] is False
    assert out["changed"]
    assert table.read_bytes() == before


def test_a_cloud_that_the_source_does_not_have_is_refused(tw, table):
    result = tw("refresh", "--cloud", "awz")
    assert isinstance(result.exception, InputError)
    assert "Did you mean `aws`?" in str(result.exception)
