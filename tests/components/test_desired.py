"""What the controller is told of a service that leaves."""

from catalog.fixed import load_fixed
from catalog.load import load
from components.desired import desired_state
from planner.environment import plan_stack
from spec.bundle import build
from spec.desired import PoolState
from spec.lock import read_lock
from spec.read import read_service
from spec.stack import load_stack
from tests.e2e.checkout import ROOT


def told(*, leaving):
    spec = read_service(ROOT / "services/qwen-7b.yaml").model_copy(update={"leaving": leaving})
    config, lock = load_stack(ROOT, "staging"), read_lock(ROOT, "staging")
    plan = plan_stack([spec], load(), config, env="staging", prices=load_fixed(), lock=lock).plan
    return desired_state(plan, specs=[spec], bundles={spec.name: build(spec).bundle}, edges=[], config=config)


def test_a_service_that_leaves_is_drained_everywhere_and_edges_hold_nothing_for_it():
    before, after = told(leaving=False), told(leaving=True)
    assert {p.state for p in before.pools} == {PoolState.ACTIVE}
    assert {p.state for p in after.pools} == {PoolState.RETIRING}
    assert {p.id: p.max_size for p in after.pools} == {p.id: p.max_size for p in before.pools}
    assert after.services[0].scaling.max_replicas == after.services[0].scaling.surge == 0
    assert (before.services[0].routing.max_held, after.services[0].routing.max_held) == (1000, 0)
    assert after.services[0].bundle == before.services[0].bundle, "what runs goes on until it has drained"
