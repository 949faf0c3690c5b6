"""The engine model: by hand on a few requests, and against a slow one that does the same step by step."""

import math
import random

import pytest

from sim.engine import Engine, Rates

SMALL = Rates(prefill=1000, alone=10, full=16, slots=2, kv=10_000)
"""A step takes 0.1 s alone and 0.125 s with two."""


class Heard:
    """When answers began and ended, by request."""

    def __init__(self):
        self.first, self.end = {}, {}

    def begun(self, at, request):
        self.first[request] = at

    def done(self, at, request, first_at):
        assert self.first[request] == first_at
        self.end[request] = at


def play(rates, requests, until=1e6):
    heard = Heard()
    engine = Engine(rates, heard, 0.0)
    for request in requests:
        engine.submit(request[0], request)
    engine.advance(until)
    return heard, engine


def test_a_request_alone_is_prefilled_and_then_gets_a_token_per_step():
    request = (1.0, 500, 11, 0)
    heard, _ = play(SMALL, [request])
    assert heard.first[request] == pytest.approx(1.5)
    assert heard.end[request] == pytest.approx(2.5)


def test_prefills_come_one_after_another_and_nothing_decodes_meanwhile():
    one, other = (0.0, 500, 11, 0), (0.0, 500, 11, 1)
    heard, _ = play(SMALL, [one, other])
    assert (heard.first[one], heard.first[other]) == (pytest.approx(0.5), pytest.approx(1.0))
    assert (heard.end[one], heard.end[other]) == (pytest.approx(2.25), pytest.approx(2.25))


def test_a_prefill_holds_up_who_decodes_by_its_own_length():
    early, late = (0.0, 500, 11, 0), (1.0, 300, 1, 0)
    heard, _ = play(SMALL, [early, late])
    assert heard.end[early] == pytest.approx(1.5 + 0.3)
    assert heard.first[late] == heard.end[late] == pytest.approx(1.3)


def test_without_a_slot_a_request_waits_and_its_first_byte_with_it():
    two = [(0.0, 500, 11, n) for n in range(2)]
    third = (0.0, 100, 2, 2)
    heard, _ = play(SMALL, [*two, third])
    assert heard.first[third] == pytest.approx(2.25 + 0.1)
    assert heard.end[third] == pytest.approx(2.25 + 0.1 + 0.1)


def test_without_room_in_the_kv_cache_a_request_waits_although_there_is_a_slot():
    rates = Rates(prefill=1000, alone=10, full=16, slots=2, kv=600)
    one, other = (0.0, 500, 11, 0), (0.0, 80, 20, 1)
    heard, engine = play(rates, [one, other])
    assert heard.first[other] == pytest.approx(1.5 + 0.08)
    assert engine.fits((0.0, 580, 20, 0))
    assert not engine.fits((0.0, 580, 21, 0))


def test_an_answer_of_no_or_one_token_ends_with_its_first_byte():
    for output in (0, 1):
        request = (0.0, 500, output, 0)
        heard, _ = play(SMALL, [request])
        assert heard.first[request] == heard.end[request] == pytest.approx(0.5)


def test_it_tells_who_runs_who_waits_what_the_cache_holds_and_how_long_it_was_idle():
    engine = Engine(SMALL, Heard(), 0.0)
    for n in range(3):
        engine.submit(2.0, (2.0, 500, 11, n))
    engine.advance(2.25)
    assert engine.load() == (1, 2, pytest.approx(500 / 10_000))
    engine.advance(3.0 + 0.25)
    assert engine.load() == (2, 1, pytest.approx((2 * (500 + 1 + 2)) / 10_000))
    assert [r[3] for r in engine.unbegun()] == [2]
    assert sorted(r[3] for r, _ in engine.begun()) == [0, 1]
    assert (engine.in_works, engine.idle_s) == (3, 2.0)


def test_when_all_is_answered_nothing_is_left_of_it():
    source = random.Random(3)
    requests = [(n * 0.3, source.randrange(900), source.randrange(60), n) for n in range(300)]
    heard, engine = play(SMALL, requests)
    assert set(heard.end) == set(requests)
    assert engine.load() == (0, 0, 0.0)
    assert (engine.in_works, engine.next_at) == (0, math.inf)


def test_looking_at_it_more_often_changes_nothing():
    source = random.Random(5)
    requests = [(n * 0.7, source.randrange(900), source.randrange(60), n) for n in range(200)]
    once, _ = play(SMALL, requests)
    heard = Heard()
    engine, at = Engine(SMALL, heard, 0.0), 0.0
    for request in requests:
        while (at := at + 0.05) < request[0]:
            engine.advance(at)
        engine.submit(request[0], request)
    engine.advance(1e6)
    assert heard.end == pytest.approx(once.end)


@pytest.mark.parametrize("seed", range(8))
def test_it_does_what_a_plain_model_does_that_takes_each_token_by_itself(seed):
    source = random.Random(seed)
    rates = Rates(prefill=1000, alone=20, full=50, slots=4, kv=3000)
    at, requests = 0.0, []
    for n in range(60):
        at += source.expovariate(1.2)
        requests.append((at, source.randrange(800), source.randrange(40), n))
    heard, _ = play(rates, requests)
    first, end = plain(rates, requests)
    assert heard.first == pytest.approx(first, abs=1e-6)
    assert heard.end == pytest.approx(end, abs=1e-6)


def plain(rates, requests):
    """The same law, with what is left of each request counted down from event to event."""
    first, end, waiting, left, now = {}, {}, [], {}, 0.0
    coming, prefills, prefilled_at = list(requests), None, 0.0
    while coming or waiting or left or prefills:
        taken = sum(r[1] + r[2] for r in left)
        if (
            prefills is None
            and waiting
            and len(left) < rates.slots
            and taken + waiting[0][1] + waiting[0][2] <= rates.kv
        ):
            prefills = waiting.pop(0)
            prefilled_at = now + prefills[1] / rates.prefill
        arrives = coming[0][0] if coming else math.inf
        step = rates.step(len(left)) if left else math.inf
        happens = prefilled_at if prefills else now + min(left.values(), default=math.inf) * step
        until = min(arrives, happens)
        if prefills is None:
            left = {r: tokens - (until - now) / step for r, tokens in left.items()}
        now = until
        if prefills is not None and now == prefilled_at:
            first[prefills] = now
            if prefills[2] > 1:
                left[prefills] = prefills[2] - 1
            else:
                end[prefills] = now
            prefills = None
        if prefills is None:
            for r in [r for r, tokens in left.items() if tokens < 1e-9]:
                end[r] = now
                del left[r]
        if now == arrives:
            waiting.append(coming.pop(0))
    return first, end


def test_full_slots_answer_what_the_capacity_says():
    rates = Rates()
    size = 1000, 200
    requests = [(0.0, *size, n) for n in range(4000)]
    heard, _ = play(rates, requests)
    assert 4000 / max(heard.end.values()) == pytest.approx(rates.capacity(*size), rel=0.03)


def test_requests_that_are_no_work_are_answered_without_limit():
    assert Rates().capacity(0, 1) == math.inf


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"prefill": 0}, "prefill must be more than 0"),
        ({"kv": -1}, "kv must be more than 0"),
        ({"alone": math.nan}, "alone must be more than 0"),
        ({"alone": 60, "full": 50}, "full must lie between alone"),
        ({"alone": 60, "slots": 2, "full": 121}, "and alone x slots (120)"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(rates, said):
    with pytest.raises(ValueError, match="must") as wrong:
        Rates(**rates)
    assert said in str(wrong.value)
