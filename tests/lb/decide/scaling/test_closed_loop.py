"""Scaling against replicas that really queue: what the number does to the load, and the load to the number.

A fluid model: each replica answers 2 requests per second, 2 s each; what it can't take waits. A start takes two minutes. Rates and
what is in flight are told as means of the last half minute, as the edges' sliding minute tells them.
"""

import math
from dataclasses import dataclass, field

from lb.decide.memory import ScalingMemory
from lb.decide.observed import EngineLoad, Load
from lb.decide.scaling import Supply, View, target
from tests.lb.world import START, a_pool, a_service

EACH, TAKES_S, START_S, STEP_S = 2.0, 2.0, 120, 5
POOL = a_pool().model_copy(update={"cold_start_s": float(START_S)})
HOURS = 6
ADVISED = {
    "target_inflight_per_replica": EACH * TAKES_S,
    "target_queue_per_replica": 2.0,
    "target_utilization": 0.8,
}


@dataclass
class Fleet:
    """Replicas, what waits for them, and what came of it."""

    ready_at: list[float] = field(default_factory=lambda: [-1e9] * 4)
    waiting: float = 0.0
    in_flight: float = 0.0
    qps: float = 0.0
    replica_hours: float = 0.0
    changes: int = 0
    late: float = 0.0
    came: float = 0.0

    def pass_(self, now, arriving):
        """A step of the model; returns what is seen of it."""
        ready = [at for at in self.ready_at if at <= now]
        can = len(ready) * EACH
        served = min(arriving + self.waiting / STEP_S, can)
        self.waiting = max(0.0, self.waiting + (arriving - served) * STEP_S)
        share = STEP_S / 30
        in_flight = served * TAKES_S + self.waiting
        self.in_flight += (in_flight - self.in_flight) * share
        self.qps += (arriving - self.qps) * share
        self.replica_hours += len(self.ready_at) * STEP_S / 3600
        self.came += arriving
        self.late += arriving if self.waiting > 5 * can else 0
        ids = tuple(f"r{n}" for n in range(len(ready)))
        queue = int(self.waiting / len(ready))
        engines = {i: EngineLoad(i, running=round(served * TAKES_S / len(ready)), waiting=queue) for i in ids}
        load = Load(
            "chat",
            float(f"{self.qps:.3g}"),
            active=int(in_flight),
            in_flight=float(f"{self.in_flight:.3g}"),
            served=float(f"{served:.3g}"),
        )
        alive, serving = (1,) * len(self.ready_at), (1,) * len(ready)
        supply = Supply(alive, POOL, ready=ids, serving=serving, settled=len(ready))
        return View(load, engines, supply)

    def become(self, number, now):
        """Starts what is missing; ends what is too much, the last first."""
        self.ready_at += [now + START_S] * (number - len(self.ready_at))
        del self.ready_at[number:]


def live(arriving, **targets):
    """The fleet after six hours of that load."""
    service = a_service(replicas=1, most=50, scaling=targets)
    fleet, memory = Fleet(), ScalingMemory(4)
    for second in range(0, HOURS * 3600, STEP_S):
        view = fleet.pass_(second, arriving(second))
        number, memory, _ = target(service, view, memory, START + second)
        fleet.changes += number != len(fleet.ready_at)
        fleet.become(number, second)
    return fleet


def least(arriving):
    """Replica-hours of as many as the load needs at each moment, to the second."""
    return sum(math.ceil(arriving(s) / EACH) for s in range(0, HOURS * 3600, STEP_S)) * STEP_S / 3600


def steady(_):
    return 9.0


def tripled(second):
    return 27.0 if 3600 <= second < 3 * 3600 else 9.0


def test_a_constant_load_finds_its_number_and_stays_there():
    fleet = live(steady, **ADVISED)
    assert fleet.changes <= 7
    assert fleet.replica_hours <= 1.3 * least(steady)
    assert fleet.late / fleet.came <= 0.03


def test_a_load_that_triples_is_served_again_in_minutes_and_given_back():
    fleet = live(tripled, **ADVISED)
    assert fleet.late / fleet.came <= 0.05
    assert fleet.replica_hours <= 1.6 * least(tripled)
    assert len(fleet.ready_at) <= 6


def test_a_queue_alone_hunts_but_never_runs_away():
    fleet = live(steady, target_queue_per_replica=2.0)
    assert fleet.replica_hours <= 1.3 * least(steady)
    assert fleet.changes <= 40
    assert max(4, len(fleet.ready_at)) <= 10


def test_requests_per_second_alone_wait_for_the_delay_and_then_hold():
    fleet = live(steady, target_qps_per_replica=EACH)
    assert fleet.changes == 1
    assert len(fleet.ready_at) == 5
