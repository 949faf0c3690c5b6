"""More launches than are needed: only in trouble, only where waiting to know would cost more, and gone when all are ready."""

import pytest

from spec.names import Market
from tests.lb.world import ZONES, World, a_desired, a_pool, a_service

FOUR = (*ZONES, "local-west-b")


def a_world(*, slo=99.0, launch_usd=0.0, replicas=2, surge=2):
    pools = [
        a_pool(z, market=m, price=0.2 if m is Market.SPOT else 0.7, launch_usd=launch_usd)
        for z in FOUR
        for m in (Market.SPOT, Market.ON_DEMAND)
    ]
    return World(a_desired([a_service(replicas=replicas, surge=surge, scaling={"slo": slo})], pools))


def lose_everything(world):
    """Every machine is taken at once, and the zones they were in have no more."""
    for instance_id in list(world.machines):
        world.capacity[world.pool(world.machines[instance_id].pool_id).id] = 0
        world.lose(instance_id)
    before = world.launched
    world.tick()
    return world.launched - before


def test_at_a_start_no_more_are_launched_than_are_wanted():
    world = a_world()
    world.tick()
    assert world.launched == 2


def test_after_a_loss_more_places_are_asked_at_the_same_moment():
    world = a_world()
    world.run(200)
    assert lose_everything(world) > 2


@pytest.mark.parametrize("circumstances", [{"slo": 60.0}, {"launch_usd": 100.0}])
def test_where_waiting_costs_less_than_a_start_nothing_is_launched_in_vain(circumstances):
    world = a_world(**circumstances)
    world.run(200)
    assert len(world.machines) == 2
    assert lose_everything(world) == 2


def test_what_came_and_is_too_much_leaves_again():
    world = a_world()
    world.run(200)
    lose_everything(world)
    world.capacity.clear()
    world.lapse(3 * 3600)
    assert world.ready() == len(world.machines) == 2


def test_there_are_never_more_than_the_surge_leaves_room_for():
    world = a_world(surge=1)
    world.run(200)
    lose_everything(world)
    assert len(world.machines) <= 3
