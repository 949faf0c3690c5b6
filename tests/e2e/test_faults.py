"""What a stack survives: killed commands and processes, hung ones, damaged files, edits that don't work.

Each test leaves a stack that serves; callers ask all the time where it says so.
"""

import json
import os
import random
import signal
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from components.local.resources import READY_TIMEOUT_S
from local import proctable
from tests.e2e.checkout import eventually, settled, throw_away

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SEED = 20
"""Of the moments at which commands are killed: the same in every run, so that a failure can be repeated."""


@pytest.fixture(scope="module")
def stack(checkout):
    checkout.tw("up", check=0)
    return checkout


@pytest.fixture
def service(stack):
    """The service file, to edit; it is as before afterwards."""
    path = stack.root / "services" / "chat.yaml"
    before = path.read_text()
    yield path
    path.write_text(before)


@contextmanager
def callers(stack):
    """Asks ten times a second; afterwards the list holds what was not answered with 200."""
    failed, stop, headers = [], threading.Event(), {"Authorization": f"Bearer {stack.key}"}

    def ask():
        with httpx.Client(base_url=stack.endpoint, headers=headers, timeout=20) as client:
            while not stop.wait(0.1):
                try:
                    status = client.get("/v1/models").status_code
                except httpx.HTTPError as e:
                    status = type(e).__name__
                if status != 200:
                    failed.append(status)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield failed
    finally:
        stop.set()
        thread.join()


def family(pid):
    table = proctable.table()
    found = [pid]
    for one in found:
        found += [p.pid for p in table.values() if p.ppid == one and not p.dead]
    return found


def engines(stack):
    """Pids of the engines: what machines started that is neither agent nor guard."""
    found = []
    for pid, name in stack.processes().items():
        argv = argv_of(pid)
        if name.startswith("i-") and "engines.sim" in argv and not any("guard.py" in a for a in argv):
            found.append(pid)
    return found


def argv_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def content(path):
    """Of a file that whoever lives here may remove meanwhile; nothing of what is none."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def names(stack):
    """What runs for the stack, machines by one word."""
    return sorted({"machine:" + n if n.startswith("i-") else n for n in stack.processes().values()})


def assert_whole(stack):
    """Exactly one of each, two machines, nothing of Pulumi, and it serves."""
    eventually(lambda: len([n for n in names(stack) if n.startswith("machine:")]) == 2, what="two machines")
    others = [n for n in names(stack) if not n.startswith("machine:")]
    assert others == ["controller", "edge-agent", "edge-envoy"]
    assert stack.ask().status_code == 200


def assert_nothing_left(stack):
    assert not stack.processes()
    assert not stack.home.exists()
    for port in stack.ports.values():
        with socket.socket() as s:
            assert s.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("command", "victim"), [("up", "tree"), ("up", "pulumi"), ("up", signal.SIGTERM), ("down", "tree")]
)
def test_a_command_killed_at_any_moment_is_put_in_order_by_the_next_one(stack, service, command, victim):
    moment = random.Random(f"{SEED} {command} {victim}").uniform(0.3, 5)
    service.write_text(service.read_text().replace("--ttft-ms 50", f"--ttft-ms {round(50 + moment * 10)}"))
    running = stack.start(command)
    time.sleep(moment)
    if running.poll() is None:
        members = family(running.pid)
        if isinstance(victim, signal.Signals):
            running.send_signal(victim)
        for pid in {"tree": members, "pulumi": members[1:2]}.get(victim, []):
            os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    said, _ = running.communicate(timeout=60)
    if isinstance(victim, signal.Signals):
        assert running.returncode in (0, 130), said
        assert time.monotonic() - began < 10 or running.returncode == 0
    assert "Traceback" not in said
    assert "defect" not in said
    stack.tw("up", check=0)
    assert_whole(stack)


def test_down_right_after_a_killed_up_leaves_nothing(stack):
    stack.tw("down", check=0)
    running = stack.start("up")
    eventually(lambda: list((stack.home / "processes").glob("*.json")), within=60, what="a first process")
    for pid in family(running.pid):
        os.kill(pid, signal.SIGKILL)
    running.communicate(timeout=10)
    stack.tw("down", check=0)
    assert_nothing_left(stack)
    stack.tw("up", check=0)


def test_an_engine_that_dies_costs_no_caller_anything(stack):
    before = stack.machines()
    with callers(stack) as failed:
        os.kill(engines(stack)[0], signal.SIGKILL)
        eventually(lambda: stack.machines() != before, what="the end of its machine")
        eventually(lambda: stack.status()["services"][0]["ready"] == 2, what="a replacement")
        settled(stack)
    assert failed == []


def test_a_desired_state_that_is_gone_freezes_the_controller_and_up_restores_it(stack):
    machines = stack.machines()
    (stack.home / "state" / "desired" / "dev.json").unlink()
    eventually(lambda: "controller: frozen" in stack.tw("status").stdout, what="the controller's word")
    stack.tw("up", check=0)
    eventually(lambda: "controller: leading" in stack.tw("status").stdout, what="the controller's word")
    assert stack.machines() == machines


def test_a_state_that_was_thrown_away_costs_no_caller_and_no_replica_anything(stack):
    machines = stack.machines()
    with callers(stack) as failed:
        throw_away(stack.home / "state")
        stack.kill("controller")
        stack.tw("up", check=0)
        eventually(lambda: stack.status()["services"][0]["ready"] == 2)
        lease = stack.home / "state" / "lease"
        snapshot = stack.home / "edge" / "snapshot.json"
        newest = max(int(p.stem) for p in lease.glob("*.json"))
        eventually(
            lambda: json.loads(snapshot.read_text())["epoch"] == newest, what="a snapshot of the new epoch"
        )
    assert failed == []
    assert stack.machines() == machines


def test_damaged_files_of_a_stack_are_made_anew(stack):
    machines = stack.machines()
    (stack.home / "processes" / "controller.json").write_text("{")
    (stack.home / "processes" / f"{machines[0]}.json").write_text("")
    for entry in (stack.home / "state" / "journal").rglob("*.json*"):
        entry.write_bytes(content(entry)[:40])
    throw_away(stack.home / "state" / "lease")
    with callers(stack) as failed:
        said = stack.tw("up", check=0)
    assert "removed unreadable entries" in said.stdout
    assert failed == []
    eventually(lambda: stack.status()["services"][0]["ready"] == 2)
    assert stack.machines() == machines[1:], "its entry is gone, and the machine is known to its pool"


def test_a_version_that_can_not_start_is_said_soon_and_the_one_before_serves_on(stack, service):
    good = service.read_text()
    service.write_text(good.replace("--max-queue 64", "--max-queue sixty"))
    with callers(stack) as failed:
        refused = stack.tw("up", check=3)
        assert "the engine has ended with exit code 2" in refused.stderr
        assert "serves on: 2 of 2" in refused.stderr
        service.write_text(good)
        stack.tw("up", check=0)
    assert failed == []


def test_a_second_service_comes_and_goes_beside_the_first(stack):
    text = (stack.root / "services" / "chat.yaml").read_text()
    text = text.replace("name: chat\n", "name: code\n").replace("chat-demo", "code-demo")
    (stack.root / "services" / "code.yaml").write_text(text.replace("replicas: 2", "replicas: 1"))

    def ask(model):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
        headers = {"Authorization": f"Bearer {stack.key}"}
        return httpx.post(f"{stack.endpoint}/v1/chat/completions", json=body, headers=headers).status_code

    with callers(stack) as failed:
        stack.configure(services=["services/chat.yaml", "services/code.yaml"])
        stack.tw("up", check=0)
        assert [ask(m) for m in ("chat-demo", "code-demo", "nobody")] == [200, 200, 404]
        stack.configure(services=["services/chat.yaml"])
        stack.tw("up", check=0)
        assert ask("chat-demo") == 200
    assert failed == []
    assert [(s["name"], s["ready"]) for s in stack.status()["services"]] == [("chat", 2)]


def test_a_controller_that_hangs_is_started_anew_while_the_edge_serves(stack):
    controller = stack.entry("controller")
    over = controller["launched_at"] + READY_TIMEOUT_S
    eventually(lambda: time.time() > over, within=READY_TIMEOUT_S + 5, what="the time it has to start")
    with callers(stack) as failed:
        os.kill(controller["pid"], signal.SIGSTOP)
        stack.tw("up", check=0)
    assert failed == []
    assert stack.entry("controller")["pid"] != controller["pid"]


def test_no_secret_is_in_a_log_in_the_state_or_in_an_argument(stack):
    secrets = [stack.key, (stack.home / "secrets" / "controller-token").read_text().strip()]
    holders = {
        str(path.relative_to(stack.root / ".tradewind"))
        for path in (stack.root / ".tradewind").rglob("*")
        if any(s.encode() in content(path) for s in secrets)
    }
    assert holders == {"key", "dev/key", "dev/secrets/controller-token"}
    for pid in stack.processes():
        assert not any(s in " ".join(argv_of(pid)) for s in secrets)
