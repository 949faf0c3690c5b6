"""The benchmark of policies: its arithmetic, and that every scenario it was asked for is shown."""

import json
import sys
from dataclasses import replace

import pytest

from bench import policy
from bench.stage import goals
from bench.stage.goals import Equal, Interval
from sim.metrics import Result
from sim.policies import OMNISCIENT


def result(availability, cost):
    """Of a run with that availability and cost."""
    return Result(
        name="",
        availability=availability,
        served=1.0,
        zero_ready=0.0,
        cost_ratio=1.0,
        cost_on_demand_part=0.0,
        cost_usd=cost,
        preemptions=0,
        launches=0,
        failed_launches=0,
        calls_per_hour=0.0,
    )


def test_an_interval_is_students_over_independent_values():
    found = Interval.of([1.0, 2.0, 3.0, 4.0])
    assert (found.mean, found.half) == (pytest.approx(2.5), pytest.approx(2.054, abs=1e-3))
    assert found.percent() == "250.0 ±205.4"


def test_one_value_has_no_interval():
    assert Interval.of([0.5]).percent() == "50.0"


def test_every_scenario_and_policy_is_in_the_table_and_in_the_file(monkeypatch, tmp_path, capsys):
    words = [
        "--quick",
        "--scenario",
        "ordinary",
        "--scenario",
        "prices",
        "--policy",
        "spothedge",
        "--policy",
        "round-robin",
    ]
    monkeypatch.setattr(sys, "argv", ["policy", *words, "--workers", "1", "--json", str(tmp_path / "r.json")])
    assert policy.main() == 0
    shown = capsys.readouterr().out
    assert shown.index("ordinary: aged") < shown.index("prices: prices") < shown.index("all 2 scenarios")
    rows = json.loads((tmp_path / "r.json").read_text())
    assert len(rows) == 2 * 2 * policy.QUICK_SEEDS
    assert {row["seed"] for row in rows} == {1001, 1002, 1003}


def test_a_scenario_that_is_not_there_is_told():
    with pytest.raises(SystemExit, match="Did you mean `ordinary`"):
        policy.chosen(["ordinery"])


def test_goals_are_judged_at_equal_availability_and_name_where_it_is_not_reached(monkeypatch, capsys):
    words = ["--scenario", "ordinary", "--scenario", "constant", "--seeds", "tuning", "--workers", "1"]
    for name in (*goals.OURS, goals.RIVAL, OMNISCIENT):
        words += ["--policy", name]
    shorter = [replace(s, days=0.5) for s in policy.SCENARIOS]
    monkeypatch.setattr(policy, "SCENARIOS", shorter)
    monkeypatch.setattr(policy, "TUNING_SEEDS", (1, 2))
    monkeypatch.setattr(sys, "argv", ["policy", *words])
    assert policy.main() == 0
    shown = capsys.readouterr().out
    assert "ours as available as spothedge" in shown
    assert len([line for line in shown.splitlines() if line.startswith(("met ", "missed "))]) == 4


def test_a_mix_of_settings_is_compared_seed_by_seed_and_one_that_falls_short_is_told():
    scenario = replace(policy.chosen(["ordinary"])[0], notice="aws")
    runs = {
        ("ordinary", name): [result(a, c)] * 2
        for name, a, c in (
            ("tradewind+slo=99", 0.990, 30.0),
            ("tradewind", 0.998, 40.0),
            ("tradewind+slo=99.99", 0.9985, 50.0),
            ("spothedge", 0.994, 70.0),
            ("omniscient", 0.999, 20.0),
        )
    }
    same = Equal.of(runs, scenario, 0.994, "spothedge")
    assert (same.available, same.cost.mean) == (pytest.approx(0.994), pytest.approx(0.5))
    said = goals.goals(runs, goals.compared(runs, [scenario]))
    assert [line.split()[0] for line in said] == ["met", "met", "met", "missed", "missed"]
    assert said[0].endswith("50.0% over 1 scenarios")
    assert said[-1].endswith("250.0% in ordinary; not as available in ordinary")
