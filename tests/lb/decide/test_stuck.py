"""What hangs, lies or refuses to end: nothing is waited for without a limit, and nothing flaps."""

import pytest

from lb.decide import Outcome, Terminate
from lb.decide.observed import AgentState, ProbeState
from spec.desired import Probe
from tests.lb.world import OLD, World, a_desired, a_service

LYING = {"lies": "4 of 5 of its answers are errors"}


def settled(replicas=2, **kwargs):
    world = World(a_desired([a_service(replicas=replicas, **kwargs)]))
    world.run(5)
    assert world.ready() == replicas
    return world


class Stubborn(World):
    """A cloud that refuses to end machines."""

    def carry_out(self, command):
        if isinstance(command, Terminate):
            self.outcomes.append(
                Outcome("terminate", command.pool_id, command.instance_id, "error", "it is locked", self.now)
            )
        else:
            super().carry_out(command)


# ---------------------------------------------------------------- stuck


@pytest.mark.parametrize(
    "trouble",
    [
        {"phase": "setup"},
        {"phase": "fetching"},
        {"probe": ProbeState.REFUSED},
        {"probe": ProbeState.FAILING, "failures": 3},
        {"probe": ProbeState.UNKNOWN},
        {"agent": AgentState.SILENT, "phase": None},
        {"agent": AgentState.UNKNOWN, "phase": None},
        {"agent": AgentState.REFUSED, "phase": None},
    ],
)
def test_whatever_keeps_a_new_replica_from_being_ready_it_is_replaced_in_the_end(trouble):
    world = World(a_desired([a_service(replicas=1, probe=Probe(initial_delay_s=60))]))
    world.tick()
    first = next(iter(world.machines))
    world.answers(first, **trouble)
    world.run(190)
    assert first not in world.machines
    assert world.ready() == 1


@pytest.mark.parametrize(
    "trouble",
    [
        {"phase": "setup"},
        {"probe": ProbeState.REFUSED},
        {"probe": ProbeState.FAILING, "failures": 3},
        {"agent": AgentState.SILENT},
        {"agent": AgentState.REFUSED},
        LYING,
    ],
)
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_whatever_is_wrong_with_a_ready_replica_for_long_it_is_replaced(trouble, replicas):
    world = settled(replicas, probe=Probe(replace_after_s=30))
    victim = next(iter(world.machines))
    world.answers(victim, **trouble)
    world.run(60)
    assert victim not in world.machines
    assert world.ready() == replicas


@pytest.mark.parametrize("agent", [AgentState.ANSWERS, AgentState.SILENT, AgentState.UNKNOWN])
def test_a_drain_ends_at_its_limit_whatever_the_replica_says(agent):
    world = settled(3)
    world.desired = a_desired([a_service(replicas=2)])
    world.tick()
    (leaving,) = (i for i, state in world.states().items() if state == "draining")
    world.answers(leaving, agent=agent, in_flight=7)
    world.run(15)
    assert leaving in world.machines
    world.run(10)
    assert leaving not in world.machines


def test_a_machine_whose_end_is_refused_for_ever_is_asked_every_30_s_said_and_replaced():
    world = Stubborn(a_desired([a_service(replicas=2)]))
    world.run(5)
    victim = next(iter(world.machines))
    world.answers(victim, phase="failed", message="exit code 1")
    decisions = world.run(300)
    asked = [c for d in decisions for c in d.commands if isinstance(c, Terminate)]
    assert {c.instance_id for c in asked} == {victim}
    assert 9 <= len(asked) <= 11
    assert any("could not be ended: it is locked" in r for d in decisions for r in d.reasons)
    assert world.ready() == 2
    assert len(world.machines) == 3


def test_machines_that_can_not_be_ended_count_so_that_money_has_its_limit():
    world = Stubborn(a_desired([a_service(replicas=2)]))
    world.run(5)
    for _ in range(600):
        for instance_id in world.machines:
            world.answers(instance_id, phase="failed")
        world.tick()
        assert len(world.machines) <= 3
    assert any("of at most 3 machines exist" in r for r in world.last.reasons)


# ---------------------------------------------------------------- lying


def test_a_lying_replica_leaves_the_edges_and_is_replaced_though_nothing_shows_its_lies_any_more():
    world = settled(2, probe=Probe(replace_after_s=30))
    liar = next(iter(world.machines))
    world.answers(liar, **LYING)
    world.tick()
    assert world.states()[liar] == "unready"
    world.answers(liar)  # without callers there is no evidence
    for _ in range(29):
        world.tick()
        assert world.states()[liar] == "unready", "it must not flap back"
    world.run(5)
    assert liar not in world.machines
    assert world.ready() == 2


def test_when_every_replica_lies_half_of_them_stay_also_when_the_evidence_is_gone():
    world = settled(4, probe=Probe(replace_after_s=1000))
    for instance_id in world.machines:
        world.answers(instance_id, **LYING)
    world.tick()
    for instance_id, state in world.states().items():
        if state == "unready":
            world.answers(instance_id)
    for _ in range(20):
        world.tick()
        assert world.ready() == 2


def test_a_new_bundle_gives_a_liar_another_chance():
    world = settled(2, surge=0, probe=Probe(replace_after_s=300))
    liar = next(iter(world.machines))
    world.answers(liar, **LYING)
    world.tick()
    world.machines[liar].answers = None
    new = "b" * 64
    world.want(new)
    world.run(30)
    assert world.bundle_of(liar) == new != OLD
    assert world.ready() == 2
    assert not any(r.lied for r in world.memory.replicas.values())


def test_a_new_version_that_lies_counts_against_its_rollout():
    world = World(a_desired([a_service(replicas=3, probe=Probe(replace_after_s=20))]), slow_s=2)
    world.run(5)
    new = "b" * 64
    world.want(new)
    for _ in range(400):
        for instance_id, state in world.states().items():
            if instance_id in world.machines and world.bundle_of(instance_id) == new and state == "ready":
                world.answers(instance_id, bundle=new, **LYING)
            elif instance_id in world.machines and world.bundle_of(instance_id) == OLD:
                world.machines[instance_id].answers = None
        world.tick()
    assert world.rollout().phase == "failed"
    assert "answers are errors" in world.rollout().reason
    assert set(world.bundles()) == {OLD}
    assert world.ready() == 3
