import sys
from dataclasses import replace

import pytest

from catalog.throughput import Basis, Speeds, load_speeds
from planner.constraints import Constraints
from planner.planner import plan
from planner.rightsize import USUAL, NoMix, rightsize, token_rates
from planner.tables import TOKENS, optimizer_tables
from planner.traffic import ANY, Bucket, Target, traffic_of
from spec.names import Market
from spec.service import ModelSize

LOAD = traffic_of([Bucket(1000, 200, 20.0)])
TARGET = Target(ttft_s=1.0, tpot_s=0.06)
SPEEDS = load_speeds()


@pytest.fixture
def chat(service):
    return service(
        "L4:1", "L40S:1", "H100:1", "Trainium:1", name="chat", model="meta-llama/Llama-3.1-8B-Instruct"
    )


@pytest.fixture
def planned(chat, catalog):
    return plan([chat], catalog, Constraints(), env="e").services[0]


def size(chat, planned, traffic=LOAD, target=TARGET, market=None):
    return rightsize(chat, planned, SPEEDS, traffic, target, market=market, by_length=False)


def test_tokens_cost_the_machines_price_over_what_it_does_in_an_hour(chat, planned):
    rates = token_rates(chat, planned, SPEEDS)
    h100 = rates["H100", 1]
    assert h100.usd_per_million(3.6) == pytest.approx(1000 / h100.tokens_s)
    assert rates["L4", 1].tokens_s < rates["L40S", 1].tokens_s < h100.tokens_s


def test_a_latency_target_makes_tokens_dearer_and_leaves_out_what_is_too_slow(chat, planned):
    free, held = (token_rates(chat, planned, SPEEDS, USUAL, t) for t in (ANY, Target(tpot_s=0.02)))
    assert ("L4", 1) not in held
    assert held["H100", 1].tokens_s < free["H100", 1].tokens_s


def test_every_candidate_of_the_table_has_its_price_of_tokens_or_a_dash(chat, planned):
    rates = token_rates(chat, planned, SPEEDS)
    table = optimizer_tables(planned, everything=True, rates=rates)[0]
    at = table.columns.index(TOKENS)
    assert table.columns[at + 1] == "CHOSEN"
    cells = {(row[4], row[at][0]) for row in table.rows}
    assert {("H100:1", "~"), ("L4:1", "~"), ("Trainium:1", "-")} <= cells
    assert TOKENS not in optimizer_tables(planned, everything=True)[0].columns


def test_a_price_of_tokens_without_a_mark_rests_on_measurements_alone(chat, planned):
    row = next(r for r in SPEEDS.rows if r.accelerator == "H200")
    mine = replace(row, accelerator="H100", basis=Basis.MEASURED, prefill_tokens_s=20_000.0)
    rates = token_rates(chat, planned, Speeds((mine,), SPEEDS.sheets))
    table = optimizer_tables(planned, everything=True, rates=rates)[0]
    at = table.columns.index(TOKENS)
    assert {row[at][0] == "~" for row in table.rows if row[4] == "H100:1"} == {False}
    assert {row[at][0] == "~" for row in table.rows if row[4] == "L4:1"} == {True}


def test_a_narrow_terminal_gets_the_table_without_the_host(planned):
    table = optimizer_tables(planned, everything=False)[0]
    narrow = table.narrowed()
    assert set(table.columns) - set(narrow.columns) == {"vCPUs", "Mem(GB)"}
    assert [row[0] for row in narrow.rows] == [row[0] for row in table.rows]
    assert [row[-1] for row in narrow.rows] == [row[-1] for row in table.rows]
    assert all(len(row) == len(narrow.columns) for row in narrow.rows)


def test_what_is_not_known_takes_no_part_and_is_told(chat, planned):
    sizing = size(chat, planned, target=ANY)
    assert sizing.left_out == ("no row of the throughput table and no data sheet tells how fast Trainium is",)
    assert all(m.parts[0].candidate.shape[0] != "Trainium" for m in sizing.alone)


def test_a_shape_that_is_too_slow_for_the_target_is_told_with_its_limit(chat, planned):
    sizing = size(chat, planned, target=Target(tpot_s=0.03))
    (slow,) = (line for line in sizing.left_out if line.startswith("L4:1"))
    assert slow.startswith("L4:1 is left out: bucket 1000 + 200 tokens: time per output token: a token takes")
    assert all(m.parts[0].candidate.shape != ("L4", 1) for m in sizing.alone)


def test_by_length_a_shape_is_left_out_only_if_no_bucket_suits_it(chat, planned):
    traffic = traffic_of([Bucket(100, 50, 2.0), Bucket(6000, 50, 0.5)])
    target = Target(ttft_s=1.0)
    whole, split = (
        rightsize(chat, planned, SPEEDS, traffic, target, market=None, by_length=by_length)
        for by_length in (False, True)
    )
    assert any("L4:1 is left out: bucket 6000 + 50 tokens" in line for line in whole.left_out)
    assert not any("L4:1" in line for line in split.left_out)


def test_a_mix_on_spot_is_at_worst_the_same_machines_on_demand(chat, planned):
    spot = size(chat, planned, market=Market.SPOT)
    assert spot.market is Market.SPOT
    cheapest = {}
    for row in planned.rows:
        key = row.market, row.accelerator
        cheapest[key] = min(row.price_usd_hour, cheapest.get(key, 1e9))
    bill = {
        market: sum(p.replicas * cheapest[market, p.candidate.shape[0]] for p in spot.mix.parts)
        for market in (Market.SPOT, Market.ON_DEMAND)
    }
    assert spot.mix.usd_hour == pytest.approx(bill[Market.SPOT])
    assert spot.worst_usd_hour(spot.mix) == pytest.approx(bill[Market.ON_DEMAND])
    on_demand = size(chat, planned)
    assert on_demand.worst_usd_hour(on_demand.mix) == pytest.approx(on_demand.mix.usd_hour)


def test_a_load_beyond_the_models_length_is_told_by_bucket_and_limit(service, catalog):
    short = service(name="short", model_size=ModelSize(name="Llama-3-8B", parameters_b=8, max_model_len=4096))
    planned = plan([short], catalog, Constraints(), env="e").services[0]
    with pytest.raises(
        NoMix, match=r"bucket 4000 \+ 200 tokens: max_model_len: 4200 tokens, and max_model_len is 4096"
    ):
        size(short, planned, traffic_of([Bucket(4000, 200, 1.0)]))


def test_planning_without_a_load_does_not_need_the_solver(chat, planned, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    assert token_rates(chat, planned, SPEEDS)
    with pytest.raises(ImportError):
        size(chat, planned)
