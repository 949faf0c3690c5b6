"""What an operator looks at, on a whole stack: a replica dies, the controller dies, and both are explained afterwards."""

import json

import httpx
import pytest

from tests.browser import Browser, chromium
from tests.e2e.checkout import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stack(checkout):
    """Up, used, and through the death of a replica and of the controller. `lost`: the replica's id."""
    checkout.tw("up", check=0)
    for _ in range(5):
        checkout.ask()
    checkout.lost = checkout.machines()[0]
    checkout.kill(checkout.lost)
    eventually(
        lambda: checkout.lost not in checkout.machines() and len(checkout.machines()) == 2, what="another one"
    )
    eventually(lambda: checkout.status()["services"][0]["ready"] == 2, what="a new replica")
    checkout.kill("controller")
    checkout.tw("up", check=0)
    return checkout


def test_the_loss_and_its_replacement_are_explained_also_after_the_controller_died(stack):
    said = stack.tw("explain", "--last", "20", check=0).stdout
    assert f"lost {stack.lost} without being asked to" in said
    assert "1 more, to" in said
    assert "decided again from this entry: the same" in said


def test_every_decision_of_a_real_controller_can_be_made_again(stack):
    ticks = json.loads(stack.tw("explain", "--last", "1000", "--json", check=0).stdout)["ticks"]
    assert len({tick["tick"].split(".")[0] for tick in ticks}) >= 1
    assert {tick["decided_again"] for tick in ticks} == {"same"}


def test_logs_of_a_replica_that_is_gone_are_shown_by_the_end_of_its_id(stack):
    said = stack.tw("logs", "--replica", stack.lost[-5:], check=0).stdout
    assert f"{stack.lost} | " in said
    assert f"{stack.lost}/engine | " in said
    near = stack.tw("logs", "--replica", stack.lost[:-1] + "x", check=1).stderr
    assert f"Did you mean `{stack.lost}`?" in near


def test_all_logs_are_objects_for_a_program_and_hold_no_secret(stack):
    said = stack.tw("logs", "--lines", "500", "--json", check=0).stdout
    sources = {json.loads(line)["source"] for line in said.splitlines()}
    assert {"controller", "edge-agent", stack.lost} <= sources
    secrets = [stack.key, (stack.home / "secrets" / "controller-token").read_text().strip()]
    assert not any(secret in said for secret in secrets)
    assert "/v1/models" in stack.tw("logs", "--access", check=0).stdout


def test_the_status_page_keeps_its_picture_over_the_controllers_death(stack, tmp_path):
    url = stack.tw("status", "--web", check=0).stdout.strip()
    page, _, fragment = url.partition("#token=")
    shown = {"Authorization": f"Bearer {fragment}"}
    assert httpx.get(page).is_success
    assert httpx.get(f"{page}v1/history").status_code == 401
    assert httpx.get(f"{page}v1/history", headers=shown).json()["points"]
    chromium()
    dom = Browser(tmp_path).dom(url)
    for text in ("chat", "2 of 2 ready", "leading", *stack.machines()):
        assert text in dom


def test_a_stopped_stack_still_explains_and_says_that_nobody_answers(stack):
    pid = stack.kill("controller")
    eventually(lambda: pid not in stack.processes(), what="its end")
    assert "does not run" in stack.tw("status", "--web", check=3).stderr
    assert "decided again" in stack.tw("explain", "--at", "-0s", check=0).stdout
