"""The product's own decisions as a policy of the simulator: the very `decide` that the controller runs.

The world's view becomes what a controller would observe: pools of one zone and market each, machines, how they fare, refusals.
Commands become orders. With requests the edge's reports go through `lb.observe.traffic`, so that the load is what a controller
makes of them. A replica that drains is ended at once here: the world lets it answer what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lb.clouds.protocol import Instance, InstancePhase, PoolObservation, Refusal
from lb.decide import Memory, Observed, decide
from lb.decide.commands import Command, Decision, SetSize, Terminate
from lb.decide.memory import Drain
from lb.decide.observed import AgentState, Assignment, EngineLoad, Health, Load, ProbeState
from lb.decide.settings import DRAIN_SETTLE_S
from lb.observe.traffic import Traffic
from sim.conditions import Conditions
from sim.fleet import EDGE, SERVICE
from sim.policy import Kind, Launch, Orders, Replica, Stage, View
from spec.desired import Bundle, Desired, Edge, Pool, Prices, Probe, Routing, Scaling, Service
from spec.names import Market, PoolKind, replica_id

_SHA256 = "0" * 64
_MARKETS = (Market.SPOT, Market.ON_DEMAND)
_EPOCH = 1_700_000_000.0
"""What the start of the trace is called, in epoch seconds."""


class Tradewind:
    """See `sim.policy.Policy`. `quiet_s`: how long nothing has to be looked at when nothing happens and all is well."""

    quiet_s = 300.0

    def __init__(
        self,
        conditions: Conditions,
        slo: float,
        scaling: Scaling | None = None,
        *,
        drain_limit_s: float = 0.0,
    ) -> None:
        """How the service is written.

        Args:
            conditions: what a controller knows of them.
            slo: the wanted availability, 0 to 1.
            scaling: how the number follows requests; None = it is told.
            drain_limit_s: how long requests may take: so long before the kill a replica under notice takes no more of them.
                Without requests there is nothing to wait for.

        """
        self._conditions, self._slo, self._scaling = conditions, slo, scaling
        self._drain_limit_s = drain_limit_s
        self._reported_at = _EPOCH
        self._traffic = Traffic(lambda: self._reported_at)
        self._memory = Memory()
        self._desired: Desired | None = None
        self._pools: Mapping[tuple[str, Market], Pool] = {}
        self._assignments: tuple[Assignment, ...] = ()
        self._refused: dict[str, tuple[Refusal, ...]] = {}
        self._prices: dict[str, Prices] = {}
        self._seen: dict[int, _Seen] = {}

    def step(self, view: View, now: float) -> Orders:
        """See Policy."""
        at = _EPOCH + now
        desired = self._desired_for(view)
        observed = self._observe(view)
        decision = _with_ends(desired, observed, decide(desired, observed, self._memory, at), at)
        changed = self._scaling is not None or decision.memory != self._memory
        self._memory = decision.memory
        if self._scaling is not None:
            view.target = decision.targets[SERVICE]
        return self._orders(decision.commands, view, now, changed=changed)

    # ------------------------------------------------------------ what is desired

    def _desired_for(self, view: View) -> Desired:
        if self._desired is None:
            self._pools = self._pools_for(view)
            self._assignments = tuple(Assignment(p.id, _SHA256) for p in self._pools.values())
        scaling = self._scaling or Scaling(min_replicas=view.target, max_replicas=view.target)
        if self._desired is None or self._desired.services[0].scaling.min_replicas != scaling.min_replicas:
            self._desired = Desired(
                schema=1,
                env="sim",
                generation="1",
                services=(self._service(scaling),),
                pools=tuple(self._pools.values()),
                edges=(Edge(id=EDGE, endpoint="http://127.0.0.1"),),
            )
        return self._desired

    def _service(self, scaling: Scaling) -> Service:
        more = {"surge": max(3, scaling.max_replicas), "slo": self._slo * 100}
        return Service(
            name=SERVICE,
            bundle=Bundle(sha256=_SHA256, run="serve", port=8000),
            probe=Probe(initial_delay_s=86400.0),
            scaling=scaling.model_copy(update=more),
            routing=Routing(drain_limit_s=self._drain_limit_s),
        )

    def _pools_for(self, view: View) -> Mapping[tuple[str, Market], Pool]:
        """One in every zone and market."""
        return {(z, m): self._pool(view, z, m) for z in view.zones for m in _MARKETS}

    def _pool(self, view: View, zone: str, market: Market) -> Pool:
        return Pool(
            id=f"{SERVICE}.sim.{zone}.L4x1.{market}",
            service=SERVICE,
            kind=PoolKind.VM,
            cloud="sim",
            region=zone.rpartition("-")[0] or zone,
            zone=zone,
            market=market,
            accelerator="L4",
            accelerator_count=1,
            instance_types=("sim",),
            max_size=10_000,
            cold_start_s=self._conditions.cold_start.total_s,
            launch_usd=self._conditions.launch_usd,
            prices=Prices(spot=view.spot_price[zone], on_demand=view.on_demand_price[zone]),
        )

    # ------------------------------------------------------------ what is observed

    def _observe(self, view: View) -> Observed:
        for event in view.events:
            if event.kind is Kind.REFUSED:
                pool = self._pools[event.zone, event.market]
                refusal = Refusal("insufficient_capacity", "no capacity", _EPOCH + event.at)
                self._refused[pool.id] = (refusal,)
        instances: dict[str, list[Instance]] = {pool.id: [] for pool in self._pools.values()}
        health, engines, before, self._seen = [], [], self._seen, {}
        for replica in view.replicas.values():
            if replica.stage is Stage.PENDING:
                continue
            pool, seen = self._pools[replica.zone, replica.market], before.get(replica.id)
            if seen is None or not seen.shows(replica):
                seen = _Seen.of(replica, pool)
            self._seen[replica.id] = seen
            instances[pool.id].append(seen.instance)
            health.append(seen.health)
            busy = view.demand.engines.get(replica.id) if view.demand else None
            if busy is not None:
                kv, gpu = round(busy.kv_cache, 2), round(busy.gpu, 2)
                engines.append(EngineLoad(seen.health.replica_id, busy.running, busy.waiting, kv, gpu))
        pools = []
        for (zone, market), pool in self._pools.items():
            size, refused = view.held[market][zone], self._refused.get(pool.id, ())
            pools.append(
                PoolObservation(
                    pool.id, size, tuple(instances[pool.id]), refused, self._prices_of(view, zone)
                )
            )
        return Observed(
            pools=tuple(pools),
            health=tuple(health),
            assignments=self._assignments,
            load=self._load(view),
            engines=tuple(engines),
        )

    def _prices_of(self, view: View, zone: str) -> Prices:
        spot, on_demand, known = view.spot_price[zone], view.on_demand_price[zone], self._prices.get(zone)
        if known is None or (known.spot, known.on_demand) != (spot, on_demand):
            known = self._prices[zone] = Prices(spot=spot, on_demand=on_demand)
        return known

    def _load(self, view: View) -> tuple[Load, ...]:
        """What the edge tells; of a number that is told, only who covers, which says what being short costs."""
        demand = view.demand
        if demand is None:
            return ()
        if self._scaling is None:
            found = () if demand.cover is None else (Load(SERVICE),)
        else:
            for at, report in demand.reports:
                self._reported_at = _EPOCH + at
                self._traffic.take(report)
            found = self._traffic.load([SERVICE])
        if demand.cover is None:
            return found
        usd_hour, most = demand.cover.usd_hour, demand.cover.most_usd_hour
        return tuple(replace(x, hosted_usd_hour=usd_hour, hosted_most_usd_hour=most) for x in found)

    # ------------------------------------------------------------ what is ordered

    def _orders(self, commands: Sequence[Command], view: View, now: float, *, changed: bool) -> Orders:
        places = {pool.id: place for place, pool in self._pools.items()} if commands else {}
        launch, end = [], []
        for command in commands:
            if isinstance(command, SetSize):
                zone, market = places[command.pool_id]
                more = command.size - view.held[market][zone]
                if more > 0:
                    launch.append(Launch(zone, market, more))
                elif more < 0:
                    pending = [
                        r.id
                        for r in view.replicas.values()
                        if r.stage is Stage.PENDING and (r.zone, r.market) == (zone, market)
                    ]
                    end += pending[more:]
            elif isinstance(command, Terminate):
                end.append(int(command.instance_id))
        busy = changed or bool(launch) or bool(end)
        wake = now + (self._conditions.tick_s if busy else self._next(now))
        return Orders(launch=tuple(launch), end=tuple(end), wake_at=wake)

    def _next(self, now: float) -> float:
        """Seconds until time alone may change the decision.

        A place that is left alone is tried again, at the latest; one that is announced to go has to drain.
        """
        moments = [p.not_before for p in self._memory.pools.values()]
        moments += [
            r.preempt_at - self._drain_limit_s
            for r in self._memory.replicas.values()
            if r.preempt_at is not None and r.drain is None
        ]
        soonest = [moment - _EPOCH - now for moment in moments if moment > _EPOCH + now]
        return max(self._conditions.tick_s, min([self.quiet_s, *soonest]))


def _with_ends(desired: Desired, observed: Observed, decision: Decision, at: float) -> Decision:
    """With the ends of those that begin to drain: nobody asks them any more, so they are idle before the world looks again."""
    if not any(r.drain is Drain.LEAVE and r.since == at for r in decision.memory.replicas.values()):
        return decision
    later = decide(desired, replace(observed, outcomes=()), decision.memory, at + DRAIN_SETTLE_S)
    sizes = {c.pool_id: c for d in (decision, later) for c in d.commands if isinstance(c, SetSize)}
    others = [c for d in (decision, later) for c in d.commands if not isinstance(c, SetSize)]
    return replace(later, commands=(*sizes.values(), *others))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A replica as it was observed; made anew only when it changes, because most don't between two steps."""

    stage: Stage
    preempt_at: float | None
    instance: Instance
    health: Health

    @classmethod
    def of(cls, replica: Replica, pool: Pool) -> _Seen:
        preempt_at = None if replica.preempt_at is None else _EPOCH + replica.preempt_at
        instance = Instance(
            str(replica.id),
            InstancePhase.RUNNING,
            "192.0.2.1",
            1,
            1,
            _EPOCH + replica.asked_at,
            preempt_at=preempt_at,
        )
        health = Health(
            replica_id(cloud=pool.cloud, region=pool.region, instance=instance.instance_id),
            AgentState.ANSWERS,
            phase="running",
            bundle=_SHA256,
            probe=ProbeState.OK if replica.stage is Stage.READY else ProbeState.UNKNOWN,
            in_flight=0,
        )
        return cls(replica.stage, replica.preempt_at, instance, health)

    def shows(self, replica: Replica) -> bool:
        """Whether it still looks like this."""
        return self.stage is replica.stage and self.preempt_at == replica.preempt_at
