"""A changed bundle, told as stories: by surge and in place, back again, under orders, and amid losses."""

import itertools
from dataclasses import replace

import pytest

from lb.decide import Assign, Memory, SetSize, settings
from lb.decide.observed import Action, AgentState, ProbeState
from spec.desired import PoolState, Probe
from spec.names import Market
from spec.status import RolloutPhase as P
from tests.lb.world import NEW, OLD, ZONES, World, a_desired, a_pool, a_service

NEWEST = "c" * 64


def settled(replicas=3, *, surge=1, **kwargs) -> World:
    world = World(a_desired([a_service(replicas=replicas, surge=surge, **kwargs)]), slow_s=3)
    world.run(10)
    assert world.ready() == replicas
    return world


def phase(world):
    return world.rollout().phase


def run_until(world, wanted, *, limit=300, floor=0):
    """Ticks until the rollout is in that phase; never fewer ready than `floor`."""
    for _ in range(limit):
        if phase(world) is wanted:
            return
        world.tick()
        assert world.ready() >= floor
    raise AssertionError(f"still {world.rollout()}: {world.last.reasons}")


# ---------------------------------------------------------------- it works


def test_with_surge_one_machine_more_gives_the_slack_and_the_others_move_where_they_are():
    world = settled(3)
    old = list(world.machines)
    world.want(NEW)
    world.tick()
    run_until(world, P.DONE, floor=3)
    world.run(10)
    assert set(world.bundles()) == {NEW}
    assert world.launched == 4
    assert len(set(old) & set(world.machines)) == 2, "two moved in place, the last made room for the new one"


def test_the_last_old_replica_leaves_without_being_touched():
    world = settled(3)
    world.want(NEW)
    reasons = [r for d in world.run(60) for r in d.reasons]
    assert sum("its turn to get" in r for r in reasons) == 3, "the machine more, and two in place"
    assert sum("gets bundle" in r for r in reasons) == 3


def test_the_only_replica_when_it_must_be_on_demand_moves_where_it_is():
    pools = [a_pool(z, market=m) for z in ZONES for m in (Market.SPOT, Market.ON_DEMAND)]
    world = World(a_desired([a_service(replicas=1, base_on_demand=1)], pools), slow_s=3)
    world.run(10)
    before = list(world.machines)
    world.want(NEW)
    world.tick()
    run_until(world, P.DONE, floor=1)
    world.run(10)
    assert list(world.machines) == before


@pytest.mark.parametrize("surge", [1, 2, 3])
def test_never_more_machines_than_max_and_surge_and_never_fewer_ready_than_the_target(surge):
    world = settled(3, surge=surge)
    world.want(NEW)
    world.tick()
    for _ in range(100):
        world.tick()
        assert world.ready() >= 3
        assert len(world.machines) <= 3 + surge
    assert phase(world) is P.DONE
    assert world.ready() == len(world.machines) == 3


def test_the_only_replica_is_replaced_by_a_second_machine():
    world = settled(1)
    before = set(world.machines)
    world.want(NEW)
    world.tick()
    run_until(world, P.DONE, floor=1)
    world.run(10)
    assert len(world.machines) == 1
    assert not before & set(world.machines)


def test_without_surge_replicas_move_in_place_one_at_a_time():
    world = settled(3, surge=0)
    before = list(world.machines)
    world.want(NEW)
    world.tick()
    run_until(world, P.DONE, floor=2)
    assert list(world.machines) == before
    assert set(world.bundles()) == {NEW}


def test_a_replica_that_is_updated_drains_until_it_is_idle_but_no_longer_than_the_limit():
    world = settled(2, surge=0)
    for instance_id in world.machines:
        world.answers(instance_id, in_flight=3)
    world.want(NEW)
    world.run(19)
    assert NEW not in world.bundles()
    world.run(4)
    assert world.bundles().count(NEW) == 1


def test_until_a_replica_is_ready_on_the_new_bundle_losses_come_back_with_the_good_one():
    world = settled(3)
    world.slow_s = 30
    world.want(NEW)
    world.run(5)
    victim = next(i for i in world.machines if world.bundle_of(i) == OLD)
    world.lose(victim)
    world.run(20)
    assert sorted(world.bundles()) == [OLD, OLD, OLD, NEW]


def test_a_replacement_that_is_needed_does_not_try_the_new_bundle():
    world = settled(3)
    world.slow_s = 20
    world.lose(next(iter(world.machines)))
    world.tick()
    world.want(NEW)
    world.run(10)
    assert sorted(world.bundles()) == [OLD, OLD, OLD, OLD], (
        "the replacement, and the machine more that comes up"
    )
    world.run(20)
    assert world.bundles().count(NEW) == 1


def test_when_all_are_lost_only_one_of_those_that_come_tries_the_new_bundle():
    world = settled(3)
    world.slow_s = 20
    for instance_id in list(world.machines):
        world.lose(instance_id)
    world.want(NEW)
    world.run(15)
    assert world.bundles().count(NEW) == 1
    assert world.bundles().count(OLD) == 2


def test_while_frozen_a_failing_replica_counts_once_and_not_in_every_tick():
    world = settled(2, surge=0)
    world.broken = {NEW}
    world.want(NEW)
    while NEW not in world.bundles():
        world.tick()
    world.frozen = "desired/dev.json is missing"
    assert not any(d.commands for d in world.run(30))
    assert world.rollout().failures == 0
    world.frozen = None
    world.tick()
    assert world.rollout().failures == 1


def test_after_that_they_come_with_the_new_one():
    world = settled(3)
    world.want(NEW)
    while not (world.rollout() and world.rollout().proven):
        world.tick()
    world.lose(next(i for i in world.machines if world.bundle_of(i) == OLD))
    launched = world.launched
    world.run(2)
    assert world.launched > launched
    assert world.bundle_of(list(world.machines)[-1]) == NEW


def test_machines_that_run_are_named_before_the_default_of_their_pool_changes():
    world = settled(3)
    world.want(NEW)
    for _ in range(60):
        before = {i: world.bundle_of(i) for i in world.machines}
        commands = [c for c in world.tick().commands if isinstance(c, Assign)]
        for default in (c for c in commands if c.instance_id is None):
            in_pool = [
                i for i in before if world.machines.get(i) and world.machines[i].pool_id == default.pool_id
            ]
            named = {c.instance_id for c in commands if c.pool_id == default.pool_id}
            assert all(i in named for i in in_pool if before[i] != default.sha256)
    assert phase(world) is P.DONE


def test_probe_limits_and_scaling_apply_live_and_start_no_rollout():
    world = settled(2)
    service = world.desired.services[0]
    changed = service.model_copy(
        update={
            "probe": Probe(path="/other", replace_after_s=7),
            "scaling": service.scaling.model_copy(update={"max_replicas": 5, "min_replicas": 3}),
            "routing": service.routing.model_copy(update={"drain_limit_s": 3}),
        }
    )
    world.desired = world.desired.model_copy(update={"services": (changed,)})
    world.run(20)
    assert world.rollout() is None
    assert world.ready() == 3


def test_without_replicas_the_new_bundle_is_simply_assigned_and_still_has_to_prove_itself():
    world = World(a_desired([a_service(replicas=1)]))
    world.run(5)
    world.want(OLD, min_replicas=0)
    world.run(10)
    assert not world.machines
    world.want(NEW)
    world.run(2)
    assert phase(world) is P.DONE
    world.broken = {NEW}
    world.want(NEW, min_replicas=1)
    world.run(60)
    assert phase(world) is P.FAILED
    assert world.bundles() == [OLD]
    assert world.ready() == 1


# ---------------------------------------------------------------- how fast


def on_the_way(world, sha256=NEW):
    """How many drain for the bundle, or run it and were not ready on it for long enough."""
    there = [r for r in world.memory.replicas.values() if r.instance.instance_id in world.machines]
    told = [r for r in there if world.bundle_of(r.instance.instance_id) == sha256]
    new = sum(r.state != "ready" or world.now < r.since + settings.SOAK_S for r in told)
    return new + sum(r.drain == "update" for r in there)


def test_the_next_replica_moves_only_after_the_one_before_was_ready_for_ten_seconds():
    world = settled(4)
    world.want(NEW)
    began = world.now
    for _ in range(200):
        world.tick()
        assert on_the_way(world) <= 1
    assert phase(world) is P.DONE
    assert world.rollout().proven
    told = [r.since for r in world.memory.replicas.values()]
    assert min(told) - began > 3
    assert all(b - a >= settings.SOAK_S for a, b in itertools.pairwise(sorted(told)))


def test_a_rollout_is_done_only_when_the_last_replica_has_been_ready_for_ten_seconds():
    world = settled(2, surge=0)
    world.want(NEW)
    world.tick()
    while set(world.bundles()) != {NEW} or world.ready() < 2:
        world.tick()
    for _ in range(9):
        world.tick()
        assert (phase(world), world.memory.services["chat"].good) == (P.ROLLING, OLD)
    world.run(2)
    assert (phase(world), world.memory.services["chat"].good) == (P.DONE, NEW)


@pytest.mark.parametrize(("surge", "at_a_time"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_after_the_first_as_many_move_at_a_time_as_surge_says(surge, at_a_time):
    world = settled(8, surge=surge)
    world.want(NEW)
    world.tick()
    most = 0
    for _ in range(300):
        world.tick()
        assert world.ready() >= 8 - (surge == 0)
        assert on_the_way(world) <= (at_a_time if world.rollout().proven else 1)
        most = max(most, on_the_way(world))
    assert phase(world) is P.DONE
    assert most == at_a_time
    assert world.launched == 8 + surge, "no machine is launched that is not needed"
    assert world.ready() == len(world.machines) == 8


@pytest.mark.parametrize("surge", [1, 3])
def test_going_back_is_as_fast_and_nobody_soaks(surge):
    world = settled(8, surge=surge)
    world.want(NEW)
    while world.bundles().count(NEW) < 6:
        world.tick()
    world.wish(Action.ABORT)
    began = world.now
    while phase(world) is not P.ABORTED:
        world.tick()
        assert world.ready() >= 8
        assert on_the_way(world, OLD) <= 8 + surge
        assert sum(r.drain == "update" for r in world.memory.replicas.values()) <= surge
    assert world.now - began < 60 / surge + 10


def test_surge_machines_that_can_not_be_had_make_it_slower_and_stop_nothing():
    world = settled(6, surge=3)
    world.capacity = {z: world.in_zone(z) for z in ZONES} | {ZONES[0]: world.in_zone(ZONES[0]) + 1}
    world.want(NEW)
    world.tick()
    run_until(world, P.DONE, floor=6)
    world.run(5)
    assert set(world.bundles()) == {NEW}
    assert world.launched == 7


# ---------------------------------------------------------------- it crashes under traffic


@pytest.mark.parametrize(("replicas", "surge"), [(1, 1), (3, 1), (6, 3), (1, 0), (3, 0)])
def test_a_version_that_crashes_seconds_after_it_was_ready_reaches_one_replica_at_a_time_and_goes_back(
    replicas, surge
):
    world = settled(replicas, surge=surge)
    world.crashes = {NEW: 5}
    world.want(NEW)
    world.tick()
    for _ in range(200):
        assert world.bundles().count(NEW) <= 1
        assert world.memory.services["chat"].good == OLD
        assert world.ready() >= replicas - (surge == 0)
        world.tick()
    assert phase(world) is P.FAILED
    assert "exit code 139" in world.rollout().reason
    assert set(world.bundles()) == {OLD}
    assert world.ready() == replicas


def test_while_it_soaks_nothing_else_gets_the_new_bundle():
    world = settled(3)
    world.want(NEW)
    while not any(world.bundle_of(i) == NEW and s == "ready" for i, s in world.states().items()):
        world.tick()
    world.lose(next(i for i in world.machines if world.bundle_of(i) == OLD))
    world.run(5)
    assert not world.rollout().proven
    assert sorted(world.bundles()) == [OLD, OLD, OLD, NEW]


def test_a_replica_that_leaves_is_replaced_only_by_one_that_has_soaked():
    world = settled(2)
    pools = [a_pool(ZONES[0], state=PoolState.RETIRING), a_pool(ZONES[1]), a_pool(ZONES[2])]
    world.desired = world.desired.model_copy(update={"pools": tuple(pools)})
    world.crashes = {NEW: 5}
    world.want(NEW)
    for _ in range(200):
        world.tick()
        assert world.ready() >= 2
        assert world.bundles().count(NEW) <= 1
    assert phase(world) is P.FAILED
    assert world.in_zone(ZONES[0]) == 0


def test_the_soak_goes_on_over_a_restart_of_the_controller_once_the_replica_was_asked():
    world = settled(2)
    world.want(NEW)
    while not any(world.bundle_of(i) == NEW and s == "ready" for i, s in world.states().items()):
        world.tick()
    world.run(4)
    world.now += 8
    world.memory = world.memory.resumed(written_at=world.now - 8, now=world.now)
    world.mute = True
    world.run(5)
    assert not world.rollout().proven
    world.mute = False
    world.tick()
    assert world.rollout().proven


def test_a_version_that_lies_in_the_only_place_there_is_goes_back_too():
    world = settled(1, surge=0, probe=Probe(replace_after_s=20))
    world.want(NEW)
    for _ in range(200):
        for instance_id, machine in world.machines.items():
            if world.bundle_of(instance_id) == OLD:
                machine.answers = None
            elif world.states()[instance_id] == "ready":
                world.answers(instance_id, bundle=NEW, lies="5 of 5 answers are errors")
        world.tick()
        if world.rollout() and phase(world) is P.FAILED:
            break
    assert phase(world) is P.FAILED
    assert "answers are errors" in world.rollout().reason
    world.run(10)
    assert (world.bundles(), world.ready()) == ([OLD], 1)


@pytest.mark.parametrize(("replicas", "surge"), [(2, 1), (3, 0), (1, 0)])
@pytest.mark.parametrize("trouble", [{"probe": ProbeState.REFUSED}, {"agent": AgentState.REFUSED}])
def test_a_version_that_comes_and_goes_for_ever_goes_back(replicas, surge, trouble):
    world = settled(replicas, surge=surge)
    world.want(NEW)
    world.tick()
    for _ in range(200):
        for instance_id, machine in world.machines.items():
            machine.answers = None
            if world.bundle_of(instance_id) == NEW and world.now % 7 < 2:
                world.answers(instance_id, bundle=NEW, **trouble)
        world.tick()
    assert phase(world) is P.FAILED
    assert "ready and out again twice" in world.rollout().reason
    assert set(world.bundles()) == {OLD}
    assert world.ready() == replicas


def test_a_replica_that_was_out_once_while_it_soaked_may_still_arrive():
    world = settled(2)
    world.want(NEW)
    while not any(world.bundle_of(i) == NEW and s == "ready" for i, s in world.states().items()):
        world.tick()
    [new] = [i for i in world.machines if world.bundle_of(i) == NEW]
    world.answers(new, bundle=NEW, probe=ProbeState.REFUSED)
    world.run(2)
    world.machines[new].answers = None
    world.run(9)
    assert not world.rollout().proven
    run_until(world, P.DONE, floor=2)
    assert world.rollout().failures == 0
    world.want(NEWEST)
    world.tick()
    run_until(world, P.DONE, floor=2)
    assert not any(r.relapsed for r in world.memory.replicas.values())


def test_a_version_that_is_overtaken_while_it_soaks_makes_room_for_nobody():
    world = settled(1)
    world.crashes = {NEW: 5}
    world.want(NEW)
    while not any(world.bundle_of(i) == NEW and s == "ready" for i, s in world.states().items()):
        world.tick()
    world.want(NEWEST)
    world.tick()
    run_until(world, P.DONE, floor=1)


def test_a_first_bundle_is_good_at_once_and_soaks_nowhere():
    world = World(a_desired([a_service(replicas=2)]))
    world.run(3)
    assert world.ready() == 2
    assert world.memory.services["chat"].good == OLD


def test_a_bundle_that_first_runs_when_a_service_comes_back_from_zero_slows_nothing_and_is_good_later():
    world = World(a_desired([a_service(replicas=1)]))
    world.run(5)
    world.want(OLD, min_replicas=0)
    world.run(10)
    world.want(NEW)
    world.run(2)
    world.want(NEW, min_replicas=3, max_replicas=3)
    world.run(3)
    assert world.ready() == 3
    assert set(world.bundles()) == {NEW}
    assert world.memory.services["chat"].good == OLD
    world.run(12)
    assert world.memory.services["chat"].good == NEW


# ---------------------------------------------------------------- it does not work


@pytest.mark.parametrize(("replicas", "surge"), [(1, 1), (3, 1), (3, 2), (1, 0), (3, 0)])
def test_a_bundle_that_fails_twice_goes_back_by_itself_and_stays_away(replicas, surge):
    world = settled(replicas, surge=surge)
    world.broken = {NEW}
    world.want(NEW)
    world.tick()
    run_until(world, P.FAILED, floor=replicas - (surge == 0))
    rollout = world.rollout()
    assert "exit code 3" in rollout.reason
    assert "local:" in rollout.reason, "the replica is named"
    assert rollout.failures == 2
    launched = world.launched
    world.run(120)
    assert world.ready() == replicas
    assert set(world.bundles()) == {OLD}
    assert world.launched == launched
    world.lose(next(iter(world.machines)))
    world.run(30)
    assert world.ready() == replicas
    assert set(world.bundles()) == {OLD}, "replacements use the good bundle"


def test_without_surge_no_machine_is_given_up_for_a_bad_bundle():
    world = settled(2, surge=0)
    before = set(world.machines)
    world.broken = {NEW}
    world.want(NEW)
    world.tick()
    run_until(world, P.FAILED)
    world.run(10)
    assert set(world.machines) == before
    assert world.ready() == 2


def test_one_failure_may_be_the_machines_fault():
    world = settled(3)
    world.broken = {NEW}
    world.want(NEW)
    while not (world.rollout() and world.rollout().failures):
        world.tick()
    world.broken = set()
    run_until(world, P.DONE, floor=3)


def test_a_failed_bundle_holds_back_no_launch_of_the_good_one():
    world = settled(3)
    world.broken = {NEW}
    world.want(NEW)
    world.run(40)
    assert phase(world) is P.FAILED
    assert world.memory.services["chat"].not_before == 0.0


def test_a_bundle_that_never_gets_ready_goes_back_after_two_initial_delays():
    world = settled(2, probe=Probe(initial_delay_s=40))
    world.slow_s = 10_000
    world.want(NEW)
    world.tick()
    run_until(world, P.FAILED, floor=2)
    assert "not ready within 40 s" in world.rollout().reason


def test_replicas_that_fail_later_but_before_all_are_updated_count_too():
    world = settled(4, probe=Probe(replace_after_s=20))
    world.want(NEW)
    while (
        world.ready() < 4
        or sum(world.bundle_of(i) == NEW for i in world.states() if world.states()[i] == "ready") < 2
    ):
        world.tick()
    for instance_id in world.machines:
        if world.bundle_of(instance_id) == NEW:
            world.answers(instance_id, bundle=NEW, probe=ProbeState.REFUSED)
    for _ in range(200):
        world.tick()
        for machine_id, machine in world.machines.items():
            if world.bundle_of(machine_id) == OLD:
                machine.answers = None
    assert phase(world) is P.FAILED
    assert "not ready for 20 s" in world.rollout().reason
    assert world.ready() == 4
    assert set(world.bundles()) == {OLD}


def test_the_end_of_a_failed_rollout_outlives_the_controller():
    world = settled(2)
    world.broken = {NEW}
    world.want(NEW)
    world.run(60)
    world.memory = world.memory.resumed(written_at=world.now, now=world.now + 500)
    world.now += 500
    assert not any(d.commands for d in world.run(60))
    assert set(world.bundles()) == {OLD}


def test_another_bundle_is_tried_after_a_failed_one():
    world = settled(2)
    world.broken = {NEW}
    world.want(NEW)
    world.run(60)
    world.want(NEWEST)
    world.tick()
    run_until(world, P.DONE, floor=2)
    assert world.memory.services["chat"].good == NEWEST


def test_a_first_bundle_has_nothing_to_go_back_to():
    world = World(a_desired([a_service(replicas=1)]), broken={OLD})
    world.run(120)
    assert world.rollout() is None
    assert world.memory.services["chat"].failures > 2


# ---------------------------------------------------------------- in the middle of it


def test_the_newest_bundle_is_rolled_out_from_the_one_that_is_still_good():
    world = settled(3)
    world.want(NEW)
    while world.bundles().count(NEW) < 2:
        world.tick()
    world.want(NEWEST)
    world.tick()
    assert (world.rollout().before, world.rollout().to) == (OLD, NEWEST)
    run_until(world, P.DONE, floor=3)
    world.run(10)
    assert set(world.bundles()) == {NEWEST}
    assert world.ready() == 3


def test_the_good_bundle_desired_again_is_a_return_without_failure():
    world = settled(3)
    world.want(NEW)
    while world.bundles().count(NEW) < 2:
        world.tick()
    world.want(OLD)
    world.tick()
    run_until(world, P.ABORTED, floor=3)
    world.run(10)
    assert set(world.bundles()) == {OLD}
    assert len(world.machines) == 3
    assert world.rollout().failures == 0


def test_a_preempted_old_replica_is_replaced_during_a_rollout():
    world = settled(3)
    world.want(NEW)
    world.run(3)
    machine = world.machines[next(iter(world.machines))]
    machine.instance = replace(machine.instance, preempt_at=world.now + 30)
    world.run(1)
    decisions = world.run(3)
    assert any(isinstance(c, SetSize) for d in decisions for c in d.commands) or world.launched > 4
    run_until(world, P.DONE)
    world.run(10)
    assert world.ready() == 3


def test_a_preemption_ends_the_drain_for_an_update_and_another_takes_the_place():
    world = settled(2, surge=0)
    for instance_id in world.machines:
        world.answers(instance_id, in_flight=5)
    world.want(NEW)
    world.run(3)
    victim = next(r for r in world.memory.replicas.values() if r.drain == "update").instance.instance_id
    machine = world.machines[victim]
    machine.instance = replace(machine.instance, preempt_at=world.now + 30)
    world.tick()
    assert world.memory.replicas[world.rid(victim)].drain == "leave"


def test_scaling_up_and_down_during_a_rollout_ends_where_it_should():
    world = settled(3)
    world.want(NEW)
    world.run(8)
    world.want(NEW, min_replicas=5, max_replicas=5)
    world.run(8)
    world.want(NEW, min_replicas=2, max_replicas=2)
    run_until(world, P.DONE, floor=2)
    world.run(20)
    assert world.ready() == len(world.machines) == 2
    assert set(world.bundles()) == {NEW}


def test_a_pool_that_retires_during_a_rollout_is_left_and_the_rollout_ends():
    world = settled(2)
    pools = [a_pool(ZONES[0], state=PoolState.RETIRING), a_pool(ZONES[1]), a_pool(ZONES[2])]
    world.desired = world.desired.model_copy(update={"pools": tuple(pools)})
    world.want(NEW)
    world.tick()
    run_until(world, P.DONE, floor=2)
    world.run(20)
    assert world.in_zone(ZONES[0]) == 0
    assert set(world.bundles()) == {NEW}
    assert world.ready() == 2


def test_while_there_is_no_room_for_the_machine_more_the_rollout_waits_and_says_so():
    world = settled(2)
    world.capacity = {ZONES[0]: 1, ZONES[1]: 1, ZONES[2]: 0}
    world.want(NEW)
    world.run(120)
    assert world.ready() == 2
    assert NEW not in world.bundles()
    assert any("next update waits" in r for r in world.last.reasons)
    world.capacity = {}
    run_until(world, P.DONE, limit=1200, floor=2)


def test_when_nothing_serves_the_new_bundle_is_tried_at_once():
    world = settled(2)
    world.broken = {OLD}
    world.run(30)
    world.want(NEW)
    world.run(120)
    assert world.memory.services["chat"].good == NEW
    assert world.ready() == 2


@pytest.mark.parametrize("ticks", [3, 8, 14])
def test_losing_the_memory_in_the_middle_neither_restarts_everything_nor_loses_the_rollout(ticks):
    world = settled(3)
    world.want(NEW)
    world.run(ticks)
    world.memory = Memory()
    world.tick()
    for _ in range(60):
        world.tick()
        assert world.ready() >= 3
    assert set(world.bundles()) == {NEW}


def test_a_controller_that_lost_its_memory_moves_nobody_that_it_has_not_asked_yet():
    world = settled(2)
    world.want(NEW)
    world.memory, world.mute = Memory(), True
    world.run(5)
    assert set(world.bundles()) == {OLD}


# ---------------------------------------------------------------- under orders


def test_a_paused_rollout_moves_nobody_and_goes_on_when_told():
    world = settled(3)
    world.want(NEW)
    while world.bundles().count(NEW) < 2:
        world.tick()
    decision = world.wish(Action.PAUSE)
    assert phase(world) is P.PAUSED
    assert any("paused (wish 01WISH0000)" in r for r in decision.reasons)
    world.run(20)
    before = world.bundles()
    world.run(60)
    assert world.bundles() == before
    assert world.ready() == len(world.machines) == 4
    world.wish(Action.RESUME)
    run_until(world, P.DONE, floor=3)


def test_an_aborted_rollout_goes_back():
    world = settled(3)
    world.want(NEW)
    while world.bundles().count(NEW) < 2:
        world.tick()
    world.wish(Action.ABORT)
    run_until(world, P.ABORTED, floor=3)
    world.run(20)
    assert set(world.bundles()) == {OLD}
    assert world.ready() == len(world.machines) == 3
    world.wish(Action.RESUME)
    run_until(world, P.DONE, floor=3)


def test_a_wish_is_acted_on_once_however_long_it_lies_there():
    world = settled(3)
    world.want(NEW)
    world.run(3)
    world.wish(Action.PAUSE)
    world.wish(Action.RESUME)
    world.run(3)
    assert phase(world) is P.ROLLING
    assert world.memory.wishes == ("01WISH0000", "01WISH0001")
    world.wishes = ()
    world.tick()
    assert world.memory.wishes == ()


@pytest.mark.parametrize("action", list(Action))
def test_a_wish_without_a_rollout_is_answered(action):
    world = settled(2)
    assert any("no rollout is going on (wish" in r for r in world.wish(action).reasons)


def test_a_wish_for_an_unknown_service_is_answered():
    world = settled(2)
    assert any("there is no service other" in r for r in world.wish(Action.ABORT, "other").reasons)


def test_a_paused_rollout_is_still_paused_when_its_service_comes_back_from_zero():
    world = World(a_desired([a_service(replicas=0, most=3, qps=1.0)]), slow_s=3)
    world.asks(2.0)
    world.run(600)
    assert world.ready() == 2
    world.want(NEW)
    world.tick()
    world.wish(Action.PAUSE)
    world.asks(0)
    world.lapse(2 * 3600)
    assert not world.machines
    world.asks(1.0, held=1)
    world.run(60)
    assert phase(world) is P.PAUSED
    assert set(world.bundles()) == {OLD}


def test_the_last_old_replica_may_go_in_the_moment_in_which_another_fails_on_trial():
    world = settled(2, surge=0)
    world.slow_s = 1000
    world.want(NEW)
    world.run(8)
    [tried] = [i for i in world.machines if world.bundle_of(i) == NEW]
    [other] = [i for i in world.machines if i != tried]
    record = replace(world.memory.services["chat"], failures=2, failed_at=world.now)
    world.memory = replace(world.memory, services={"chat": record})
    world.answers(tried, bundle=NEW, phase="failed", probe=ProbeState.UNKNOWN)
    world.lose(other)
    world.tick()
    assert world.bundle_of(tried) == OLD
    world.machines[tried].answers = None
    world.slow_s = 3
    world.lapse(3600)
    assert world.ready() == 2


def test_a_loss_while_replicas_change_their_number_of_nodes_does_not_stop_the_rollout():
    world = World(a_desired([a_service(replicas=3, surge=2, num_nodes=2)]), slow_s=3)
    world.run(20)
    service = a_service(replicas=3, surge=2, num_nodes=1, sha256=NEW)
    world.desired = a_desired([service])
    world.tick()
    world.lose(next(iter(world.memory.gangs.values())).members[1])
    world.lapse(3600)
    assert phase(world) is P.DONE
    assert world.ready() == len(world.machines) == 3
