"""What holds in the simulated clouds whatever anybody orders."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.conditions import ColdStart, Conditions, Victim
from sim.policy import Kind, Launch, Orders, Stage
from sim.world import World
from spec.names import Market
from tests.sim.clouds import a_trace

END = 7200
steps = st.lists(st.tuples(st.integers(1, END - 1), st.integers(0, 4)), max_size=8, unique_by=lambda s: s[0])
traces = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.tuples(st.integers(0, 4), steps), min_size=1)
conditions = st.builds(
    Conditions,
    cold_start=st.sampled_from([ColdStart(0, 1), ColdStart(30, 90), ColdStart(45, 555)]),
    tick_s=st.sampled_from([1.0, 7.0, 30.0]),
    refusal_s=st.sampled_from([0.0, 29.0, 180.0]),
    notice_s=st.sampled_from([0.0, 30.0, 120.0]),
    victim=st.sampled_from(Victim),
    seed=st.integers(0, 3),
)


class Monkey:
    """Orders anything, and checks what it sees against the trace."""

    def __init__(self, seed, trace):
        self.random, self.trace = random.Random(seed), trace
        self.ended = self.preempted = self.refused = 0
        self.noticed = {}

    def step(self, view, now):
        for event in view.events:
            self.preempted += event.kind is Kind.PREEMPTED
            self.refused += event.count if event.kind is Kind.REFUSED else 0
            if event.kind is Kind.NOTICED:
                self.noticed[event.id] = event.at
            if event.kind is Kind.PREEMPTED and self.noticed:
                assert event.id in self.noticed
        self.check(view, now)
        orders = Orders(
            launch=[
                Launch(self.random.choice(view.zones), self.random.choice([Market.SPOT, Market.ON_DEMAND]), n)
                for n in self.random.choices([1, 2, 3], k=self.random.randint(0, 2))
            ],
            end=[i for i in view.replicas if self.random.random() < 0.1],
            wake_at=now + self.random.choice([10, 200, 900]),
        )
        self.ended += len(orders.end)
        return orders

    def check(self, view, now):
        for zone in view.zones:
            here = [r for r in view.replicas.values() if (r.zone, r.market) == (zone, Market.SPOT)]
            assert len(here) == view.held[Market.SPOT][zone]
            running = [r for r in here if r.stage is not Stage.PENDING]
            assert len(running) <= self.trace.zones[zone].capacity_at(now)
        for market, ready in view.ready.items():
            assert ready == sum(r.stage is Stage.READY and r.market is market for r in view.replicas.values())


@settings(max_examples=150, deadline=None)
@given(traces, conditions, st.integers(0, 1000))
def test_no_zone_gives_more_than_it_has_and_nothing_is_lost_or_paid_twice(zones, given_conditions, seed):
    trace = a_trace(END, **{z: [(0, first), *sorted(more)] for z, (first, more) in zones.items()})
    monkey, samples = Monkey(seed, trace), []
    world = World(trace, given_conditions, 2, samples=samples)
    tally = world.run(monkey)
    left = len(world._view.replicas)
    unseen = [e for e in world._view.events if e.kind in (Kind.PREEMPTED, Kind.REFUSED)]
    gone = monkey.ended + monkey.preempted + monkey.refused + sum(e.count for e in unseen)
    assert tally.launches == gone + left
    paid = sum(
        s.usd_hour * (later - s.at) / 3600
        for s, later in zip(samples, [*(s.at for s in samples[1:]), END], strict=True)
    )
    assert abs(paid - tally.spot_usd - tally.on_demand_usd) < 1e-6


@settings(max_examples=25, deadline=None)
@given(traces, conditions, st.integers(0, 1000))
def test_the_same_seed_gives_the_same_run(zones, given_conditions, seed):
    trace = a_trace(END, **{z: [(0, first), *sorted(more)] for z, (first, more) in zones.items()})
    one, other = (World(trace, given_conditions, 2).run(Monkey(seed, trace)) for _ in range(2))
    assert one == other
