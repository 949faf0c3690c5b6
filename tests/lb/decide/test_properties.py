"""What holds for every decision, whatever happens: checked on random stories."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lb.decide import Assign, Memory, SetSize, Terminate, decide
from lb.decide.lifecycle import move
from lb.decide.memory import ENVIRONMENT, Drain
from lb.decide.observed import Action, AgentState, EngineLoad, ProbeState
from lb.decide.scaling import with_spares
from lb.decide.settings import SOAK_S
from lb.decide.spend import counted, total
from spec.desired import OnExhausted, PoolState
from spec.names import Market
from spec.scaling import Pace, RateKind, RatePolicy, Schedule
from spec.status import ReplicaState, RolloutPhase
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

event = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 200)),
    st.tuples(st.just("lose"), st.integers(0, 20)),
    st.tuples(st.just("trouble"), st.integers(0, 20), st.sampled_from(TROUBLE)),
    st.tuples(st.just("preempt"), st.integers(0, 20), st.sampled_from([0, 10, 30, 60, 3600])),
    st.tuples(st.just("capacity"), st.sampled_from(ZONES), st.integers(0, 4)),
    st.tuples(st.just("no spot"), st.integers(0, 2)),
    st.tuples(st.just("replicas"), st.integers(0, 5)),
    st.tuples(st.just("bundle"), st.sampled_from([OLD, NEW])),
    st.tuples(st.just("retire"), st.sampled_from([*ZONES, ""])),
    st.tuples(st.just("forget")),
    st.tuples(st.just("crash"), st.integers(0, 4)),
    st.tuples(st.just("cloud"), st.booleans()),
    st.tuples(
        st.just("load"), st.floats(0, 9), st.integers(0, 3), st.sampled_from([None, None, 0.0, 0.4, 50.0])
    ),
    st.tuples(st.just("no load")),
    st.tuples(st.just("engines"), st.sampled_from([None, 0, 3, 40]), st.sampled_from([None, 0.1, 0.95])),
)
events = st.lists(event, max_size=12)

IN_THE_MORNING = Schedule(cron="0 8 * * *", duration_s=1200, min_replicas=2)
SLOWLY = Pace(policies=(RatePolicy(kind=RateKind.PODS, value=1, period_s=60),))

services = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 4),
        "extra": st.integers(0, 2),
        "surge": st.integers(0, 2),
        "qps": st.sampled_from([None, 1.0, {"l4": 2.0}]),
        "spares": st.integers(0, 1),
        "base": st.sampled_from([0, 0, 1]),
        "dynamic": st.booleans(),
        "scaling": st.sampled_from(
            [
                {},
                {"target_queue_per_replica": 2.0},
                {"target_inflight_per_replica": 2.0, "target_kv_cache_utilization": 0.5},
                {"target_ttft_ms": 500.0, "schedules": (IN_THE_MORNING,)},
                {"target_queue_per_replica": 2.0, "scale_up": SLOWLY, "scale_down": SLOWLY},
            ]
        ),
    }
)

money = st.fixed_dictionaries(
    {
        "worst": st.sampled_from([None, 0.5, 1.0, 2.0]),
        "month": st.sampled_from([None, 0.01, 0.03, 0.1, 5.0]),
        "on_exhausted": st.sampled_from(OnExhausted),
    }
)

CALM = {"extra": 0, "qps": None, "spares": 0, "base": 0, "dynamic": False, "scaling": {}}
NO_LIMIT = {"worst": None, "month": None, "on_exhausted": OnExhausted.HOLD}


def the_desired(service, money, *, sha256=OLD, retired=""):
    pools = [
        a_pool(
            zone,
            market=market,
            most=3 * service.get("nodes", 1),
            price=0.2 if market is Market.SPOT else 0.7,
            launch_usd=0.001,
            state=PoolState.RETIRING if zone == retired else PoolState.ACTIVE,
        )
        for zone in ZONES
        for market in (Market.SPOT, Market.ON_DEMAND)
    ]
    one = a_service(
        replicas=service["replicas"],
        most=service["replicas"] + service["extra"],
        surge=service["surge"],
        qps=service["qps"],
        spares=service["spares"],
        base_on_demand=service["base"],
        dynamic=service["dynamic"],
        sha256=sha256,
        num_nodes=service.get("nodes", 1),
        scaling=service.get("scaling"),
    )
    return a_desired([one], pools, fixed=0.1, **money)


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
        case ("preempt", n, seconds) if machines:
            machine = world.machines[machines[n % len(machines)]]
            machine.instance = replace(machine.instance, preempt_at=world.now + seconds)
        case ("capacity", zone, n):
            world.capacity[zone] = n
        case ("no spot", n):
            world.capacity |= {p.id: n for p in world.desired.pools if p.market is Market.SPOT}
        case ("replicas", n):
            state["service"] = {**state["service"], "replicas": n}
        case ("bundle", sha256):
            state["sha256"] = sha256
        case ("retire", zone):
            state["retired"] = zone
        case ("forget",):
            world.memory, world.lost_since = Memory(), world.now - 60
        case ("crash", n):
            world.crash(n)
        case ("cloud", answers):
            world.down = set() if answers else {"local"}
        case ("load", qps, held, hosted):
            busy = {"in_flight": qps, "served": qps / 2, "ttft_ms": 100 * qps}
            world.asks(float(f"{qps:.3g}"), held=held, hosted_usd_hour=hosted, **busy)
        case ("engines", waiting, kv_cache):
            world.busy = EngineLoad("", running=1, waiting=waiting, kv_cache=kv_cache)
        case ("no load",):
            world.load.clear()
    world.desired = the_desired(**state)
    return 3


def check_tick(world):
    """One tick, with everything that must hold of it."""
    spend, observed, now = world.memory.spend, world.observed(), world.now + 1
    decision = decide(world.desired, observed, world.memory, now)
    assert decision == decide(world.desired, observed, world.memory, now), "the same twice"
    again = decide(world.desired, replace(observed, outcomes=()), decision.memory, now)
    repeated = [c for c in again.commands if isinstance(c, SetSize | Terminate) and c in decision.commands]
    assert not repeated, "what was asked for is not asked for again"
    grown = [c for c in decision.commands if isinstance(c, SetSize)]
    assert len({c.pool_id for c in grown}) == len(grown), "one size per pool"
    backwards = world.desired.model_copy(update={"pools": world.desired.pools[::-1]})
    check_limits(world, decide(backwards, observed, world.memory, now))
    check_limits(world, decision)
    limit_s = world.desired.services[0].routing.drain_limit_s
    for replica in decision.memory.replicas.values():
        if replica.state is ReplicaState.READY and replica.preempt_at is not None:
            assert now < replica.preempt_at - limit_s, "it drains in time"
    after = decision.memory.spend
    if spend is not None and spend.month == after.month:
        before = counted(spend, now).usd
        assert all(counted(after, now).usd[part] >= usd - 1e-9 for part, usd in before.items())
    world.tick(1)


def check_limits(world, decision):
    """What a decision asks for is within every limit, or no worse than what there is."""
    before, machines_before = world.usd_hour(), len(world.machines)
    there = Counter(m.pool_id for m in world.machines.values())
    launches = [
        (world.pool(c.pool_id), c.size - there[c.pool_id])
        for c in decision.commands
        if isinstance(c, SetSize)
    ]
    usd_hour = before + sum(max(n, 0) * pool.price_usd_hour for pool, n in launches)
    machines = machines_before + sum(max(n, 0) for _, n in launches)
    service, budget = world.desired.services[0], world.desired.budget
    going = [m for m in world.machines.values() if m.instance.preempt_at is not None]
    most = service.scaling.max_replicas + service.scaling.surge
    assert 0 <= decision.targets["chat"] <= service.scaling.max_replicas
    assert machines <= max(machines_before, most + len(going))
    if budget.worst_usd_hour is not None:
        assert usd_hour <= max(before, budget.worst_usd_hour) + 1e-6
    spend = decision.memory.spend
    exhausted = spend.exhausted.get(ENVIRONMENT)
    if machines == machines_before or budget.usd_month is None:
        return
    if exhausted is None:
        fees = sum(max(n, 0) * pool.launch_usd for pool, n in launches)
        assert total(counted(spend, world.now + 1)) + fees + usd_hour / 60 <= budget.usd_month
    elif budget.on_exhausted is OnExhausted.HOLD:
        leaving = sum(world.pool(m.pool_id).price_usd_hour for m in going)
        assert usd_hour <= exhausted.usd_hour + leaving + 1e-6
    else:
        assert budget.on_exhausted is OnExhausted.FLOOR
        assert machines <= service.scaling.min_replicas + len(going)


@settings(max_examples=50, deadline=None)
@given(events, services, money, st.booleans())
def test_whatever_happens_limits_hold_and_nothing_is_asked_twice(story, service, money, refills):
    state = {"service": service, "money": money, "sha256": OLD, "retired": ""}
    world = World(the_desired(**state), refills=refills)
    for event in story:
        for _ in range(min(happen(world, event, state), 15)):
            check_tick(world)


@settings(max_examples=25, deadline=None)
@given(events, services)
def test_after_any_story_a_quiet_world_reaches_its_target_and_is_then_left_alone(story, service):
    state = {"service": service, "money": NO_LIMIT, "sha256": OLD, "retired": ""}
    world = World(the_desired(**state))
    for event in story:
        for _ in range(min(happen(world, event, state), 10)):
            world.tick()
    world.capacity.clear()
    world.down.clear()
    world.asks(0)
    world.busy = EngineLoad("", running=0, waiting=0, kv_cache=0.0)
    for machine in world.machines.values():
        machine.answers = None
    world.lapse(3 * 3600)
    assert not any(d.commands for d in world.run(60))
    scaling = world.desired.services[0].scaling
    target = with_spares(scaling, scaling.min_replicas)
    assert world.ready() == len(world.machines) == target
    assert {world.health(i).bundle for i in world.machines} <= {state["sha256"]}
    divided = scaling.base_ondemand_fallback_replicas or scaling.dynamic_ondemand_fallback
    if divided and scaling.max_replicas + scaling.surge > target:
        assert world.in_market(Market.ON_DEMAND) == min(scaling.base_ondemand_fallback_replicas, target)


@settings(max_examples=15, deadline=None)
@given(services, st.floats(0, 9), st.integers(0, 2), st.integers(0, 3))
def test_under_a_constant_load_nothing_flaps_however_short_the_capacity_is(service, qps, spot, zone_a):
    world = World(the_desired(service, NO_LIMIT))
    world.capacity = {p.id: spot for p in world.desired.pools if p.market is Market.SPOT} | {ZONES[0]: zone_a}
    world.lapse(3 * 3600, qps=lambda _: qps)
    before, launched = world.ready(), world.launched
    decisions = world.lapse(3 * 3600, qps=lambda _: qps)
    assert sum(len(d.commands) for d in decisions) <= 3 * 5 * len(world.desired.pools)
    assert (world.ready(), world.launched) == (before, launched)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2), st.data())
def test_commands_alone_never_leave_fewer_ready_than_one_below_the_target(replicas, surge, data):
    state = {
        "service": {**CALM, "replicas": replicas, "surge": surge},
        "money": NO_LIMIT,
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


def drained_already(world):
    """What is remembered, but for the announced replicas that still serve: these drain."""
    going = {i for i, m in world.machines.items() if m.instance.preempt_at is not None}

    def drains(replica):
        if replica.state is not ReplicaState.READY or replica.instance.instance_id not in going:
            return replica
        return move(replica, ReplicaState.DRAINING, now=replica.since, reason="", drain=Drain.LEAVE)

    return replace(world.memory, replicas={i: drains(r) for i, r in world.memory.replicas.items()})


CERTAIN = [
    t for t in TROUBLE if t.get("probe") is not ProbeState.FAILING and t.get("agent") is not AgentState.SILENT
]
quarrels = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 30)),
    st.tuples(st.just("lose"), st.integers(0, 20)),
    st.tuples(st.just("trouble"), st.integers(0, 20), st.sampled_from(CERTAIN)),
    st.tuples(st.just("preempt"), st.integers(0, 20), st.sampled_from([30, 60, 3600])),
    st.tuples(st.just("capacity"), st.sampled_from(ZONES), st.integers(0, 4)),
    st.tuples(st.just("replicas"), st.integers(0, 5)),
    st.tuples(st.just("bundle"), st.sampled_from([OLD, NEW])),
    st.tuples(st.just("retire"), st.sampled_from([*ZONES, ""])),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(quarrels, max_size=12),
    st.integers(0, 4),
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 30),
)
def test_a_replica_that_serves_under_notice_counts_no_more_than_one_that_drains(
    story, replicas, surge, base, slow_s
):
    state = {
        "service": {**CALM, "replicas": replicas, "surge": surge, "base": base},
        "money": NO_LIMIT,
        "sha256": OLD,
        "retired": "",
    }
    world = World(the_desired(**state))
    world.run(5)
    world.slow_s = slow_s
    for event in story:
        for _ in range(min(happen(world, event, state), 15)):
            desired, observed, now = world.desired, world.observed(), world.now + 1
            found = decide(desired, observed, world.memory, now)
            as_if = decide(desired, observed, drained_already(world), now)
            assert _launches(found) == _launches(as_if)
            assert found.targets == as_if.targets
            world.tick()


def _launches(decision):
    return [c for c in decision.commands if isinstance(c, SetSize | Assign)]


NEWEST = "c" * 64


def check_pace(world, surge):
    """Of machines on a bundle on trial all but `surge` have been ready for 10 s, and all but one until it is proven."""
    rollout = world.rollout()
    if rollout is None or rollout.phase not in (RolloutPhase.ROLLING, RolloutPhase.PAUSED):
        return
    new = [i for i in world.machines if world.bundle_of(i) == rollout.to]
    known = {r.instance.instance_id: r for r in world.memory.replicas.values()}
    fresh = [
        i for i in new if i not in known or known[i].state != "ready" or world.now < known[i].since + SOAK_S
    ]
    assert len(fresh) <= (max(1, surge) if rollout.proven else 1), rollout


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.sets(st.sampled_from([NEW, NEWEST])), st.data())
def test_rollouts_with_surge_never_leave_fewer_ready_than_needed_and_end_where_they_should(
    replicas, surge, broken, data
):
    """Broken bundles end at once, or up to 9 s after they were ready."""
    base = data.draw(st.integers(0, 2))
    pools = [
        a_pool(z, market=m, price=0.2 if m is Market.SPOT else 0.7)
        for z in ZONES
        for m in (Market.SPOT, Market.ON_DEMAND)
    ]
    dynamic, no_spot = data.draw(st.sampled_from([(False, False), (True, False), (True, True)]))
    service = a_service(replicas=replicas, surge=surge, base_on_demand=base, dynamic=dynamic)
    world = World(a_desired([service], pools), slow_s=data.draw(st.integers(0, 4)))
    if no_spot:
        world.capacity = {p.id: 0 for p in pools if p.market is Market.SPOT}
    world.run(20)
    lives_s = data.draw(st.integers(0, 9))
    world.broken, world.crashes = (set(), dict.fromkeys(broken, lives_s)) if lives_s else (broken, {})
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
            check_pace(world, surge)
    world.wish(Action.RESUME)
    world.run(250)
    assert no_spot or not any(d.commands for d in world.run(20))
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
    assert on_demand == (replicas if no_spot else min(base, replicas))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 3), st.integers(1, 9), st.integers(0, 4), st.data())
def test_a_version_whose_replicas_crash_before_they_have_soaked_always_goes_back(
    replicas, surge, lives_s, slow_s, data
):
    service = a_service(replicas=replicas, surge=surge)
    world = World(a_desired([service]), slow_s=slow_s, crashes={NEW: lives_s})
    world.run(10)
    world.want(NEW)
    losses = data.draw(st.lists(st.integers(0, 60), max_size=2))
    for second in range(250):
        if second in losses and world.machines:
            world.lose(next(iter(world.machines)))
        world.tick()
        assert len(world.machines) <= replicas + surge
        assert losses or world.ready() >= replicas - (surge == 0)
        assert world.bundles().count(NEW) <= 1
    assert world.rollout().phase is RolloutPhase.FAILED
    assert set(world.bundles()) == {OLD}
    assert world.ready() == len(world.machines) == replicas
