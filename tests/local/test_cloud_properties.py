"""What holds in the local cloud whatever happens: sizes, capacity and notices, on random stories.

The machines are played by this very process: nothing is started, and an end only takes the machine from the books.
"""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local import proctable
from local.cloud import LocalCloud
from local.errors import NoCapacity, OverMaximum
from local.machines import Machines
from local.processes import Registry

EAST, WEST = "local-east-a", "local-west-a"
POOLS = {"east": (EAST, "spot"), "east2": (EAST, "spot"), "west": (WEST, "spot"), "od": (EAST, "on_demand")}
MOST = 4
TRACE = f"""time_s,zone,capacity
0,{EAST},5
0,{WEST},2
100,{EAST},1
200,{EAST},6
200,{WEST},0
300,{WEST},3
"""

pools = st.sampled_from(sorted(POOLS))
zones = st.sampled_from([EAST, WEST])
events = st.lists(
    st.one_of(
        st.tuples(st.just("size"), pools, st.integers(0, MOST + 1)),
        st.tuples(st.just("terminate"), pools, st.integers(0, MOST)),
        st.tuples(st.just("die"), pools, st.integers(0, MOST)),
        st.tuples(st.just("capacity"), zones, st.integers(0, 6)),
        st.tuples(st.just("reset"), zones),
        st.tuples(st.just("preempt"), pools, st.integers(0, MOST), st.sampled_from([None, 0.0, 5.0, 60.0])),
        st.tuples(st.just("preempt zone"), zones),
        st.tuples(st.just("weather"), st.sampled_from([0.0, 30.0]), st.sampled_from([0.5, 1.0, 8.0])),
        st.tuples(st.just("wait"), st.sampled_from([1, 10, 31, 100])),
    ),
    max_size=25,
)


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        self.now += 0.001  # so that no two machines are of the same age
        return self.now


class Story:
    """A cloud, and what is known of its machines from the observation before."""

    def __init__(self, home):
        self.clock = Clock()
        self.cloud = LocalCloud(home, clock=self.clock)
        self.trace = home / "trace.csv"
        self.trace.write_text(TRACE)
        self.notices = {}
        self.dead = set()
        self.position = 0.0
        self.declare(30.0, 1.0)

    def declare(self, notice_s, speed):
        for pool_id, (zone, market) in POOLS.items():
            self.cloud.declare_pool(
                pool_id,
                region=zone[:-2],
                zone=zone,
                market=market,
                max_size=MOST,
                argv=["agent"],
                env={},
                bucket="file:///state",
                trace=self.trace,
                notice_s=notice_s,
                trace_speed=speed,
            )

    def machine(self, pool_id, n):
        pool = next(p for p in self.cloud.look().pools if p.pool_id == pool_id)
        return pool.machines[n % len(pool.machines)].instance_id if pool.machines else None

    def happen(self, event):
        match event:
            case ("size", pool_id, size):
                self.set_size(pool_id, size)
            case ("terminate", pool_id, n) if victim := self.machine(pool_id, n):
                self.cloud.terminate(pool_id, victim)
            case ("die", pool_id, n) if victim := self.machine(pool_id, n):
                file = self.cloud.home / "cloud" / "pools" / f"{pool_id}.json"
                known = json.loads(file.read_text())
                known["machines"][victim]["start_time"] = "another process"
                file.write_text(json.dumps(known))
                self.dead.add(victim)
            case ("capacity", zone, capacity):
                self.cloud.set_capacity(zone, capacity)
            case ("reset", zone):
                self.cloud.reset_capacity(zone)
            case ("preempt", pool_id, n, notice_s) if POOLS[pool_id][1] == "spot" and (
                victim := self.machine(pool_id, n)
            ):
                self.cloud.preempt(victim, notice_s=notice_s)
            case ("preempt zone", zone):
                self.cloud.preempt_zone(zone)
            case ("weather", notice_s, speed):
                self.declare(notice_s, speed)
            case ("wait", seconds):
                self.clock.now += seconds

    def set_size(self, pool_id, size):
        zone, market = POOLS[pool_id]
        before = self.in_zone(zone)
        try:
            self.cloud.set_size(pool_id, size)
        except OverMaximum:
            assert size > MOST
        except NoCapacity:
            assert market == "spot"
        if market == "spot":
            capacity = next(z.capacity for z in self.cloud.look().zones if z.zone == zone)
            assert self.in_zone(zone) <= max(before, capacity), "machines under notice hold their places"

    def in_zone(self, zone):
        return next(z.spot_machines for z in self.cloud.look().zones if z.zone == zone)

    def check(self):
        before = self.cloud.look()
        views = self.cloud.observe()
        after = self.cloud.look()
        assert tuple(views) == after.pools
        assert after.position_s >= self.position
        self.position = after.position_s
        for view in views:
            assert len(view.machines) <= view.size <= view.max_size
        known = {m.instance_id for p in before.pools for m in p.machines}
        assert {m.instance_id for v in views for m in v.machines} <= known, "nothing comes by itself"
        self.check_notices(views)
        for zone, then in zip(after.zones, before.zones, strict=True):
            if zone.capacity == then.capacity:
                untold = [m for m in spot(before.pools, zone.zone) if m.preempt_at is None]
                alive = [m for m in untold if m.instance_id not in self.dead and not m.ending]
                oldest = sorted(alive, key=lambda m: m.launched_at)[: zone.capacity]
                left = [m for m in spot(views, zone.zone) if m.preempt_at is None]
                assert sorted(left, key=lambda m: m.launched_at) == oldest

    def check_notices(self, views):
        now = {m.instance_id: m.preempt_at for v in views for m in v.machines}
        for view in views:
            for m in view.machines:
                if view.market == "on_demand":
                    assert m.preempt_at is None
                if m.preempt_at is not None:
                    assert m.preempt_at > self.clock.now - 0.1, "its time is over"
                    file = self.cloud.home / "machines" / m.instance_id / "notice.json"
                    assert json.loads(file.read_text())["preempt_at"] == m.preempt_at
        for instance_id, at in self.notices.items():
            assert now.get(instance_id, at) == at, "a notice is neither moved nor taken back"
        self.notices = {i: at for i, at in now.items() if at is not None}


def spot(pools, zone):
    return [m for p in pools if p.zone == zone and p.market == "spot" for m in p.machines]


@pytest.fixture
def books_only(monkeypatch):
    """Machines that are this process, and ends that end nothing."""
    me = proctable.read(os.getpid())

    def start(_self, _declared, _instance_id, machine):
        machine.pid, machine.start_time = me.pid, me.start_time

    monkeypatch.setattr(Machines, "start", start)
    monkeypatch.setattr(Registry, "end_all", lambda *_: [])
    return me


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events)
def test_sizes_capacity_and_notices_hold_whatever_happens(books_only, tmp_path_factory, story):
    told = Story(Path(tmp_path_factory.mktemp("home")))
    for event in story:
        told.happen(event)
        told.check()
