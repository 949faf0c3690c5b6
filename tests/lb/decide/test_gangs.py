"""Replicas of several machines, told as stories: a gang starts and dies as one."""

from dataclasses import replace

import pytest

from lb.clouds.protocol import InstancePhase, Refusal
from lb.decide import Assign, Memory, SetSize, Terminate
from lb.decide.observed import AgentState, ProbeState
from spec.desired import PoolState
from tests.lb.world import NEW, OLD, ZONES, World, a_desired, a_pool, a_service


def gangs_of(nodes=2, *, replicas=2, most=None, surge=1, zones=ZONES, worst=None, **kwargs):
    most_machines = ((replicas if most is None else most) + surge) * nodes
    return a_desired(
        [a_service(num_nodes=nodes, replicas=replicas, most=most, surge=surge, worst=worst, **kwargs)],
        [a_pool(z, most=most_machines) for z in zones],
    )


def settled(desired=None, **kwargs) -> World:
    world = World(desired or gangs_of(), **kwargs)
    world.run(8)
    return world


def head_and_other(world: World) -> tuple[str, str]:
    return next(g.nodes for a in world.assignments.values() for g in a.gangs)[:2]


def with_service(world: World, **changes) -> None:
    services = tuple(s.model_copy(update=changes) for s in world.desired.services)
    world.desired = world.desired.model_copy(update={"services": services})


def with_bundle(world: World, sha256: str) -> None:
    bundle = world.desired.services[0].bundle.model_copy(update={"sha256": sha256})
    with_service(world, bundle=bundle)


class Slow(World):
    """A cloud that accepts every size and gives machines when told to."""

    def _set_size(self, pool_id_, size, call):
        assert size >= sum(m.pool_id == pool_id_ for m in self.machines.values())
        self.sizes[pool_id_] = size

    def give(self, n=1):
        for pool_id_, size in self.sizes.items():
            have = sum(m.pool_id == pool_id_ for m in self.machines.values())
            for _ in range(min(n, size - have)):
                self.launch(pool_id_)


class Refilling(World):
    """A cloud that replaces lost machines by itself."""

    def tick(self, seconds=1.0):
        for pool_id_, size in self.sizes.items():
            for _ in range(size - sum(m.pool_id == pool_id_ for m in self.machines.values())):
                self.launch(pool_id_)
        return super().tick(seconds)


class Unpriced(World):
    """A cloud that does not tell its prices."""

    def observed(self):
        observed = super().observed()
        return replace(observed, pools=tuple(replace(o, prices=None) for o in observed.pools))


def refilling(*args, **kwargs):
    return Refilling(*args, refills=True, **kwargs)


# ---------------------------------------------------------------- starting


@pytest.mark.parametrize("nodes", [2, 3])
def test_a_replica_is_as_many_machines_as_the_service_says_all_in_one_pool(nodes):
    world = settled(gangs_of(nodes))
    assert world.ready() == 2
    assert sorted(world.in_zone(z) for z in ZONES) == [0, nodes, nodes]


def test_a_settled_world_of_gangs_is_left_alone():
    world = settled()
    assert all(not d.commands and not d.reasons for d in world.run(60))


def test_every_machine_of_a_gang_is_told_its_rank_and_all_addresses():
    world = settled(gangs_of(3, replicas=1))
    (gang,) = next(a.gangs for a in world.assignments.values() if a.gangs)
    assert gang.nodes == tuple(sorted(world.machines))
    assert gang.ips == ("127.0.0.1",) * 3


def test_machines_of_a_gang_are_told_the_addresses_that_only_they_can_reach_and_edges_the_others():
    world = Slow(gangs_of(replicas=1))
    world.tick()
    world.give(2)
    for number, machine in enumerate(world.machines.values()):
        machine.instance = replace(machine.instance, address="203.0.113.7", private=f"10.64.0.{number}")
    world.run(5)
    (gang,) = next(a.gangs for a in world.assignments.values() if a.gangs)
    assert gang.ips == ("10.64.0.0", "10.64.0.1")
    assert {r.instance.address for r in world.memory.replicas.values()} == {"203.0.113.7"}


def test_a_gang_is_not_told_before_all_of_its_machines_have_addresses():
    world = Slow(gangs_of(replicas=1))
    world.tick()
    world.give(2)
    late = max(world.machines)
    told = world.machines[late].instance
    world.machines[late].instance = replace(told, address=None, phase=InstancePhase.PENDING)
    world.run(5)
    assert not any(a.gangs for a in world.assignments.values())
    assert list(world.states().values()) == ["pending"]
    world.machines[late].instance = told
    world.run(5)
    assert world.ready() == 1


def test_machines_that_come_one_by_one_fill_the_oldest_gang_first():
    world = Slow(gangs_of(zones=ZONES[:1], replicas=2))
    world.tick()
    for _ in range(4):
        world.give()
        world.run(3)
    assert world.ready() == 2
    told = next(iter(world.assignments.values())).gangs
    assert [g.nodes for g in told] == [tuple(sorted(world.machines)[:2]), tuple(sorted(world.machines)[2:])]


def test_what_is_asked_of_a_cloud_is_said_in_machines_too():
    decision = World(gangs_of(3, replicas=1)).tick()
    assert [c.size for c in decision.commands if isinstance(c, SetSize)] == [3]
    assert any("1 more, to 1: chat lacks 1; " in r and r.endswith("(3 machines)") for r in decision.because)
    assert set(decision.because) <= set(decision.reasons)


def test_a_gang_costs_all_of_its_machines():
    world = settled(gangs_of(2, replicas=2, worst=0.7))  # a machine costs 0.20, so only one gang fits
    assert (world.ready(), len(world.machines)) == (1, 2)
    assert any("worst_usd_hour 0.7" in r for r in world.tick().reasons)


def test_a_gang_costs_all_of_its_machines_also_where_the_cloud_tells_no_price():
    world = Unpriced(gangs_of(2, replicas=2, worst=0.7))
    world.run(8)
    assert (world.ready(), len(world.machines)) == (1, 2)


def test_a_size_counts_the_machines_that_a_forming_gang_still_waits_for():
    world = Slow(gangs_of(zones=ZONES[:1], replicas=1, most=2))
    world.tick()
    world.give(1)
    world.tick()
    with_service(world, scaling=world.desired.services[0].scaling.model_copy(update={"min_replicas": 2}))
    world.tick()
    assert list(world.sizes.values()) == [4]
    world.give(3)
    world.run(5)
    assert world.ready() == 2


# ---------------------------------------------------------------- not all of them come


def test_a_zone_that_can_give_only_some_of_the_machines_gives_them_back_and_another_zone_serves():
    world = World(gangs_of(replicas=1), capacity={ZONES[0]: 1})
    world.run(15)
    assert [world.in_zone(z) for z in ZONES] == [0, 2, 0]
    assert world.ready() == 1
    assert sum(world.sizes.values()) == 2


def test_a_late_refusal_of_one_machine_gives_up_the_gang_at_once():
    world = Slow(gangs_of(replicas=1))
    world.tick()
    (pool_id,) = world.sizes
    world.give(1)
    world.refusals[pool_id] = [Refusal("insufficient_capacity", "no more here", world.now)]
    world.run(3)
    assert not world.machines
    assert world.sizes[pool_id] == 0
    world.give(2)
    world.run(5)
    assert world.ready() == 1


def test_machines_that_do_not_come_in_time_are_withdrawn_with_those_that_came():
    world = Slow(gangs_of(replicas=1))
    world.tick()
    (first,) = world.sizes
    world.give(1)
    world.run(170)
    assert len(world.machines) == 1
    world.run(30)
    assert world.sizes[first] == 0
    assert not world.machines
    assert sum(world.sizes.values()) == 2  # asked for elsewhere


def test_a_loss_before_the_gang_is_whole_ends_what_came():
    world = Slow(gangs_of(3, replicas=1))
    world.tick()
    (first,) = world.sizes
    world.give(2)
    world.run(2)
    victim, other = sorted(world.machines)
    world.lose(victim)
    decision = world.tick()
    assert Terminate(first, other, decision.commands[-1].replica_id) in decision.commands
    world.run(10)
    assert world.sizes[first] == 0
    assert sum(world.sizes.values()) == 3


# ---------------------------------------------------------------- dying as one


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("make", [World, refilling])
def test_a_gang_that_lost_a_machine_is_replaced_whole_and_nothing_of_it_is_left(rank, make):
    world = make(gangs_of())
    world.run(8)
    gang = head_and_other(world)
    world.lose(gang[rank])
    decision = world.tick()
    ended = [c.instance_id for c in decision.commands if isinstance(c, Terminate)]
    assert ended == [gang[1 - rank]]
    assert any(f"its node {rank}, {gang[rank]}, is gone" in r for r in decision.reasons)
    world.run(30)
    assert world.ready() == 2
    assert len(world.machines) == sum(world.sizes.values()) == 4
    assert gang[1 - rank] not in world.machines


def test_a_loss_leaves_the_pool_alone_for_a_while_and_is_not_held_against_the_bundle():
    world = settled()
    victim = head_and_other(world)[1]
    pool_id = world.machines[victim].pool_id
    world.lose(victim)
    world.tick()
    pool = world.memory.pools[pool_id]
    assert pool.struck_since == pool.struck_at
    assert world.memory.services["chat"].failures == 0


@pytest.mark.parametrize("rank", [0, 1])
def test_an_engine_that_ends_on_one_machine_ends_the_gang(rank):
    world = settled()
    gang = head_and_other(world)
    world.answers(gang[rank], phase="failed", message="exit code 1")
    decision = world.tick()
    assert {c.instance_id for c in decision.commands if isinstance(c, Terminate)} == set(gang)
    assert any("exit code 1" in r for r in decision.reasons)
    world.run(5)
    assert world.ready() == 2
    assert not set(gang) & world.machines.keys()


@pytest.mark.parametrize("trouble", [{"agent": AgentState.REFUSED}, {"phase": "setup"}])
def test_certain_trouble_of_any_machine_takes_the_gang_out_at_once(trouble):
    world = settled()
    head, other = head_and_other(world)
    world.answers(other, **trouble)
    world.tick()
    assert world.states()[head] == "unready"


def test_the_probe_of_machines_that_are_not_the_head_does_not_count():
    world = settled()
    world.answers(head_and_other(world)[1], probe=ProbeState.REFUSED)
    assert all(not d.commands for d in world.run(30))
    assert world.ready() == 2


def test_an_announced_preemption_of_any_machine_lets_the_gang_serve_until_it_drains_and_ends_all_of_it():
    world = settled()
    world.slow_s = 60
    head, other = head_and_other(world)
    machine = world.machines[other]
    machine.instance = replace(machine.instance, preempt_at=world.now + 50)
    decision = world.tick()
    assert any(isinstance(c, SetSize) for c in decision.commands)
    world.run(28)
    assert world.states()[head] == "ready"
    world.run(2)
    assert world.states()[head] == "draining"
    world.run(60)
    assert not {head, other} & world.machines.keys()
    assert world.ready() == 2


def test_a_gang_of_which_a_machine_shuts_down_drains_at_once():
    world = settled()
    head, other = head_and_other(world)
    world.answers(other, preempt_at=world.now + 3600, leaving=True)
    world.answers(head, in_flight=1)
    world.tick()
    assert world.states()[head] == "draining"


def test_without_surge_the_next_gang_waits_until_the_broken_one_has_gone():
    world = settled(gangs_of(replicas=2, surge=0))
    world.lose(head_and_other(world)[0])
    for _ in range(40):
        world.tick()
        assert len(world.machines) <= 4
    assert world.ready() == 2


def test_an_end_that_fails_for_one_machine_is_asked_for_again_for_that_one():
    world = settled()
    head, other = head_and_other(world)
    machine = world.machines[other]
    world.answers(head, phase="failed")
    world.tick()
    world.machines[other] = machine  # the cloud did not do it
    world.sizes[machine.pool_id] += 1
    world.outcomes = [
        o if o.instance_id != other else replace(o, error="throttled", message="too many calls")
        for o in world.outcomes
    ]
    assert any("too many calls" in r for r in world.tick().reasons)
    ends = [c for d in world.run(40) for c in d.commands if isinstance(c, Terminate)]
    assert [c.instance_id for c in ends] == [other]
    assert (world.ready(), len(world.machines)) == (2, 4)


def test_a_gang_that_is_not_needed_any_more_drains_and_ends_whole():
    world = settled()
    with_service(world, scaling=world.desired.services[0].scaling.model_copy(update={"min_replicas": 1}))
    world.run(15)
    assert (world.ready(), len(world.machines)) == (1, 2)


def test_a_retiring_pool_is_left_gang_by_gang():
    world = settled(gangs_of(replicas=2))
    retired = world.desired.pools[0].id
    pools = tuple(
        p.model_copy(update={"state": PoolState.RETIRING}) if p.id == retired else p
        for p in world.desired.pools
    )
    world.desired = world.desired.model_copy(update={"pools": pools})
    for _ in range(30):
        world.tick()
        assert world.ready() >= 2
    assert world.in_zone(ZONES[0]) == 0
    assert len(world.machines) == 4


# ---------------------------------------------------------------- bundles


def test_an_update_in_place_gives_all_machines_of_a_gang_the_new_bundle_together():
    world = settled(gangs_of(replicas=2, surge=0))
    machines = set(world.machines)
    with_bundle(world, NEW)
    for _ in range(40):
        decision = world.tick()
        moved = {c.instance_id for c in decision.commands if isinstance(c, Assign) and c.sha256 == NEW} - {
            None
        }
        assert not moved or any(moved == set(g.nodes) for a in world.assignments.values() for g in a.gangs)
        assert world.ready() >= 1
    assert set(world.machines) == machines
    assert {world.health(i).bundle for i in machines} == {NEW}


def test_the_machines_that_a_forming_gang_gets_later_run_the_bundle_of_its_head():
    world = Slow(gangs_of(replicas=1))
    world.tick()
    world.give(1)
    world.tick()
    (pool_id,) = world.sizes
    head = next(iter(world.machines))
    world.assignments[pool_id] = replace(world.assignments[pool_id], instances={head: OLD}, default=NEW)
    world.give(2)
    world.run(5)
    assert len({world.health(i).bundle for i in world.machines}) == 1


# ---------------------------------------------------------------- other numbers of nodes


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 3), (3, 2), (2, 1)])
@pytest.mark.parametrize("surge", [0, 1])
def test_another_number_of_nodes_replaces_the_replicas_one_by_one(before, after, surge):
    world = World(gangs_of(before, replicas=2, surge=surge))
    world.run(8)
    old = set(world.machines)
    world.desired = gangs_of(after, replicas=2, surge=surge, sha256=NEW)
    world.desired = world.desired.model_copy(update={"pools": tuple(a_pool(z, most=9) for z in ZONES)})
    for _ in range(60):
        world.tick()
        assert world.ready() >= 2 - (surge == 0)
    assert world.ready() == 2
    assert not old & world.machines.keys()
    assert len(world.machines) == 2 * after
    assert not any(d.commands for d in world.run(30))


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_another_number_of_nodes_with_a_bundle_that_fails_leaves_what_serves_alone(before, after):
    world = World(gangs_of(before, replicas=2))
    world.run(70)
    old = set(world.machines)
    world.broken = {NEW}
    world.desired = gangs_of(after, replicas=2, sha256=NEW)
    for _ in range(200):
        world.tick()
        assert world.ready() >= 2
    assert world.rollout().phase == "failed"
    assert set(world.machines) == old
    assert {world.health(i).bundle for i in old} == {OLD}


# ---------------------------------------------------------------- memory


def test_after_a_loss_of_memory_running_gangs_are_known_again():
    world = settled(gangs_of(zones=ZONES[:1]))
    told = {g.nodes for a in world.assignments.values() for g in a.gangs}
    world.memory = Memory()
    assert not any(d.commands for d in world.run(30))
    assert {g.members for g in world.memory.gangs.values()} == told
    assert world.ready() == 2


def test_a_loss_of_memory_in_the_middle_of_a_loss_ends_the_rest_of_the_gang_all_the_same():
    world = settled(gangs_of(zones=ZONES[:1]))
    head, other = head_and_other(world)
    world.lose(head)
    world.memory = Memory()
    world.run(30)
    assert other not in world.machines
    assert (world.ready(), len(world.machines)) == (2, 4)


def test_every_machine_of_a_gang_leads_to_its_replica():
    world = settled(gangs_of(replicas=1))
    head, other = head_and_other(world)
    replica = world.memory.replicas[world.rid(head)]
    assert (
        world.memory.replica_with(world.rid(head)) == world.memory.replica_with(world.rid(other)) == replica
    )
    assert world.memory.replica_with(world.rid(other).replace("local:", "aws:", 1)) is None


def test_without_an_answer_of_the_cloud_gangs_stay_what_they_are():
    world = settled()
    gangs = world.memory.gangs
    world.down = {"local"}
    assert not any(d.commands for d in world.run(30))
    assert world.memory.gangs == gangs
    assert world.ready() == 2


def test_while_frozen_nothing_is_asked_of_clouds_or_machines():
    world = settled()
    world.lose(head_and_other(world)[0])
    world.frozen = "the desired state is missing"
    assert not any(d.commands for d in world.run(5))
    assert sorted(world.states().values()) == ["failed", "ready"]


def test_the_gangs_of_a_pool_are_forgotten_once_their_machines_are_gone():
    world = settled()
    with_service(world, scaling=world.desired.services[0].scaling.model_copy(update={"min_replicas": 0}))
    world.run(30)
    assert not world.machines
    assert not any(a.gangs for a in world.assignments.values())
    assert not world.memory.gangs


@pytest.mark.parametrize("surge", [0, 1])
def test_a_bundle_that_fails_on_gangs_goes_back_on_all_of_their_machines(surge):
    world = settled(gangs_of(replicas=2, surge=surge))
    world.broken = {NEW}
    with_bundle(world, NEW)
    for _ in range(120):
        world.tick()
        assert world.ready() >= 2 - (surge == 0)
    assert world.rollout().phase == "failed"
    assert world.ready() == 2
    assert len(world.machines) == 4
    assert set(world.bundles()) == {OLD}
