"""The benchmark of policies: its arithmetic, and that every scenario it was asked for is shown."""

import json
import sys

import pytest

from bench import policy
from bench.policy import Interval


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
