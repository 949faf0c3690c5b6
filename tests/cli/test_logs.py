"""`tw logs`: which logs, in which order, rendered or as they are, and what comes while one watches."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import log_files, log_lines, options
from cli import logs as command
from cli.context import Context
from cli.log_files import Following, last_lines
from cli.log_lines import Secrets, parse
from spec.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
AT = 1_796_000_000.0  # 2026-11-30 00:53:20Z


@pytest.fixture
def context(tmp_path, monkeypatch):
    stack = Context(stack="dev", root=tmp_path)
    (stack.home / "logs").mkdir(parents=True)
    monkeypatch.setattr(options, "Context", lambda name: Context(stack=name, root=tmp_path))
    return stack


def run(*args):
    app = typer.Typer()
    command.register(app)
    app.command("other")(lambda: None)
    result = CliRunner().invoke(app, ["logs", *args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout.splitlines()


def write(context, name, *lines):
    path = context.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as f:
        f.writelines(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    return path


def said(second, event, **fields):
    return {"event": event, "level": "info", "timestamp": f"2026-11-30T00:53:{second:02d}Z"} | fields


@pytest.fixture
def written(context):
    write(context, "logs/controller.log", said(20, "started"), said(23, "snapshot"))
    write(context, "logs/edge-agent.log", said(21, "following"))
    write(context, "logs/edge-envoy.log", "[2026-11-30 00:53:22.500][7][warning][main] hello")
    write(context, "logs/access.log", {"ts": "1796000001.5", "code": 200, "path": "/v1/models"})
    write(context, "machines/i-0000aa11/log", {"at": AT + 2, "event": "phase", "phase": "running"})
    write(context, "machines/i-0000aa11/engine.log", "engine listens")
    write(context, "machines/i-0000bb11/log", {"at": AT + 4, "event": "phase", "phase": "failed"})
    return context


def test_all_logs_but_the_access_log_are_interleaved_by_time(written, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    sources = [line.split(" | ")[0] for line in run()]
    assert [s for s in sources if s != "i-0000aa11/engine"] == [
        "controller", "edge-agent", "i-0000aa11", "edge-envoy", "controller", "i-0000bb11",
    ]  # fmt: skip
    assert "i-0000aa11/engine" in sources


@pytest.mark.parametrize(
    ("option", "word"),
    [("--controller", "snapshot"), ("--edge", "following"), ("--envoy", "hello"), ("--access", "/v1/models")],
)
def test_one_log_alone_is_shown_as_it_was_written(written, option, word):
    lines = run(option)
    assert word in lines[-1]
    assert not any(" | " in line for line in lines)


def test_two_logs_can_be_asked_for(written):
    assert [line.split(" | ")[0] for line in run("--controller", "--edge")] == [
        "controller",
        "edge-agent",
        "controller",
    ]


@pytest.mark.parametrize("replica", ["local:local-east:i-0000aa11", "i-0000aa11", "aa11"])
def test_a_replica_is_named_by_its_id_or_the_end_of_it(written, replica):
    lines = run("--replica", replica)
    assert {line.split(" | ")[0] for line in lines} == {"i-0000aa11", "i-0000aa11/engine"}


def test_a_replica_of_several_machines_is_all_of_them(written):
    gang = {"gangs": [{"nodes": ["i-0000bb11", "i-0000aa11", "i-gone"], "ips": []}]}
    write(written, "state/assignments/chat.json", gang)
    write(written, "state/assignments/torn.json", "{")
    assert {line.split(" | ")[0] for line in run("--replica", "bb11")} == {
        "i-0000bb11", "i-0000aa11", "i-0000aa11/engine",
    }  # fmt: skip
    assert {line.split(" | ")[0] for line in run("--replica", "aa11")} == {"i-0000aa11", "i-0000aa11/engine"}


@pytest.mark.parametrize(
    ("replica", "message"),
    [
        ("11", "2 replicas end so: i-0000aa11, i-0000bb11"),
        ("i-0000aa12", "Did you mean `i-0000aa11`?"),
        ("zzz", "Newest first: "),
        ("", "Newest first: "),
    ],
)
def test_a_replica_that_is_not_exactly_one_is_refused_with_the_way_out(written, replica, message):
    with pytest.raises(InputError, match=re.escape(message)):
        run("--replica", replica)


def test_the_last_lines_count_over_all_logs_together(written):
    assert [line.split(" | ")[0] for line in run("--lines", "2")][-1] == "i-0000bb11"
    assert len(run("-n", "2")) == 2


def test_json_lines_say_where_they_are_from_and_other_lines_become_objects(written):
    found = [json.loads(line) for line in run("--json")]
    assert {"source": "controller", **said(20, "started")} in found
    assert {"source": "i-0000aa11/engine", "line": "engine listens"} in found


def test_a_line_that_has_a_source_of_its_own_still_says_where_it_is_from(written):
    write(written, "logs/edge-agent.log", said(25, "applied", source="controller"))
    assert json.loads(run("--edge", "--json")[-1])["source"] == "edge-agent"


def test_nothing_that_was_logged_is_said(context):
    with pytest.raises(InputError, match="nothing was logged there yet"):
        run("--envoy")


def test_secrets_of_the_stack_are_blanked_whoever_logged_them(written):
    write(written, "secrets/controller-token", "t0ken-of-the-controller")
    write(written, "key", "sk-tw-the-key")
    write(written, "machines/i-0000aa11/engine.log", "got Bearer sk-tw-the-key and t0ken-of-the-controller")
    write(written, "logs/controller.log", said(24, "oops", api_key="something", token="other"))
    text = "\n".join([*run(), *run("--json")])
    assert "got Bearer *** and ***" in text
    for secret in ("sk-tw-the-key", "t0ken-of", "something", "other"):
        assert secret not in text


# ---------------------------------------------------------------- rendering


def shown(raw, marked=False):
    return log_lines.rendered(parse("controller", raw, Secrets(())), marked=marked).plain


def test_a_json_line_is_shown_with_time_level_event_and_fields():
    raw = json.dumps(
        said(20, "a turn failed", level="warning", error="no space left", tick="1.7", n=3)
    ).encode()
    assert shown(raw) == "00:53:20.000Z warning a turn failed error=no space left tick=1.7 n=3"
    assert shown(raw, marked=True).startswith("controller     00:53:20")


def test_a_traceback_is_shown_below_its_line():
    raw = json.dumps({"event": "a turn failed", "exception": "Traceback:\n  boom"}).encode()
    assert shown(raw) == "a turn failed\n    Traceback:\n      boom"


@pytest.mark.parametrize(
    "raw",
    [b"\x1b]0;owned\x07", b"\x1b[2J\x1b[31mred", b"a\rb", b'{"event": "\\u001b[2J\\u0007x"}', "\u202eabc".encode(),
     b'{"event": 1, "x": "\\u001b[31m"}', b'{"\\u001b[2J": 1}'],
)  # fmt: skip
def test_no_line_moves_the_cursor(raw):
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown(raw))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[1]", b'{"at": "x"}', b'{"at": 1e400}', b'{"at": 1e300, "event": null}', b'{"timestamp": {}}', b"{" * 9000,
     b"\xff\xfe", b'{"ts": true}', b'{"timestamp": "2026-13-01T00:00:00Z"}'],
)  # fmt: skip
def test_a_line_of_any_kind_is_shown(raw):
    shown(raw)


# ---------------------------------------------------------------- files


def test_the_last_lines_go_back_into_the_file_before(tmp_path):
    path = tmp_path / "x.log"
    path.with_name("x.log.1").write_text("1\n2\n3\n")
    path.write_text("4\n5\n")
    assert last_lines(path, 3) == [b"3", b"4", b"5"]
    assert last_lines(path, 0) == []
    assert last_lines(tmp_path / "none.log", 3) == []


def test_the_last_lines_of_a_large_file_are_found_from_its_end(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("".join(f"{n} {'x' * 97}\n" for n in range(20_000)))
    assert [line[:6] for line in last_lines(path, 1000)] == [
        f"{n} ".encode()[:6] for n in range(19_000, 20_000)
    ]


def test_what_is_added_is_followed_over_a_replacement_and_a_file_that_is_emptied(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("before\n")
    following = Following(path, from_start=False)
    writer = path.open("a")

    def add(text):
        writer.write(text)
        writer.flush()

    assert list(following.new_lines()) == []
    add("one\ntwo, ")
    assert list(following.new_lines()) == [b"one"]
    add("whole\n")
    assert list(following.new_lines()) == [b"two, whole"]
    add("late\n")
    path.rename(tmp_path / "x.log.1")
    add("later\n")
    path.write_text("new\n")
    assert list(following.new_lines()) == [b"late", b"later", b"new"]
    path.write_text("x\n")
    assert list(following.new_lines()) == [b"x"]
    writer.close()
    following.close()


def test_a_file_that_appears_later_is_followed_from_its_beginning(tmp_path):
    following = Following(tmp_path / "x.log", from_start=False)
    assert list(following.new_lines()) == []
    (tmp_path / "x.log").write_text("first\n")
    assert list(following.new_lines()) == [b"first"]
    following.close()


def test_machines_that_come_while_one_watches_are_shown_from_their_beginning(written):
    chosen = lambda: log_files.processes(written.home) + log_files.machines(written.home)  # noqa: E731
    followers = command._Followers(chosen)
    assert list(followers.new_lines()) == []
    write(written, "machines/i-0000cc22/log", {"at": AT, "event": "started"})
    [(source, raw)] = list(followers.new_lines())
    assert (source.name, json.loads(raw)["event"]) == ("i-0000cc22", "started")
    for following in followers._open.values():
        following.close()


@pytest.mark.e2e
def test_following_ends_with_ctrl_c_and_exit_code_0(written):
    code = (
        "import sys; from pathlib import Path; from cli import main, options; from cli.context import Context;"
        f"options.Context = lambda name: Context(stack=name, root=Path({str(written.root)!r}));"
        "sys.argv = ['tw', 'logs', '--controller', '-f', '--json']; main.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert json.loads(process.stdout.readline())["event"] == "started"
        assert json.loads(process.stdout.readline())["event"] == "snapshot"
        write(written, "logs/controller.log", said(40, "added"))
        assert json.loads(process.stdout.readline())["event"] == "added"
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        process.kill()
        process.communicate()
