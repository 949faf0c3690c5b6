"""`tw rollout`: what it shows, what it leaves in the bucket, and what it says when nobody answers."""

import json
import threading
import time

import pytest
import typer
from typer.testing import CliRunner

from cli import options
from cli import rollout as command
from cli.context import Context
from spec.errors import InputError, OutsideError
from spec.status import RolloutPhase
from spec.wish import WishFile
from tests.cli.written import NEW, SHA, a_replica, a_rollout, write


@pytest.fixture
def context(tmp_path, monkeypatch):
    stack = Context(stack="dev", root=tmp_path)
    stack.state_dir.mkdir(parents=True)
    monkeypatch.setattr(options, "Context", lambda name: Context(stack=name, root=tmp_path))
    monkeypatch.setattr(command, "POLL_S", 0.01)
    return stack


def run(*args):
    app = typer.Typer()
    command.register(app)
    return CliRunner().invoke(app, ["rollout", *args])


def wishes(context):
    return sorted((context.state_dir / "commands").glob("*.json"))


@pytest.fixture
def controller(context):
    """Answers every wish, as the controller does, and keeps what it was asked."""
    seen, stop = [], threading.Event()

    def answer():
        while not stop.wait(0.01):
            for path in wishes(context):
                seen.append(WishFile.model_validate_json(path.read_text()))
                path.unlink()
                said = f"12:00:00Z chat: the rollout paused (wish {path.stem})"
                write(context, a_replica(), reasons=("12:00:01Z something else", said))

    thread = threading.Thread(target=answer)
    thread.start()
    yield seen
    stop.set()
    thread.join()


def test_the_status_of_every_service_is_one_line(context):
    write(context, a_replica(), rollout=a_rollout(RolloutPhase.BACK, reason="exit code 3"))
    said = run("status").stdout
    assert said.startswith("chat: back, 1 of 3 on the bundle before: aaaaaaaaaaaa -> bbbbbbbbbbbb")
    assert "exit code 3" in said


def test_the_status_as_json_holds_the_whole_rollout(context):
    write(context, a_replica(), rollout=a_rollout())
    told = json.loads(run("status", "--json").stdout)["services"]["chat"]
    assert (told["phase"], told["from_bundle"], told["to_bundle"]) == ("rolling", SHA, NEW)


def test_a_service_without_a_rollout_says_so(context):
    write(context, a_replica())
    assert run("status").stdout == "chat: no rollout yet\n"
    assert json.loads(run("status", "--json").stdout) == {"services": {"chat": None}}


@pytest.mark.parametrize("action", ["pause", "resume", "abort"])
def test_what_is_asked_for_reaches_the_controller_and_its_answer_is_shown(context, controller, action):
    write(context, a_replica())
    result = run(action)
    assert result.exit_code == 0, result.exception
    assert result.stdout == "chat: the rollout paused\n"
    assert [(w.service, w.action.value) for w in controller] == [("chat", action)]


def test_the_answer_as_json(context, controller):
    write(context, a_replica())
    told = json.loads(run("pause", "--service", "chat", "--json").stdout)
    assert told == {"service": "chat", "action": "pause", "answer": "chat: the rollout paused"}


def test_without_a_controller_the_request_is_withdrawn_and_the_code_is_3(context, monkeypatch):
    monkeypatch.setattr(command, "ANSWER_WITHIN_S", 0.05)
    write(context, a_replica(), age_s=60)
    result = run("abort")
    assert isinstance(result.exception, OutsideError)
    assert result.exception.exit_code == 3
    assert "none runs" in str(result.exception)
    assert not wishes(context)


def test_an_interrupted_request_is_withdrawn(context, monkeypatch):
    def ctrl_c(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", ctrl_c)
    write(context, a_replica())
    assert run("abort").exit_code != 0
    assert not wishes(context)


def test_an_unknown_service_is_said_with_those_that_there_are(context):
    write(context, a_replica())
    result = run("abort", "--service", "other")
    assert isinstance(result.exception, InputError)
    assert "there are: chat" in str(result.exception)


def test_ids_sort_by_time():
    from spec.wish import new_id

    first = new_id()
    time.sleep(0.002)
    second = new_id()
    assert first < second
    assert len(first) == 26
