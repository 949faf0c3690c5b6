"""A plan's forecast as `tw plan --forecast` prints and keeps it, and as previews show it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from catalog.load import load
from cli import forecast, plan
from cli.forecast import FOLDER, Outlook, forecasts, kept, lines
from cli.money import Money
from planner.constraints import Constraints
from planner.planner import plan as plan_services
from sim.forecast import WEEKS, Forecast, Range
from spec.names import Market
from spec.read import read_services

FILE = """\
name: blog
resources: {accelerators: {L4: 1}, use_spot: true, ports: 8080}
service:
  readiness_probe: /v1/models
  replica_policy: {min_replicas: 2, max_replicas: 3}
run: serve
"""
MADE = Forecast(Range(61.04, 58.9, 66.2), Range(0.998, 0.994, 0.99999), 0.125, 0.0001, 20, 24)
IN_AWS = Constraints(clouds=("aws",), max_pools_per_service=6)


@pytest.fixture
def blog(tmp_path):
    """Writes the service's file with changes, and plans it."""

    def make(limits=IN_AWS, **changes):
        path = tmp_path / "blog.yaml"
        text = FILE
        for old, new in changes.items():
            text = text.replace(old, new)
        path.write_text(text)
        return plan_services(read_services([path]), load(), limits, env="none")

    make.root = tmp_path
    return make


@pytest.fixture
def tw(monkeypatch, tmp_path):
    monkeypatch.setattr(plan, "ROOT", tmp_path)
    app = typer.Typer()
    plan.register(app)
    return lambda *words: CliRunner().invoke(app, [str(w) for w in words])


def files(root):
    return sorted((root / FOLDER).glob("*")) if (root / FOLDER).exists() else []


def test_a_line_has_both_figures_with_their_ranges_and_on_demand_beside_them():
    figures, assumed = lines([Outlook("blog", MADE, 176.4, "2 replicas")])
    assert figures == (
        "blog: spot: $61.0/day (58.9-66.2), 12 % of it on demand, 99.80 % (99.40-99.99); on demand $176/day (2 replicas)"
    )
    assert assumed == (
        "assumed: spot capacity comes and goes by the law of 15 public traces (study of 2026-11), prices stay, on demand is "
        "always given, the load asks for no more than min_replicas and schedules; mean of 20 simulated weeks, 5th to 95th "
        "percentile (docs/planning.md)"
    )
    assert lines([]) == []


def test_a_service_without_a_forecast_says_why_and_nothing_is_assumed():
    assert lines([Outlook("blog", None, None, "1 replica", "it has no spot pools")]) == [
        "blog: no forecast: it has no spot pools; on demand unknown (1 replica)"
    ]


def test_on_demand_is_what_a_plan_of_on_demand_alone_is_expected_to_cost(blog):
    (o,) = kept(blog(), blog.root, stack="prod")
    alone = blog(Constraints(clouds=("aws",), market=Market.ON_DEMAND))
    assert o.on_demand_usd_day == pytest.approx(24 * alone.cost.expected_usd_hour)


@pytest.mark.parametrize(
    ("changes", "replicas"),
    [
        ({}, "2 replicas"),
        ({"min_replicas: 2": "min_replicas: 0"}, "1 replica"),
        ({"min_replicas: 2": "min_replicas: 1, num_overprovision: 1"}, "1 replica and 1 spare"),
        (
            {
                "min_replicas: 2": "min_replicas: 1, schedules: [{cron: 0 8 * * *, duration: 10h, min_replicas: 3}]"
            },
            "1 to 3 replicas by the clock",
        ),
    ],
)
def test_it_says_how_many_replicas_are_assumed(blog, changes, replicas):
    (o,) = kept(blog(**changes), blog.root, stack="prod")
    assert o.replicas == replicas


def test_what_was_forecast_is_shown_for_the_same_plan_and_for_no_other(blog, monkeypatch):
    monkeypatch.setattr("sim.forecast.WEEKS", 1)
    planned = blog()
    (before,) = kept(planned, blog.root, stack="prod")
    assert before.why == "./tw plan --stack prod --forecast makes it"
    made = forecasts(planned, blog.root)
    assert kept(planned, blog.root, stack="prod") == made
    for other in (blog(**{"max_replicas: 3": "max_replicas: 4"}), blog(Constraints(clouds=("gcp",)))):
        (o,) = kept(other, blog.root, stack="prod")
        assert o.spot is None
    assert Money(planned, outlooks=made).as_json()["services"][0]["forecast"]["spot"]["weeks"] == 1


def test_what_was_kept_is_not_forecast_again_unless_it_is_damaged_or_the_code_is_another(blog, monkeypatch):
    planned, asked = blog(), []
    monkeypatch.setattr(forecast, "forecast", lambda case, **_: asked.append(case) or MADE)
    first = forecasts(planned, blog.root)
    assert forecasts(planned, blog.root) == first
    assert len(asked) == 1
    (path,) = files(blog.root)
    path.write_text('{"usd_day": {"expected": NaN}}')
    assert forecasts(planned, blog.root) == first
    assert len(asked) == 2
    monkeypatch.setattr(forecast, "_code", lambda: "of tomorrow")
    forecasts(planned, blog.root)
    assert len(asked) == 3


def test_a_forecast_that_can_not_be_kept_is_one_all_the_same(blog, monkeypatch):
    planned = blog()
    monkeypatch.setattr(forecast, "forecast", lambda _, **__: MADE)
    (blog.root / ".tradewind").write_text("a file where the folder should be")
    (o,) = forecasts(planned, blog.root)
    assert o.spot == MADE


def test_services_that_nothing_can_be_forecast_of_say_why(blog):
    for limits, why in (
        (Constraints(clouds=("local",)), "the local cloud has what its trace says"),
        (Constraints(clouds=("aws",), market=Market.ON_DEMAND), "it has no spot pools"),
    ):
        (o,) = forecasts(blog(limits), blog.root)
        assert o.spot is None
        assert o.why.startswith(why)
    assert files(blog.root) == []


def test_the_command_prints_and_keeps_it(tw, blog, tmp_path):
    blog()
    ask = (tmp_path / "blog.yaml", "--cloud", "aws", "--region", "us-east-1", "--forecast", "--weeks", "1")
    said = tw(*ask)
    assert said.exit_code == 0, said.output
    assert "blog: spot: $" in said.stdout
    assert "mean of 1 simulated weeks" in said.stdout
    assert len(files(tmp_path)) == 1
    (service,) = json.loads(tw(*ask, "--json").stdout)["services"]
    found = service["forecast"]
    assert set(found) == {"spot", "on_demand_usd_day", "replicas", "why", "assumed"}
    assert set(found["spot"]) == {"usd_day", "available", "on_demand_part", "none_ready", "weeks", "pools"}
    assert set(found["spot"]["usd_day"]) == set(found["spot"]["available"]) == {"expected", "low", "high"}
    assert found["spot"]["usd_day"]["expected"] < found["on_demand_usd_day"]


def test_without_being_asked_for_nothing_is_forecast(tw, blog, tmp_path):
    blog()
    assert "forecast" not in tw(tmp_path / "blog.yaml").stdout
    (service,) = json.loads(tw(tmp_path / "blog.yaml", "--json").stdout)["services"]
    assert "forecast" not in service
    assert WEEKS == 20
    refused = tw(tmp_path / "blog.yaml", "--weeks", "3")
    assert str(refused.exception) == "--weeks is of --forecast, which is not asked for"
