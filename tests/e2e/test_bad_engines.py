"""Engines whose probe succeeds while they fail callers: only the edge sees it, and the controller acts on its word."""

import time

import pytest

from bench.stage.load import Ask, Load, running
from bench.stage.outcomes import Outcome, summary
from tests.e2e.checkout import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SERVICE = """
name: chat
resources: {accelerators: L4:1, use_spot: true, ports: 8000}
service:
  readiness_probe: {path: /health, initial_delay_seconds: 30, timeout_seconds: 5}
  load_balancer: {stream_timeout_seconds: 2}
  replicas: 2
run: |
  mkdir %(once)s 2>/dev/null && set -- %(flags)s  # the first engine of all has the fault, others are fine
  exec python -m engines.sim --host 127.0.0.1 --port "$TRADEWIND_PORT" --model chat-demo "$@"
tradewind: {engine: sim, model: chat-demo, interval_seconds: 1, replace_after_seconds: 2}
"""


@pytest.fixture
def serve(checkout, tmp_path):
    """Brings the service up with the fault in one of its engines."""

    def up(flags):
        checkout.tw("down", check=0)
        text = SERVICE % {"once": tmp_path / "once", "flags": flags}
        (checkout.root / "services" / "bad.yaml").write_text(text)
        checkout.configure(services=["services/bad.yaml"])
        checkout.tw("up", check=0)
        return checkout

    return up


@pytest.mark.parametrize(
    ("flags", "streams"), [("--fault error-500", 0.0), ("--fault hang", 1.0), ("--fault hang", 0.0)]
)
def test_a_replica_that_fails_callers_is_found_and_replaced_although_its_probe_succeeds(
    serve, flags, streams
):
    stack = serve(flags)
    before = set(stack.machines())
    with running(Load(stack.endpoint, stack.key, Ask(streams=streams), rate=20)) as load:
        eventually(
            lambda: any("its probe succeeds, but" in r for r in reasons(stack)), within=60, what="its reason"
        )
        eventually(lambda: len(before & set(stack.machines())) == 1, within=60, what="its end")
        eventually(lambda: stack.status()["services"][0]["ready"] == 2, within=60, what="its replacement")
        time.sleep(3)
        replaced = time.time()
        time.sleep(5)
    assert len(stack.machines()) == 2
    assert any(r.outcome is not Outcome.OK for r in load.records), "callers met it before"
    later = summary([r for r in load.records if r.due > replaced])
    assert later.requests > 50
    assert (later.failed, later.broken) == (0, 0), later.errors


def reasons(stack):
    return stack.full_status()["reasons"]
