"""What a preview leaves for programs and for a pull request."""

import json

import pytest
from pulumi.automation.events import OpType

from cli import preview_files
from cli.events import Change, Report, Step, Violation
from cli.forecast import Outlook
from cli.money import Money
from planner.plan import Plan, ServicePlan
from planner.pricing import Cost
from sim.forecast import Forecast, Range
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind
from spec.stack import parse

POOL = Pool(
    id="chat.aws.use1-az1.L4x1.spot",
    service="chat",
    kind=PoolKind.VM,
    cloud="aws",
    region="us-east-1",
    market=Market.SPOT,
    accelerator="L4",
    accelerator_count=1,
    instance_types=("g6.xlarge",),
    max_size=3,
    prices=Prices(spot=0.5),
)
PLAN = Plan(
    "prod",
    (ServicePlan("chat", (), (), (POOL,), Cost(0.5, 1.0, 1.5, 0.0)),),
    0.2,
    Cost(0.7, 1.2, 1.7, 146.0),
)
CONFIG = parse({"policies": {"spot-share": {"level": "advisory"}}}, file="f")
FIGURES = {"expected_usd_hour", "worst_usd_hour", "runaway_usd_hour", "idle_usd_month"}


def report(*, changes=1, violations=()):
    found = Report(violations=list(violations))
    for n in range(changes):
        urn = f"urn:pulumi:prod::tradewind::aws:ec2/eip:Eip::address-{n:04}"
        found.steps.append(Step("create", urn, "aws:ec2/eip:Eip"))
        found.changes.append(Change(OpType.CREATE, urn, "aws:ec2/eip:Eip", ("tags: {} => {...}",)))
    return found


@pytest.fixture
def left(tmp_path):
    def write(of, *, before=None, offline=True, notes=()):
        preview_files.write(tmp_path, "prod", of, Money(PLAN, before), CONFIG, notes=notes, offline=offline)
        resources, cost = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("resources", "cost"))
        return resources, cost, (tmp_path / "comment.md").read_text()

    return write


def test_resources_are_named_with_type_and_operation(left):
    resources, _, _ = left(report(changes=2))
    assert [set(r) for r in resources] == [{"urn", "type", "op"}] * 2
    assert [r["op"] for r in resources] == ["create", "create"]


def test_what_was_forecast_stands_below_the_money_and_in_the_costs(tmp_path):
    made = Forecast(Range(10.0, 9.0, 12.0), Range(0.999, 0.99, 1.0), 0.0, 0.0, 20, 1)
    money = Money(PLAN, outlooks=[Outlook("chat", made, 36.0, "2 replicas")])
    preview_files.write(tmp_path, "prod", report(), money, CONFIG, offline=True)
    head = (tmp_path / "comment.md").read_text().partition("**Policies**")[0]
    assert "- forecast: chat: spot: $10.0/day (9.0-12.0), 99.90 % (99.00-100.00); on demand $36.0/day" in head
    assert "- forecast: assumed: spot capacity" in head
    [service] = json.loads((tmp_path / "cost.json").read_text())["services"]
    assert service["forecast"]["spot"]["usd_day"] == {"expected": 10.0, "low": 9.0, "high": 12.0}


def test_costs_have_the_figures_of_each_service_and_of_all(left):
    _, cost, _ = left(report())
    assert cost.keys() == {"services", "total", "policies"}
    [service] = cost["services"]
    assert service.keys() >= {"name", "pools", "change_usd_hour"} | FIGURES
    assert service["pools"][0]["id"] == POOL.id
    assert service["worst_usd_hour"] == 1.0
    assert cost["total"].keys() >= {"change_usd_hour"} | FIGURES
    assert cost["total"]["idle_usd_month"] == 146.0


@pytest.mark.parametrize(
    ("before", "change", "word"),
    [
        (None, None, "| new |"),
        ({"chat": 0.4, "total": 0.6}, 0.1, "| +0.10 |"),
        ({"total": 0.9}, -0.2, "| -0.20 |"),
    ],
)
def test_the_change_is_against_what_was_deployed_last(left, before, change, word):
    _, cost, comment = left(report(), before=before)
    assert cost["total"]["change_usd_hour"] == (None if change is None else pytest.approx(change))
    assert word in comment


def test_every_policy_is_named_whether_it_passed_or_what_it_said(left):
    said = [Violation("no-ssh", True, "door: is open."), Violation("spot-share", False, "too little.")]
    _, cost, comment = left(report(violations=said))
    by_name = {p["name"]: p for p in cost["policies"]}
    assert by_name["no-ssh"] == {
        "name": "no-ssh",
        "level": "mandatory",
        "passed": False,
        "message": "door: is open.",
    }
    assert by_name["tls"] == {"name": "tls", "level": "mandatory", "passed": True, "message": ""}
    assert by_name["spot-share"]["level"] == "advisory"
    assert "- **refused** `no-ssh`: door: is open." in comment
    assert "- **note** `spot-share`: too little." in comment


def test_the_comment_can_be_found_again_and_begins_with_the_money(left):
    _, _, comment = left(report())
    assert comment.splitlines()[0] == preview_files.marker("prod")
    assert comment.index("| total |") < comment.index("**Policies**") < comment.index("<details>")


def test_a_comment_of_thousands_of_resources_is_short_enough_and_says_how_many_it_leaves_out(left):
    resources, _, comment = left(report(changes=3000))
    assert len(resources) == 3000
    assert len(comment) <= preview_files.COMMENT_LIMIT
    assert "... and " in comment
    assert comment.rstrip().endswith("</details>")


def test_it_is_said_where_a_preview_knew_nothing_of_the_clouds(left):
    assert "stand-ins took the place" in left(report(), offline=True)[2]
    assert "stand-ins" not in left(report(), offline=False)[2]


def test_notes_stand_with_the_policies(left):
    _, _, comment = left(report(), notes=["prices of aws are old"])
    assert (
        comment.index("**Policies**")
        < comment.index("- note: prices of aws are old")
        < comment.index("<details>")
    )


def test_no_change_is_said(left):
    assert "### Preview of `prod`: no change" in left(report(changes=0))[2]
