"""What the month has cost, and what happens when its budget is used up."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.decide import Memory, SetSize
from lb.decide.memory import ENVIRONMENT, SpendMemory
from lb.decide.spend import (
    assumed,
    closed_until,
    counted,
    month_end,
    month_of,
    month_start,
    retry_after_s,
    service_usd,
    spend_status,
    total,
)
from spec.desired import OnExhausted, Prices
from spec.names import Market
from tests.lb.world import NEW, START, ZONES, World, a_desired, a_pool, a_service

HOUR, DAY = 3600.0, 86400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def spent(world: World) -> float:
    return total(counted(world.memory.spend, world.now))


def with_month(world: World, month: float | None, on_exhausted=OnExhausted.HOLD) -> None:
    budget = world.desired.budget.model_copy(update={"usd_month": month, "on_exhausted": on_exhausted})
    world.desired = world.desired.model_copy(update={"budget": budget})


def reasons(decisions) -> str:
    return "\n".join(r for d in decisions for r in d.reasons)


# ---------------------------------------------------------------- the months


def test_months_are_those_of_utc_and_follow_each_other_without_a_gap():
    assert month_of(at("2026-12-31T23:59:59")) == "2026-12"
    assert month_of(at("2027-01-01T00:00:00")) == "2027-01"
    assert month_start("2027-01") == month_end("2026-12") == at("2027-01-01T00:00:00")
    assert month_end("2028-02") - month_start("2028-02") == 29 * DAY


# ---------------------------------------------------------------- counting


def test_what_is_counted_is_what_runs_at_its_price_with_fixed_costs_and_launches():
    pools = [a_pool(z, price=0.5, launch_usd=3.0) for z in ZONES]
    world = World(a_desired(pools=pools, fixed=0.1))
    world.lapse(10 * HOUR)
    assert spent(world) == pytest.approx(world.paid, rel=2e-3)
    assert spent(world) == pytest.approx(10 * 1.1 + 2 * 3.0, rel=1e-2)
    assert service_usd(world.memory.spend, "chat", world.now) == pytest.approx(spent(world) - 1.0, abs=0.01)


def test_an_idle_world_remembers_nothing_new_while_its_spend_grows():
    world = World(a_desired())
    world.run(10)
    before, memory = spent(world), world.memory.spend
    world.lapse(HOUR)
    assert world.memory.spend == memory
    assert spent(world) == pytest.approx(before + 0.4)


def test_a_price_that_moves_counts_from_the_moment_it_is_seen():
    world = World(a_desired())
    world.lapse(HOUR)
    pools = [p.model_copy(update={"prices": Prices(spot=2.0)}) for p in world.desired.pools]
    world.desired = world.desired.model_copy(update={"pools": tuple(pools)})
    world.lapse(HOUR)
    assert spent(world) == pytest.approx(0.4 + 4.0, rel=0.01)


def test_while_no_price_is_known_what_runs_goes_on_costing_what_it_did():
    planned = [a_pool(z).model_copy(update={"prices": Prices()}) for z in ZONES]
    world = World(a_desired(pools=[a_pool(z) for z in ZONES]))
    world.run(10)
    assert world.ready() == 2
    before = world.memory.spend.usd_hour
    world.desired = a_desired(pools=planned)
    world.run(10)
    assert world.memory.spend.usd_hour == before
    for instance_id in list(world.machines):
        world.lose(instance_id)
    world.tick()
    assert world.memory.spend.usd_hour["chat"] == 0


def test_a_service_that_was_removed_stays_in_the_months_total():
    world = World(a_desired([a_service(), a_service("old")], [a_pool(), a_pool(service="old")]))
    world.lapse(HOUR)
    before = spent(world)
    for instance_id in [i for i, m in world.machines.items() if m.pool_id.startswith("old")]:
        world.lose(instance_id)
    world.desired = a_desired([a_service()], [a_pool()])
    world.tick()
    assert spent(world) >= before


def test_time_in_which_nobody_watched_is_charged_at_the_rate_before_it():
    world = World(a_desired())
    world.run(10)
    written_at = world.now
    world.now += 5 * HOUR
    world.memory = world.memory.resumed(written_at=written_at, now=world.now)
    assert spent(world) == pytest.approx(5 * 0.4, rel=0.01)


def test_a_clock_that_was_set_back_takes_nothing_away_and_stops_no_counting():
    world = World(a_desired())
    world.lapse(HOUR)
    before = spent(world)
    written_at, world.now = world.now, world.now - 20 * DAY  # into the month before
    world.memory = world.memory.resumed(written_at=written_at, now=world.now)
    world.lapse(HOUR)
    assert spent(world) == pytest.approx(before + 0.4, rel=0.01)


def test_a_new_month_starts_with_what_was_spent_in_it():
    world = World(a_desired(), now=month_end("2027-01") - HOUR)
    world.run(HOUR - 10, step=10)
    assert spent(world) == pytest.approx(0.4, rel=0.02)
    world.run(30 * 60, step=10)
    assert world.memory.spend.month == "2027-02"
    assert spent(world) == pytest.approx(0.2, rel=0.02)


def test_months_in_which_nobody_watched_are_over():
    memory = SpendMemory("2026-10", at("2026-10-05T00:00:00"), {"chat": 50.0}, {"chat": 1.0})
    later = counted(memory, at("2026-12-01T10:00:00"))
    assert (later.month, later.usd) == ("2026-12", {"chat": 10.0})


# ---------------------------------------------------------------- used up: hold


def test_on_hold_what_runs_stays_and_nothing_is_added():
    world = World(a_desired([a_service(replicas=2, most=6)], month=1.0))
    world.lapse(3 * HOUR)
    world.desired = a_desired([a_service(replicas=5, most=6)], month=1.0)
    decisions = world.lapse(2 * HOUR)
    assert world.ready() == 2
    text = reasons(decisions)
    assert "usd_month 1 of the environment is used up: what runs stays, nothing is added (hold)" in text
    assert "3 missing and nowhere to launch: usd_month 1 of the environment is used up (3 pools)" in text


def test_on_hold_what_is_lost_is_replaced_but_by_nothing_dearer():
    cheap, dear = a_pool(ZONES[0]), a_pool(ZONES[1], price=0.9)
    world = World(a_desired([a_service(replicas=1)], [cheap, dear], month=0.5))
    world.lapse(3 * HOUR)
    world.capacity = {ZONES[0]: 0}
    world.lose(next(iter(world.machines)))
    world.lapse(HOUR)
    assert not world.machines
    world.capacity = {}
    world.lapse(HOUR)
    assert world.ready() == 1
    assert world.in_zone(ZONES[0]) == 1


def test_on_hold_an_announced_preemption_is_replaced_at_once():
    world = World(a_desired([a_service(replicas=1)], month=0.5))
    world.lapse(3 * HOUR)
    machine = next(iter(world.machines.values()))
    machine.instance = replace(machine.instance, preempt_at=world.now + 120)
    assert any(isinstance(c, SetSize) for c in world.tick().commands)


def test_a_launch_that_the_rest_of_the_budget_does_not_pay_is_not_made():
    pools = [a_pool(z, launch_usd=5.0) for z in ZONES]
    world = World(a_desired([a_service(replicas=3)], pools, month=11.0))
    decisions = world.run(60)
    assert len(world.machines) == 2
    assert "usd_month 11 of the environment is nearly used up" in reasons(decisions)


# ---------------------------------------------------------------- used up: floor


def test_at_the_floor_the_minimum_stays_in_the_cheapest_pools():
    pools = [
        a_pool(ZONES[0], price=0.9, most=1),
        a_pool(ZONES[1], price=0.2, most=1),
        a_pool(ZONES[2], price=0.5),
    ]
    service = a_service(replicas=1, most=3, qps=1.0, month=5.0, on_exhausted=OnExhausted.FLOOR)
    world = World(a_desired([service], pools))
    world.asks(3)
    world.run(30)
    world.lapse(5 * HOUR)
    assert world.in_zone(ZONES[1]) == len(world.machines) == world.ready() == 1
    world.lose(next(iter(world.machines)))
    world.run(60)
    assert world.ready() == 1


def test_at_the_floor_nothing_moves_through_the_surge():
    pools = [a_pool(z) for z in ZONES] + [a_pool(market=Market.ON_DEMAND, price=0.7)]
    service = a_service(replicas=2, dynamic=True, month=1.0, on_exhausted=OnExhausted.FLOOR)
    world = World(a_desired([service], pools))
    world.lapse(3 * HOUR)
    world.lose(next(iter(world.machines)))
    world.run(30)
    world.want(NEW)
    for _ in range(300):
        world.tick()
        assert len(world.machines) == world.ready() == 2
    assert "nowhere to launch: usd_month 1 of the service is used up" in reasons([world.last])


# ---------------------------------------------------------------- used up: stop


def test_stopped_means_that_everything_ends_in_time_and_callers_are_told_when_to_come_back():
    world = World(a_desired(month=2.0, on_exhausted=OnExhausted.STOP))
    assert closed_until(world.desired, world.memory.spend) == {}
    world.lapse(5 * HOUR)
    assert not world.machines
    assert spent(world) <= 2.0
    assert world.paid == pytest.approx(2.0, rel=0.05)
    assert world.last.targets == {"chat": 0}
    assert closed_until(world.desired, world.memory.spend) == {"chat": month_end("2027-01")}
    world.lapse(DAY)
    assert not world.machines


def test_a_service_that_is_stopped_leaves_the_others_alone():
    services = [a_service(month=1.0, on_exhausted=OnExhausted.STOP), a_service("other")]
    world = World(a_desired(services, [a_pool(), a_pool(service="other")]))
    world.lapse(5 * HOUR)
    assert {world.pool(m.pool_id).service for m in world.machines.values()} == {"other"}
    assert spend_status(world.desired, world.memory.spend, world.now).exhausted == (
        "usd_month 1 of chat is used up: everything is ended (stop) until 2027-02 or a higher budget"
    )


@pytest.mark.parametrize("kind", [OnExhausted.HOLD, OnExhausted.FLOOR])
def test_a_service_that_slept_when_its_money_was_used_up_tells_callers_when_it_can_wake(kind):
    service = a_service(replicas=0, most=2, qps=1.0)
    world = World(a_desired([service], fixed=0.5, month=2.0, on_exhausted=kind))
    world.asks(0)
    world.lapse(HOUR)
    assert closed_until(world.desired, world.memory.spend) == {}
    world.lapse(4 * HOUR)
    world.asks(0.5, held=1)
    world.run(60)
    assert not world.machines
    assert closed_until(world.desired, world.memory.spend) == {"chat": month_end("2027-01")}


def test_on_hold_a_service_whose_lost_replica_may_be_replaced_is_not_closed():
    world = World(a_desired([a_service(replicas=1)], month=0.5))
    world.lapse(3 * HOUR)
    world.capacity = dict.fromkeys(ZONES, 0)
    world.lose(next(iter(world.machines)))
    world.run(60)
    assert not world.machines
    assert closed_until(world.desired, world.memory.spend) == {}


def test_when_to_come_back_is_told_in_steps_so_that_edges_hear_of_it_seldom():
    assert retry_after_s(10 * HOUR, 0.5) == 10 * HOUR
    assert retry_after_s(10 * HOUR, 9.5 * HOUR + 1) == 30 * 60
    assert retry_after_s(10 * HOUR, 11 * HOUR) == 60


# ---------------------------------------------------------------- money again


@pytest.mark.parametrize("kind", OnExhausted)
def test_the_months_turn_gives_everything_back(kind):
    world = World(a_desired(month=2.0, on_exhausted=kind), now=month_end("2027-01") - 8 * HOUR)
    world.lapse(7 * HOUR)
    assert world.memory.spend.exhausted
    world.lapse(HOUR + 60)
    assert not world.memory.spend.exhausted
    assert world.ready() == 2


@pytest.mark.parametrize("kind", OnExhausted)
def test_a_higher_budget_gives_everything_back(kind):
    world = World(a_desired(month=2.0, on_exhausted=kind))
    world.lapse(7 * HOUR)
    with_month(world, 50.0, kind)
    decisions = world.run(60)
    assert "usd_month 50 of the environment has money left again" in reasons(decisions)
    assert world.ready() == 2


def test_a_lower_budget_gives_nothing_back():
    world = World(a_desired(month=2.0, on_exhausted=OnExhausted.STOP))
    world.lapse(7 * HOUR)
    with_month(world, 1.0, OnExhausted.STOP)
    world.run(60)
    assert not world.machines


# ---------------------------------------------------------------- a lost memory


def test_after_a_lost_memory_the_most_is_assumed_that_can_have_been_spent():
    desired = a_desired(worst=3.0, month=100.0)
    since = START - 10 * HOUR
    memory = assumed(desired, since, START)
    assert (total(memory), memory.assumed_usd) == (30.0, 30.0)
    assert total(assumed(desired, START - 300 * DAY, START)) == 3.0 * (START - month_start("2027-01")) / HOUR


def test_without_a_declared_worst_figure_the_dearest_pools_are_assumed():
    desired = a_desired([a_service(replicas=2, surge=1)], [a_pool(), a_pool(price=0.7)], fixed=0.1)
    memory = assumed(desired, START - 10 * HOUR, START)
    assert memory.usd == pytest.approx({"chat": 21.0, ENVIRONMENT: 1.0})


def test_without_any_price_the_budget_is_assumed_to_be_used_up():
    pools = [a_pool().model_copy(update={"prices": Prices()})]
    memory = assumed(a_desired(pools=pools, month=70.0), START - 10 * HOUR, START)
    assert total(memory) == 70.0


def test_what_is_assumed_holds_for_the_budget_and_is_told():
    world = World(a_desired(worst=1.0, month=5.0))
    world.run(60)
    world.memory, world.lost_since = Memory(), START - 100 * HOUR
    world.run(10)
    status = spend_status(world.desired, world.memory.spend, world.now)
    assert status.assumed_usd == pytest.approx(100.0, rel=0.01)
    assert status.usd >= status.assumed_usd
    assert status.exhausted is not None
    assert world.ready() == 2


def test_a_stack_that_starts_for_the_first_time_assumes_nothing():
    world = World(a_desired(worst=1.0, month=5.0))
    world.run(10)
    assert spend_status(world.desired, world.memory.spend, world.now).assumed_usd == 0


# ---------------------------------------------------------------- replicas of several machines


def test_every_machine_of_a_replica_of_several_is_paid_for():
    world = World(a_desired([a_service(replicas=2, num_nodes=3)]))
    world.lapse(HOUR)
    assert len(world.machines) == 6
    assert spent(world) == pytest.approx(world.paid, rel=0.02)
    assert spent(world) == pytest.approx(6 * 0.2, rel=0.02)


def test_a_budget_that_is_used_up_holds_for_replicas_of_several_machines():
    world = World(a_desired([a_service(replicas=2, num_nodes=3)], month=2.0, on_exhausted=OnExhausted.STOP))
    world.lapse(5 * HOUR)
    assert not world.machines
    assert 1.9 < world.paid <= 2.01


# ---------------------------------------------------------------- whatever happens


@given(
    st.floats(0, 100, allow_nan=False),
    st.lists(
        st.tuples(
            st.floats(-2 * DAY, 5 * DAY), st.floats(0, 20), st.sampled_from(["chat", "code", ENVIRONMENT])
        ),
        max_size=12,
    ),
)
def test_spend_never_decreases_within_a_month_and_is_the_sum_of_its_parts(start, story):
    now = at("2026-11-03T00:00:00")
    memory = SpendMemory("2026-11", now, {"chat": start})
    for seconds, rate, part in story:
        now += seconds
        later = counted(memory, now)
        assert later.month >= memory.month
        if later.month == memory.month:
            assert total(later) >= total(memory)
            assert all(later.usd[name] >= usd for name, usd in memory.usd.items())
        assert total(later) == pytest.approx(sum(later.usd.values()))
        assert counted(later, now) == later
        memory = replace(later, usd_hour={**later.usd_hour, part: rate})
