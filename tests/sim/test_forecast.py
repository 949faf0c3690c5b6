"""What is forecast of a plan's own pools: the figures follow from the pools, the prices and the seeds, and from nothing else."""

import time

import pytest

from planner.pricing import UnknownPrice
from sim.forecast import LEAST_WEEKS, MOST_SPOT, Case, forecast, has_spot
from spec.desired import Pool, PoolState, Prices
from spec.names import Market, PoolKind
from spec.scaling import Scaling

SPOT, ON_DEMAND, RESERVED = Market.SPOT, Market.ON_DEMAND, Market.RESERVED
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")


def pool(number=0, *, market=SPOT, spot=1.0, on_demand=3.0, cloud="aws", region=None, units=1.0, **fields):
    region = region or REGIONS[number % len(REGIONS)]
    values = {
        "id": f"chat.{cloud}.{region}-{number}.L4x1.{market}",
        "service": "chat",
        "kind": PoolKind.VM,
        "cloud": cloud,
        "region": region,
        "market": market,
        "accelerator": "L4",
        "accelerator_count": 1,
        "instance_types": ("g6.xlarge",),
        "capacity_units": units,
        "max_size": round(40 / units),
        "cold_start_s": 300.0,
        "prices": Prices(spot=spot, on_demand=on_demand),
    }
    return Pool(**{**values, **fields})


def case(*pools, replicas=2, targets=None, **scaling):
    limits = Scaling(**{"min_replicas": replicas, "max_replicas": 2 * replicas, **scaling})
    return Case(tuple(pools), limits, targets or ((0.0, replicas),))


SPOTS = tuple(pool(n, spot=1.0 + n / 10) for n in range(6))
SURE = tuple(pool(n, market=ON_DEMAND) for n in (6, 7))


def test_the_same_question_gets_the_same_figures_in_whatever_order_its_pools_are():
    found = forecast(case(*SPOTS, *SURE), weeks=2)
    assert forecast(case(*reversed((*SPOTS, *SURE))), weeks=2) == found
    assert (found.weeks, found.pools) == (2, 8)
    assert found.usd_day.low < found.usd_day.expected < found.usd_day.high


def test_it_costs_at_least_what_is_ready_in_the_cheapest_place_and_less_than_on_demand():
    found = forecast(case(*SPOTS, *SURE), weeks=3)
    assert 24 * 2 * 1.0 * found.available.low <= found.usd_day.low
    assert found.usd_day.high < 24 * 2 * 3.0
    assert 0.9 < found.available.low <= found.available.high <= 1


def test_on_demand_behind_spot_is_dearer_and_short_less_often():
    alone, covered = forecast(case(*SPOTS[:3]), weeks=3), forecast(case(*SPOTS[:3], *SURE), weeks=3)
    assert covered.available.expected > alone.available.expected
    assert covered.usd_day.expected > alone.usd_day.expected
    assert (alone.on_demand_part, covered.on_demand_part > 0) == (0.0, True)


def test_a_higher_target_of_availability_is_kept_more_often():
    loose, strict = (forecast(case(*SPOTS, *SURE, slo=slo), weeks=1) for slo in (90.0, 99.9))
    assert strict.available.expected > loose.available.expected
    assert strict.usd_day.expected > loose.usd_day.expected


def test_what_is_reserved_is_used_first_and_never_lost():
    found = forecast(case(*SPOTS, pool(9, market=RESERVED, on_demand=5.0)), weeks=1)
    assert found.available.expected == 1
    assert found.usd_day.expected == pytest.approx(24 * 2 * 5.0, rel=0.01)


def test_a_gang_is_one_machine_at_the_price_of_all():
    gangs = [pool(n, spot=1.0 + n / 10, units=0.5) for n in range(6)]
    twice = [pool(n, spot=2.0 + n / 5, on_demand=6.0) for n in range(6)]
    assert forecast(case(*gangs), weeks=1) == forecast(case(*twice), weeks=1)


def test_pools_that_retire_take_no_part():
    leaving = pool(8, spot=0.1, state=PoolState.RETIRING)
    assert forecast(case(*SPOTS, leaving), weeks=1) == forecast(case(*SPOTS), weeks=1)
    assert not has_spot([leaving])


def test_floors_by_the_clock_are_paid_for_while_they_hold():
    day = ((0.0, 1), (8 * 3600.0, 4), (18 * 3600.0, 1))
    found = forecast(case(*SPOTS, *SURE, targets=day, max_replicas=4), weeks=1)
    one, four = (forecast(case(*SPOTS, *SURE, replicas=n, max_replicas=4), weeks=1) for n in (1, 4))
    assert one.usd_day.expected < found.usd_day.expected < four.usd_day.expected


def test_of_300_pools_the_cheapest_take_part_so_that_the_time_is_bounded():
    many = [pool(n, spot=1.0 + n / 100, region=f"region-{n % 20}") for n in range(300)]
    began = time.process_time()
    found = forecast(case(*many), weeks=1)
    assert found.pools == MOST_SPOT
    assert time.process_time() - began < 10
    assert forecast(case(*many[:MOST_SPOT]), weeks=1) == found


def test_hundreds_of_replicas_are_taken_as_fewer_larger_ones_at_the_same_price():
    enough = pool(9, market=RESERVED, on_demand=5.0, max_size=1000)
    found = forecast(case(pool(max_size=1000), enough, replicas=205), weeks=1)
    assert found.available.expected == 1
    assert found.usd_day.expected == pytest.approx(24 * 205 * 5.0, rel=0.02)


def test_where_decisions_are_many_fewer_weeks_are_drawn_and_said(monkeypatch):
    monkeypatch.setattr("sim.forecast.MOST_EFFORT", 100)
    assert forecast(case(*SPOTS[:2], replicas=1)).weeks == LEAST_WEEKS
    assert forecast(case(*SPOTS[:2], replicas=1), weeks=1).weeks == 1


def test_progress_is_told_week_by_week():
    shares = []
    forecast(case(*SPOTS[:2], replicas=1), weeks=2, progress=shares.append)
    assert shares == [0.5, 1.0]


def test_one_pool_is_enough_and_its_outages_show():
    found = forecast(case(pool(), replicas=1), weeks=2)
    assert found.pools == 1
    assert found.none_ready > 0


def test_nothing_is_forecast_without_a_price_or_without_spot():
    with pytest.raises(UnknownPrice):
        forecast(case(pool(), pool(1, spot=None)), weeks=1)
    with pytest.raises(ValueError, match="needs a spot pool"):
        forecast(case(*SURE), weeks=1)
