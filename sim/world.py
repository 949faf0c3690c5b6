"""The simulated clouds that every policy runs against: launches, refusals, notices, preemptions, cold starts and bills.

Event driven: the world moves from change to change, and asks the policy at the first tick after one. So 45 quiet days cost
as much as their changes, and the tick only says how late a policy learns of something.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sim.ahead import least_ahead
from sim.conditions import Conditions, Victim
from sim.fleet import Fleet
from sim.metrics import Tally
from sim.policy import Event, Kind, Launch, Policy, Replica, Stage, View
from sim.serving import Serving
from sim.trace import Trace
from spec.names import Market

_SPOT, _ON_DEMAND = Market.SPOT, Market.ON_DEMAND
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """From `at` on, seconds since the trace began: replicas and USD per hour, until the next sample."""

    at: float
    target: int
    ready_spot: int
    ready_on_demand: int
    usd_hour: float
    reference_usd_hour: float


class _Due(IntEnum):
    """What the calendar holds; at the same moment the lower comes first, so that an end comes before a readiness."""

    SCORE = 0
    TARGET = 1
    CAPACITY = 2
    PRICE = 3
    END = 4
    REFUSE = 5
    START = 6
    READY = 7


class World:
    """One run of one policy; make a new one for each.

    Args:
        trace: spot capacity and prices; `priced` fills in what is unknown.
        conditions: everything else about the clouds.
        target: how many replicas are wanted: a number, or (from when, how many), the first from 0.
        on_demand: capacity for on demand in the same zones; None = always enough. What runs there is never taken.
        samples: where to note the course of the run, for a picture.
        fleet: who answers requests; then the run is as long as they are told to be, and the policy sets the target.
        warm_up_s: what passes before anything counts, so that nothing is held against a policy for having just begun.

    """

    def __init__(
        self,
        trace: Trace,
        conditions: Conditions,
        target: int | Sequence[tuple[float, int]],
        *,
        on_demand: Trace | None = None,
        samples: list[Sample] | None = None,
        fleet: Fleet | None = None,
        warm_up_s: float = 0.0,
    ) -> None:
        self._conditions = conditions
        self._serving = None if fleet is None else Serving(fleet, self._pay)
        self._end = trace.end_s if fleet is None else fleet.end_s
        self._trace = trace.priced(conditions.ratio)
        self._random = random.Random(f"victims {conditions.seed}")
        zones = tuple(self._trace.zones)
        self._view = View(
            target=0,
            zones=zones,
            held={m: dict.fromkeys(zones, 0) for m in (_SPOT, _ON_DEMAND)},
            ready={_SPOT: 0, _ON_DEMAND: 0},
        )
        self._limit: dict[Market, dict[str, float]] = {
            _SPOT: dict.fromkeys(zones, 0),
            _ON_DEMAND: dict.fromkeys(zones, math.inf if on_demand is None else 0),
        }
        self._taken = {m: dict.fromkeys(zones, 0) for m in (_SPOT, _ON_DEMAND)}
        """By market and zone: machines that the cloud gave and that have no notice."""
        self._rate = {_SPOT: 0.0, _ON_DEMAND: 0.0}
        self._reference = 0.0
        self._tally = Tally()
        self._samples = samples
        self._noted: tuple = ()
        self._scored = False
        self._at = 0.0
        self._next_id = 0
        self._given: set[int] = set()
        self._changed = True
        self._asked = -math.inf
        self._calendar: list[tuple] = []
        self._seq = 0
        self._plan(target, on_demand)
        if warm_up_s > 0:
            self._put(warm_up_s, _Due.SCORE, self._begin_anew)

    def run(self, policy: Policy, *, progress: Callable[[float], None] | None = None) -> Tally:
        """Until the trace ends. `progress` is told the time now and then, seconds since the trace began."""
        calendar, tick, end = self._calendar, self._conditions.tick_s, self._end
        step_at, shown = 0.0, 0.0
        while True:
            at = calendar[0][0] if calendar else math.inf
            if min(at, step_at) >= end:
                break
            if at <= step_at:
                self._pass_until(at)
                while calendar and calendar[0][0] == at:
                    _, _, _, due, *about = heapq.heappop(calendar)
                    due(*about)
                if self._changed:
                    step_at = min(step_at, self._tick_after(at))
            else:
                self._pass_until(step_at)
                wake_at = self._step(policy, step_at)
                step_at = math.inf if wake_at is None else max(self._tick_after(wake_at), step_at + tick)
            if progress is not None and self._at - shown > end / 200:
                shown = self._at
                progress(shown)
        self._pass_until(end)
        if self._serving is not None:
            self._tally.hosted_usd = self._serving.finish()
        return self._tally

    # ------------------------------------------------------------ time

    def _plan(self, target: int | Sequence[tuple[float, int]], on_demand: Trace | None) -> None:
        """Everything that will happen whatever the policy does."""
        for zone, series in self._trace.zones.items():
            notice = self._conditions.notice_of(zone)
            for at, capacity in least_ahead(series.times, series.capacity, notice):
                self._put(at, _Due.CAPACITY, self._set_capacity, zone, capacity)
            before = (math.nan, math.nan)
            for i, at in enumerate(series.times):
                prices = series.spot[i], series.on_demand[i]
                if prices != before:
                    self._put(at if i else 0.0, _Due.PRICE, self._set_prices, zone, *prices)
                before = prices
        if on_demand is not None:
            for zone in self._trace.zones:
                series = on_demand.zones[zone]
                for at, capacity in zip(series.times, series.capacity, strict=True):
                    self._put(at, _Due.CAPACITY, self._limit[_ON_DEMAND].__setitem__, zone, capacity)
        for at, wanted in [(0.0, target)] if isinstance(target, int) else target:
            self._put(at, _Due.TARGET, self._set_target, wanted)
        first = self._conditions.cold_start.total_s
        self._put(first if first < self._end else 0.0, _Due.SCORE, self._begin_score)

    def _put(self, at: float, due: _Due, call: Callable[..., None], *about: object) -> None:
        self._seq += 1
        heapq.heappush(self._calendar, (at, due, self._seq, call, *about))

    def _tick_after(self, at: float) -> float:
        """The first tick at or after that moment at which the policy was not asked yet."""
        tick = self._conditions.tick_s
        return max(math.ceil(at / tick - 1e-9) * tick, self._asked + tick)

    def _pass_until(self, at: float) -> None:
        seconds = at - self._at
        if seconds <= 0:
            return
        view, tally = self._view, self._tally
        ready = view.ready
        rate = self._rate
        tally.pass_time(
            seconds, target=view.target, ready=ready[_SPOT] + ready[_ON_DEMAND], scored=self._scored
        )
        tally.pay(seconds / _HOUR, spot=rate[_SPOT], on_demand=rate[_ON_DEMAND], reference=self._reference)
        if self._samples is not None:
            self._note(self._samples)
        self._at = at

    def _note(self, samples: list[Sample]) -> None:
        """Only where something differs from the sample before."""
        ready, rate = self._view.ready, self._rate
        values = (
            self._view.target,
            ready[_SPOT],
            ready[_ON_DEMAND],
            rate[_SPOT] + rate[_ON_DEMAND],
            self._reference,
        )
        if values != self._noted:
            self._noted = values
            samples.append(Sample(self._at, *values))

    def _step(self, policy: Policy, now: float) -> float | None:
        self._asked = now
        self._changed = False
        before = self._view.target
        if self._serving is not None:
            self._view.demand = self._serving.look(now)
        orders = policy.step(self._view, now)
        self._view.events.clear()
        if self._view.target != before:
            self._refer()
        for id_ in orders.end:
            self._tally.calls += 1
            if id_ in self._view.replicas:
                replica = self._view.replicas[id_]
                if self._serving is not None:
                    self._serving.end(replica, now, self._price(replica.market)[replica.zone])
                self._remove(replica)
        for launch in orders.launch:
            self._launch(launch, now)
        return orders.wake_at

    # ------------------------------------------------------------ what the policy orders

    def _launch(self, launch: Launch, now: float) -> None:
        """A machine is paid for from the order on; whether the zone has it shows at once, but is told later."""
        conditions, market, zone = self._conditions, launch.market, launch.zone
        self._tally.calls += 1
        self._tally.launches += launch.count
        room = self._limit[market][zone] - self._taken[market][zone]
        given = int(max(0, min(launch.count, room)))
        for _ in range(given):
            replica = self._add(launch, now)
            self._taken[market][zone] += 1
            self._given.add(replica.id)
            self._rate[market] += self._price(market)[zone]
            self._tally.launch_usd += conditions.launch_usd
            self._put(now + conditions.cold_start.pending_s, _Due.START, self._start, replica)
            self._put(now + conditions.cold_start.total_s, _Due.READY, self._become_ready, replica)
        refused = launch.count - given
        self._tally.failed_launches += refused
        if refused and conditions.refusal_s < conditions.tick_s:
            self._put(now + conditions.refusal_s, _Due.REFUSE, self._refuse_at_once, launch, refused)
            return
        for _ in range(refused):
            self._put(now + conditions.refusal_s, _Due.REFUSE, self._refuse, self._add(launch, now))

    def _add(self, launch: Launch, now: float) -> Replica:
        self._next_id += 1
        replica = Replica(self._next_id, launch.zone, launch.market, now)
        self._view.replicas[replica.id] = replica
        self._view.held[launch.market][launch.zone] += 1
        return replica

    def _pay(self, market: Market, usd_hour: float) -> None:
        self._rate[market] += usd_hour

    def _remove(self, replica: Replica) -> None:
        view, market, zone = self._view, replica.market, replica.zone
        del view.replicas[replica.id]
        view.held[market][zone] -= 1
        if replica.stage is Stage.READY:
            view.ready[market] -= 1
        if replica.id in self._given:
            self._given.remove(replica.id)
            self._rate[market] -= self._price(market)[zone]
            if replica.preempt_at is None:
                self._taken[market][zone] -= 1

    def _price(self, market: Market) -> dict[str, float]:
        return self._view.spot_price if market is _SPOT else self._view.on_demand_price

    # ------------------------------------------------------------ what happens

    def _say(self, kind: Kind, replica: Replica) -> None:
        self._changed = True
        self._view.events.append(Event(kind, replica.id, replica.zone, replica.market, self._at))

    def _start(self, replica: Replica) -> None:
        if replica.id in self._given:
            replica.stage = Stage.STARTING
            self._say(Kind.STARTED, replica)

    def _become_ready(self, replica: Replica) -> None:
        if replica.id in self._given:
            replica.stage = Stage.READY
            self._view.ready[replica.market] += 1
            if self._serving is not None:
                self._serving.begin(replica, self._at)
            self._say(Kind.READY, replica)

    def _refuse(self, replica: Replica) -> None:
        if replica.id in self._view.replicas:
            self._remove(replica)
            self._say(Kind.REFUSED, replica)

    def _refuse_at_once(self, launch: Launch, count: int) -> None:
        self._changed = True
        event = Event(Kind.REFUSED, None, launch.zone, launch.market, self._at, count)
        self._view.events.append(event)

    def _preempt(self, replica: Replica) -> None:
        if self._serving is not None:
            self._serving.lose(replica, self._at)
        if replica.id in self._given:
            self._remove(replica)
            self._tally.preemptions += 1
            self._say(Kind.PREEMPTED, replica)

    def _set_capacity(self, zone: str, capacity: int) -> None:
        self._limit[_SPOT][zone] = capacity
        surplus = self._taken[_SPOT][zone] - capacity
        if surplus <= 0:
            return
        standing = [
            r
            for r in self._view.replicas.values()
            if r.zone == zone and r.market is _SPOT and r.preempt_at is None and r.id in self._given
        ]
        if self._conditions.victim is Victim.RANDOM:
            self._random.shuffle(standing)
        for replica in standing[-surplus:]:
            notice = self._conditions.notice_of(zone)
            if notice <= 0:
                self._preempt(replica)
                continue
            self._taken[_SPOT][zone] -= 1
            replica.preempt_at = self._at + notice
            self._say(Kind.NOTICED, replica)
            self._put(replica.preempt_at, _Due.END, self._preempt, replica)

    def _set_prices(self, zone: str, spot: float, on_demand: float) -> None:
        view = self._view
        for market, price in ((_SPOT, spot), (_ON_DEMAND, on_demand)):
            before = self._price(market).get(zone, 0.0)
            if not view.held[market][zone]:
                self._price(market)[zone] = price
                continue
            paid = sum(
                r.id in self._given for r in view.replicas.values() if (r.zone, r.market) == (zone, market)
            )
            self._rate[market] += paid * (price - before)
            self._price(market)[zone] = price
        self._refer()
        self._changed = True

    def _set_target(self, target: int) -> None:
        self._view.target = target
        self._refer()
        self._changed = True

    def _refer(self) -> None:
        prices = self._view.on_demand_price.values()
        self._reference = self._view.target * min(prices, default=0.0)

    def _begin_score(self) -> None:
        self._scored = True

    def _begin_anew(self) -> None:
        self._tally = Tally()
