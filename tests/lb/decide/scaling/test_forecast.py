"""A floor that is what was usual at this time of the last days."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lb.decide.memory import ScalingMemory
from lb.decide.observed import Load
from lb.decide.scaling import Supply, View, target
from lb.decide.scaling.forecast import DAY, DAYS
from tests.lb.world import a_pool, a_service

MIDNIGHT = 1_799_971_200.0
DAY_S, STEP_S = 86400, 300
SLOW = Supply(next=a_pool().model_copy(update={"cold_start_s": 600.0}))


def forecasting(**more):
    return a_service(replicas=1, most=20, qps=1.0, scaling={"forecast": True} | more)


def at_nine(second, peak=6.0):
    """Six requests per second from nine to ten, one every other second at any other time."""
    return peak if 9 * 3600 <= second % DAY_S < 10 * 3600 else 0.5


def live(service, days, qps, memory=None, start=0):
    """(second, number, reason) at each step of those days, and the memory."""
    found, memory = [], memory or ScalingMemory(1)
    for second in range(start * DAY_S, (start + days) * DAY_S, STEP_S):
        view = View(Load("chat", qps(second)), supply=SLOW)
        number, memory, why = target(service, view, memory, MIDNIGHT + second)
        found.append((second, number, why))
    return found, memory


def first_more(found, day):
    """The second of that day at which there was more than one."""
    return next((s % DAY_S for s, n, _ in found if s // DAY_S == day and n > 1), None)


def test_what_came_on_two_days_is_there_on_the_third_as_long_before_as_a_start_takes():
    found, _ = live(forecasting(), 3, at_nine)
    nine = 9 * 3600
    assert first_more(found, 0) >= nine + 300
    assert first_more(found, 1) >= nine + 300
    assert nine - 1500 <= first_more(found, 2) <= nine - 600
    [why] = [why for s, n, why in found if s == 2 * DAY_S + first_more(found, 2)]
    assert why == "chat: 1 -> 6 replicas: usual at this time of the last 2 days"
    assert found[-1][1] == 1


def test_unless_it_is_wanted_nothing_is_forecast_or_remembered():
    found, memory = live(forecasting(forecast=None), 3, at_nine)
    assert first_more(found, 2) >= 9 * 3600 + 300
    assert memory.pattern is None


def test_one_day_that_was_unlike_the_others_changes_nothing():
    def odd(second):
        return at_nine(second, {1: 20.0, 2: 0.5}.get(second // DAY_S, 6.0))

    found, memory = live(forecasting(), 5, odd)
    tomorrow, _ = live(forecasting(), 1, lambda _: 0.5, memory, start=5)
    assert max(n for _, n, _ in tomorrow) == 6
    assert found


def test_what_does_not_come_any_more_is_forgotten_because_a_forecast_is_no_load():
    _, memory = live(forecasting(), 7, at_nine)
    later, _ = live(forecasting(), 5, lambda _: 0.5, memory, start=7)
    assert max(n for s, n, _ in later if s // DAY_S == 7) == 6
    assert max(n for s, n, _ in later if s // DAY_S == 11) == 1


def test_a_forecast_is_never_above_the_maximum_and_the_load_may_ask_for_more():
    service = a_service(replicas=1, most=4, qps=1.0, scaling={"forecast": True})
    found, _ = live(service, 3, at_nine)
    assert max(n for _, n, _ in found) == 4
    _, memory = live(forecasting(), 2, at_nine)
    busy, _ = live(forecasting(), 1, lambda s: at_nine(s, 9.0), memory, start=2)
    assert max(n for _, n, _ in busy) == 9


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0, 30), min_size=4, max_size=40))
def test_what_is_remembered_is_a_week_at_most(loads):
    _, memory = live(forecasting(), 9, lambda s: loads[s // 1800 % len(loads)])
    assert len(memory.pattern.peaks) <= DAYS * DAY + 1
    assert target(forecasting(), View(Load("chat", 0.0), supply=SLOW), memory, MIDNIGHT + 9 * DAY_S)[0] <= 20
