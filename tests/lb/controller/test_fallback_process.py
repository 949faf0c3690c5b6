"""On demand for spot with a controller process and real machines of the local cloud."""

import pytest

from spec.names import Market
from tests.lb.controller.process import Stack, until

pytestmark = pytest.mark.e2e

ZONES = ("local-east-a", "local-east-b", "local-west-a")


@pytest.fixture
def stack(tmp_path):
    markets = (Market.SPOT, Market.ON_DEMAND)
    stack = Stack(tmp_path, markets=markets, notice_s=2, dynamic_ondemand_fallback=True)
    try:
        yield stack
    finally:
        stack.end()


def ready_in(stack):
    """How many replicas are ready in each market."""
    services = stack.status()["services"]
    markets = [r["market"] for r in services[0]["replicas"] if r["state"] == "ready"] if services else []
    return {market: markets.count(market) for market in ("spot", "on_demand")}


def test_without_spot_on_demand_serves_and_when_spot_is_back_it_takes_over(stack):
    stack.start()
    until(lambda: ready_in(stack) == {"spot": 2, "on_demand": 0})
    for zone in ZONES:
        stack.cloud.set_capacity(zone, 0)
    until(lambda: ready_in(stack) == {"spot": 0, "on_demand": 2})
    stack.cloud.reset_capacity()

    def back():
        ready = ready_in(stack)
        assert sum(ready.values()) >= 2, "moving back costs no ready replica"
        return ready == {"spot": 2, "on_demand": 0} and len(stack.machines()) == 2

    until(back, 90)
