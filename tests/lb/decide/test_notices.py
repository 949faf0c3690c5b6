"""A replica whose preemption is announced: it serves until it has to drain, and counts for nothing from the notice on.

The service's drain limit is 20 s.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lb.decide import Assign, SetSize
from lb.decide.lifecycle import serves_until
from lb.decide.memory import Drain
from lb.decide.observed import AgentState, EngineLoad, Health, ProbeState
from spec.desired import Probe
from tests.lb.world import NEW, OLD, ZONES, World, a_desired, a_pool, a_service


def settled(desired=None, **kwargs) -> World:
    world = World(desired or a_desired(), **kwargs)
    world.run(5)
    return world


def slow(desired=None) -> World:
    """A settled world in which whatever is launched from now on takes long."""
    world = settled(desired)
    world.slow_s = 1000
    return world


def announce(world, instance_id, after_s=30.0):
    """The cloud announces it; the kill is the test's own business."""
    machine = world.machines[instance_id]
    machine.instance = replace(machine.instance, preempt_at=world.now + after_s)


def in_zones(world):
    return [world.pool(m.pool_id).zone for m in world.machines.values()]


def of(world, instance_id):
    return next(r for r in world.memory.replicas.values() if r.instance.instance_id == instance_id)


# ---------------------------------------------------------------- it serves


def test_an_announced_replica_serves_until_it_has_to_drain_and_another_is_launched_elsewhere_at_once():
    world = slow()
    victim = next(iter(world.machines))
    zone = world.pool(world.machines[victim].pool_id).zone
    others = set(world.machines) - {victim}
    announce(world, victim, 120)
    decision = world.tick()
    assert any(isinstance(c, SetSize) for c in decision.commands)
    (new,) = set(world.machines) - others - {victim}
    assert world.pool(world.machines[new].pool_id).zone != zone
    world.run(98)
    assert world.states()[victim] == "ready"
    world.run(2)
    assert world.states()[victim] == "draining"


def test_until_when_it_serves_is_told_once_and_stands_beside_it():
    world = slow()
    victim = next(iter(world.machines))
    announce(world, victim, 120)
    clock = datetime.fromtimestamp(math.floor(world.now + 100), UTC).strftime("%H:%M:%SZ")
    said = f"its preemption is announced; serves until {clock}"
    told = [r for d in world.run(50) for r in d.reasons]
    assert told.count(f"{world.rid(victim)}: {said}") == 1
    assert of(world, victim).reason == said
    assert world.ready() == 2


def test_it_leaves_before_it_must_once_others_serve_in_its_place():
    world = settled()
    victim = next(iter(world.machines))
    announce(world, victim, 3600)
    world.run(10)
    assert victim not in world.machines
    assert (world.ready(), len(world.machines)) == (2, 2)


def test_of_several_the_first_to_be_killed_leaves_first():
    world = slow()
    first, second = world.machines
    announce(world, first, 3600)
    announce(world, second, 1800)
    world.tick()
    new = [i for i in world.machines if i not in (first, second)]
    assert len(new) == 2
    world.answers(new[0])
    world.run(2)
    assert world.states() == {first: "ready", second: "draining", new[0]: "ready", new[1]: "starting"}


def test_a_notice_that_comes_late_drains_at_once():
    world = slow()
    victim = next(iter(world.machines))
    announce(world, victim, 20)
    world.tick()
    assert world.states()[victim] == "draining"


def test_a_service_that_is_wanted_no_more_does_not_keep_it():
    world = slow()
    for victim in world.machines:
        announce(world, victim, 3600)
    world.desired = a_desired([a_service(replicas=0, most=2)])
    world.run(5)
    assert not world.machines


def test_while_frozen_it_drains_in_time_too():
    world = slow()
    victim = next(iter(world.machines))
    announce(world, victim, 60)
    world.frozen = "the desired state can't be read"
    world.run(39)
    assert world.states()[victim] == "ready"
    world.run(2)
    assert world.states()[victim] == "draining"


# ---------------------------------------------------------------- what is told


def test_an_agents_word_of_a_preemption_counts_before_the_clouds():
    world = slow()
    victim = next(iter(world.machines))
    world.answers(victim, in_flight=1, preempt_at=world.now + 20)
    decision = world.tick()
    assert world.states()[victim] == "draining"
    assert any(isinstance(c, SetSize) for c in decision.commands)
    world.answers(victim, in_flight=1)
    world.run(5)
    assert world.states()[victim] == "draining", "it is never taken back"


def test_a_notice_that_is_taken_back_or_put_off_stays_and_one_that_is_brought_forward_counts():
    world = slow()
    victim = next(iter(world.machines))
    announce(world, victim, 600)
    world.tick()
    told = of(world, victim).preempt_at
    for later in (None, told + 900):
        world.answers(victim, preempt_at=later)
        world.machines[victim].instance = replace(world.machines[victim].instance, preempt_at=later)
        world.tick()
        assert of(world, victim).preempt_at == told
    struck = world.memory.pools[world.machines[victim].pool_id]
    world.answers(victim, preempt_at=world.now + 30)
    world.run(5)
    assert world.states()[victim] == "ready"
    assert world.memory.pools[world.machines[victim].pool_id] == struck, "it is held against its pool once"
    world.run(6)
    assert world.states()[victim] == "draining"


def test_a_moment_without_a_date_is_no_trouble():
    world = slow()
    victim = next(iter(world.machines))
    world.answers(victim, preempt_at=1e300)
    world.run(3)
    assert (world.states()[victim], world.launched) == ("ready", 3)


def test_a_machine_that_shuts_down_drains_at_once_whenever_its_end_is():
    world = slow()
    victim = next(iter(world.machines))
    world.answers(victim, in_flight=1, preempt_at=world.now + 3600, leaving=True)
    world.tick()
    assert world.states()[victim] == "draining"


def test_a_controller_that_takes_over_in_between_lets_it_serve_as_long():
    world = slow()
    victim = next(iter(world.machines))
    announce(world, victim, 60)
    world.tick()
    world.crash(9)
    world.run(31)
    assert world.states()[victim] == "ready"
    world.run(3)
    assert world.states()[victim] == "draining"


@pytest.mark.parametrize("set_by_s", [-3600, 3600])
def test_a_clock_that_is_set_while_nobody_watches_never_makes_it_serve_longer(set_by_s):
    world = slow()
    victim = next(iter(world.machines))
    announce(world, victim, 60)
    world.tick()
    written_at = world.now
    world.now += set_by_s + 5
    world.memory = world.memory.resumed(written_at=written_at, now=world.now)
    world.run(46)
    assert world.states().get(victim) != "ready"


@pytest.mark.parametrize(
    ("known", "told", "leaving", "until"),
    [
        (None, None, False, None),
        (100.0, None, False, 80.0),
        (None, 90.0, False, 70.0),
        (100.0, 90.0, False, 70.0),
        (90.0, 100.0, False, 70.0),
        (90.0, 100.0, True, -math.inf),
    ],
)
def test_it_serves_until_the_earliest_moment_less_what_requests_take(known, told, leaving, until):
    health = Health("r", AgentState.ANSWERS, preempt_at=told, leaving=leaving)
    assert serves_until(known, health, 20.0) == until


# ---------------------------------------------------------------- it counts for nothing


def test_it_makes_room_for_no_update_and_gets_none():
    world = slow(a_desired([a_service(replicas=3)]))
    victim = next(iter(world.machines))
    announce(world, victim, 600)
    world.tick()
    world.want(NEW)
    decisions = world.run(60)
    assert world.ready() == 3, "of those that stay none may go while only two of them serve"
    moved = {
        c.instance_id for d in decisions for c in d.commands if isinstance(c, Assign) and c.sha256 == NEW
    }
    assert victim not in moved
    assert world.bundle_of(victim) == OLD


def test_the_load_that_it_bears_counts_although_it_does_not():
    scaling = {"target_kv_cache_utilization": 0.5, "upscale_delay_s": 0.0, "downscale_delay_s": 10.0}
    world = World(a_desired([a_service(replicas=1, most=4, scaling=scaling)]))
    world.asks(1.0, active=4)
    world.busy = EngineLoad("", running=4, waiting=0, kv_cache=0.75)
    while world.tick().targets["chat"] < 2:
        pass
    world.busy = EngineLoad("", running=4, waiting=0, kv_cache=0.4)
    world.run(20)
    world.slow_s = 1000
    assert (world.ready(), world.last.targets["chat"]) == (2, 2)
    announce(world, next(iter(world.machines)), 600)
    world.run(30)
    assert (world.ready(), world.last.targets["chat"]) == (2, 2)


def test_what_it_has_proved_clears_nothing_that_is_held_against_its_pool():
    world = slow(a_desired([a_service(replicas=1)], [a_pool()]))
    (victim,) = world.machines
    pool_id = world.machines[victim].pool_id
    world.memory.pools[pool_id] = replace(world.memory.pools[pool_id], struck_since=1.0, struck_at=1.0)
    announce(world, victim, 600)
    world.run(100)
    assert world.states()[victim] == "ready"
    assert world.memory.pools[pool_id].struck_at is not None


# ---------------------------------------------------------------- it fails


@pytest.mark.parametrize(
    "trouble",
    [
        {"probe": ProbeState.REFUSED},
        {"agent": AgentState.REFUSED},
        {"phase": "failed", "message": "exit code 1"},
        {"phase": "stopping"},
    ],
)
def test_one_that_fails_under_notice_leaves_at_once_and_that_is_held_against_nobody(trouble):
    world = slow()
    victim = next(iter(world.machines))
    announce(world, victim, 600)
    world.run(3)
    world.answers(victim, **trouble)
    decision = world.tick()
    assert victim not in world.machines
    assert any("its preemption is announced, and " in r for r in decision.reasons)
    assert world.memory.services["chat"].failures == 0


def test_one_that_is_in_doubt_under_notice_drains():
    world = slow()
    victim = next(iter(world.machines))
    announce(world, victim, 600)
    world.run(3)
    world.answers(victim, probe=ProbeState.FAILING, failures=3, in_flight=1)
    world.tick()
    assert of(world, victim).drain is Drain.LEAVE


def test_one_that_is_kept_although_it_fails_drains_in_time():
    world = slow(a_desired([a_service(replicas=1, probe=Probe(replace_after_s=30))]))
    (victim,) = world.machines
    world.answers(victim, probe=ProbeState.FAILING, failures=3, in_flight=1)
    world.run(3)
    announce(world, victim, 60)
    world.run(39)
    assert world.states()[victim] == "ready"
    world.run(2)
    assert of(world, victim).drain is Drain.LEAVE


# ---------------------------------------------------------------- it leaves


def test_a_preempted_replica_is_ended_by_us_once_it_is_idle():
    world = settled()
    victim = next(iter(world.machines))
    announce(world, victim)
    world.answers(victim, in_flight=1)
    world.run(10)
    assert victim in world.machines
    world.answers(victim, in_flight=0)
    world.run(3)
    assert victim not in world.machines
    assert world.ready() == 2


def test_a_preempted_replica_that_stays_busy_is_ended_at_its_drain_limit_or_at_the_kill():
    for after_s, limit in ((10, 10), (100, 20)):  # the service's drain limit is 20 s
        world = settled()
        victim = next(iter(world.machines))
        announce(world, victim, after_s)
        world.answers(victim, in_flight=1)
        world.run(limit - 1)
        assert victim in world.machines
        world.run(3)
        assert victim not in world.machines


def test_a_machine_that_comes_up_and_is_to_be_preempted_is_ended_at_once():
    world = World(a_desired())
    world.mute = True
    world.tick()
    world.tick()
    victim = next(iter(world.machines))
    assert world.states()[victim] == "pending"
    announce(world, victim)
    world.run(2)
    assert victim not in world.machines


def test_a_replica_that_drains_for_an_update_and_is_to_be_preempted_does_not_come_back():
    world = settled()
    world.want(NEW)
    world.run(2)
    victim = next(i for i, s in world.states().items() if s == "draining")
    announce(world, victim)
    world.answers(victim, in_flight=1)
    world.tick()
    (memory,) = [r for r in world.memory.replicas.values() if r.instance.instance_id == victim]
    assert (memory.state, memory.drain) == ("draining", Drain.LEAVE)
    world.run(30)
    assert victim not in world.machines


def test_the_last_replica_serves_on_under_notice_until_another_is_ready():
    world = settled(a_desired([a_service(replicas=1)]))
    (victim,) = world.machines
    announce(world, victim)
    world.tick()
    (new,) = set(world.machines) - {victim}
    world.answers(new, phase="setup", probe=ProbeState.UNKNOWN)
    world.run(10)
    assert victim in world.machines, "idle, but nobody else serves"
    world.machines[new].answers = None
    world.run(2)
    assert world.states() == {victim: "draining", new: "ready"}, "the edges may not know of the new one yet"
    world.run(3)
    assert world.states() == {new: "ready"}


def test_the_last_replica_under_notice_is_not_kept_when_its_engine_is_dead():
    world = settled(a_desired([a_service(replicas=1)]))
    (victim,) = world.machines
    announce(world, victim)
    world.answers(victim, probe=ProbeState.REFUSED)
    world.run(2)
    assert victim not in world.machines


def test_a_whole_zone_under_notice_is_replaced_at_once_although_surge_is_one():
    world = settled(a_desired([a_service(replicas=3)], [a_pool(ZONES[0]), a_pool(ZONES[1])]))
    two = ZONES[0] if in_zones(world).count(ZONES[0]) == 2 else ZONES[1]
    for instance_id, machine in world.machines.items():
        if world.pool(machine.pool_id).zone == two:
            announce(world, instance_id)
            world.answers(instance_id, in_flight=1)
    world.tick()
    assert len(world.machines) == 5
    assert in_zones(world).count(two) == 2, "nothing new where machines are lost"


def test_a_kill_that_was_announced_is_held_against_its_pool_once():
    world = settled()
    victim = next(iter(world.machines))
    pool_id = world.machines[victim].pool_id
    announce(world, victim, 15)
    world.answers(victim, in_flight=1)
    world.run(12)
    world.lose(victim)
    decision = world.tick()
    assert any("gone, as announced" in reason for reason in decision.reasons)
    pool = world.memory.pools[pool_id]
    assert pool.struck_since == pool.struck_at


def test_pools_that_preempt_again_and_again_are_not_given_up():
    world = settled()
    for _ in range(12):
        for instance_id in list(world.machines):
            announce(world, instance_id)
        world.run(15)
        assert world.ready() == 2


def test_money_limits_replacements_of_machines_under_notice_too():
    world = settled(a_desired(worst=0.5))
    for instance_id in list(world.machines):
        announce(world, instance_id)
        world.answers(instance_id, in_flight=1)
    world.tick()
    assert world.usd_hour() <= 0.5
