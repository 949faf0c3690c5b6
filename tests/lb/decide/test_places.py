"""Places in words: what they were launched for and left for is told with their age and risk."""

import pytest

from lb.decide.memory import PoolMemory
from lb.decide.places import age_s
from lb.decide.settings import UNKNOWN_AGE_S
from spec.names import Market
from tests.lb.world import ZONES, World, a_desired, a_pool, a_service


def test_a_launch_tells_the_risk_of_its_place():
    world = World(a_desired([a_service(replicas=1)]))
    said = world.tick().because
    assert any(r.endswith("chat lacks 1; not seen up lately, 0.22 % risk in the next 60 s") for r in said)


def test_what_leaves_a_young_place_tells_how_long_that_was_up_and_its_risk():
    pools = [a_pool(ZONES[0], price=0.9), a_pool(ZONES[1], price=0.1)]
    world = World(a_desired([a_service(replicas=1)], pools))
    world.capacity = {ZONES[1]: 0}
    world.run(300)
    world.capacity = {}
    said = [r for d in world.run(900) for r in d.reasons]
    left = next(r for r in said if "left local-east-a" in r)
    assert "draining: chat needs only 1: left local-east-a: up " in left
    assert left.endswith(" % risk in the next 60 s")


def test_on_demand_has_no_risk_to_tell():
    pools = [a_pool(market=Market.ON_DEMAND)]
    said = World(a_desired([a_service(replicas=1)], pools)).tick().because
    assert any(r.endswith("chat lacks 1; on demand") for r in said)


@pytest.mark.parametrize(("launch_usd", "leaves"), [(0.0, True), (6.0, True), (60.0, False)])
def test_what_a_launch_costs_has_to_come_back_while_spot_lasts_and_not_within_an_hour(launch_usd, leaves):
    costs = {"price": 2.0, "launch_usd": launch_usd}
    pools = [a_pool(ZONES[0], **costs), a_pool(ZONES[1], market=Market.ON_DEMAND, **{**costs, "price": 6.0})]
    world = World(a_desired([a_service(replicas=1)], pools))
    world.capacity = {pools[0].id: 0}
    world.run(300)
    assert world.in_market(Market.ON_DEMAND) == 1
    world.capacity = {}
    world.lapse(4 * 3600)
    assert (world.in_market(Market.ON_DEMAND) == 0) == leaves


def test_a_place_that_was_seen_down_long_ago_may_have_been_up_for_long():
    seen_down = PoolMemory(struck_since=0.0, struck_at=600.0)
    assert [age_s(seen_down, at) for at in (600.0, 1800.0, 86_400.0)] == [0.0, 600.0, UNKNOWN_AGE_S]
