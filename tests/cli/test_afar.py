"""The commands on a stack in the clouds: everything from its state bucket, with the user's own login, and nothing else."""

import asyncio
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli import explain, keys, logs, options, rollout, sim, wait
from cli import state as opening
from cli import status as command
from cli.context import Context
from cli.outputs import Whereabouts
from lb.bucket import open_bucket
from lb.certificates.authority import Wish
from spec.desired import dump
from spec.errors import InputError, OutsideError
from spec.status import ReplicaState, RolloutPhase
from spec.wish import WishFile
from tests.cli.written import NEW, a_desired, a_replica, a_rollout, a_status
from tests.clouds.aws import Aws
from tests.clouds.login import User
from tests.e2e.checkout import ROOT
from tests.lb.certificates.authority import an_authority
from tests.lb.test_replay import Term
from tests.lb.world import World
from tests.lb.world import a_desired as a_world

OURS = an_authority()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A checkout whose prod has a stack of its own for Azure."""
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    content = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())
    content["config"]["tradewind:apart"] = ["azure"]
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump(content))
    part = {"tradewind:part": {"of": "prod", "cloud": "azure"}}
    (tmp_path / "Pulumi.prod-azure.yaml").write_text(yaml.safe_dump({"config": part}))
    for module in (options, keys):
        monkeypatch.setattr(module, "Context", lambda name: Context(stack=name, root=tmp_path))
    return tmp_path


@pytest.fixture
def bucket(root, monkeypatch, edge):
    """The state bucket of prod, which is up."""
    server = Aws(region="us-east-1")
    user = User("aws", server, root)
    user.log_in()
    user.sit_down(monkeypatch)
    up = Whereabouts("s3://state", f"https://127.0.0.1:{edge.server_port}", OURS.pem)
    monkeypatch.setattr(opening, "whereabouts", lambda context: up if context.env == "prod" else None)
    for module in (wait, rollout):
        monkeypatch.setattr(module, "POLL_AFAR_S", 0.01)
    server.endpoint = up.endpoint
    yield server
    server.close()


@pytest.fixture
def edge(tmp_path):
    """The environment's endpoint: TLS, with a certificate of its own authority."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.answers if self.path == "/edge/ready" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    leaf = OURS.issue(Wish(("127.0.0.1",), server=True), time.time())
    pem = tmp_path / "edge.pem"
    pem.write_text(leaf.key + leaf.cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    server.answers = 200
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def says(bucket, *replicas, **more):
    """What the controller writes; it knows no address of an edge."""
    status = a_status(*replicas, **{"endpoint": "https://edge-aws-us-east-1", **more})
    bucket.put("status.json", status.model_dump_json())


def run(*args):
    app = typer.Typer()
    for module in (command, wait, rollout, logs, explain, keys, sim):
        module.register(app)
    result = CliRunner().invoke(app, [*args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return " ".join(result.stdout.split())


def failure(*args, kind=OutsideError):
    with pytest.raises(kind) as e:
        run(*args)
    return str(e.value)


# ---------------------------------------------------------------- tw status


def test_the_status_is_read_from_the_bucket_with_its_age_and_the_endpoint_that_callers_use(bucket):
    says(bucket, a_replica(), age_s=7)
    said = run("status", "--stack", "prod")
    assert f"1/1 ready {bucket.endpoint}" in said
    assert "controller: leading; this is what it said 7 s ago" in said
    assert "edge:" not in said


def test_a_part_of_an_environment_tells_what_its_home_knows(bucket):
    says(bucket, a_replica())
    assert "1/1 ready" in run("status", "--stack", "prod-azure")


def test_an_old_status_is_shown_with_a_warning_and_the_way_to_its_hosts_log(bucket):
    says(bucket, a_replica(), age_s=300)
    said = run("status", "--stack", "prod")
    assert "controller: silent; this is what it said 5 min ago, in s3://state" in said
    assert "`./tw logs --stack prod` says how to read what its host writes" in said


def test_clocks_that_differ_by_less_than_a_minute_are_no_alarm(bucket):
    for age_s in (-40, 40):
        says(bucket, a_replica(), age_s=age_s)
        assert "controller: leading" in run("status", "--stack", "prod")


def test_the_json_is_the_same_as_of_a_local_stack_and_old_news_are_warned_of_beside_it(bucket, capfd):
    says(bucket, a_replica(), age_s=300)
    found = json.loads(run("status", "--stack", "prod", "--json"))
    assert set(found) == {"services", "usd_hour", "spend", "controller"}
    assert found["services"][0]["endpoint"] == bucket.endpoint
    assert found["controller"]["alive"] is False


def test_before_the_controllers_host_has_booted_there_is_no_status_and_the_way_out_is_said(bucket):
    said = failure("status", "--stack", "prod")
    assert "status.json is not in s3://state, so its controller has not begun yet" in said
    assert "`./tw wait --stack prod` waits for it" in said
    assert "aws ec2 get-console-output" in said


@pytest.mark.parametrize("answers", [503, None])
def test_an_edge_that_serves_nobody_has_a_line_as_here(bucket, edge, answers, monkeypatch):
    if answers is None:
        monkeypatch.setattr(opening, "whereabouts", lambda _: Whereabouts("s3://state", bucket.endpoint, ""))
    else:
        edge.answers = answers
    says(bucket, a_replica())
    said = run("status", "--stack", "prod")
    assert f"edge: {bucket.endpoint} " in said
    assert ("callers get 503" if answers else "certificate verify failed") in said
    assert "make up" not in said


@pytest.mark.parametrize("option", ["--web", "--open"])
def test_the_page_of_a_controller_that_listens_to_edges_only_is_refused_with_what_shows_the_same(
    bucket, option
):
    said = failure("status", "--stack", "prod", option, kind=InputError)
    assert "its page can't be opened from here" in said
    assert "`./tw status --watch --stack prod`" in said


# ---------------------------------------------------------------- tw wait


def test_as_many_ready_replicas_as_the_service_has_at_least_are_enough(bucket):
    bucket.put("desired/prod.json", dump(a_desired(env="prod")))
    says(bucket, a_replica(), desired=5, min_replicas=1)
    assert f"chat: 1/5 ready at {bucket.endpoint}" in run("wait", "--stack", "prod", "--timeout", "5")


def test_the_desired_state_of_several_stacks_counts_as_read_by_the_name_that_begins_with_homes(bucket):
    bucket.put("desired/prod.json", dump(a_desired(env="prod")))
    says(bucket, a_replica(), min_replicas=1, generation="g1-12345678")
    run("wait", "--stack", "prod-azure", "--timeout", "5")
    says(bucket, a_replica(), min_replicas=1, generation="g10")
    assert "has not read the new desired state" in failure("wait", "--stack", "prod", "--timeout", "0")


def test_it_waits_for_the_host_then_for_replicas_then_for_the_edge_and_says_each_once(
    bucket, edge, monkeypatch
):
    edge.answers = 503
    steps = [
        lambda: None,
        lambda: None,
        lambda: says(bucket, a_replica(state=ReplicaState.STARTING), min_replicas=1),
        lambda: says(bucket, a_replica(), min_replicas=1),
        lambda: setattr(edge, "answers", 200),
    ]
    monkeypatch.setattr(wait.time, "sleep", lambda _: steps.pop(0)())
    said = run("wait", "--stack", "prod", "--timeout", "60")
    assert not steps
    for line in (
        "so its controller has not begun yet",
        "chat has 0 of 1 replicas ready",
        f"its edge at {bucket.endpoint} answers 503",
    ):
        assert said.count(line) == 1, said


def test_what_waiting_does_not_mend_ends_it_at_once(bucket):
    says(bucket, a_replica(), min_replicas=1)
    bucket.denied.add("status.json")
    assert "denied" in failure("wait", "--stack", "prod")


def test_a_store_that_fails_for_a_moment_is_waited_for(bucket, monkeypatch):
    bucket.failing += [500] * 3
    monkeypatch.setattr(wait.time, "sleep", lambda _: says(bucket, a_replica(), min_replicas=1))
    assert "ready at" in run("wait", "--stack", "prod", "--timeout", "60")


def test_it_gives_up_with_3_and_says_where_to_look(bucket):
    says(bucket, a_replica(state=ReplicaState.STARTING), min_replicas=2)
    said = failure("wait", "--stack", "prod", "--timeout", "0")
    assert "stack prod is not ready within 0 s: chat has 0 of 2 replicas ready" in said
    assert "aws ec2 get-console-output" in said
    assert "`./tw status --watch --stack prod`" in said
    assert ".tradewind" not in said


def test_an_update_that_has_gone_back_ends_it_at_once(bucket):
    bucket.put("desired/prod.json", dump(a_desired(sha256=NEW, env="prod")))
    says(bucket, a_replica(), min_replicas=1, rollout=a_rollout(RolloutPhase.FAILED, reason="exit code 3"))
    said = failure("wait", "--stack", "prod")
    assert f"the update to bundle {NEW[:12]} failed: exit code 3" in said
    assert "./tw rollout resume --service chat --stack prod" in said


def test_its_patience_is_half_an_hour_at_least_and_as_long_as_a_machine_and_its_model_take(bucket):
    state = opening.state_of(options.there("prod"))
    assert wait.patience_s(state, None) == 1800
    world = a_world()
    slow = [p.model_copy(update={"cold_start_s": 2400.0}) for p in world.pools]
    assert wait.patience_s(state, a_desired(initial_delay_s=1200, pools=tuple(slow))) == 3600


# ---------------------------------------------------------------- the others


def test_a_wish_is_left_in_the_bucket_and_answered_through_it(bucket):
    says(bucket, a_replica(), rollout=a_rollout())
    seen, stop = [], threading.Event()

    def controller():
        while not stop.wait(0.01):
            for key in [k for k in bucket.objects if k.startswith("commands/")]:
                seen.append(WishFile.model_validate_json(bucket.objects.pop(key)))
                wish = key.removeprefix("commands/").removesuffix(".json")
                says(bucket, a_replica(), reasons=(f"12:00:00Z chat: the rollout paused (wish {wish})",))

    thread = threading.Thread(target=controller)
    thread.start()
    try:
        assert run("rollout", "pause", "--stack", "prod") == "chat: the rollout paused"
    finally:
        stop.set()
        thread.join()
    assert [w.service for w in seen] == ["chat"]


def test_a_wish_that_nobody_answers_is_withdrawn(bucket, monkeypatch):
    says(bucket, a_replica(), age_s=300)
    monkeypatch.setattr(rollout, "ANSWER_AFAR_WITHIN_S", 0.05)
    said = failure("rollout", "abort", "--stack", "prod")
    assert "no controller has answered within 0.05 s (none runs), and the request is withdrawn" in said
    assert "make up" not in said
    assert [k for k in bucket.objects if k.startswith("commands/")] == []


def test_the_journal_is_read_from_the_bucket(bucket):
    async def story():
        store = open_bucket("s3://state", region="us-east-1")
        world = World(a_world())
        world.now = time.time() - 30
        await (await Term(store, 1, world=world).begin()).ticks(30)

    asyncio.run(story())
    said = run("explain", "--stack", "prod")
    assert "because 1 more, to 1: chat lacks 2" in said
    assert "decided again from this entry: the same" in said
    said = run("sim", "replay", "--stack", "prod")
    assert "s3://state/journal: 30 ticks of 1 term" in said
    assert "the same commands, memory and reasons" in said


@pytest.mark.parametrize(("status", "words"), [(403, "s3:ListBucket"), (401, "aws sso login")])
def test_a_journal_that_may_not_be_read_is_told_in_words(bucket, status, words):
    for looks in (("explain",), ("sim", "replay")):
        bucket.failing.append(status)
        assert words in failure(*looks, "--stack", "prod")


def test_logs_are_where_the_machines_are_and_their_clouds_command_is_said(bucket):
    said = failure("logs", "--stack", "prod", kind=InputError)
    assert "stack prod runs in aws, gcp, azure: its logs are on its machines" in said
    assert "aws ec2 get-console-output --latest --region us-east-1" in said
    assert "Name=tag:Name,Values=tradewind prod controller" in said
    assert "./tw explain --stack prod" in said


def test_the_key_itself_is_not_kept_there(bucket):
    said = failure("keys", "show", "--stack", "prod-azure", kind=InputError)
    assert "pulumi config get --stack prod --path 'tradewind:secrets.caller-key'" in said
