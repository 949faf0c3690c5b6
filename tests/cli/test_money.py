"""What `tw up` and `tw preview` refuse before anything is started."""

import json
import shutil

import pytest
import yaml

from cli import money
from cli.context import Context
from spec.errors import InputError, SpecError
from tests.e2e.checkout import ROOT

HEADER = "time_s,zone,capacity,spot_price,ondemand_price\n"


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the plan is made of; returns a function that changes settings and plans."""
    for name in (
        "Pulumi.yaml",
        "Pulumi.dev.yaml",
        "services/chat.yaml",
        "services/qwen-7b.yaml",
        "local/traces/calm.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "engines", tmp_path / "engines", ignore=shutil.ignore_patterns("__pycache__"))

    def plan(**settings):
        path = tmp_path / "Pulumi.dev.yaml"
        content = yaml.safe_load(path.read_text())
        content["config"].update({f"tradewind:{k}": v for k, v in settings.items()})
        path.write_text(json.dumps(content))
        return money.plan_of(Context("dev", tmp_path))

    plan.root = tmp_path
    return plan


def refusal(plan, **settings):
    with pytest.raises(InputError) as e:
        plan(**settings)
    assert e.value.exit_code == 1
    return str(e.value)


def trace(plan, rows, header=HEADER):
    (plan.root / "my.csv").write_text(header + rows)
    return {"local": {"trace": "my.csv"}}


def test_the_committed_stack_can_be_brought_up(checkout):
    planned = checkout()
    assert [s.name for s in planned.services] == ["chat"]
    assert money.Money(planned).as_json()["total"]["expected_usd_hour"] > 0


def test_a_trace_that_is_not_there_is_said_with_setting_and_file(checkout):
    text = refusal(checkout, local={"trace": "local/traces/stormy.csv"})
    assert text.startswith("Pulumi.dev.yaml: tradewind:local.trace: ")
    assert text.endswith("stormy.csv: no such file")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0,local-east-a,many,,\n", "my.csv:2: capacity must be a number"),
        ("0,local-east-a,-1,,\n", "my.csv:2: capacity must be a number, 0 or more, got '-1'"),
        ("9,local-east-a,1,,\n0,local-east-a,1,,\n", "my.csv:3: time_s 0 is before that of the row above"),
        ("0,local-east-a\n", "my.csv:2: has more or fewer values"),
        ("", "my.csv: has no rows"),
    ],
)
def test_a_bad_row_of_the_trace_is_said_with_its_line(checkout, rows, said):
    assert said in refusal(checkout, **trace(checkout, rows))


def test_a_trace_without_a_zone_of_the_plan_is_said_with_both_ways_out(checkout):
    text = refusal(checkout, **trace(checkout, "0,local-east-a,8,0.2,0.7\n"))
    assert "my.csv has no row for the zone local-" in text
    assert "tradewind:regions" in text
    assert text.endswith("it has local-east-a.")


def test_a_stack_in_the_clouds_says_where_its_hosts_stand(checkout):
    text = refusal(checkout, clouds=["aws"], services=["services/qwen-7b.yaml"])
    assert (
        "Pulumi.dev.yaml: tradewind:home: is missing: in which cloud and region the controller runs." in text
    )


def test_a_service_file_that_is_not_there_is_said_with_the_nearest_one(checkout):
    text = refusal(checkout, services=["services/chta.yaml"])
    assert "services/chta.yaml: there is no such file." in text
    assert "chat.yaml" in text.partition("no such file")[2]


def test_two_services_of_one_name_are_said(checkout):
    shutil.copy(checkout.root / "services/chat.yaml", checkout.root / "services/again.yaml")
    text = refusal(checkout, services=["services/chat.yaml", "services/again.yaml"])
    assert "`chat` is also the name of the service in" in text


def test_one_file_given_twice_is_said(checkout):
    assert "`chat` is also the name" in refusal(checkout, services=["services/chat.yaml"] * 2)


def test_no_service_at_all_is_said(checkout):
    assert "tradewind:services: must not be empty." in refusal(checkout, services=[])


def test_problems_of_all_service_files_are_said_at_once(checkout):
    for name in ("a", "b"):
        (checkout.root / f"{name}.yaml").write_text("run: [\n")
    with pytest.raises(SpecError) as e:
        checkout(services=["a.yaml", "b.yaml"])
    assert len(e.value.problems) == 2
