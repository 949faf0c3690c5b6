"""The simulated clouds: what policies see and when, what is refused, taken and paid."""

import math
from array import array

import pytest

from sim.conditions import ColdStart, Conditions, Victim
from sim.policy import NOTHING, Kind, Launch, Orders, Stage
from sim.world import World
from spec.names import Market
from tests.sim.clouds import QUICK, a_trace

SPOT, ON_DEMAND = Market.SPOT, Market.ON_DEMAND


class Script:
    """Gives the orders of a moment when asked at or after it; notes what it saw."""

    def __init__(self, **orders):
        self.orders = [(float(at[1:]), o) for at, o in orders.items()]
        self.seen = []

    def step(self, view, now):
        self.seen.append((now, [(e.kind, e.id, e.count) for e in view.events], dict(view.ready)))
        if not self.orders:
            return NOTHING
        at, orders = self.orders[0]
        if now < at:
            return Orders(wake_at=at)
        self.orders.pop(0)
        wake_at = self.orders[0][0] if self.orders else None
        return Orders(orders.launch, orders.end, wake_at)

    def told(self, kind):
        return [(now, id_) for now, events, _ in self.seen for k, id_, _ in events if k is kind]


def run(script, trace, target=1, on_demand=None, **conditions):
    world = World(trace, Conditions(**{"cold_start": QUICK, **conditions}), target, on_demand=on_demand)
    return world.run(script)


def launch(zone="a", market=SPOT, count=1):
    return Orders(launch=(Launch(zone, market, count),))


def test_a_replica_is_pending_then_starting_then_ready_and_the_policy_is_asked_at_the_ticks_after():
    script = Script(t0=launch())
    run(script, a_trace(a=1), tick_s=50)
    assert script.told(Kind.STARTED) == [(50, 1)]
    assert script.told(Kind.READY) == [(150, 1)]
    assert len(script.seen) == 3


def test_a_machine_is_paid_for_from_its_order_until_its_end():
    script = Script(t600=launch(), t2400=Orders(end=(1,)))
    tally = run(script, a_trace(a=1))
    assert tally.spot_usd == pytest.approx(0.5)
    assert tally.reference_usd == pytest.approx(3.0)
    assert tally.result("x").cost_ratio == pytest.approx(0.5 / 3)


def test_a_launch_into_a_full_zone_costs_a_tick_and_no_money():
    script = Script(t0=launch(count=3))
    tally = run(script, a_trace(a=1))
    assert script.seen[1][:2] == (30, [(Kind.REFUSED, None, 2), (Kind.STARTED, 1, 1)])
    assert (tally.launches, tally.failed_launches, tally.calls) == (3, 2, 1)
    assert tally.spot_usd == pytest.approx(1.0)


def test_a_late_refusal_leaves_the_replica_pending_until_it_is_told():
    class Watches(Script):
        def step(self, view, now):
            orders = super().step(view, now)
            self.stages = [*getattr(self, "stages", []), (now, [r.stage for r in view.replicas.values()])]
            return orders

    script = Watches(t0=launch(), t150=NOTHING)
    run(script, a_trace(a=0), refusal_s=170)
    assert script.stages == [(0, []), (150, [Stage.PENDING]), (180, [])]


def test_the_newest_ends_when_capacity_falls_and_is_told_at_the_next_tick():
    script = Script(t0=launch(count=2), t300=launch())
    tally = run(script, a_trace(a=[(0, 3), (1000, 1)]), target=3)
    assert script.told(Kind.PREEMPTED) == [(1020, 2), (1020, 3)]
    assert tally.preemptions == 2
    assert tally.spot_usd == pytest.approx((3600 + 1000 + 700) / 3600)


def test_random_victims_are_the_same_for_the_same_seed():
    def lost(seed):
        script = Script(t0=launch(count=20))
        run(script, a_trace(a=[(0, 20), (1000, 10)]), victim=Victim.RANDOM, seed=seed)
        return [id_ for _, id_ in script.told(Kind.PREEMPTED)]

    assert lost(1) == lost(1)
    assert len(lost(1)) == 10
    assert lost(1) != lost(2)


def test_a_notice_comes_before_the_end_and_the_zone_gives_nothing_meanwhile():
    script = Script(t0=launch(), t930=launch())
    tally = run(script, a_trace(a=[(0, 1), (1000, 0)]), notice_s=120)
    assert script.told(Kind.NOTICED) == [(900, 1)]
    assert script.told(Kind.REFUSED) == [(960, None)]
    assert script.told(Kind.PREEMPTED) == [(1020, 1)]
    assert tally.spot_usd == pytest.approx(1000 / 3600)


def test_a_machine_ended_during_its_notice_is_no_preemption():
    script = Script(t0=launch(), t930=Orders(end=(1,)))
    tally = run(script, a_trace(a=[(0, 1), (1000, 0)]), notice_s=120)
    assert tally.preemptions == 0
    assert tally.spot_usd == pytest.approx(930 / 3600)


def test_a_machine_that_never_became_ready_can_be_preempted_and_never_becomes_ready():
    script = Script(t0=launch())
    tally = run(script, a_trace(a=[(0, 1), (100, 0)]))
    assert script.told(Kind.PREEMPTED) == [(120, 1)]
    assert script.told(Kind.READY) == []
    assert tally.result("x").zero_ready == 1.0


def test_on_demand_is_never_taken_but_may_be_refused():
    limits = a_trace(a=[(0, 1), (600, 0)])
    script = Script(t0=launch(market=ON_DEMAND), t900=launch(market=ON_DEMAND))
    tally = run(script, a_trace(a=0), on_demand=limits)
    assert script.told(Kind.REFUSED) == [(930, None)]
    assert tally.on_demand_usd == pytest.approx(3.0)
    assert tally.result("x").cost_ratio == pytest.approx(1.0)


def test_shares_begin_with_the_end_of_the_first_cold_start():
    result = run(Script(t0=launch(count=2)), a_trace(a=[(0, 2), (1860, 1)]), target=2).result("x")
    assert result.availability == pytest.approx(0.5)
    assert result.served == pytest.approx(0.75)
    assert result.zero_ready == 0.0


def test_where_nobody_can_be_ready_in_time_nothing_is_available():
    result = run(Script(t0=launch()), a_trace(end_s=1, a=1)).result("x")
    assert (result.availability, result.served, result.zero_ready) == (0.0, 0.0, 1.0)


def test_a_price_that_moves_changes_what_is_paid_from_then_on():
    trace = a_trace(a=2)
    trace.zones["a"].append(1800, 2, 5.0, 9.0)
    script = Script(t0=launch(count=2))
    tally = run(script, trace)
    assert tally.spot_usd == pytest.approx(2 * 0.5 * (1 + 5))
    assert tally.reference_usd == pytest.approx(0.5 * (3 + 9))
    assert script.seen[-1][0] == 1800


def test_a_start_costs_what_the_conditions_say_and_a_refusal_nothing():
    tally = run(Script(t0=launch(count=3)), a_trace(a=2), launch_usd=10)
    assert tally.launch_usd == 20
    assert tally.result("x").cost_usd == pytest.approx(22)


def test_a_target_that_changes_is_shown_when_it_does():
    script = Script(t0=launch())
    tally = run(script, a_trace(a=1), target=[(0, 1), (1800, 3)])
    assert script.seen[-1][0] == 1800
    assert tally.result("x").served == pytest.approx((1680 + 1800) / (1680 + 3 * 1800))


def test_a_policy_that_wants_to_be_woken_in_the_past_is_asked_at_the_next_tick():
    class Restless:
        asked = 0

        def step(self, view, now):
            self.asked += 1
            return Orders(wake_at=-5.0)

    policy = Restless()
    run(policy, a_trace(a=1))
    assert policy.asked == 3600 / 30


def test_a_policy_is_asked_at_every_tick_once_at_most():
    class Greedy:
        times = ()

        def step(self, view, now):
            self.times = (*self.times, now)
            return launch(zone="a", count=2)

    policy = Greedy()
    run(policy, a_trace(a=0), refusal_s=0)
    assert list(policy.times) == [30.0 * n for n in range(120)]


def test_ending_what_is_gone_already_changes_nothing_but_is_a_call():
    tally = run(Script(t0=Orders(end=(1, 2))), a_trace(a=1))
    assert tally.calls == 2


def test_progress_goes_up_to_the_end():
    told = []
    World(a_trace(a=1), Conditions(), 1).run(Script(), progress=told.append)
    assert told == sorted(told)


def test_every_moment_is_in_the_samples_of_a_run():
    samples = []
    world = World(a_trace(a=[(0, 1), (1000, 0)]), Conditions(cold_start=QUICK), 1, samples=samples)
    world.run(Script(t0=launch()))
    assert [(s.at, s.ready_spot) for s in samples if s.at in (0, 120, 1000)] == [(0, 0), (120, 1), (1000, 0)]
    assert samples[0].usd_hour == 1.0


def test_conditions_refuse_what_no_cloud_has():
    for wrong in ({"tick_s": 0}, {"notice_s": -1}, {"ratio": math.nan}, {"launch_usd": math.inf}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Conditions(**wrong)
    with pytest.raises(ValueError, match="pending_s"):
        ColdStart(-1, 3)


def test_a_series_is_compact():
    series = a_trace(a=[(0, 1), (5, 2)]).zones["a"]
    assert isinstance(series.times, array)


def test_notices_may_differ_by_zone():
    script = Script(t0=Orders(launch=(Launch("a", SPOT), Launch("b", SPOT))), t3000=NOTHING)
    lost = [(0, 1), (1800, 0)]
    run(script, a_trace(a=lost, b=lost), notices={"b": 120.0})
    assert script.told(Kind.NOTICED) == [(1680, 2)]
    assert script.told(Kind.PREEMPTED) == [(1800, 1), (1800, 2)]


def test_what_passes_during_a_warm_up_does_not_count():
    world = World(a_trace(a=1), Conditions(cold_start=QUICK), 1, warm_up_s=1800)
    tally = world.run(Script(t600=launch()))
    assert (tally.scored_s, tally.enough_s, tally.launches) == (1800, 1800, 0)
    assert tally.spot_usd == pytest.approx(0.5)
