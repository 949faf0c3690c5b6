"""Real processes under the guard: every way to end leaves nothing behind."""

import ctypes
import os
import signal
import time

import pytest

from lb.agent import guard
from lb.agent.agent import launcher
from lb.agent.bundle import Bundle
from lb.agent.engine import Process
from tests.lb.agent.processes import eventually, gone, pids


@pytest.fixture
def start(tmp_path):
    started = []

    def run(script, *, grace_s=3.0, **env):
        started.append(
            Process(
                ["bash", "-c", script],
                cwd=tmp_path,
                env={**os.environ, **env},
                log=tmp_path / "engine.log",
                grace_s=grace_s,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.stop()


def test_the_exit_code_is_the_scripts(start):
    process = start("exit 7")
    assert eventually(process.poll) == 7


def test_a_signal_is_told_as_shells_do(start):
    process = start("kill -SEGV $$")
    assert eventually(process.poll) == 128 + signal.SIGSEGV


def test_output_is_in_the_log_and_variables_arrive(start, tmp_path):
    process = start('echo "out $NAME"; echo err >&2; exit 3', NAME="value")
    eventually(process.poll)
    assert (tmp_path / "engine.log").read_text() == "out value\nerr\n"


def test_an_engine_gets_sigterm_first(start, tmp_path):
    process = start('trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.05; done')
    eventually(
        lambda: "ready" in (tmp_path / "engine.log").read_text() if (tmp_path / "engine.log").exists() else 0
    )
    process.stop()
    assert "bye" in (tmp_path / "engine.log").read_text()
    assert process.poll() == 0


def test_an_engine_that_ignores_sigterm_is_killed_after_the_grace(start, tmp_path):
    process = start('trap "" TERM; echo $$ > pid; while :; do sleep 0.05; done', grace_s=0.2)
    (pid,) = pids(tmp_path / "pid")
    began = time.monotonic()
    process.stop()
    assert time.monotonic() - began < 2
    assert gone(pid)
    assert process.poll() == 128 + signal.SIGKILL


def test_what_the_engine_started_ends_with_it_even_detached(start, tmp_path):
    process = start(
        "(setsid sleep 300 & echo $! > detached); sleep 300 & echo $! > child; exit 5", grace_s=0.3
    )
    assert eventually(process.poll) == 5
    assert all(gone(pid) for name in ("detached", "child") for pid in pids(tmp_path / name))


@pytest.fixture
def subreaper():
    """As the agent is one; taken back, because other tests watch orphans too."""
    guard.become_subreaper()
    yield
    ctypes.CDLL(None).prctl(guard._PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.usefixtures("subreaper")
def test_when_the_guard_is_killed_the_agent_ends_what_is_left(start, tmp_path):
    process = start("sleep 300 & echo $$ $! > pids; wait")
    found = pids(tmp_path / "pids")
    process._guard.kill()
    assert eventually(process.poll) == 128 + signal.SIGKILL
    assert all(gone(pid) for pid in found)


def test_a_log_is_bounded(tmp_path):
    log = guard.BoundedLog(tmp_path / "engine.log", limit=100)
    for number in range(100):
        log.write(b"%09d\n" % number)

    sizes = [p.stat().st_size for p in sorted(tmp_path.iterdir())]
    assert len(sizes) == 2
    assert max(sizes) <= 100
    assert (tmp_path / "engine.log").read_text().endswith("000000099\n")


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path):
    guard.BoundedLog(tmp_path / "missing" / "engine.log").write(b"lost")


def test_the_log_says_which_bundle_wrote_what_follows(node, tmp_path):
    node.engine_log.parent.mkdir(parents=True, exist_ok=True)
    for sha256, script in (("1" * 64, "echo good"), ("2" * 64, "exit 1")):
        bundle = Bundle(
            sha256=sha256, root=tmp_path / sha256, setup="echo set up", run=script, image=None, envs={},
            secrets=(), num_gpus=None,
        )  # fmt: skip
        bundle.workdir.mkdir(parents=True)
        scripts = (bundle.setup, bundle.run) if "1" in sha256 else (bundle.run,)
        for part in scripts:
            process = launcher(node)(part, bundle=bundle, env=os.environ)
            eventually(lambda p=process: p.poll() is not None)
    assert node.engine_log.read_text() == (
        "[tradewind] bundle 111111111111: setup starts\nset up\n"
        "[tradewind] bundle 111111111111: run starts\ngood\n"
        "[tradewind] bundle 222222222222: run starts\n"
    )
