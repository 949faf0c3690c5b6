"""What Prometheus reads: gauges of what is, and counters that count each event once."""

from dataclasses import replace

from lb.clouds.protocol import Refusal
from lb.controller.measure import count_events, measure_state
from lb.decide import Memory
from lb.metrics import Metrics
from spec.status import RolloutPhase, RolloutStatus, ServiceStatus, SpendStatus
from tests.lb.world import ZONES, World, a_desired, a_pool

POOLS = [a_pool(z).id for z in ZONES]


class Counted:
    """A world whose ticks are counted."""

    def __init__(self, world=None):
        self.world, self.metrics = world or World(a_desired()), Metrics()

    def tick(self, times=1):
        for _ in range(times):
            before, observed = self.world.memory, self.world.observed()
            count_events(self.metrics, self.world.desired, observed, before, self.world.tick())
        return self

    def total(self, name, **labels):
        families = self.metrics.registry.collect()
        return sum(
            s.value
            for family in families
            for s in family.samples
            if s.name == f"tradewind_{name}_total" and labels.items() <= s.labels.items()
        )


def test_commands_and_machines_are_counted_once():
    counted = Counted().tick(20)
    assert counted.total("commands", service="chat", call="set_size") == 2
    assert counted.total("commands", call="assign") == 3
    assert counted.total("replicas_launched") == 2
    assert counted.total("replicas_lost") == 0


def test_a_machine_that_went_away_is_counted_once_and_one_that_was_ended_is_not():
    counted = Counted().tick(5)
    lost = min(counted.world.machines)
    pool = counted.world.machines[lost].pool_id
    counted.world.lose(lost)
    counted.tick(40)
    assert counted.total("replicas_lost", pool=pool) == 1
    failing = max(counted.world.machines)
    counted.world.answers(failing, phase="failed")
    counted.tick(10)
    assert counted.total("replicas_failed", service="chat") == 1
    assert counted.total("replicas_lost") == 1


def test_a_notice_is_counted_once():
    counted = Counted().tick(5)
    noticed = counted.world.machines[min(counted.world.machines)]
    noticed.instance = replace(noticed.instance, preempt_at=counted.world.now + 60)
    counted.tick(3)
    assert counted.total("preemption_notices", pool=noticed.pool_id) == 1


def test_refusals_at_once_and_late_ones_are_counted():
    world = World(a_desired(), capacity={ZONES[0]: 0})
    counted = Counted(world).tick(3)
    assert counted.total("launches_refused", pool=POOLS[0]) == 1
    world.refusals[POOLS[1]] = [Refusal("insufficient_capacity", "full", world.now)]
    counted.tick(3)
    assert counted.total("launches_refused", pool=POOLS[1]) == 1


def test_replicas_that_are_found_again_after_the_memory_was_lost_are_no_launches():
    counted = Counted().tick(5)
    counted.world.memory = Memory()
    counted.tick(5)
    assert counted.total("replicas_launched") == 2


def test_what_is_no_more_has_no_value():
    metrics = Metrics()
    rollout = RolloutStatus(
        phase=RolloutPhase.PAUSED, from_bundle="a", to_bundle="b", started_at=0, updated=0, total=2
    )
    service = ServiceStatus(
        name="chat",
        endpoint="",
        ready=1,
        desired=2,
        min_replicas=1,
        max_replicas=4,
        rollout=rollout,
        usd_month=3.0,
    )
    spend = SpendStatus(month="2026-11", usd=12.5, budget_usd=100.0, exhausted="usd_month 100 is used up")
    measure_state(metrics, [service], usd_hour=0.4, spend=spend)
    text = metrics.text().decode()
    for line in (
        'tradewind_desired_replicas{service="chat"} 2.0',
        'tradewind_replica_limits{limit="max",service="chat"} 4.0',
        'tradewind_rollout{phase="paused",service="chat"} 1.0',
        'tradewind_service_month_usd{service="chat"} 3.0',
        "tradewind_month_usd 12.5",
        "tradewind_month_budget_usd 100.0",
        "tradewind_budget_exhausted 1.0",
        "tradewind_usd_per_hour 0.4",
    ):
        assert line in text
    measure_state(metrics, [], usd_hour=0.0, spend=None)
    assert "chat" not in metrics.text().decode()
