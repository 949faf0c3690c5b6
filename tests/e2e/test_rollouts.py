"""Updates of a real stack while callers ask: one that works, one that does not, and what an operator may say to it."""

import threading
from contextlib import contextmanager

import httpx
import pytest

from tests.e2e.checkout import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stack(checkout):
    checkout.tw("up", check=0)
    return checkout


@pytest.fixture
def service(stack):
    """The service file, to edit."""
    return stack.root / "services" / "chat.yaml"


@contextmanager
def callers(stack):
    """Asks ten times a second for a whole answer; afterwards the list holds what was not answered with 200."""
    failed, stop, headers = [], threading.Event(), {"Authorization": f"Bearer {stack.key}"}
    question = {"model": "chat-demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}

    def ask():
        with httpx.Client(base_url=stack.endpoint, headers=headers, timeout=20) as client:
            while not stop.wait(0.1):
                try:
                    status = client.post("/v1/chat/completions", json=question).status_code
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


def chat(stack):
    return stack.status()["services"][0]


def bundles(stack):
    return {r["bundle"] for r in chat(stack)["replicas"] if r["state"] == "ready"}


def archives(stack):
    return {p.name.partition(".")[0] for p in (stack.home / "state" / "bundles").glob("*.tar.gz")}


def phase(stack):
    return (chat(stack)["rollout"] or {}).get("phase")


def edit(service, old, new):
    text = service.read_text()
    assert old in text
    service.write_text(text.replace(old, new))


def test_an_update_that_works_fails_no_request_and_keeps_the_archive_to_go_back_to(stack, service):
    [before] = bundles(stack)
    machines = stack.machines()
    edit(service, "--ttft-ms 50", "--ttft-ms 40")
    with callers(stack) as failed:
        stack.tw("up", check=0)
    assert failed == []
    [after] = bundles(stack)
    assert after != before
    assert chat(stack)["ready"] == 2
    assert phase(stack) == "done"
    eventually(lambda: len(stack.machines()) == 2, what="the end of the machine that made room")
    assert len(set(machines) & set(stack.machines())) == 1, "one moved in place"
    assert {before, after} <= archives(stack)
    assert "update" not in stack.tw("wait", check=0).stderr


def test_an_update_that_does_not_work_goes_back_by_itself_and_says_why(stack, service):
    before = bundles(stack)
    text = service.read_text()
    edit(service, "--max-queue 64", "--max-queue sixty")
    with callers(stack) as failed:
        refused = stack.tw("up", check=3)
    assert failed == []
    for words in ("failed: local:", "exit code 2", "sixty", "serves on: 2 of 2"):
        assert words in refused.stderr
    assert (bundles(stack), phase(stack)) == (before, "failed")
    assert "rollout: failed" in stack.tw("status", check=0).stdout
    stack.kill("controller")
    stack.tw("up", check=3)
    assert (bundles(stack), phase(stack)) == (before, "failed")
    service.write_text(text)
    stack.tw("up", check=0)
    assert (bundles(stack), phase(stack)) == (before, None)


def test_an_operator_pauses_resumes_and_aborts(stack, service):
    before = bundles(stack)
    edit(service, "--load-time-s 1", "--load-time-s 4")
    stack.tw("up", "--no-wait", check=0)
    eventually(lambda: phase(stack) == "rolling", what="a rollout")
    assert "paused" in stack.tw("rollout", "pause", check=0).stdout
    eventually(
        lambda: any(r["state"] == "ready" and r["bundle"] not in before for r in chat(stack)["replicas"])
    )
    assert phase(stack) == "paused"
    assert "nothing to pause" in stack.tw("rollout", "pause", check=0).stdout
    assert "goes back" in stack.tw("rollout", "abort", check=0).stdout
    refused = stack.tw("wait", check=3)
    assert "was aborted: an operator aborted it" in refused.stderr
    assert (bundles(stack), phase(stack)) == (before, "aborted")
    stack.tw("rollout", "resume", check=0)
    stack.tw("wait", check=0)
    assert phase(stack) == "done"
    assert not bundles(stack) & before
    assert "no rollout is going on" in stack.tw("rollout", "abort", check=0).stdout
    assert "done, 2 of 2 done" in stack.tw("rollout", "status", check=0).stdout


def test_without_a_controller_nobody_answers_and_the_request_is_withdrawn(stack):
    stack.kill("controller")
    refused = stack.tw("rollout", "abort", check=3)
    assert "none runs" in refused.stderr
    assert not list((stack.home / "state" / "commands").glob("*.json"))
    stack.tw("up", check=0)
