"""The life of the dev stack, through the real Pulumi engine, Envoy, controller and engines, as a user meets it."""

import json
import os
import signal
import socket
import stat
import subprocess

import httpx
import openai
import pytest

from tests.e2e.checkout import eventually, settled

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stack(checkout):
    checkout.up = checkout.tw("up", check=0)
    return checkout


def test_up_prints_how_to_use_it_and_its_curl_line_works_as_pasted(stack):
    assert stack.key in stack.up.stdout
    line = next(x for x in stack.up.stdout.splitlines() if x.startswith("curl "))
    answer = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert '"chat.completion"' in answer
    assert "simulated" in answer


def test_scripts_find_the_endpoint_and_a_private_key(stack):
    key = stack.root / ".tradewind" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stack.ask().status_code == 200


def test_an_openai_client_is_served_streaming_and_not(stack):
    client = openai.OpenAI(base_url=f"{stack.endpoint}/v1", api_key=stack.key, max_retries=0)
    question = {"model": "chat-demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
    answer = client.chat.completions.create(**question)
    assert answer.choices[0].message.content
    chunks = list(
        client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True})
    )
    assert len(chunks) > 3
    assert chunks[-1].usage.completion_tokens == 16


def test_without_a_key_nobody_is_served(stack):
    for headers in ({}, {"Authorization": "Bearer sk-tw-wrong"}):
        answer = httpx.get(f"{stack.endpoint}/v1/models", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_status_shows_ready_spot_replicas_in_different_places(stack):
    status = stack.status()
    [service] = status["services"]
    assert (service["name"], service["ready"], service["desired"]) == ("chat", 2, 2)
    assert {r["market"] for r in service["replicas"]} == {"spot"}
    assert len({r["zone"] for r in service["replicas"]}) == 2
    assert status["controller"]["alive"]
    assert status["controller"]["leader"]
    assert status["usd_hour"] > 0


def test_up_again_changes_nothing(stack):
    before = stack.processes()
    again = stack.tw("up", check=0)
    assert "no change" in again.stdout
    assert stack.processes() == before


@pytest.mark.parametrize("name", ["controller", "edge-agent", "edge-envoy"])
def test_a_killed_process_shows_in_the_preview_and_up_repairs_it(stack, name):
    machines = stack.machines()
    pid = stack.kill(name)
    preview = stack.tw("preview", check=0).stdout
    assert name in preview
    assert "pid" in preview
    stack.tw("up", check=0)
    assert stack.entry(name)["pid"] != pid
    assert stack.ask().status_code == 200
    assert stack.machines() == machines, "no replica may notice"


def test_the_edge_serves_on_while_controller_and_agent_are_dead(stack):
    stack.kill("controller")
    stack.kill("edge-agent")
    assert stack.ask().status_code == 200
    stack.tw("up", check=0)


def test_an_edit_of_the_code_restarts_the_controller_and_never_a_replica(stack):
    machines, pid = stack.machines(), stack.entry("controller")["pid"]
    envoy = stack.entry("edge-envoy")["pid"]
    with (stack.root / "lb" / "controller" / "__init__.py").open("a") as f:
        f.write("# edited\n")
    stack.tw("up", check=0)
    assert stack.entry("controller")["pid"] != pid
    assert stack.entry("edge-envoy")["pid"] == envoy
    assert stack.machines() == machines


def test_sizes_belong_to_the_controller_whatever_an_update_changes(stack):
    """The local cloud's part of the proof that each kind of pool owes."""
    machines = stack.machines()
    service = stack.root / "services" / "chat.yaml"
    before = service.read_text()
    service.write_text(before.replace("tradewind:\n", "tradewind:\n  surge: 2\n"))
    changes = json.loads(stack.tw("preview", "--json", check=0).stdout)["changes"]
    assert any("maxSize" in line for c in changes for line in c["diff"]), "the pools change"
    stack.tw("up", check=0)
    pools = [json.loads(p.read_text()) for p in (stack.home / "cloud" / "pools").glob("*.json")]
    assert sorted(p["size"] for p in pools) == [0, 1, 1]
    assert stack.machines() == machines
    assert json.loads(stack.tw("preview", "--json", check=0).stdout)["changes"] == []
    service.write_text(before)
    stack.tw("up", check=0)
    assert stack.machines() == machines


def test_a_limit_below_the_price_refuses_the_preview_and_names_the_pool(stack):
    limits = {"expectedUsdHour": 2, "worstUsdHour": 0.1, "runawayUsdHour": 10}
    stack.configure(limits=limits)
    try:
        for command in ("preview", "up"):
            refused = stack.tw(command, check=4)
            assert "chat.local." in refused.stderr
            assert "worstUsdHour" in refused.stderr
    finally:
        stack.configure(limits={**limits, "worstUsdHour": 5})
    stack.tw("up", check=0)


def test_a_killed_replica_is_replaced(stack):
    victim = stack.machines()[0]
    stack.kill(victim)
    eventually(lambda: victim not in stack.machines() and len(stack.machines()) == 2, what="a replacement")
    stack.tw("wait", check=0)
    settled(stack)
    assert stack.ask().status_code == 200


def test_two_ups_at_once_end_with_one_clear_refusal(stack):
    first = stack.start("up")
    eventually((stack.home / "update.lock").read_text, what="the first one's lock")
    second = stack.tw("up")
    first.communicate(timeout=60)
    assert sorted([first.returncode, second.returncode]) == [0, 1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_up_is_repaired_by_the_next_one(stack, number):
    stack.tw("down", check=0)
    running = stack.start("up")
    eventually(lambda: list((stack.home / "processes").glob("*.json")), within=60, what="a first process")
    running.send_signal(number)
    running.communicate(timeout=10)
    assert running.returncode != 0
    stack.tw("up", check=0)
    assert stack.ask().status_code == 200
    assert len(stack.machines()) == 2


def test_a_taken_port_is_said_before_anything_starts(stack):
    stack.tw("down", check=0)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", stack.ports["edgePort"]))
        other.listen()
        refused = stack.tw("up")
    assert refused.returncode in (1, 3)
    assert str(stack.ports["edgePort"]) in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not stack.processes()


def test_down_leaves_nothing(stack):
    stack.tw("up", check=0)
    stack.tw("down", check=0)
    assert not stack.processes()
    assert not stack.home.exists()
    for port in stack.ports.values():
        with socket.socket() as s:
            assert s.connect_ex(("127.0.0.1", port)) != 0
    stack.tw("down", check=0)
    assert os.path.lexists(stack.root / ".tradewind")
