"""`tw sim`: comparing policies on a trace from the command line."""

import json
import xml.etree.ElementTree as ET

import pytest
import typer
from typer.testing import CliRunner

from cli import sim
from sim import omniscient
from sim.policies import DEFAULT
from spec.errors import InputError, OutsideError, SpecError

POLICY = {
    "name",
    "availability",
    "served",
    "zero_ready",
    "cost_ratio",
    "cost_on_demand_part",
    "preemptions",
    "launches",
    "failed_launches",
}


def tw(*words):
    app = typer.Typer()
    sim.register(app)
    app.command("other")(lambda: None)
    result = CliRunner().invoke(app, ["sim", *(str(w) for w in words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(tw("generate", "aged", "--days", 2, "--seed", 3).stdout)
    return path


def test_json_has_the_promised_names_and_shares_from_0_to_1(trace):
    found = json.loads(tw("--trace", trace, "--target", 2, "--ratio", 4, "--json").stdout)
    assert (found["trace"], found["target"], found["cold_start_s"], found["ratio"], found["days"]) == (
        str(trace),
        2,
        120,
        4,
        2,
    )
    assert tuple(p["name"] for p in found["policies"]) == DEFAULT
    for policy in found["policies"]:
        assert set(policy) >= POLICY
        shares = [policy[n] for n in ("availability", "served", "zero_ready", "cost_on_demand_part")]
        assert all(0 <= share <= 1 for share in shares)


def test_the_table_shows_the_policies_that_were_asked_for_once(trace):
    shown = tw(
        "--trace", trace, "--policy", "spothedge", "--policy", "on-demand", "--policy", "spothedge"
    ).stdout
    assert shown.count("spothedge") == 1
    assert shown.index("spothedge") < shown.index("on-demand  ")
    assert "omniscient" not in shown


def test_what_the_stated_rules_filled_in_is_said(trace):
    trace.write_text("time_s,zone,capacity\n0,a,2\n0,b,2\n90000,b,2\n")
    assert "a ends at 0 s" in tw("--trace", trace, "--policy", "round-robin").stdout
    assert "a ends at 0 s" in json.loads(tw("--trace", trace, "--json").stdout)["notes"][0]


def test_conditions_of_the_clouds_are_taken(trace):
    def result(*words):
        return json.loads(tw("--trace", trace, "--policy", "spothedge", "--json", *words).stdout)["policies"][
            0
        ]

    plain = result()
    assert result("--launch-usd", 5)["cost_usd"] > plain["cost_usd"]
    assert result("--late")["launches"] < plain["launches"]
    assert result("--cold-start", 900)["availability"] < plain["availability"]


def test_the_picture_is_drawn_where_asked(trace, tmp_path):
    shown = tw("--trace", trace, "--policy", "spothedge", "--plot", tmp_path / "p.svg").stdout
    assert "p.svg" in shown
    ET.parse(tmp_path / "p.svg")


@pytest.mark.parametrize("name", ["p.png", "p", "folder.svg", ""])
def test_a_picture_that_would_be_no_svg_is_told_before_the_trace_is_read(tmp_path, name):
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InputError, match=r"--plot draws SVG, so name a file that ends with \.svg, got"):
        tw("--trace", tmp_path / "none.csv", "--plot", tmp_path / name)


def test_results_are_shown_also_where_the_picture_can_not_be_written(trace):
    app = typer.Typer()
    sim.register(app)
    app.command("other")(lambda: None)
    words = ("--trace", trace, "--policy", "on-demand", "--plot", trace / "p.svg")
    result = CliRunner().invoke(app, ["sim", *(str(w) for w in words)])
    assert isinstance(result.exception, OutsideError)
    assert str(trace) in str(result.exception)
    assert "100.000%" in result.stdout


def test_figures_and_headings_are_whole_on_a_narrow_terminal(trace, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the output for a terminal then
    monkeypatch.setenv("COLUMNS", "80")
    shown = tw("--trace", trace, "--policy", "on-demand", "--policy", "round-robin+fallback+extra=1").stdout
    assert "100.000%" in shown
    assert "preempted" in shown
    assert "…" not in shown


def test_results_are_shown_also_where_the_trace_is_too_large_for_its_optimum(trace, monkeypatch):
    monkeypatch.setattr(omniscient, "MOST_VARIABLES", 1)
    words = ("--trace", trace, "--policy", "omniscient", "--policy", "on-demand", "--json")
    found = json.loads(tw(*words).stdout)
    assert [p["name"] for p in found["policies"]] == ["on-demand"]
    assert "without omniscient: " in found["notes"][0]
    assert "leave that policy out or cut the trace" in found["notes"][0]
    with pytest.raises(InputError, match="too many changes for omniscient"):
        tw("--trace", trace, "--policy", "omniscient")


def test_a_cold_start_longer_than_the_trace_is_said(trace):
    trace.write_text("time_s,zone,capacity\n0,a,2\n60,a,2\n")
    said = "a cold start takes longer than the trace, so nothing can ever be ready"
    assert said in tw("--trace", trace, "--policy", "on-demand").stdout
    assert said in json.loads(tw("--trace", trace, "--policy", "on-demand", "--json").stdout)["notes"]


def test_a_file_without_its_option_is_told_how_to_be_named(trace):
    with pytest.raises(InputError, match="for a trace write `tw sim --trace "):
        tw(trace)


def test_without_a_trace_it_says_how_to_get_one():
    with pytest.raises(InputError, match="tw sim generate aged"):
        tw()


def test_a_misspelt_policy_is_told_before_the_trace_is_read(tmp_path):
    with pytest.raises(InputError, match="Did you mean `spothedge`"):
        tw("--trace", tmp_path / "none.csv", "--policy", "spothegde")


def test_a_broken_trace_is_told_with_its_rows(trace):
    trace.write_text("time_s,zone,capacity\n0,a,2\n5,a,-2\n")
    with pytest.raises(SpecError, match=r"t.csv:3: capacity: must be a number, 0 or more, got '-2'"):
        tw("--trace", trace)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cold-start", -1), "can't be simulated: the cold start must be 0 or more"),
        (("--cold-start", "nan"), "can't be simulated"),
        (("--cold-start", "1e9"), "at most a year"),
        (("--ratio", "1e308"), "ratio must be from 0.001 to 1000"),
        (("--launch-usd", "1e308"), "at most 1000000"),
        (("--ratio", 0), "ratio must be from 0.001 to 1000"),
        (("--slo", 0.5), "did you mean 50?"),
        (("--slo", 101), "is a percentage like 99.9, got 101"),
        (("--notice", -3), "notice_s must be 0 or more"),
    ],
)
def test_an_impossible_number_is_told_with_its_name(trace, words, said):
    with pytest.raises(InputError) as wrong:
        tw("--trace", trace, *words)
    assert said in str(wrong.value)


def test_a_trace_of_one_second_has_a_result_too(trace):
    trace.write_text("time_s,zone,capacity\n0,a,2\n1,a,2\n")
    found = json.loads(tw("--trace", trace, "--json").stdout)
    assert {p["availability"] for p in found["policies"]} == {0.0}


def test_a_generated_trace_is_the_same_for_the_same_seed():
    made = [tw("generate", "prices", "--days", 1, "--seed", seed).stdout for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
