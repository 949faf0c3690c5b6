"""Whole days and months of a service, played in a moment: load, spot that comes and goes, and money."""

import itertools
import math

import pytest

from lb.decide.spend import counted, month_end, total
from spec.desired import OnExhausted
from spec.names import Market
from tests.lb.world import START, ZONES, World, a_desired, a_pool, a_service

HOUR, DAY = 3600.0, 86400.0


def office_hours(seconds: float) -> float:
    """Requests per second: nothing at night, up to 8 at noon."""
    return max(0.0, 8 * math.sin(2 * math.pi * (seconds / DAY - 0.25)))


def a_world(**service) -> World:
    pools = [a_pool(z) for z in ZONES] + [a_pool(z, market=Market.ON_DEMAND, price=0.7) for z in ZONES]
    return World(a_desired([a_service(**{"replicas": 0, "most": 10, "qps": 1.0, **service})], pools))


def test_over_a_day_replicas_follow_the_load_and_go_to_zero_at_night():
    world, sizes, short_s = a_world(), [], 0.0
    for _ in range(24 * 4):
        begun = world.now
        world.lapse(900, qps=lambda s, at=begun: office_hours(at - START + s))
        sizes.append(world.ready())
        short_s += 900 * (world.ready() < office_hours(world.now - START) - 1)
    assert sizes[0] == sizes[-1] == 0
    assert max(sizes) == 8
    assert short_s == 0, "a slow rise is followed within its delay"
    turns = [b - a for a, b in itertools.pairwise(sizes) if a != b]
    first_fall = next(n for n, turn in enumerate(turns) if turn < 0)
    assert all(turn < 0 for turn in turns[first_fall:]), (
        "up in the morning, down in the evening, and nothing else"
    )
    assert world.launched == 8


def test_over_a_day_in_which_spot_comes_and_goes_the_service_is_there_and_cheaper_than_on_demand():
    world, ready_s, passed = a_world(replicas=2, most=2, qps=None, dynamic=True), 0.0, 0.0
    world.run(10)
    spot = [p.id for p in world.desired.pools if p.market is Market.SPOT]
    for hour in range(24):
        gone = hour % 6 in (2, 3)
        world.capacity = dict.fromkeys(spot, 0) if gone else {}
        if gone:
            for instance_id in [i for i, m in world.machines.items() if m.pool_id in spot]:
                world.lose(instance_id)
        for _ in range(60):
            world.run(60, step=20)
            ready_s += 60 * (world.ready() >= 2)
            passed += 60
    assert ready_s / passed > 0.99
    assert 0.2 * 2 * 24 < world.paid < 0.6 * 0.7 * 2 * 24


@pytest.mark.parametrize("kind", OnExhausted)
def test_on_the_last_day_of_a_month_its_budget_holds_as_its_kind_says(kind):
    world = a_world(replicas=1, most=4, month=6.0, on_exhausted=kind)
    world.now = month_end("2027-01") - DAY
    world.lapse(DAY - 60, qps=lambda _: 3.0)
    spent = total(counted(world.memory.spend, world.now))
    assert spent == pytest.approx(world.paid, rel=0.01)
    match kind:
        case OnExhausted.HOLD:
            assert spent == pytest.approx(24 * 3 * 0.2, rel=0.02)
        case OnExhausted.FLOOR:
            assert spent == pytest.approx(6.0 + 14 * 0.2, rel=0.03)  # the budget lasts for ten hours
        case OnExhausted.STOP:
            assert 5.95 < spent <= 6.0
    assert "chat" in world.memory.spend.exhausted
    world.lapse(HOUR, qps=lambda _: 3.0)
    assert (world.memory.spend.month, world.memory.spend.exhausted) == ("2027-02", {})
    assert world.ready() == 3
