"""What holds for replicas of several machines, whatever happens: checked on random stories."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from lb.clouds.protocol import Refusal
from lb.decide import AssignGangs, Memory, SetSize, Terminate, decide
from lb.decide.observed import Outcome
from spec.status import ReplicaState
from tests.lb.decide.test_properties import CALM, NO_LIMIT, event, happen, the_desired
from tests.lb.world import OLD, World

mishap = st.one_of(
    st.tuples(st.just("crash"), st.integers(0, 8), st.booleans()),
    st.tuples(st.just("pace"), st.integers(0, 3)),
    st.tuples(st.just("refuse"), st.integers(0, 5)),
)
stories = st.lists(st.one_of(event, mishap), max_size=14)
services = st.fixed_dictionaries(
    {
        **{name: st.just(value) for name, value in CALM.items()},
        "replicas": st.integers(0, 3),
        "extra": st.integers(0, 1),
        "surge": st.integers(0, 2),
        "nodes": st.integers(2, 3),
    }
)


@dataclass
class Slow(World):
    """A cloud that accepts a size and gives `pace` machines a tick in each pool, as far as the zone has them."""

    pace: int = 9
    owed: Counter = field(default_factory=Counter)

    def of_pool(self, pool_id_):
        return sum(m.pool_id == pool_id_ for m in self.machines.values())

    def carry_out(self, command):
        match command:
            case SetSize(pool_id_, size):
                assert self.of_pool(pool_id_) <= size <= self.pool(pool_id_).max_size
                self.sizes[pool_id_] = size
                self.owed[pool_id_] = size - self.of_pool(pool_id_)
                self.outcomes.append(Outcome("set_size", pool_id_, None, None, "", self.now))
            case Terminate(pool_id_, instance_id, _):
                if self.machines.pop(instance_id, None) is not None:
                    self.sizes[pool_id_] -= 1
                self.outcomes.append(Outcome("terminate", pool_id_, instance_id, None, "", self.now))
            case _:
                super().carry_out(command)

    def give(self):
        for pool_id_, size in self.sizes.items():
            missing = size - self.of_pool(pool_id_)
            for _ in range(min(self.pace, missing if self.refills else min(missing, self.owed[pool_id_]))):
                if self.full(self.pool(pool_id_)):
                    self.refuse(pool_id_)
                    break
                self.launch(pool_id_)
                self.owed[pool_id_] -= 1

    def refuse(self, pool_id_):
        self.refusals[pool_id_] = [Refusal("insufficient_capacity", "full", self.now)]


def crash(world, after, *, forget):
    """The controller ends in the middle of its commands, and does not know what it did."""
    world.now += 1
    for command in decide(world.desired, world.observed(), world.memory, world.now).commands[:after]:
        world.carry_out(command)
    world.outcomes = []
    if forget:
        world.memory = Memory()


def befall(world, what, state):
    """Makes one event true; returns how long to wait afterwards."""
    match what:
        case ("crash", after, forget):
            crash(world, after, forget=forget)
        case ("pace", n):
            world.pace = n
        case ("refuse", n):
            world.refuse(world.desired.pools[n % len(world.desired.pools)].id)
        case _:
            return happen(world, what, state)
    return 3


def check_tick(world):
    """One tick, with everything that must hold of gangs."""
    world.give()
    service = world.desired.services[0]
    most = (service.scaling.max_replicas + service.scaling.surge) * service.num_nodes
    before, usd_before = len(world.machines), world.usd_hour()
    whole = {g.nodes: i for i, a in world.assignments.items() for g in a.gangs if is_whole(world, g)}
    healthy = {nodes for nodes in whole if is_healthy(world, nodes)}
    now = (world.desired, world.observed(), world.memory, world.now + 1)
    assert decide(*now) == decide(*now), "the same twice"
    decision = world.tick()
    ended = {c.instance_id: c.replica_id for c in decision.commands if isinstance(c, Terminate)}
    for nodes, pool_id in whole.items():
        assert ended.keys().isdisjoint(nodes) or ended.keys() >= set(nodes), "a gang ends whole"
        if nodes in healthy and nodes[0] in ended:
            assert decision.memory.replicas[ended[nodes[0]]].state is ReplicaState.DRAINING
        told = [c for c in decision.commands if isinstance(c, AssignGangs) and c.pool_id == pool_id]
        assert all(nodes in {g.nodes for g in c.gangs} for c in told), "a gang that is there stays one"
    noticed = sum(m.instance.preempt_at is not None for m in world.machines.values())
    assert len(world.machines) <= max(before, most + noticed * service.num_nodes)
    worst = world.desired.budget.worst_usd_hour
    assert worst is None or world.usd_hour() <= max(usd_before, worst) + 1e-6


def is_whole(world, gang):
    return all(n in world.machines for n in gang.nodes)


def is_healthy(world, nodes):
    machines = [world.machines[n] for n in nodes]
    return all(m.answers is None and m.instance.preempt_at is None for m in machines)


@settings(max_examples=60, deadline=None)
@given(stories, services, st.sampled_from([None, 1.0, 2.0]), st.booleans())
def test_whatever_happens_gangs_end_whole_and_limits_hold_in_machines(story, service, worst, refills):
    state = {"service": service, "money": {**NO_LIMIT, "worst": worst}, "sha256": OLD, "retired": ""}
    world = Slow(the_desired(**state), refills=refills)
    for what in story:
        for _ in range(min(befall(world, what, state), 15)):
            check_tick(world)


@settings(max_examples=40, deadline=None)
@given(stories, services, st.booleans())
def test_after_any_story_every_gang_is_whole_and_no_machine_is_left_over(story, service, refills):
    state = {"service": service, "money": NO_LIMIT, "sha256": OLD, "retired": ""}
    world = Slow(the_desired(**state), refills=refills)
    for what in story:
        for _ in range(min(befall(world, what, state), 10)):
            world.give()
            world.tick()
    world.capacity.clear()
    world.down.clear()
    world.pace = 9
    for machine in world.machines.values():
        machine.answers = None
    for _ in range(240):
        world.give()
        world.tick(10)
    assert not any(d.commands for d in world.run(60))
    service = world.desired.services[0]
    assert world.ready() == service.scaling.min_replicas
    assert len(world.machines) == sum(world.sizes.values()) == world.ready() * service.num_nodes
    assert all(is_whole(world, g) for a in world.assignments.values() for g in a.gangs)
    assert {world.health(i).bundle for i in world.machines} <= {state["sha256"]}
