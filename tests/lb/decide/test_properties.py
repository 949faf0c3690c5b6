"""What holds for every decision, whatever happens: checked on random stories."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lb.decide import Memory, SetSize, Terminate, decide
from lb.decide.observed import Action, AgentState, ProbeState
from spec.desired import PoolState
from spec.names import Market
from spec.status import RolloutPhase
from tests.lb.world import NEW, OLD, ZONES, World, a_desired, a_pool, a_service

TROUBLE = (
    {},
    {"probe": ProbeState.REFUSED},
    {"probe": ProbeState.FAILING, "failures": 3},
    {"agent": AgentState.REFUSED},
    {"agent": AgentState.SILENT},
    {"agent": AgentState.UNKNOWN},
    {"phase": "failed", "message": "exit code 1"},
    {"phase": "setup"},
)

events = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 200)),
        st.tuples(st.just("lose"), st.integers(0, 20)),
        st.tuples(st.just("trouble"), st.integers(0, 20), st.sampled_from(TROUBLE)),
        st.tuples(st.just("preempt"), st.integers(0, 20)),
        st.tuples(st.just("capacity"), st.sampled_from(ZONES), st.integers(0, 4)),
        st.tuples(st.just("replicas"), st.integers(0, 5)),
        st.tuples(st.just("bundle"), st.sampled_from([OLD, NEW])),
        st.tuples(st.just("retire"), st.sampled_from([*ZONES, ""])),
        st.tuples(st.just("forget")),
        st.tuples(st.just("cloud"), st.booleans()),
    ),
    max_size=12,
)

services = st.fixed_dictionaries(
    {"replicas": st.integers(0, 4), "extra": st.integers(0, 2), "surge": st.integers(0, 2)}
)


def the_desired(service, *, worst, sha256=OLD, retired=""):
    pools = [
        a_pool(
            zone,
            market=market,
            most=3,
            price=0.2 if market is Market.SPOT else 0.7,
            state=PoolState.RETIRING if zone == retired else PoolState.ACTIVE,
        )
        for zone in ZONES
        for market in (Market.SPOT, Market.ON_DEMAND)
    ]
    one = a_service(
        replicas=service["replicas"],
        most=service["replicas"] + service["extra"],
        surge=service["surge"],
        sha256=sha256,
    )
    return a_desired([one], pools, worst=worst, fixed=0.1)


def happen(world, event, state):
    """Makes one event true; returns how long to wait afterwards."""
    machines = list(world.machines)
    match event:
        case ("wait", seconds):
            return seconds
        case ("lose", n) if machines:
            world.lose(machines[n % len(machines)])
        case ("trouble", n, trouble) if machines:
            world.answers(machines[n % len(machines)], **trouble)
        case ("preempt", n) if machines:
            machine = world.machines[machines[n % len(machines)]]
            machine.instance = replace(machine.instance, preempt_at=world.now + 30)
        case ("capacity", zone, n):
            world.capacity[zone] = n
        case ("replicas", n):
            state["service"] = {**state["service"], "replicas": n}
        case ("bundle", sha256):
            state["sha256"] = sha256
        case ("retire", zone):
            state["retired"] = zone
        case ("forget",):
            world.memory = Memory()
        case ("cloud", answers):
            world.down = set() if answers else {"local"}
    world.desired = the_desired(**state)
    return 3


def check_tick(world):
    """One tick, with everything that must hold of it."""
    before = world.usd_hour()
    machines_before = len(world.machines)
    observed = world.observed()
    now = world.now + 1
    decision = decide(world.desired, observed, world.memory, now)
    assert decision == decide(world.desired, observed, world.memory, now), "the same twice"
    again = decide(world.desired, replace(observed, outcomes=()), decision.memory, now)
    repeated = [c for c in again.commands if isinstance(c, SetSize | Terminate) and c in decision.commands]
    assert not repeated, "what was asked for is not asked for again"
    world.tick(1)
    service = world.desired.services[0]
    most = service.scaling.max_replicas + service.scaling.surge
    going = sum(m.instance.preempt_at is not None for m in world.machines.values())
    assert len(world.machines) <= max(machines_before, most + going)
    worst = world.desired.budget.worst_usd_hour
    if worst is not None:
        assert world.usd_hour() <= max(before, worst) + 1e-6
    grown = [c for c in decision.commands if isinstance(c, SetSize)]
    assert len({c.pool_id for c in grown}) == len(grown), "one size per pool"


@settings(max_examples=25, deadline=None)
@given(events, services, st.sampled_from([None, 0.5, 1.0, 2.0]), st.booleans())
def test_whatever_happens_limits_hold_and_nothing_is_asked_twice(story, service, worst, refills):
    state = {"service": service, "worst": worst, "sha256": OLD, "retired": ""}
    world = World(the_desired(**state), refills=refills)
    for event in story:
        for _ in range(min(happen(world, event, state), 15)):
            check_tick(world)


@settings(max_examples=12, deadline=None)
@given(events, services)
def test_after_any_story_a_quiet_world_reaches_its_target_and_is_then_left_alone(story, service):
    state = {"service": service, "worst": None, "sha256": OLD, "retired": ""}
    world = World(the_desired(**state))
    for event in story:
        for _ in range(min(happen(world, event, state), 10)):
            world.tick()
    world.capacity.clear()
    world.down.clear()
    for machine in world.machines.values():
        machine.answers = None
    world.run(2400, step=10)
    assert not any(d.commands for d in world.run(60))
    target = world.desired.services[0].scaling.min_replicas
    assert world.ready() == len(world.machines) == target
    assert {world.health(i).bundle for i in world.machines} <= {state["sha256"]}


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2), st.data())
def test_commands_alone_never_leave_fewer_ready_than_one_below_the_target(replicas, surge, data):
    state = {
        "service": {"replicas": replicas, "extra": 0, "surge": surge},
        "worst": None,
        "sha256": OLD,
        "retired": "",
    }
    world = World(the_desired(**state))
    world.run(5)
    for _ in range(3):
        state["sha256"] = data.draw(st.sampled_from([OLD, NEW]))
        state["retired"] = data.draw(st.sampled_from([*ZONES, ""]))
        world.desired = the_desired(**state)
        for _ in range(data.draw(st.integers(1, 40))):
            world.tick()
            assert world.ready() >= replicas - 1


NEWEST = "c" * 64


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 2), st.sets(st.sampled_from([NEW, NEWEST])), st.data())
def test_rollouts_with_surge_never_leave_fewer_ready_than_needed_and_end_where_they_should(
    replicas, surge, broken, data
):
    base = data.draw(st.integers(0, 2))
    pools = [a_pool(z, market=m) for z in ZONES for m in (Market.SPOT, Market.ON_DEMAND)]
    service = a_service(replicas=replicas, surge=surge, base_on_demand=base)
    world = World(a_desired([service], pools), slow_s=data.draw(st.integers(0, 4)))
    world.run(10)
    world.broken = broken
    for _ in range(data.draw(st.integers(1, 4))):
        step = data.draw(st.sampled_from([OLD, NEW, NEWEST, *Action]))
        if isinstance(step, Action):
            world.wish(step)
        else:
            world.want(step)
        for _ in range(data.draw(st.integers(1, 40))):
            world.tick()
            assert world.ready() >= replicas
            assert len(world.machines) <= replicas + surge
    world.wish(Action.RESUME)
    world.run(150)
    assert not any(d.commands for d in world.run(20))
    assert world.ready() == len(world.machines) == replicas
    rollout, desired = world.rollout(), world.desired.services[0].bundle.sha256
    ended = RolloutPhase.DONE if rollout is None else rollout.phase
    assert ended in (RolloutPhase.DONE, RolloutPhase.FAILED, RolloutPhase.ABORTED)
    if ended is RolloutPhase.FAILED:
        assert desired in broken
    good = desired if ended is RolloutPhase.DONE else rollout.before
    assert set(world.bundles()) == {good}
    assert good not in broken
    assert world.memory.services["chat"].good == good
    on_demand = sum(world.pool(m.pool_id).market is Market.ON_DEMAND for m in world.machines.values())
    assert on_demand == min(base, replicas)
