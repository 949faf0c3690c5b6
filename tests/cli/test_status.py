"""`tw status` and `tw wait`: what they say of a running, a dead and a missing controller."""

import json
import os
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import options
from cli import status as command
from cli.context import Context
from local import proctable
from spec.desired import Bundle, Desired, Scaling, Service, dump
from spec.errors import InputError, OutsideError
from spec.names import Market
from spec.status import (
    ControllerStatus,
    ReplicaState,
    ReplicaStatus,
    ServiceStatus,
    SpendStatus,
    Status,
    TrafficStatus,
)

SHA = "a" * 64
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def context(tmp_path, monkeypatch):
    stack = Context(stack="dev", root=tmp_path)
    stack.state_dir.mkdir(parents=True)
    monkeypatch.setattr(options, "Context", lambda name: Context(stack=name, root=tmp_path))
    monkeypatch.setattr(command, "POLL_S", 0.01)
    return stack


@pytest.fixture
def edge():
    """An edge that is ready."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/edge/ready" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(*args):
    app = typer.Typer()
    command.register(app)
    return CliRunner().invoke(app, [*args])


def a_replica(name="i-1", state=ReplicaState.READY, reason="", bundle=SHA):
    return ReplicaStatus(
        id=f"local:local-east:{name}",
        pool="chat.local.local-east-a.L4x1.spot",
        cloud="local",
        region="local-east",
        zone="local-east-a",
        market=Market.SPOT,
        accelerator="L4",
        state=state,
        since=time.time() - 100,
        bundle=bundle,
        usd_hour=0.2,
        reason=reason,
    )


def write(
    context,
    *replicas,
    endpoint="",
    desired=1,
    age_s=0.0,
    leader=True,
    lives=True,
    frozen=None,
    generation="g1",
    failures=0,
    traffic=None,
    spend=None,
):
    found = Status(
        services=(
            ServiceStatus(
                name="chat",
                endpoint=endpoint,
                ready=sum(r.state is ReplicaState.READY for r in replicas),
                desired=desired,
                replicas=replicas,
                failures=failures,
                traffic=traffic,
            ),
        ),
        usd_hour=0.2,
        spend=spend,
        controller=ControllerStatus(alive=lives, leader=leader, last_tick_age_s=0.1, frozen=frozen),
        written_at=time.time() - age_s,
        generation=generation,
        reasons=("12:00:00Z chat: 1 missing and nowhere to launch",),
    )
    (context.state_dir / "status.json").write_text(found.model_dump_json())


def write_desired(context, sha256=SHA):
    bundle = Bundle(sha256=sha256, run="serve", port=8000)
    service = Service(name="chat", bundle=bundle, scaling=Scaling(min_replicas=1, max_replicas=1))
    desired = Desired(schema=1, env="dev", generation="g1", services=(service,), pools=())
    path = context.state_dir / "desired" / "dev.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(dump(desired))


# ---------------------------------------------------------------- status


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


def test_a_frozen_controller_says_why(context):
    write(context, a_replica(), frozen="desired/dev.json is not in the state bucket")
    assert "frozen" in run("status").stdout


# ---------------------------------------------------------------- wait


def test_wait_ends_when_all_is_ready_and_the_edge_answers(context, edge):
    write_desired(context)
    write(context, a_replica(), endpoint=edge)
    result = run("wait", "--timeout", "5")
    assert result.exit_code == 0, result.exception
    assert "1/1 ready" in result.stdout


def test_wait_goes_on_while_replicas_come_up(context, edge):
    write_desired(context)
    write(context, a_replica(state=ReplicaState.STARTING), endpoint=edge)
    timer = threading.Timer(0.2, lambda: write(context, a_replica(), endpoint=edge))
    timer.start()
    command.wait_until_ready(context, timeout_s=5)
    timer.join()


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        ({"replicas": (a_replica(state=ReplicaState.UNREADY, reason="its probe fails"),)}, "its probe fails"),
        ({"replicas": (), "desired": 1}, "nowhere to launch"),
        ({"replicas": (a_replica(),), "age_s": 60}, "its controller does not run"),
        ({"replicas": (a_replica(),), "generation": "g0"}, "not read the new desired state"),
        ({"replicas": (a_replica(bundle="b" * 64),)}, "still being updated"),
        ({"replicas": (a_replica(),), "frozen": "no desired state"}, "frozen"),
        ({"replicas": (a_replica(),), "endpoint": "http://127.0.0.1:9"}, "its edge at http://127.0.0.1:9"),
    ],
)
def test_wait_says_what_is_missing_and_ends_with_3(context, situation, words):
    write_desired(context)
    replicas = situation.pop("replicas")
    write(context, *replicas, **situation)
    with pytest.raises(OutsideError) as raised:
        command.wait_until_ready(context, timeout_s=0.02)
    assert raised.value.exit_code == 3
    assert words in str(raised.value)


def test_wait_shows_the_last_lines_of_a_failing_engine(context):
    log = context.home / "machines" / "i-1" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_text("loading\nout of memory\n")
    write(context, a_replica(state=ReplicaState.FAILED, reason="exit code 1"))
    with pytest.raises(OutsideError, match=r"(?s)exit code 1.*engine\.log.*out of memory"):
        command.wait_until_ready(context, timeout_s=0.02)


def failing_more_and_more(context, monkeypatch, *replicas, first=0, **status):
    """Each look finds one failure more than the look before."""
    counts = iter(range(first, first + 100))

    def time_goes_by(seconds=0.0):
        write(context, *replicas, failures=next(counts), **status)

    time_goes_by()
    monkeypatch.setattr(command.time, "sleep", time_goes_by)
    return counts


def test_wait_does_not_wait_for_a_service_whose_replicas_fail_one_after_another(context, monkeypatch):
    failed = a_replica("i-1", ReplicaState.FAILED, "exit code 1")
    counts = failing_more_and_more(context, monkeypatch, failed)
    with pytest.raises(OutsideError, match="failing"):
        command.wait_until_ready(context, timeout_s=60)
    assert next(counts) == command.GIVE_UP_AFTER + 1


def test_wait_does_not_wait_for_a_new_version_that_fails_while_the_one_before_serves_on(context, monkeypatch):
    write_desired(context, sha256="b" * 64)
    failing_more_and_more(context, monkeypatch, a_replica(bundle=SHA), desired=2)
    with pytest.raises(OutsideError, match=r"failing; 1 of the version before serve on"):
        command.wait_until_ready(context, timeout_s=60)


def test_wait_gives_a_service_that_has_failed_before_one_more_try(context, monkeypatch):
    counts = failing_more_and_more(context, monkeypatch, first=7)
    with pytest.raises(OutsideError, match="failing"):
        command.wait_until_ready(context, timeout_s=60)
    assert next(counts) == 7 + 2


def test_failures_of_an_older_desired_state_are_not_counted(context):
    write_desired(context)
    write(context, failures=9, generation="g0")
    with pytest.raises(OutsideError, match="has not read the new desired state"):
        command.wait_until_ready(context, timeout_s=0.05)


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
    for start_time, said in ((me.start_time, "does not answer"), ("gone", "not running")):
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


def test_an_interrupted_wait_says_that_the_stack_goes_on(context, monkeypatch, capsys):
    write(context, a_replica(state=ReplicaState.STARTING))

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        command.wait_until_ready(context, timeout_s=60)
    assert "keeps running" in capsys.readouterr().out
