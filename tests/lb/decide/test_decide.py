"""What the controller decides, told as stories."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lb.decide import Memory, SetSize, Terminate
from lb.decide.observed import AgentState, ProbeState
from spec.desired import PoolState, Prices, Probe
from spec.names import Market
from tests.lb.world import NEW, START, ZONES, World, a_desired, a_pool, a_service


def settled(desired=None, **kwargs) -> World:
    world = World(desired or a_desired(), **kwargs)
    world.run(5)
    return world


def with_bundle(world: World, sha256: str) -> None:
    services = tuple(
        s.model_copy(update={"bundle": s.bundle.model_copy(update={"sha256": sha256})})
        for s in world.desired.services
    )
    world.desired = world.desired.model_copy(update={"services": services})


def test_an_empty_world_gets_its_replicas_in_different_zones():
    world = settled()
    assert world.ready() == 2
    assert [world.in_zone(z) for z in ZONES] == [1, 1, 0]


def test_a_settled_world_is_left_alone():
    world = settled()
    assert all(not d.commands and not d.reasons for d in world.run(60))


def test_new_machines_find_the_bundle_assigned_before_the_pool_grows():
    commands = World(a_desired()).tick().commands
    first_size = next(n for n, c in enumerate(commands) if isinstance(c, SetSize))
    assert {c.call for c in commands[:first_size]} == {"assign"}


def test_a_lost_machine_is_replaced_in_another_zone():
    world = settled()
    victim = next(iter(world.machines))
    zone = world.pool(world.machines[victim].pool_id).zone
    world.lose(victim)
    world.run(3)
    assert world.ready() == 2
    assert world.in_zone(zone) == 0


def test_a_lost_machine_of_the_only_pool_is_replaced_after_a_short_cool_down():
    world = settled(a_desired(pools=[a_pool()]))
    world.lose(next(iter(world.machines)))
    world.run(10)
    assert world.ready() == 2


def test_an_engine_that_ended_is_replaced_and_its_machine_ended():
    world = settled()
    victim = next(iter(world.machines))
    world.answers(victim, phase="failed", message="exit code 1")
    decision = world.tick()
    assert any(isinstance(c, Terminate) and c.instance_id == victim for c in decision.commands)
    assert any("exit code 1" in r for r in decision.reasons)
    world.run(3)
    assert victim not in world.machines
    assert world.ready() == 2


@pytest.mark.parametrize(
    "trouble",
    [
        {"probe": ProbeState.REFUSED},
        {"agent": AgentState.REFUSED},
        {"phase": "setup"},
    ],
)
def test_certain_trouble_takes_a_replica_out_at_once_even_the_only_one(trouble):
    world = settled(a_desired([a_service(replicas=1)]))
    only = next(iter(world.machines))
    world.answers(only, **trouble)
    world.tick()
    assert world.states()[only] == "unready"


def test_a_replica_is_out_after_as_many_failed_probes_as_the_threshold_says():
    world = settled()
    victim = next(iter(world.machines))
    world.answers(victim, probe=ProbeState.FAILING, failures=2)
    world.tick()
    assert world.states()[victim] == "ready"
    world.answers(victim, probe=ProbeState.FAILING, failures=3)
    world.tick()
    assert world.states()[victim] == "unready"


def test_an_unready_replica_that_recovers_is_ready_again_on_the_same_machine():
    world = settled()
    victim = next(iter(world.machines))
    world.answers(victim, probe=ProbeState.REFUSED)
    world.run(20)
    world.answers(victim)
    world.tick()
    assert world.states()[victim] == "ready"
    assert world.launched == 2


def test_an_unready_replica_is_replaced_after_its_time():
    world = settled(a_desired([a_service(probe=Probe(replace_after_s=30))]))
    victim = next(iter(world.machines))
    world.answers(victim, probe=ProbeState.REFUSED)
    world.run(30)
    assert victim in world.machines
    world.run(10)
    assert victim not in world.machines
    assert world.ready() == 2


def test_doubts_alone_never_take_out_more_than_half_of_a_service():
    world = settled(a_desired([a_service(replicas=4)]))
    for instance_id in world.machines:
        world.answers(instance_id, probe=ProbeState.FAILING, failures=3)
    world.run(60)
    assert world.ready() == 2


def test_a_lying_only_replica_serves_until_its_replacement_is_ready():
    world = settled(a_desired([a_service(replicas=1, probe=Probe(replace_after_s=30))]))
    liar = next(iter(world.machines))
    world.answers(liar, probe=ProbeState.FAILING, failures=3)
    for _ in range(45):
        world.tick()
        assert world.ready() >= 1
    assert liar not in world.machines
    assert world.ready() == 1


def test_a_replica_that_never_gets_ready_fails_after_its_initial_delay():
    world = World(a_desired([a_service(replicas=1, probe=Probe(initial_delay_s=60))]))
    world.tick()
    first = next(iter(world.machines))
    world.answers(first, phase="setup")
    world.run(60)
    assert world.states()[first] == "starting"
    decisions = world.run(4)
    assert first not in world.machines
    assert any("not ready within 60 s" in r for d in decisions for r in d.reasons)


def test_a_machine_that_never_comes_up_is_given_up():
    world = World(a_desired([a_service(replicas=1)]))
    world.tick()
    first = next(iter(world.machines))
    world.answers(first, agent=AgentState.REFUSED)
    world.run(200)
    assert first not in world.machines


def test_replicas_that_fail_again_and_again_are_launched_ever_more_seldom():
    world = World(a_desired([a_service(replicas=1)]))
    for _ in range(3600):
        for instance_id in world.machines:
            world.answers(instance_id, phase="failed", message="exit code 1")
        world.tick()
    assert 5 <= world.launched <= 20


def test_a_new_bundle_is_tried_at_once_whatever_the_old_one_did():
    world = World(a_desired([a_service(replicas=1)]))
    for _ in range(900):
        for instance_id in world.machines:
            world.answers(instance_id, phase="failed")
        world.tick()
    with_bundle(world, NEW)
    world.run(4)
    assert world.ready() == 1


def test_a_refused_launch_goes_to_the_next_zone():
    world = settled(capacity={ZONES[0]: 0})
    assert world.ready() == 2
    assert [world.in_zone(z) for z in ZONES] == [0, 1, 1]


def test_a_zone_that_refuses_is_asked_ever_more_seldom():
    world = World(a_desired(pools=[a_pool()]), capacity={ZONES[0]: 0})
    decisions = world.run(3600)
    asked = sum(isinstance(c, SetSize) for d in decisions for c in d.commands)
    assert 10 <= asked <= 45, (
        "after seconds at first, and then ever more seldom: at 15 % of the time for which it has refused"
    )


def test_a_zone_that_refused_is_used_again_when_it_has_room():
    world = World(a_desired(pools=[a_pool()]), capacity={ZONES[0]: 0})
    world.run(60)
    world.capacity.clear()
    world.run(120)
    assert world.ready() == 2


def test_spot_is_preferred_to_on_demand_which_is_used_when_no_spot_is_left():
    pools = [a_pool(market=Market.ON_DEMAND, price=0.7), a_pool(market=Market.SPOT, most=1)]
    world = settled(a_desired(pools=pools))
    markets = sorted(world.pool(m.pool_id).market for m in world.machines.values())
    assert markets == ["on_demand", "spot"]


def test_the_replicas_that_must_be_on_demand_are():
    pools = [a_pool(market=Market.SPOT), a_pool(market=Market.ON_DEMAND, price=0.7)]
    world = settled(a_desired([a_service(replicas=3, base_on_demand=1)], pools))
    markets = sorted(world.pool(m.pool_id).market for m in world.machines.values())
    assert markets == ["on_demand", "spot", "spot"]


def test_surplus_replicas_drain_and_leave_by_name_newest_first():
    world = settled()
    world.desired = a_desired([a_service(replicas=3)])
    world.run(5)
    newest = list(world.machines)[-1]
    world.desired = a_desired([a_service(replicas=2)])
    world.tick()
    assert world.states()[newest] == "draining"
    world.run(5)
    assert newest not in world.machines
    assert world.ready() == 2


def test_surplus_leaves_the_zone_that_holds_more():
    world = settled(a_desired([a_service(replicas=5)]))
    assert sorted(world.in_zone(z) for z in ZONES) == [1, 2, 2]
    world.desired = a_desired([a_service(replicas=2)])
    world.run(6)
    assert sorted(world.in_zone(z) for z in ZONES) == [0, 1, 1]


def test_surplus_is_kept_while_fewer_than_the_target_are_ready():
    world = settled(a_desired([a_service(replicas=3)]))
    for instance_id in list(world.machines)[:2]:
        world.answers(instance_id, probe=ProbeState.REFUSED)
    world.desired = a_desired([a_service(replicas=2)])
    world.run(10)
    assert len(world.machines) == 3


def test_a_draining_replica_that_is_busy_stays_until_the_limit():
    world = settled()
    world.desired = a_desired([a_service(replicas=3)])
    world.run(5)
    newest = list(world.machines)[-1]
    world.answers(newest, in_flight=4)
    world.desired = a_desired([a_service(replicas=2)])
    world.run(18)
    assert newest in world.machines
    world.run(5)
    assert newest not in world.machines


def test_zero_replicas_end_every_machine():
    world = settled()
    world.desired = a_desired([a_service(replicas=0, most=2)])
    world.run(10)
    assert not world.machines
    assert set(world.sizes.values()) == {0}


def test_while_every_place_cools_down_it_is_said_until_when():
    world = World(a_desired(), capacity=dict.fromkeys(ZONES, 0))
    world.run(3)
    soonest = min(p.not_before for p in world.memory.pools.values())
    [said] = [r for r in world.tick().reasons if "nowhere to launch" in r]
    assert soonest > world.now
    clock = datetime.fromtimestamp(math.ceil(soonest), UTC).strftime("%H:%M:%SZ")
    assert said == f"chat: 2 missing and nowhere to launch: cooling down (3 pools), the first until {clock}"


def test_a_retiring_pool_is_left_without_ever_falling_below_the_target():
    world = settled()
    pools = [a_pool(ZONES[0], state=PoolState.RETIRING), a_pool(ZONES[1]), a_pool(ZONES[2])]
    world.desired = a_desired(pools=pools)
    for _ in range(20):
        world.tick()
        assert world.ready() >= 2
    assert world.in_zone(ZONES[0]) == 0
    assert len(world.machines) == 2


def test_a_held_pool_keeps_what_it_has_and_gets_nothing_more():
    world = settled()
    pools = [a_pool(zone).model_copy(update={"held": True}) for zone in ZONES]
    world.desired = a_desired([a_service(replicas=4)], pools)
    world.tick()
    for _ in range(20):
        world.tick()
        assert world.ready() == 2
    assert len(world.machines) == 2
    assert any("the stack that declares it can't be read" in reason for reason in world.last.reasons)


def test_a_retiring_pool_is_left_even_without_surge():
    world = settled(a_desired([a_service(surge=0)]))
    pools = [a_pool(ZONES[0], state=PoolState.RETIRING), a_pool(ZONES[1]), a_pool(ZONES[2])]
    world.desired = a_desired([a_service(surge=0)], pools)
    for _ in range(20):
        world.tick()
        assert world.ready() >= 1
    assert world.in_zone(ZONES[0]) == 0
    assert world.ready() == 2


# ---------------------------------------------------------------- bundles


def test_a_replica_is_not_ready_before_its_agent_runs_the_assigned_bundle():
    world = World(a_desired([a_service(replicas=1)]))
    world.tick()
    only = next(iter(world.machines))
    world.answers(only, bundle=NEW)
    world.run(5)
    assert world.states()[only] == "starting"


# ---------------------------------------------------------------- money


def test_a_launch_that_would_exceed_the_budget_of_the_environment_is_not_made():
    world = settled(a_desired(worst=0.55, fixed=0.2))
    assert len(world.machines) == 1
    assert any("worst_usd_hour 0.55" in r for r in world.last.reasons)


def test_a_launch_that_would_exceed_the_budget_of_the_service_is_not_made():
    world = settled(a_desired([a_service(replicas=3, worst=0.41)]))
    assert len(world.machines) == 2


def test_a_pool_without_a_price_counts_as_the_dearest_that_is_known():
    unknown = a_pool(ZONES[0]).model_copy(update={"prices": Prices()})
    world = settled(a_desired([a_service(worst=1.2)], [unknown, a_pool(ZONES[1], price=0.7)]))
    assert len(world.machines) == 1


def test_nothing_is_launched_while_no_price_is_known():
    pools = [a_pool(z).model_copy(update={"prices": Prices()}) for z in ZONES]
    world = settled(a_desired(pools=pools))
    assert not world.machines
    assert any("no price is known" in r for r in world.last.reasons)


# ---------------------------------------------------------------- continuity


def test_frozen_means_no_commands_but_dead_replicas_still_leave():
    world = settled()
    world.frozen = "desired state is missing"
    victim = next(iter(world.machines))
    world.answers(victim, probe=ProbeState.REFUSED)
    decisions = world.run(400)
    assert not any(d.commands for d in decisions)
    assert world.states()[victim] in {"unready", "failed"}
    assert "frozen: desired state is missing" in world.last.reasons


def test_losing_the_memory_neither_loses_nor_doubles_a_replica():
    world = settled()
    before = set(world.machines)
    world.memory = Memory()
    world.run(10)
    assert set(world.machines) == before
    assert world.ready() == 2


def test_a_remembered_replica_stays_ready_while_nobody_has_asked_it_yet():
    world = settled()
    world.mute = True
    world.run(5)
    assert world.ready() == 2


def test_a_cloud_that_does_not_answer_loses_no_replica_and_gets_no_command():
    world = settled()
    world.down = {"local"}
    decisions = world.run(60)
    assert not any(d.commands for d in decisions)
    assert world.ready() == 2


def test_the_launches_of_a_silent_cloud_go_to_another_one():
    pools = [a_pool(ZONES[0]), a_pool("other-1-a", cloud="other", price=0.9)]
    world = World(a_desired(pools=pools), down={"local"})
    world.run(5)
    assert {world.pool(m.pool_id).cloud for m in world.machines.values()} == {"other"}


def test_what_a_group_that_refills_by_itself_owes_after_a_loss_is_not_waited_for():
    world = settled(refills=True)
    victim = next(iter(world.machines))
    pool_id = world.machines[victim].pool_id
    world.lose(victim)
    world.run(3)
    assert world.ready() == 2, "another place has given one"
    world.launch(pool_id)
    world.run(8)
    assert (world.ready(), len(world.machines)) == (2, 2), "and the group's own is one too many"


def test_a_size_that_stays_unfilled_is_withdrawn_and_tried_elsewhere():
    world = settled(refills=True)
    victim = next(iter(world.machines))
    pool_id = world.machines[victim].pool_id
    world.lose(victim)
    world.run(200)
    assert world.sizes[pool_id] == 0
    assert world.ready() == 2


def test_the_order_in_which_the_clouds_answer_does_not_matter():
    world = settled()
    world.lose(next(iter(world.machines)))
    from lb.decide import decide

    observed = world.observed()
    backwards = replace(
        observed,
        pools=observed.pools[::-1],
        health=observed.health[::-1],
        assignments=observed.assignments[::-1],
    )
    one = decide(world.desired, observed, world.memory, world.now)
    assert one == decide(world.desired, backwards, world.memory, world.now)


def test_a_replica_says_since_when_it_is_in_its_state():
    world = settled()
    since = {r.since for r in world.memory.replicas.values()}
    assert all(START < s < world.now for s in since)


def test_a_service_that_leaves_drains_to_nothing_and_its_pools_stay_empty():
    """As the stack declares one that it has no longer: nothing wanted, no surge, all pools retiring."""
    world = settled()
    assert world.ready() == 2
    gone = [a_service(replicas=0, most=0, surge=0)]
    pools = tuple(p.model_copy(update={"state": PoolState.RETIRING}) for p in world.desired.pools)
    world.desired = world.desired.model_copy(update={"services": tuple(gone), "pools": pools})
    first = world.run(1)[0]
    assert "draining: its pool is retiring" in "\n".join(first.reasons), (
        "no machine is ended before it has drained"
    )
    assert not [c for c in first.commands if isinstance(c, Terminate)]
    world.run(60)
    assert not world.machines
    world.asks(50, held=20)
    assert not [c for d in world.run(60) for c in d.commands if isinstance(c, SetSize)]
