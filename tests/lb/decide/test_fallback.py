"""On-demand replicas cover for spot replicas, and leave when those are back."""

from dataclasses import replace

import pytest

from lb.decide import SetSize
from lb.decide.observed import ProbeState
from spec.names import Market
from tests.lb.world import NEW, ZONES, World, a_desired, a_pool, a_service

SPOT = [a_pool(zone) for zone in ZONES]
ON_DEMAND = [a_pool(zone, market=Market.ON_DEMAND, price=0.7) for zone in ZONES[:2]]


def a_world(*, zones=ZONES, replicas=2, **service) -> World:
    pools = [p for p in SPOT if p.zone in zones] + ON_DEMAND
    world = World(a_desired([a_service(replicas=replicas, **{"dynamic": True, **service})], pools))
    world.run(5)
    return world


def spot_is_gone(world: World) -> None:
    world.capacity = {p.id: 0 for p in SPOT}
    for instance_id, machine in list(world.machines.items()):
        if world.pool(machine.pool_id).market is Market.SPOT:
            world.lose(instance_id)


def launches(decision, market: Market) -> list[SetSize]:
    return [
        c for c in decision.commands if isinstance(c, SetSize) and c.size and c.pool_id.endswith(market.value)
    ]


def test_while_there_is_spot_nothing_runs_on_demand():
    world = a_world()
    world.run(60)
    assert (world.in_market(Market.SPOT), world.in_market(Market.ON_DEMAND)) == (2, 0)
    assert world.launched == 2


def test_the_decision_that_learns_of_a_loss_launches_on_demand_and_tries_spot_elsewhere():
    world = a_world()
    world.lose(next(iter(world.machines)))
    decision = world.tick()
    assert len(launches(decision, Market.ON_DEMAND)) == 1
    assert len(launches(decision, Market.SPOT)) == 1


def test_the_decision_that_learns_of_a_notice_launches_on_demand():
    world = a_world()
    machine = next(iter(world.machines.values()))
    machine.instance = replace(machine.instance, preempt_at=world.now + 120)
    decision = world.tick()
    assert len(launches(decision, Market.ON_DEMAND)) == 1


def test_without_any_spot_all_that_are_needed_run_on_demand_and_spot_is_tried_ever_more_seldom():
    world = a_world()
    spot_is_gone(world)
    world.run(60)
    assert (world.ready(), world.in_market(Market.ON_DEMAND)) == (2, 2)
    tried = sum(len(launches(d, Market.SPOT)) for d in world.run(3600))
    assert 3 <= tried <= 135, (
        "three zones, each after seconds at first and then at 15 % of the time for which it is gone"
    )
    assert (world.ready(), world.in_market(Market.ON_DEMAND)) == (2, 2)


@pytest.mark.parametrize(("replicas", "surge"), [(2, 1), (3, 1), (4, 2)])
def test_when_spot_is_back_replicas_move_there_through_the_surge_and_all_stay_ready(replicas, surge):
    world = a_world(replicas=replicas, surge=surge)
    spot_is_gone(world)
    world.run(60)
    world.capacity = {}
    for _ in range(1500):
        world.tick()
        assert world.ready() >= replicas
        assert len(world.machines) <= replicas + surge
    assert (world.in_market(Market.SPOT), world.in_market(Market.ON_DEMAND)) == (replicas, 0)


def test_the_way_back_to_spot_is_said():
    world = a_world(replicas=1)
    spot_is_gone(world)
    world.run(30)
    world.capacity = {}
    said = {r for d in world.run(900) for r in d.reasons}
    gone = next(r for r in said if "draining: chat needs only 1: left local-" in r)
    assert gone.endswith(": on demand")


def test_an_on_demand_replica_stays_while_its_spot_replica_only_starts():
    world = a_world(replicas=1)
    spot_is_gone(world)
    world.run(30)
    world.capacity = {}
    starting = set()
    for _ in range(900):
        for instance_id, machine in world.machines.items():
            if world.pool(machine.pool_id).market is Market.SPOT:
                world.answers(instance_id, probe=ProbeState.FAILING)
                starting.add(instance_id)
        world.tick()
        assert world.ready() == 1
    assert starting
    for machine in world.machines.values():
        machine.answers = None
    world.run(10)
    assert (world.in_market(Market.SPOT), world.in_market(Market.ON_DEMAND)) == (1, 0)


def test_without_room_for_both_the_covering_replica_is_kept_and_no_limit_broken():
    world = a_world(surge=0)
    spot_is_gone(world)
    world.run(600)
    assert (world.ready(), len(world.machines), world.in_market(Market.ON_DEMAND)) == (2, 2, 2)


def test_an_update_needs_no_spot_while_on_demand_covers():
    world = a_world()
    spot_is_gone(world)
    world.run(60)
    world.want(NEW)
    for _ in range(300):
        world.tick()
        assert world.ready() >= 2
        assert len(world.machines) <= 3
    assert set(world.bundles()) == {NEW}
    assert (world.ready(), world.in_market(Market.ON_DEMAND)) == (2, 2)


def test_a_spare_is_not_covered_on_demand():
    world = a_world(replicas=2, most=4, spares=1)
    assert world.in_market(Market.SPOT) == 3
    spot_is_gone(world)
    world.run(60)
    assert world.in_market(Market.ON_DEMAND) == 2


def test_a_policy_that_does_not_ask_for_it_leaves_on_demand_to_its_base():
    world = a_world(replicas=3, base_on_demand=1, dynamic=False)
    assert (world.in_market(Market.SPOT), world.in_market(Market.ON_DEMAND)) == (2, 1)
    spot_is_gone(world)
    world.run(600)
    assert (world.ready(), world.in_market(Market.ON_DEMAND)) == (1, 1)


def test_the_base_is_served_by_spot_while_on_demand_is_refused_and_gets_its_place_back():
    world = World(a_desired([a_service(replicas=2, base_on_demand=1)], [*SPOT, *ON_DEMAND]))
    world.capacity = {p.id: 0 for p in ON_DEMAND}
    world.run(30)
    assert (world.ready(), world.in_market(Market.SPOT)) == (2, 2)
    world.capacity = {}
    for _ in range(1200):
        world.tick()
        assert world.ready() >= 2
    assert (world.in_market(Market.SPOT), world.in_market(Market.ON_DEMAND)) == (1, 1)


def test_base_and_cover_together_are_never_more_than_what_is_needed():
    world = a_world(replicas=3, base_on_demand=1)
    assert (world.in_market(Market.SPOT), world.in_market(Market.ON_DEMAND)) == (2, 1)
    spot_is_gone(world)
    world.run(120)
    assert (world.ready(), world.in_market(Market.ON_DEMAND)) == (3, 3)


def test_fewer_replicas_are_needed_while_on_demand_covers_then_on_demand_leaves_first():
    world = a_world(replicas=1, most=4, qps=1.0)
    world.asks(3.5)
    world.run(310)
    assert world.in_market(Market.SPOT) == 4
    lost = list(world.machines)[:2]
    world.capacity = {p.id: 0 for p in SPOT}
    for instance_id in lost:
        world.lose(instance_id)
    world.run(10)
    assert (world.ready(), world.in_market(Market.ON_DEMAND)) == (4, 2)
    world.asks(1.5)
    world.run(1300)
    assert (world.in_market(Market.SPOT), world.in_market(Market.ON_DEMAND)) == (2, 0)


def test_losing_one_zone_again_and_again_does_not_make_the_number_flap():
    world = a_world(zones=ZONES[:1], replicas=1)
    commands = 0
    for minute in range(120):
        if minute % 20 == 0:
            spot_is_gone(world)
            world.capacity = {}
        commands += sum(len(d.commands) for d in world.run(60))
        assert world.ready() >= 1
    assert commands <= 6 * 8


def test_a_base_stays_where_it_is_when_on_demand_gets_cheaper_elsewhere():
    world = a_world(replicas=3, base_on_demand=1, dynamic=False, surge=2)
    cheaper = a_pool(ZONES[1], market=Market.ON_DEMAND, price=0.3)
    pools = tuple(cheaper if p.id == cheaper.id else p for p in world.desired.pools)
    world.desired = world.desired.model_copy(update={"pools": pools})
    assert not any(d.commands for d in world.run(60))
    assert (world.in_market(Market.SPOT), world.in_market(Market.ON_DEMAND)) == (2, 1)
