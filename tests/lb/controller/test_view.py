"""What is told of a decision's memory."""

from lb.controller.view import endpoints_of, services_status, targets_of
from lb.decide import Memory
from lb.decide.memory import ServiceMemory
from spec.names import PoolKind
from tests.lb.world import World, a_desired, a_service


def failures_told(memory):
    desired = a_desired([a_service()])
    [told] = services_status(
        desired, memory, targets={}, pools={}, assignments={}, health_of=lambda _replica_id: None, now=0.0
    )
    return told.failures


def test_failures_in_a_row_are_told():
    [service] = a_desired([a_service()]).services
    memory = Memory(services={service.name: ServiceMemory(service.bundle.sha256, failures=3)})
    assert failures_told(memory) == 3


def test_a_service_that_nothing_is_remembered_of_has_not_failed():
    assert failures_told(Memory()) == 0


class Fleet:
    """Two ready replicas."""

    def __init__(self):
        self.world = World(a_desired())
        self.world.run(5)
        self.first, self.second = sorted(self.world.memory.replicas)

    def announce(self, *replica_ids, in_s=0.0, leaving=False):
        for rid in replica_ids:
            machine = self.world.memory.replicas[rid].instance.instance_id
            self.world.answers(machine, preempt_at=self.world.now + in_s, leaving=leaving)

    def draining(self, target=2):
        health = {h.replica_id: h for h in self.world.observed().health}
        world = self.world
        found = endpoints_of(
            world.desired, world.memory, world.assignments, health.get, {"chat": target}, now=world.now
        )
        return {e.replica_id: e.draining for e in found["chat"]}


def test_an_announcement_drains_an_endpoint_before_anything_is_decided():
    fleet = Fleet()
    assert fleet.draining() == {fleet.first: False, fleet.second: False}
    fleet.announce(fleet.first)
    assert fleet.draining() == {fleet.first: True, fleet.second: False}


def test_an_endpoint_gets_requests_until_they_could_last_to_the_announced_kill():
    fleet = Fleet()
    fleet.announce(fleet.first, in_s=21)
    assert not fleet.draining()[fleet.first]
    fleet.world.now += 1
    assert fleet.draining() == {fleet.first: True, fleet.second: False}, "before that is decided"


def test_an_endpoint_whose_machine_shuts_down_drains_whenever_that_ends():
    fleet = Fleet()
    fleet.announce(fleet.first, in_s=3600, leaving=True)
    assert fleet.draining() == {fleet.first: True, fleet.second: False}


def test_a_machine_is_needed_until_its_replica_drains():
    fleet = Fleet()
    fleet.world.slow_s = 1000
    needed = []
    for in_s in (3600, 10):
        fleet.announce(fleet.first, in_s=in_s)
        fleet.world.tick()
        needed.append(targets_of(fleet.world.desired, fleet.world.memory)[fleet.first].needed)
    assert needed == [True, False]


def test_it_is_told_until_when_an_announced_replica_serves():
    fleet = Fleet()
    fleet.world.slow_s = 1000
    fleet.announce(fleet.first, in_s=120)
    fleet.world.tick()
    [told] = services_status(
        fleet.world.desired,
        fleet.world.memory,
        targets={},
        pools={},
        assignments=fleet.world.assignments,
        health_of=lambda _replica_id: None,
        now=fleet.world.now,
    )
    [replica] = [r for r in told.replicas if r.id == fleet.first]
    assert replica.state == "ready"
    assert "its preemption is announced; serves until " in replica.reason


def test_machines_of_clouds_are_reached_by_tls_and_by_the_name_of_their_pool():
    world = Fleet().world
    pools = tuple(p.model_copy(update={"kind": PoolKind.VM}) for p in world.desired.pools)
    clouds = world.desired.model_copy(update={"pools": pools})
    health = {h.replica_id: h for h in world.observed().health}
    for desired, secured in ((world.desired, False), (clouds, True)):
        found = endpoints_of(desired, world.memory, world.assignments, health.get, {"chat": 2}, now=world.now)
        assert {e.tls for e in found["chat"]} == {secured}
        for rid, target in targets_of(desired, world.memory).items():
            pool_id = world.memory.replicas[rid].pool_id
            assert target.peer == (f"{pool_id}.tradewind.internal" if secured else None)


def test_while_nobody_else_serves_those_under_notice_do():
    fleet = Fleet()
    fleet.announce(fleet.first, fleet.second)
    assert fleet.draining() == {fleet.first: False, fleet.second: False}
    fleet.world.tick()
    assert set(fleet.world.states().values()) >= {"draining"}
    serving = fleet.draining()
    assert not serving[fleet.first]
    assert not serving[fleet.second]


def test_a_service_that_is_wanted_no_more_drains_all_the_same():
    fleet = Fleet()
    fleet.announce(fleet.first, fleet.second)
    assert fleet.draining(target=0) == {fleet.first: True, fleet.second: True}


class Pair:
    """One replica of two machines, ready."""

    def __init__(self):
        self.world = World(a_desired([a_service(num_nodes=2, replicas=1)]))
        self.world.run(5)
        self.head, self.other = sorted(self.world.machines)

    def targets(self):
        return targets_of(self.world.desired, self.world.memory)

    def status(self):
        world = self.world
        observed = world.observed()
        [told] = services_status(
            world.desired,
            world.memory,
            targets={},
            pools={o.pool_id: o for o in observed.pools},
            assignments=world.assignments,
            health_of={h.replica_id: h for h in observed.health}.get,
            now=world.now,
        )
        return told


def test_all_machines_of_a_gang_are_asked_but_only_the_heads_engine_is_probed():
    pair = Pair()
    found = {t.instance_id: t for t in pair.targets().values()}
    assert {i: t.probed for i, t in found.items()} == {pair.head: True, pair.other: False}
    assert found[pair.other].port == pair.world.machines[pair.other].instance.port


def test_what_is_left_of_a_broken_gang_is_asked_no_more():
    pair = Pair()
    pair.world.lose(pair.other)
    pair.world.tick()
    assert pair.head not in {t.instance_id for t in pair.targets().values()}


def test_a_gang_is_one_replica_that_costs_what_its_machines_cost():
    pair = Pair()
    told = pair.status()
    [replica] = told.replicas
    assert (told.ready, replica.nodes) == (1, 2)
    assert replica.usd_hour == 2 * pair.world.desired.pools[0].price_usd_hour


def test_requests_go_to_the_head_only():
    world = Pair().world
    health = {h.replica_id: h for h in world.observed().health}
    found = endpoints_of(
        world.desired, world.memory, world.assignments, health.get, {"chat": 1}, now=world.now
    )
    assert [e.port for e in found["chat"]] == [world.machines[min(world.machines)].instance.port]
