"""Machines are taken away from a whole stack, as an operator does it to see what happens; nobody who calls may notice."""

import json
import threading
from collections import Counter
from contextlib import contextmanager

import httpx
import pytest

from tests.e2e.checkout import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

BODY = {"model": "chat-demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}


@pytest.fixture(scope="module")
def stack(checkout):
    checkout.tw("up", check=0)
    return checkout


@contextmanager
def callers(stack):
    """Four who ask all the time; afterwards what each answer was is counted."""
    counted, stop = Counter(), threading.Event()
    headers = {"Authorization": f"Bearer {stack.key}"}

    def ask():
        with httpx.Client(base_url=stack.endpoint, headers=headers, timeout=20) as client:
            while not stop.wait(0.05):
                try:
                    answer = client.post("/v1/chat/completions", json=BODY).status_code
                except httpx.HTTPError as e:
                    answer = type(e).__name__
                counted[answer] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield counted
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def shown(stack):
    return json.loads(stack.tw("local", "show", "--json", check=0).stdout)


def replaced(stack, before):
    service = stack.status()["services"][0]
    return service["ready"] == 2 and before.isdisjoint(stack.machines())


def test_notice_and_speed_of_a_running_stack_change_without_touching_a_machine(stack):
    before = stack.machines()
    stack.configure(local={**stack.ports, "noticeS": 7, "traceSpeed": 3})
    stack.tw("up", check=0)
    found = shown(stack)
    assert (found["notice_s"], found["trace"]["speed"]) == (7, 3)
    assert stack.machines() == before
    assert "no change" in stack.tw("preview", check=0).stdout
    stack.configure(local=stack.ports)
    stack.tw("up", check=0)
    assert stack.machines() == before


def test_all_machines_under_notice_at_once_are_replaced_and_no_request_fails(stack):
    before = set(stack.machines())
    assert len(before) == 2
    with callers(stack) as counted:
        for zone in {m["zone"] for m in shown(stack)["machines"]}:
            stack.tw("local", "preempt", "--zone", zone, check=0)
        eventually(
            lambda: replaced(stack, before), within=25, what="replacement before the end of the notice"
        )
    assert counted.keys() == {200}, counted
    assert counted[200] > 100


def test_a_zone_without_capacity_is_left_and_nothing_comes_back_until_it_is_reset(stack):
    zone = shown(stack)["machines"][0]["zone"]
    with callers(stack) as counted:
        stack.tw("local", "capacity", "--zone", zone, "0", check=0)
        eventually(lambda: zone not in {m["zone"] for m in shown(stack)["machines"]}, within=25)
        eventually(lambda: stack.status()["services"][0]["ready"] == 2)
    assert counted.keys() == {200}, counted
    stack.tw("local", "capacity", "--reset", check=0)
    assert all(z["override"] is None for z in shown(stack)["zones"])


def test_what_the_controller_decided_meanwhile_is_decided_again_from_its_journal(stack):
    replayed = json.loads(stack.tw("sim", "replay", "--json", check=0).stdout)
    assert (replayed["same"], replayed["differences"], replayed["left_out"]) == (True, [], [])
    assert set(replayed["recorded_by"]) == {replayed["code"]}
    assert replayed["replayed"] > 20
    assert "the same commands, memory and reasons" in stack.tw("sim", "replay", check=0).stdout
