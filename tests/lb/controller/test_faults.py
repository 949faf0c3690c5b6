"""Engines, bundles, zones and disks that go wrong, under a real controller with real machines of the local cloud.

What callers notice of the same faults is tried at a whole stack in tests/e2e/test_faults.py.
"""

import json
import resource
import shutil
import socket
import time

import pytest

from bench.controller import CALM, build
from spec.desired import Probe
from tests.lb.controller.process import Stack, until

pytestmark = pytest.mark.e2e

QUICK = Probe(initial_delay_s=3, interval_s=0.5, timeout_s=1, replace_after_s=1)


@pytest.fixture
def make(tmp_path):
    """Makes a stack whose services, probes and trace are the test's."""
    stacks = []

    def stack(**prepared):
        stacks.append(Stack(tmp_path, **prepared))
        stacks[-1].start()
        return stacks[-1]

    yield stack
    for one in stacks:
        one.end()


def once(tmp_path, flags):
    """What `run` does first so that only the first engine of all has these flags."""
    return f"mkdir {tmp_path}/first 2>/dev/null && set -- {flags}", '"$@"'


def said(stack, text):
    """Whether the controller has given that reason; the status keeps the last ones."""
    return any(text in reason for reason in stack.status()["reasons"])


def broken_and_then_fine(make, tmp_path, flags, reason, probe=QUICK):
    """The first engine has the fault: it is said why it goes, it is replaced, and nobody else notices."""
    before, rest = once(tmp_path, flags)
    stack = make(built=build(before=before, flags=rest), probe=probe)
    until(lambda: said(stack, reason))
    until(lambda: stack.ready() == 2)
    return stack


# ---------------------------------------------------------------- engines


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("--fault exit", "the engine has ended with exit code 1"),
        ("--fault never-ready", "not ready within 3 s"),
        ("--load-time-s 1000", "not ready within 3 s"),
    ],
)
def test_an_engine_that_never_works_is_given_up_with_its_reason_and_replaced(make, tmp_path, flags, reason):
    broken_and_then_fine(make, tmp_path, flags, reason)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("--fault exit --fault-after-s 4", "the engine has ended with exit code 1"),
        ("--fault never-ready --fault-after-s 4", "answers 503"),
    ],
)
def test_an_engine_that_stops_to_work_is_replaced(make, tmp_path, flags, reason):
    broken_and_then_fine(make, tmp_path, flags, reason)


def test_an_engine_that_leaks_is_killed_by_its_limit_and_replaced(make, tmp_path):
    before, rest = once(tmp_path, "--fault leak --fault-after-s 2")
    limit = "[ $# -eq 0 ] || ulimit -v 600000"
    stack = make(built=build(before=f"{before}\n{limit}", flags=rest), probe=QUICK)
    until(lambda: said(stack, "the engine has ended with exit code"), 60)
    until(lambda: stack.ready() == 2)


def test_an_engine_whose_port_was_taken_meanwhile_is_replaced_on_another_port(make, tmp_path):
    stack = make(built=build(setup=f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"), probe=QUICK)
    until(lambda: len(stack.machines()) == 2)
    victim = min(m.port for view in stack.cloud.observe() for m in view.machines)
    with socket.create_server(("127.0.0.1", victim)):
        (tmp_path / "go").touch()
        until(lambda: said(stack, "the engine has ended with exit code 3"))
        until(lambda: stack.ready() == 2)
        assert victim not in {m.port for view in stack.cloud.observe() for m in view.machines}


def test_answers_that_mean_nothing_take_a_replica_out_when_the_probe_asks_the_model(make, tmp_path):
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    probe = QUICK.model_copy(update={"method": "POST", "path": "/v1/chat/completions", "body": body})
    broken_and_then_fine(make, tmp_path, "--fault rubbish", "calls JSON what is none", probe)


def test_answers_that_mean_nothing_disturb_neither_the_controller_nor_an_update(make):
    stack = make(built=build(flags="--fault rubbish --fault-after-s 6"), drain_limit_s=1)
    until(lambda: stack.ready() == 2)
    time.sleep(6)
    sha256 = stack.change_bundle("2")

    def updated():
        replicas = stack.status()["services"][0]["replicas"]
        return all((r["state"], r["bundle"]) == ("ready", sha256) for r in replicas)

    until(updated)


# ---------------------------------------------------------------- bundles


def test_a_setup_that_fails_is_said_and_tried_ever_more_seldom(make):
    stack = make(built=build(setup="echo no such package >&2; exit 7"), probe=QUICK)
    until(lambda: said(stack, "setup has ended with exit code 7"))
    time.sleep(8)
    status = stack.status()["services"][0]
    launched = {f.name for f in (stack.home / "machines").iterdir()}
    assert status["ready"] == 0
    assert 2 <= len(launched) <= 6, "two at first, then one at once, and one after 5 s"
    assert all(m.port for view in stack.cloud.observe() for m in view.machines)
    stack.change_bundle("2")
    until(lambda: stack.ready() == 2)


# ---------------------------------------------------------------- machines


def test_capacity_that_is_gone_everywhere_is_waited_for(make, tmp_path):
    trace = tmp_path / "trace.csv"
    shutil.copy(CALM, trace)
    stack = make(trace=trace, notice_s=2)
    until(lambda: stack.ready() == 2)
    rows = trace.read_text()
    trace.write_text(rows.replace(",8,", ",0,"))
    until(lambda: stack.ready() == 0 and not stack.machines(), 60)
    until(lambda: said(stack, "no capacity"))
    assert stack.get("/health")
    trace.write_text(rows)
    until(lambda: stack.ready() == len(stack.machines()) == 2, 60)


def test_all_replicas_dead_at_once_are_replaced_once(make):
    stack = make()
    until(lambda: stack.ready() == 2)
    before = stack.machines()
    stack.cloud.registry.end_all(before, 0)
    until(lambda: not before & stack.machines() and stack.ready() == 2)
    time.sleep(2)
    assert len(stack.machines()) == 2
    assert len(list((stack.home / "machines").iterdir())) == 4


# ---------------------------------------------------------------- journal and disk


def test_a_torn_end_of_the_journal_costs_no_machine(make):
    stack = make()
    until(lambda: stack.ready() == 2)
    machines = stack.machines()
    stack.started[-1].kill()
    stack.started[-1].wait()
    for entry in sorted((stack.home / "state" / "journal").rglob("*.json*"))[-2:]:
        entry.write_bytes(entry.read_bytes()[:40])
    stack.start()
    until(lambda: stack.ready() == 2)
    assert stack.machines() == machines


def test_a_disk_on_which_nothing_can_be_written_stops_launches_and_nothing_else(make):
    stack = make()
    until(lambda: stack.ready() == 2)
    controller = stack.started[-1]
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(controller.pid, resource.RLIMIT_FSIZE, (0, hard))
    victim = min(stack.machines())
    stack.cloud.registry.end(victim, 0)
    until(lambda: stack.ready() == 1, 10)
    time.sleep(2)
    assert stack.get("/health")
    assert controller.poll() is None
    resource.prlimit(controller.pid, resource.RLIMIT_FSIZE, (hard, hard))
    until(lambda: stack.ready() == len(stack.machines()) == 2)
    assert json.loads((stack.home / "state" / "status.json").read_text())["services"][0]["ready"] >= 1
