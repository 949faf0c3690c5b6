"""A small world for tests of decisions: a desired state, a cloud that obeys, and replicas that do as they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lb.clouds.protocol import Instance, InstancePhase, PoolObservation, Refusal
from lb.decide import (
    Assign,
    AssignGangs,
    Decision,
    Health,
    Memory,
    Observed,
    Outcome,
    SetSize,
    Terminate,
    decide,
)
from lb.decide.observed import Action, AgentState, Assignment, EngineLoad, Load, ProbeState, Wish
from spec.desired import (
    Budget,
    Bundle,
    Desired,
    Edge,
    OnExhausted,
    Pool,
    PoolState,
    Prices,
    Probe,
    Routing,
    Scaling,
    Service,
)
from spec.names import Market, PoolKind, pool_id, replica_id

OLD, NEW = "a" * 64, "b" * 64
START = 1_800_000_000.0
ZONES = ("local-east-a", "local-east-b", "local-west-a")


def a_service(
    name="chat",
    *,
    replicas=2,
    most=None,
    surge=1,
    sha256=OLD,
    probe=None,
    worst=None,
    base_on_demand=0,
    dynamic=False,
    qps=None,
    spares=0,
    month=None,
    on_exhausted=OnExhausted.HOLD,
    num_nodes=1,
    scaling=None,
):
    """`scaling`: further fields of it."""
    return Service(
        name=name,
        num_nodes=num_nodes,
        bundle=Bundle(sha256=sha256, run="serve", port=8000),
        probe=probe or Probe(),
        scaling=Scaling(
            min_replicas=replicas,
            max_replicas=replicas if most is None else most,
            surge=surge,
            target_qps_per_replica=qps,
            num_overprovision=spares,
            base_ondemand_fallback_replicas=base_on_demand,
            dynamic_ondemand_fallback=dynamic,
        ).model_copy(update=scaling or {}),
        routing=Routing(drain_limit_s=20),
        budget=Budget(worst_usd_hour=worst, usd_month=month, on_exhausted=on_exhausted),
    )


def a_pool(
    zone=ZONES[0],
    *,
    service="chat",
    market=Market.SPOT,
    most=8,
    price=0.2,
    state=PoolState.ACTIVE,
    cloud="local",
    accelerator="L4",
    launch_usd=0.0,
):
    return Pool(
        id=pool_id(service=service, cloud=cloud, place=zone, accelerator=accelerator, count=1, market=market),
        service=service,
        kind=PoolKind.PROCESS,
        cloud=cloud,
        region=zone[:-2],
        zone=zone,
        market=market,
        accelerator=accelerator,
        accelerator_count=1,
        instance_types=("local-l4",),
        max_size=most,
        launch_usd=launch_usd,
        prices=Prices(spot=price, on_demand=price),
        state=state,
    )


def a_desired(services=None, pools=None, *, worst=None, fixed=0.0, month=None, on_exhausted=OnExhausted.HOLD):
    services = (a_service(),) if services is None else tuple(services)
    pools = tuple(a_pool(z) for z in ZONES) if pools is None else tuple(pools)
    return Desired(
        schema=1,
        env="dev",
        generation="g1",
        services=services,
        pools=pools,
        edges=(Edge(id="edge-1", endpoint="http://127.0.0.1:18080"),),
        budget=Budget(worst_usd_hour=worst, usd_month=month, on_exhausted=on_exhausted),
        fixed_usd_hour=fixed,
    )


@dataclass
class Machine:
    """One machine of the fake cloud. `answers`: what its engine says, once its agent runs the assigned bundle."""

    pool_id: str
    instance: Instance
    answers: Health | None = None


@dataclass
class World:
    """Carries commands out at once, and shows what comes of it.

    `capacity`: machines that fit, by zone or for one pool alone by its id; unlimited where nothing is said.
    """

    desired: Desired
    now: float = START
    memory: Memory = field(default_factory=Memory)
    capacity: dict[str, int] = field(default_factory=dict)
    refills: bool = False
    frozen: str | None = None
    down: set[str] = field(default_factory=set)
    machines: dict[str, Machine] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, list[Refusal]] = field(default_factory=dict)
    assignments: dict[str, Assignment] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    launched: int = 0
    last: Decision | None = None
    seen: Observed | None = None
    """What the last decision was made from."""
    mute: bool = False
    load: dict[str, Load] = field(default_factory=dict)
    busy: EngineLoad | None = None
    """What every engine tells of itself."""
    broken: set[str] = field(default_factory=set)
    """Bundles whose engines end at once."""
    crashes: dict[str, float] = field(default_factory=dict)
    """Bundles whose engines get ready and end so many seconds later."""
    slow_s: float = 0.0
    """How long an engine takes to be ready after its machine got another bundle."""
    switched: dict[str, tuple[str | None, float]] = field(default_factory=dict)
    """What each machine runs, and from when on it is ready."""
    wishes: tuple[Wish, ...] = ()
    lost_since: float | None = None
    paid: float = 0.0
    nodes_of: dict[str, int] = field(default_factory=dict)
    """Machines that a replica of each bundle consists of."""

    def pool(self, pool_id_: str) -> Pool:
        return next(p for p in self.desired.pools if p.id == pool_id_)

    def rid(self, instance_id: str) -> str:
        machine = self.machines[instance_id]
        pool = self.pool(machine.pool_id)
        return replica_id(cloud=pool.cloud, region=pool.region, instance=instance_id)

    def observed(self) -> Observed:
        pools = []
        for pool in self.desired.pools:
            if pool.cloud in self.down:
                pools.append(PoolObservation(pool.id, 0, error="unreachable"))
                continue
            instances = tuple(m.instance for m in self.machines.values() if m.pool_id == pool.id)
            pools.append(
                PoolObservation(
                    pool.id,
                    self.sizes.get(pool.id, 0),
                    instances,
                    tuple(self.refusals.get(pool.id, ())),
                    pool.prices,
                )
            )
        return Observed(
            frozen=self.frozen,
            pools=tuple(pools),
            health=() if self.mute else tuple(self.health(i) for i in self.machines),
            assignments=tuple(self.assignments.values()),
            outcomes=tuple(self.outcomes),
            refills=("local",) if self.refills else (),
            load=tuple(self.load.values()),
            engines=tuple(replace(self.busy, replica_id=self.rid(i)) for i in self.machines)
            if self.busy
            else (),
            wishes=self.wishes,
            lost_since=self.lost_since,
        )

    def asks(self, qps: float, *, held: int = 0, active: int = 0, service: str = "chat", **more) -> None:
        """From now on callers ask for so much, as the edges tell it."""
        self.load[service] = Load(service, qps, active, held, **more)

    def health(self, instance_id: str) -> Health:
        machine = self.machines[instance_id]
        rid = self.rid(instance_id)
        if machine.answers is not None:
            return replace(machine.answers, replica_id=rid)
        bundle = self.bundle_of(instance_id)
        if self.switched.get(instance_id, (None, 0.0))[0] != bundle:
            self.switched[instance_id] = (bundle, self.now + self.slow_s)
        gang = next((g for g in self.assignment(instance_id).gangs if instance_id in g.nodes), None)
        if self.nodes_of.get(bundle or "", 1) != (len(gang.nodes) if gang else 1):
            return Health(rid, AgentState.ANSWERS, phase="waiting", bundle=bundle)
        up = Health(rid, AgentState.ANSWERS, phase="running", bundle=bundle, probe=ProbeState.OK, in_flight=0)
        if bundle in self.broken:
            return replace(up, phase="failed", message="exit code 3", probe=ProbeState.UNKNOWN)
        ready_at = self.switched[instance_id][1]
        if bundle in self.crashes and self.now >= ready_at + self.crashes[bundle]:
            return replace(up, phase="failed", message="exit code 139", probe=ProbeState.REFUSED)
        if self.now < ready_at:
            return replace(up, probe=ProbeState.REFUSED)
        return up

    def bundle_of(self, instance_id: str) -> str | None:
        """What that machine was told to run."""
        return self.assignment(instance_id).of(instance_id)

    def assignment(self, instance_id: str) -> Assignment:
        """What the machines of that machine's pool were told."""
        pool_id_ = self.machines[instance_id].pool_id
        return self.assignments.get(pool_id_, Assignment(pool_id_))

    def bundles(self) -> list[str | None]:
        """What each machine was told to run, oldest machine first."""
        return [self.bundle_of(i) for i in self.machines]

    def wish(self, action: Action, service: str = "chat") -> Decision:
        """An operator asks; a tick passes."""
        self.wishes = (*self.wishes, Wish(f"01WISH{len(self.wishes):04d}", service, action))
        return self.tick()

    def want(self, sha256: str, **scaling) -> None:
        """The service's bundle changes, and its scaling when that is given."""
        service = self.desired.services[0]
        changes = {
            "bundle": service.bundle.model_copy(update={"sha256": sha256}),
            "scaling": service.scaling.model_copy(update=scaling),
        }
        self.desired = self.desired.model_copy(update={"services": (service.model_copy(update=changes),)})

    def rollout(self):
        """The rollout of the only service; None when there was none."""
        return self.memory.services[self.desired.services[0].name].rollout

    def tick(self, seconds: float = 1.0) -> Decision:
        """Time passes and is paid for, a decision is made and carried out."""
        self.now += seconds
        self.paid += self.usd_hour() * seconds / 3600
        self.nodes_of |= {s.bundle.sha256: s.num_nodes for s in self.desired.services}
        self.seen = self.observed()
        decision = decide(self.desired, self.seen, self.memory, self.now)
        self.memory, self.last, self.outcomes = decision.memory, decision, []
        for command in decision.commands:
            self.carry_out(command)
        return decision

    def run(self, seconds: float, step: float = 1.0) -> list[Decision]:
        return [self.tick(step) for _ in range(int(seconds / step))]

    def lapse(self, seconds: float, *, qps: Callable[[float], float] | None = None) -> list[Decision]:
        """Time passes, in small steps while something happens and in ever larger ones, up to a minute, while nothing does.

        `qps`: the load at each moment, by the seconds since the beginning.
        """
        decisions, passed, step = [], 0.0, 1.0
        while passed < seconds:
            passed += step
            if qps is not None:
                self.asks(float(f"{qps(passed):.3g}"))
            decisions.append(self.tick(step))
            step = 1.0 if decisions[-1].commands else min(step * 2, 60.0, max(1.0, seconds - passed))
        return decisions

    def crash(self, carried_out: int) -> None:
        """The controller dies after it has written a decision down and carried out only the first of its commands."""
        self.now += 1
        decision = decide(self.desired, self.observed(), self.memory, self.now)
        for command in decision.commands[:carried_out]:
            self.carry_out(command)
        self.outcomes = []
        self.now += 5
        self.memory = decision.memory.resumed(written_at=self.now - 5, now=self.now)

    def carry_out(self, command) -> None:
        match command:
            case Assign(pool_id_, None, sha256):
                self.assignments[pool_id_] = replace(
                    self.assignments.get(pool_id_, Assignment(pool_id_)), default=sha256
                )
            case Assign(pool_id_, instance_id, sha256):
                known = self.assignments.get(pool_id_, Assignment(pool_id_))
                self.assignments[pool_id_] = replace(
                    known, instances={**known.instances, instance_id: sha256}
                )
            case AssignGangs(pool_id_, gangs):
                known = self.assignments.get(pool_id_, Assignment(pool_id_))
                self.assignments[pool_id_] = replace(known, gangs=gangs)
            case SetSize(pool_id_, size):
                self._set_size(pool_id_, size, command.call)
            case Terminate(pool_id_, instance_id, _):
                self.machines.pop(instance_id, None)
                self.sizes[pool_id_] = max(0, self.sizes.get(pool_id_, 0) - 1)
                self.outcomes.append(Outcome("terminate", pool_id_, instance_id, None, "", self.now))

    def _set_size(self, pool_id_: str, size: int, call: str) -> None:
        pool = self.pool(pool_id_)
        running = [m for m in self.machines.values() if m.pool_id == pool_id_]
        assert size >= len(running), "a size must never make the cloud pick a victim"
        assert size <= pool.max_size
        self.sizes[pool_id_] = size
        for _ in range(size - len(running)):
            if self.full(pool):
                self.sizes[pool_id_] = sum(m.pool_id == pool_id_ for m in self.machines.values())
                self.outcomes.append(Outcome(call, pool_id_, None, "insufficient_capacity", "full", self.now))
                return
            self.launch(pool_id_)
        self.outcomes.append(Outcome(call, pool_id_, None, None, "", self.now))

    def full(self, pool: Pool) -> bool:
        here = sum(m.pool_id == pool.id for m in self.machines.values())
        limits = self.capacity.get(pool.zone, 10**6), self.capacity.get(pool.id, 10**6)
        return self.in_zone(pool.zone) >= limits[0] or here >= limits[1]

    def in_market(self, market) -> int:
        return sum(self.pool(m.pool_id).market is market for m in self.machines.values())

    def in_zone(self, zone) -> int:
        return sum(self.pool(m.pool_id).zone == zone for m in self.machines.values())

    def launch(self, pool_id_: str) -> str:
        self.launched += 1
        self.paid += self.pool(pool_id_).launch_usd
        instance_id = f"i-{self.launched:010x}"
        instance = Instance(
            instance_id, InstancePhase.RUNNING, "127.0.0.1", 18100 + 2 * self.launched, 18101, self.now
        )
        self.machines[instance_id] = Machine(pool_id_, instance)
        return instance_id

    def lose(self, instance_id: str) -> None:
        """The machine vanishes; the size stays, as it does after a preemption."""
        del self.machines[instance_id]

    def answers(self, instance_id: str, **changes) -> None:
        """From now on its agent and engine say this."""
        healthy = Health("", AgentState.ANSWERS, phase="running", bundle=OLD, probe=ProbeState.OK)
        self.machines[instance_id].answers = replace(healthy, **changes)

    def states(self) -> dict[str, str]:
        return {r.instance.instance_id: r.state.value for r in self.memory.replicas.values() if not r.ended}

    def ready(self) -> int:
        return sum(s == "ready" for s in self.states().values())

    def usd_hour(self) -> float:
        prices = (self.pool(m.pool_id).price_usd_hour or 0.0 for m in self.machines.values())
        return self.desired.fixed_usd_hour + sum(prices)
