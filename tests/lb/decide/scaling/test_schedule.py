"""Floors by the clock, in any time zone, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.decide.memory import ScalingMemory
from lb.decide.observed import Load
from lb.decide.scaling import View, target
from lb.decide.scaling.schedule import floor, is_on, last_start
from spec.cron import parse
from spec.scaling import Schedule
from tests.lb.world import START, World, a_desired, a_service

BERLIN = ZoneInfo("Europe/Berlin")


def at(text, zone=BERLIN, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def schedule(cron="0 8 * * 1-5", *, zone="Europe/Berlin", hours=10.0, least=4):
    return Schedule(cron=cron, timezone=zone, duration_s=hours * 3600, min_replicas=least)


@pytest.mark.parametrize(
    ("moment", "on"),
    [
        ("2026-11-27T07:59:59", False),
        ("2026-11-27T08:00:00", True),
        ("2026-11-27T17:59:59", True),
        ("2026-11-27T18:00:00", False),
        ("2026-11-28T10:00:00", False),  # a Saturday
        ("2026-07-01T08:00:00", True),  # in summer, by the same clocks
        ("2026-07-01T07:59:59", False),
    ],
)
def test_working_hours_are_those_of_the_zone(moment, on):
    assert is_on(schedule(), at(moment)) is on


def test_in_the_hour_that_is_skipped_it_begins_as_long_after_midnight_as_usual():
    night = schedule("30 2 * * *", hours=1)
    begins = at("2026-03-29T03:30:00")
    assert begins - at("2026-03-29T00:00:00") == 2.5 * 3600
    assert [is_on(night, begins + s) for s in (-1, 0, 3599, 3600)] == [False, True, True, False]


def test_in_the_hour_that_comes_twice_it_begins_once():
    night = schedule("30 2 * * *", hours=0.25)
    first, second = at("2026-10-25T02:30:00"), at("2026-10-25T02:30:00", fold=1)
    assert second - first == 3600
    assert (is_on(night, first), is_on(night, second)) == (True, False)


def test_a_duration_is_of_seconds_that_pass_not_of_the_clock():
    day = schedule("0 12 * * 6", hours=24)  # from the Saturday before the clocks go back
    ends = at("2026-10-25T11:00:00")
    assert (is_on(day, ends - 1), is_on(day, ends)) == (True, False)


def test_one_that_goes_on_past_midnight_is_that_of_the_day_before():
    late = schedule("0 22 * * 5", hours=8)
    assert is_on(late, at("2026-11-28T05:59:59"))
    assert not is_on(late, at("2026-11-28T06:00:00"))
    assert not is_on(late, at("2026-11-27T05:00:00"))


def test_a_zone_that_this_computer_does_not_know_counts_as_utc_and_the_reason_says_so():
    on_mars = schedule(zone="Mars/Olympus")
    begins = at("2026-11-27T08:00:00", UTC)
    assert floor(a_service(scaling={"schedules": (on_mars,)}).scaling, begins).why == (
        "scheduled by `0 8 * * 1-5` (UTC, for this computer knows no Mars/Olympus)"
    )
    assert not is_on(on_mars, begins - 1)


@given(
    st.integers(29_000_000, 30_500_000),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.sampled_from(["0 8 * * 1-5", "*/20 1-3 * * *", "30 2 1,15 * *", "0 0 29 2 *", "15 23 * 3,10 sun"]),
    st.floats(0.1, 50),
)
def test_the_last_start_is_the_one_that_a_walk_through_the_minutes_finds(minute, zone, cron, hours):
    one, tz, when = schedule(cron, zone=zone, hours=hours), ZoneInfo(zone), parse(cron)
    found, walked = last_start(one, minute), None
    for back in range(int(hours * 60) + 1):
        local = datetime.fromtimestamp((minute - back) * 60, tz)
        if local.fold == 0 and when.on(local.date()) and local.hour * 60 + local.minute in when.minutes:
            walked = (minute - back) * 60.0
            break
    local = None if found is None else datetime.fromtimestamp(found, tz)
    if local is not None and local.hour * 60 + local.minute not in when.minutes:
        return  # it begins in an hour that was skipped, which the walk can't see
    assert walked == (found if found is not None and found >= minute * 60 - hours * 3600 else None)


# ---------------------------------------------------------------- what it does to the number

NOON = at("2026-11-27T12:00:00")


def test_a_floor_holds_at_once_and_says_so_and_its_end_waits_for_the_downscale_delay():
    service = a_service(replicas=1, most=9, qps=1.0, scaling={"schedules": (schedule(),)})
    begins, ends = at("2026-11-27T08:00:00"), at("2026-11-27T18:00:00")
    quiet = View(Load("chat", 0.5))
    number, memory, why = target(service, quiet, ScalingMemory(1), begins)
    assert (number, why) == (4, "chat: 1 -> 4 replicas: scheduled by `0 8 * * 1-5` (Europe/Berlin)")
    found = {}
    for minute in range(660):
        number, memory, _ = target(service, quiet, memory, begins + minute * 60)
        found[begins + minute * 60] = number
    assert found[ends - 60] == found[ends + 19 * 60] == 4
    assert found[ends + 20 * 60] == 1


def test_the_load_may_ask_for_more_than_the_floor():
    service = a_service(replicas=1, most=9, qps=1.0, scaling={"schedules": (schedule(),)})
    memory = None
    for second in range(0, 400, 10):
        number, memory, _ = target(service, View(Load("chat", 6)), memory, NOON + second)
    assert number == 6


def test_of_two_floors_the_higher_counts():
    both = (schedule(least=2), schedule(least=5), schedule("0 9 * * *", least=3))
    service = a_service(replicas=1, most=9, scaling={"schedules": both})
    assert target(service, View(), None, NOON)[0] == 5
    assert target(service, View(), None, at("2026-11-28T12:00:00"))[0] == 3


def test_without_a_signal_schedules_alone_set_the_number_at_once():
    service = a_service(replicas=0, most=2, scaling={"schedules": (schedule(least=2),)})
    number, memory, _ = target(service, View(), ScalingMemory(0), NOON)
    assert number == 2
    number, _, why = target(service, View(), memory, at("2026-11-27T18:00:00"))
    assert (number, why) == (0, "chat: 2 -> 0 replicas: no schedule asks for more")


def test_a_floor_is_never_above_the_maximum():
    service = a_service(replicas=1, most=3, qps=1.0, scaling={"schedules": (schedule(least=4),)})
    assert target(service, View(Load("chat", 0)), None, NOON)[0] == 3


def test_machines_come_by_the_clock():
    begins = datetime.fromtimestamp(START, UTC) + timedelta(minutes=3)
    cron = f"{begins.minute} {begins.hour} * * *"
    service = a_service(
        replicas=1, most=5, qps=1.0, scaling={"schedules": (schedule(cron, zone="UTC", least=3),)}
    )
    world = World(a_desired([service]))
    world.asks(0.1)
    world.run(60)
    assert world.ready() == 1
    world.run(150)
    assert world.ready() == 3
