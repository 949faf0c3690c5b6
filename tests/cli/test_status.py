"""`tw status`: what it says of a running, a dead and a missing controller."""

import json
import os
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import options, wait
from cli import status as command
from cli.context import Context
from local import proctable
from spec.errors import InputError, OutsideError
from spec.status import ReplicaState, RolloutPhase, SpendStatus, TrafficStatus
from tests.cli.written import a_replica, a_rollout, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def context(tmp_path, monkeypatch):
    stack = Context(stack="dev", root=tmp_path)
    stack.state_dir.mkdir(parents=True)
    monkeypatch.setattr(options, "Context", lambda name: Context(stack=name, root=tmp_path))
    return stack


def run(*args):
    app = typer.Typer()
    command.register(app)
    wait.register(app)
    return CliRunner().invoke(app, [*args])


def test_the_json_has_exactly_the_documented_names(context):
    write(context, a_replica())
    result = run("status", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert set(found) == {"services", "usd_hour", "spend", "controller"}
    assert set(found["controller"]) == {"alive", "leader", "last_tick_age_s"}
    (service,) = found["services"]
    assert set(service) == {
        "name", "endpoint", "ready", "desired", "replicas", "min_replicas", "max_replicas", "traffic", "rollout",
        "usd_month",
    }  # fmt: skip
    (replica,) = service["replicas"]
    assert set(replica) == {
        "id", "pool", "cloud", "region", "zone", "market", "accelerator", "state", "since", "bundle", "usd_hour",
        "nodes",
    }  # fmt: skip
    assert replica["state"] == "ready"


def test_what_callers_ask_of_a_service_is_one_line_of_at_most_80_columns(context):
    traffic = TrafficStatus(
        qps=123.4, active=1024, held=512, failed_per_s=12.2, ttft_p50_ms=999.4, ttft_p95_ms=12_345.6
    )
    write(context, a_replica(), traffic=traffic)
    line = "123.4 requests/s, 1024 active, 512 held, 12.2 failed/s, TTFT 999 ms, p95 12.3 s"
    assert len(line) <= 80
    assert line in run("status").stdout.splitlines()
    told = json.loads(run("status", "--json").stdout)["services"][0]["traffic"]
    assert told["held"] == 512


def test_a_service_that_no_edge_has_told_of_has_no_traffic_line(context):
    write(context, a_replica(), traffic=TrafficStatus())
    assert "requests/s" not in run("status").stdout


def test_a_missing_status_is_said_with_the_way_out(context):
    result = run("status", "--json")
    assert isinstance(result.exception, OutsideError)
    assert result.exception.exit_code == 3
    assert "make up" in str(result.exception)


def test_a_status_that_is_no_json_is_said_not_shown(context):
    (context.state_dir / "status.json").write_text("{")
    assert isinstance(run("status").exception, OutsideError)


def test_a_controller_that_stopped_writing_is_not_alive_and_leads_nothing(context):
    write(context, a_replica(), age_s=60)
    controller = json.loads(run("status", "--json").stdout)["controller"]
    assert (controller["alive"], controller["leader"]) == (False, False)
    assert controller["last_tick_age_s"] > 60


def test_a_controller_that_the_registry_knows_to_be_dead_is_not_alive_at_once(context):
    write(context, a_replica())
    folder = context.home / "processes"
    folder.mkdir()
    entry = {
        "schema": 1, "name": "controller", "kind": "controller", "pid": 2**22 + 7, "start_time": "x:1",
        "token": "t", "launched_at": 0.0, "meta": {},
    }  # fmt: skip
    (folder / "controller.json").write_text(json.dumps(entry))
    assert not json.loads(run("status", "--json").stdout)["controller"]["alive"]


def test_the_table_shows_replicas_money_and_reasons(context):
    write(context, a_replica(state=ReplicaState.UNREADY, reason="its engine refuses connections"), desired=2)
    shown = run("status").stdout
    assert "0/2 ready" in shown
    assert "unready" in shown
    assert "$0.20" in shown
    assert "nowhere to launch" in shown


def test_a_replica_of_several_machines_says_how_many(context):
    gang = a_replica().model_copy(update={"nodes": 2})
    write(context, gang)
    assert f"{gang.id} x2" in run("status").stdout


def test_a_frozen_controller_says_why(context):
    write(context, a_replica(), frozen="desired/dev.json is not in the state bucket")
    assert "frozen" in run("status").stdout


def test_a_controller_that_is_there_and_silent_is_told_from_one_that_is_gone(context):
    registry = context.home / "processes"
    registry.mkdir(parents=True)
    me = proctable.read(os.getpid())
    entry = {
        "schema": 1,
        "name": "controller",
        "kind": "controller",
        "token": "t",
        "launched_at": 0,
        "meta": {},
    }
    for start_time, said in ((me.start_time, "runs and writes nothing"), ("gone", "not running")):
        (registry / "controller.json").write_text(
            json.dumps({**entry, "pid": me.pid, "start_time": start_time})
        )
        write(context, a_replica(), age_s=60)
        assert f"controller: {said}" in run("status").output


@pytest.mark.parametrize("name", ["status", "wait"])
def test_a_stack_that_nobody_configured_is_said_at_once(context, name):
    refused = run(name, "--stack", "prod")
    assert isinstance(refused.exception, InputError)
    assert "no stack `prod`" in str(refused.exception)


@pytest.mark.parametrize("name", ["status", "wait"])
def test_a_stack_that_is_not_up_is_said_at_once(context, name):
    shutil.copy(ROOT / "Pulumi.yaml", context.root)
    (context.root / "Pulumi.prod.yaml").write_text("config: {}\n")
    refused = run(name, "--stack", "prod")
    assert "make up STACK=prod" in str(refused.exception)


def test_a_rollout_that_goes_on_or_did_not_work_is_one_line(context):
    write(context, a_replica(), rollout=a_rollout(RolloutPhase.PAUSED, reason="an operator paused it"))
    said = " ".join(run("status").stdout.split())
    assert "rollout: paused, 1 of 3 done: aaaaaaaaaaaa -> bbbbbbbbbbbb" in said
    assert "an operator paused it" in said


def test_a_rollout_that_is_done_is_not_worth_a_line(context):
    write(context, a_replica(), rollout=a_rollout(RolloutPhase.DONE))
    assert "rollout" not in run("status").stdout


def test_the_money_of_the_month_is_told_with_its_budget_and_what_is_assumed(context):
    why = "usd_month 500 of the environment is used up: everything is ended (stop)"
    spend = SpendStatus(month="2026-11", usd=499.5, budget_usd=500, assumed_usd=20, exhausted=why)
    write(context, a_replica(), spend=spend)
    text = " ".join(run("status").output.split())
    assert "$499.50 of $500.00 in 2026-11 ($20.00 assumed: the journal was lost)" in text
    assert why in text


def test_without_a_budget_only_what_was_spent_is_told(context):
    write(context, a_replica(), spend=SpendStatus(month="2026-11", usd=1.25))
    assert "$1.25 in 2026-11\n" in run("status").output
