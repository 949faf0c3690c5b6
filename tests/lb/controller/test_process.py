"""The controller as a process, with real machines of the local cloud: killed, doubled, stopped."""

import json
import signal
import subprocess
import sys
import time

import pytest

from bench.controller import ROOT
from tests.lb.controller.process import Stack, until
from tests.ports import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture
def stack(tmp_path):
    stack = Stack(tmp_path)
    try:
        yield stack
    finally:
        stack.end()


def test_it_serves_survives_a_kill_without_a_new_machine_and_stops_without_ending_one(stack):
    first = stack.start()
    until(lambda: stack.ready() == 2)
    machines = stack.machines()
    first.kill()
    first.wait()
    assert stack.machines() == machines
    second = stack.start()
    until(lambda: stack.ready() == 2)
    assert stack.status()["controller"]["leader"]
    assert stack.machines() == machines

    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=15) == 0
    assert stack.machines() == machines
    assert json.loads((stack.home / "state" / "status.json").read_text())["controller"]["alive"] is False


def test_a_killed_machine_is_replaced(stack):
    stack.start()
    until(lambda: stack.ready() == 2)
    before = stack.machines()
    victim = min(before)
    stack.cloud.registry.end(victim, 0)
    until(lambda: len(stack.machines()) == 2 and victim not in stack.machines())
    assert len(stack.machines() - before) == 1
    until(lambda: stack.ready() == 2)


def test_a_noticed_machine_leaves_the_edges_at_once_finishes_its_stream_and_is_replaced_elsewhere(stack):
    stack.start()
    until(lambda: stack.ready() == 2 and len(stack.endpoints()) == 2)
    before = stack.placed()
    victim = min(before)
    with stack.stream(victim, words=600) as stream:
        assert stream.readline().startswith(b"data: ")
        announced = time.monotonic()
        stack.cloud.preempt(victim)
        until(lambda: stack.endpoints()[before[victim].port], 1.0)
        print(f"notice to draining in the snapshot: {1000 * (time.monotonic() - announced):.0f} ms")
        until(lambda: len(stack.placed()) == 3)
        (new,) = stack.placed().keys() - before.keys()
        assert stack.placed()[new].zone != before[victim].zone
        rest = stream.read()
        assert time.monotonic() > announced + 2.5, "the stream was to outlast the look at it"
    assert rest.rstrip().endswith(b"data: [DONE]"), "the engine was touched before it had drained"

    until(lambda: victim not in stack.placed(), 10)
    assert time.monotonic() < announced + 30, "the cloud killed it; we were to end it before"
    until(lambda: not stack.cloud.registry.anything_runs(victim), 10)
    until(lambda: stack.endpoints() == {before[max(before)].port: False, stack.placed()[new].port: False})


def test_the_only_machines_of_a_service_serve_under_notice_until_others_do(stack):
    stack.start()
    until(lambda: stack.ready() == 2 and len(stack.endpoints()) == 2)
    before = stack.placed()
    for placed in before.values():
        stack.cloud.preempt_zone(placed.zone, notice_s=20)

    def replaced():
        serving = {port for port, draining in stack.endpoints().items() if not draining}
        assert serving, "nobody would have answered"
        return serving.isdisjoint(m.port for m in before.values())

    until(replaced, 15)
    until(lambda: not stack.machines() & before.keys(), 10)
    assert not {m.zone for m in before.values()} >= {m.zone for m in stack.placed().values()}


def test_an_edited_service_reaches_every_replica_by_way_of_one_machine_more(stack):
    stack.start()
    until(lambda: stack.ready() == 2)
    sha256 = stack.change_bundle("2")
    ready, machines = set(), set()

    def updated():
        replicas = stack.status()["services"][0]["replicas"]
        ready.add(sum(r["state"] == "ready" for r in replicas))
        machines.add(len(stack.machines()))
        return [(r["state"], r["bundle"]) for r in replicas] == [("ready", sha256)] * 2

    until(updated)
    assert min(ready) == 2, "as many as wanted, at every moment"
    assert max(machines) == 3


def test_a_second_controller_waits_with_open_health_and_takes_over(stack):
    first = stack.start()
    until(lambda: stack.status()["controller"]["leader"])
    other = free_port()
    config = json.loads((stack.home / "controller.json").read_text())
    (stack.home / "second.json").write_text(json.dumps({**config, "port": other}))
    stack.start("second.json")
    until(lambda: stack.get("/health", other))
    assert not stack.status(other)["controller"]["leader"]
    first.kill()
    first.wait()
    until(lambda: stack.status(other)["controller"]["leader"], 5)


def test_a_port_that_is_taken_ends_it_with_one_line_and_exit_code_3(stack):
    stack.start()
    until(lambda: stack.get("/health"))
    done = subprocess.run(
        [sys.executable, "-m", "lb", "controller", "--config", str(stack.home / "controller.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{stack.port}" in done.stderr
    assert "Traceback" not in done.stderr
