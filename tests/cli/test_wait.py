"""`tw wait`: when it ends, with what code, and what it says of the update that did not work."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import typer
from typer.testing import CliRunner

from cli import options
from cli import wait as command
from cli.context import Context
from cli.state import State
from spec.errors import OutsideError
from spec.status import ReplicaState, RolloutPhase
from tests.cli.written import NEW, SHA, a_replica, a_rollout, write, write_desired


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


def test_wait_ends_when_all_is_ready_and_the_edge_answers(context, edge):
    write_desired(context)
    write(context, a_replica(), endpoint=edge)
    result = run("--timeout", "5")
    assert result.exit_code == 0, result.exception
    assert "1/1 ready" in result.stdout


def test_wait_goes_on_while_replicas_come_up(context, edge):
    write_desired(context)
    write(context, a_replica(state=ReplicaState.STARTING), endpoint=edge)
    timer = threading.Timer(0.2, lambda: write(context, a_replica(), endpoint=edge))
    timer.start()
    command.wait_until_ready(State(context), timeout_s=5)
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
        command.wait_until_ready(State(context), timeout_s=0.02)
    assert raised.value.exit_code == 3
    assert words in str(raised.value)


def test_wait_has_as_much_patience_as_the_slowest_service_may_need(context):
    assert command.patience_s(State(context), None) == 300
    assert command.patience_s(State(context), write_desired(context, initial_delay_s=60)) == 300
    assert command.patience_s(State(context), write_desired(context, initial_delay_s=1200)) == 1260


def test_wait_shows_the_last_lines_of_a_failing_engine(context):
    log = context.home / "machines" / "i-1" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_text("loading\nout of memory\n")
    write(context, a_replica(state=ReplicaState.FAILED, reason="exit code 1"))
    with pytest.raises(OutsideError, match=r"(?s)exit code 1.*engine\.log.*out of memory"):
        command.wait_until_ready(State(context), timeout_s=0.02)


def test_wait_does_not_show_what_the_bundle_before_wrote_into_the_same_log(context):
    log = context.home / "machines" / "i-1" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_text("[tradewind] bundle 1: run starts\nserving\n[tradewind] bundle 2: run starts\n")
    write(context, a_replica(state=ReplicaState.FAILED, reason="exit code 1"))
    with pytest.raises(OutsideError) as e:
        command.wait_until_ready(State(context), timeout_s=0.02)
    assert "| [tradewind] bundle 2: run starts" in str(e.value)
    assert "serving" not in str(e.value)


def test_wait_shows_neither_secrets_nor_control_characters_of_a_failing_engine(context):
    log = context.home / "machines" / "i-1" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_text("asked with sk-tw-the-key\x1b]0;title\x07\x1b[2J and died\n")
    context.key_file.write_text("sk-tw-the-key\n")
    write(context, a_replica(state=ReplicaState.FAILED, reason="exit code 1"))
    with pytest.raises(OutsideError) as e:
        command.wait_until_ready(State(context), timeout_s=0.02)
    assert "| asked with *** and died" in str(e.value).replace("]0;title", "")
    assert not [c for c in str(e.value) if not c.isprintable() and c != "\n"]


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
        command.wait_until_ready(State(context), timeout_s=60)
    assert next(counts) == command.GIVE_UP_AFTER + 1


def test_wait_does_not_wait_for_a_new_version_that_fails_while_the_one_before_serves_on(context, monkeypatch):
    write_desired(context, sha256="b" * 64)
    failing_more_and_more(context, monkeypatch, a_replica(bundle=SHA), desired=2)
    with pytest.raises(OutsideError, match=r"failing; 1 of the version before serve on"):
        command.wait_until_ready(State(context), timeout_s=60)


def test_wait_gives_a_service_that_has_failed_before_one_more_try(context, monkeypatch):
    counts = failing_more_and_more(context, monkeypatch, first=7)
    with pytest.raises(OutsideError, match="failing"):
        command.wait_until_ready(State(context), timeout_s=60)
    assert next(counts) == 7 + 2


def test_failures_of_an_older_desired_state_are_not_counted(context):
    write_desired(context)
    write(context, failures=9, generation="g0")
    with pytest.raises(OutsideError, match="has not read the new desired state"):
        command.wait_until_ready(State(context), timeout_s=0.05)


def test_an_interrupted_wait_says_that_the_stack_goes_on(context, monkeypatch, capsys):
    write(context, a_replica(state=ReplicaState.STARTING))

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        command.wait_until_ready(State(context), timeout_s=60)
    assert "keeps running" in capsys.readouterr().out


# ---------------------------------------------------------------- what became of an update


@pytest.mark.parametrize("phase", [RolloutPhase.FAILED, RolloutPhase.ABORTED])
def test_wait_ends_at_once_with_3_when_the_update_has_gone_back(context, phase):
    log = context.home / "machines" / "i-9" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_text("no such model\n")
    write_desired(context, sha256=NEW)
    reason = "local:local-east:i-9: the engine has ended with exit code 3"
    write(context, a_replica(), rollout=a_rollout(phase, reason=reason))
    with pytest.raises(OutsideError) as raised:
        command.wait_until_ready(State(context), timeout_s=60)
    assert raised.value.exit_code == 3
    said = str(raised.value)
    for words in (
        NEW[:12],
        reason,
        "no such model",
        f"bundle {SHA[:12]}, serves on: 1 of 1",
        "tw rollout resume",
    ):
        assert words in said


def test_the_log_of_a_replica_is_read_when_it_fails_because_its_machine_soon_runs_something_else(context):
    log = context.home / "machines" / "i-9" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_text("no such model\n")
    write_desired(context, sha256=NEW)
    reason = "local:local-east:i-9: exit code 3"
    write(context, a_replica(), rollout=a_rollout(reason=reason))

    def goes_back():
        log.write_text("serves again\n")
        write(context, a_replica(), rollout=a_rollout(RolloutPhase.FAILED, reason=reason))

    timer = threading.Timer(0.3, goes_back)
    timer.start()
    with pytest.raises(OutsideError, match="no such model"):
        command.wait_until_ready(State(context), timeout_s=60)
    timer.join()


def test_the_end_of_a_rollout_to_another_bundle_than_the_desired_one_means_nothing(context, edge):
    write_desired(context, sha256=SHA)
    write(context, a_replica(), endpoint=edge, rollout=a_rollout(RolloutPhase.ABORTED))
    command.wait_until_ready(State(context), timeout_s=5)


def test_wait_says_how_far_an_update_is(context):
    write_desired(context, sha256=NEW)
    write(context, a_replica(), rollout=a_rollout(RolloutPhase.PAUSED))
    with pytest.raises(OutsideError, match="still being updated: paused, 1 of 3 done"):
        command.wait_until_ready(State(context), timeout_s=0.02)


def test_the_patience_begins_anew_with_every_replica_that_an_update_has_moved(context, monkeypatch):
    """Eight replicas move, one in 200 s; the ninth does not."""
    write_desired(context)
    clock = 0.0

    def time_goes_by(_):
        nonlocal clock
        clock += 50
        moved = min(8, int(clock // 200))
        write(
            context, a_replica(), desired=9, rollout=a_rollout(RolloutPhase.ROLLING, updated=moved, total=9)
        )

    monkeypatch.setattr(command.time, "sleep", time_goes_by)
    monkeypatch.setattr(command.time, "monotonic", lambda: clock)
    with pytest.raises(OutsideError, match="not ready within 300 s"):
        command.wait_until_ready(State(context))
    assert 8 * 200 + 300 < clock < 8 * 200 + 450
