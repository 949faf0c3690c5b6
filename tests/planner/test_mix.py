import itertools
import math
import random
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner.design import HEADROOM, Limit
from planner.mix import Candidate, blocked, cheapest, single, singles
from planner.traffic import ANY, Bucket, Target, parse_traffic, traffic_of
from tests.planner.test_design import buckets, first_token_s, speed, speeds, targets, token_s

candidates = st.lists(st.tuples(st.floats(0.2, 30), speeds), min_size=1, max_size=4).map(
    lambda pairs: [Candidate((f"X{i}", 1), price, s) for i, (price, s) in enumerate(pairs)]
)
loads = st.lists(buckets, min_size=1, max_size=4).map(traffic_of)


def check(mix, traffic, target):
    """The load is served, and each replica keeps the target with the requests that it gets."""
    for i, bucket in enumerate(traffic.buckets):
        assert math.fsum(p.served[i] for p in mix.parts) == pytest.approx(bucket.qps, rel=1e-6)
    for part in mix.parts:
        replica = part.candidate.speed
        each = [
            Bucket(b.prompt_tokens, b.output_tokens, qps / part.replicas)
            for b, qps in zip(traffic.buckets, part.served, strict=True)
            if qps > 0
        ]
        t = token_s(replica, each)
        assert t <= part.design.token_s
        assert target.tpot_s is None or t <= target.tpot_s
        if target.ttft_s is not None:
            assert all(first_token_s(replica, each, b) <= target.ttft_s for b in each)


@settings(max_examples=60, deadline=None)
@given(candidates, loads, targets, st.booleans())
def test_a_mix_serves_the_load_within_the_target_and_is_never_dearer_than_one_shape(
    offered, traffic, target, by_length
):
    mix = cheapest(offered, traffic, target, by_length=by_length)
    alone = singles(offered, traffic, target)
    if mix is None:
        assert not alone
        return
    check(mix, traffic, target)
    assert not alone or mix.usd_hour <= alone[0].usd_hour + 1e-9
    if alone:
        check(alone[0], traffic, target)


@settings(max_examples=30, deadline=None)
@given(candidates, loads, targets, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_shapes_and_buckets_does_not_matter(offered, traffic, target, by_length, rng):
    shuffled = rng.sample(offered, len(offered))
    turned = traffic_of(rng.sample(traffic.buckets, len(traffic.buckets)))
    assert cheapest(shuffled, turned, target, by_length=by_length) == cheapest(
        offered, traffic, target, by_length=by_length
    )


@settings(max_examples=30, deadline=None)
@given(candidates, loads, targets)
def test_sending_requests_by_their_lengths_never_costs_more(offered, traffic, target):
    mixed = cheapest(offered, traffic, target, by_length=False)
    assume(mixed is not None)
    free = cheapest(offered, traffic, target, by_length=True)
    assert free.usd_hour <= mixed.usd_hour + 1e-9


@settings(max_examples=40, deadline=None)
@given(candidates, loads, st.floats(0.005, 1.5))
def test_without_a_mix_by_length_some_bucket_is_blocked(offered, traffic, ttft):
    target = Target(ttft_s=ttft)
    stuck = blocked(offered, traffic, target)
    assert (cheapest(offered, traffic, target, by_length=True) is None) == bool(stuck)
    assert all(b.obstacle.needs >= b.obstacle.has for b in stuck)


def test_the_integer_program_finds_what_trying_everything_finds():
    rng = random.Random(3)
    traffic = traffic_of([Bucket(700, 200, 9.0), Bucket(3000, 100, 2.0)])
    target = Target(ttft_s=1.5, tpot_s=0.06)
    for _ in range(20):
        offered = [
            Candidate(
                (f"X{i}", 1),
                rng.uniform(1, 10),
                speed(fixed_s=rng.uniform(0.004, 0.03), prefill_s=rng.uniform(2e-5, 2e-4)),
            )
            for i in range(3)
        ]
        takes = {}
        for c in offered:
            alone = single(c, traffic, target)
            shares = [alone.parts[0].design.shares(b) for b in traffic.buckets]
            needs = [
                sum(b.qps * s for b, s in zip(traffic.buckets, col, strict=True))
                for col in zip(*shares, strict=True)
            ]
            takes[c.shape] = HEADROOM / max(needs)
        best = min(
            sum(n * c.price for n, c in zip(numbers, offered, strict=True))
            for numbers in itertools.product(range(12), repeat=3)
            if sum(n * takes[c.shape] for n, c in zip(numbers, offered, strict=True)) >= 1 - 1e-9
        )
        assert cheapest(offered, traffic, target, by_length=False).usd_hour == pytest.approx(best, rel=1e-3)


def test_two_shapes_are_cheaper_than_one_where_the_last_replica_would_idle():
    big = Candidate(("big", 1), 10.0, speed(fixed_s=0.004, prefill_s=1e-5, sequence_s=1e-5, cached_s=1e-8))
    small = Candidate(("small", 1), 2.0, speed(fixed_s=0.02))
    traffic = traffic_of([Bucket(1000, 200, 95.0)])
    alone = singles([big, small], traffic, Target(tpot_s=0.05))
    mix = cheapest([big, small], traffic, Target(tpot_s=0.05), by_length=False)
    assert {p.candidate.shape for p in mix.parts} == {("big", 1), ("small", 1)}
    assert mix.usd_hour < alone[0].usd_hour


def test_requests_that_only_one_shape_can_hold_go_there_and_the_rest_where_it_is_cheap():
    cheap = Candidate(("cheap", 1), 1.0, speed(cache_tokens=3000.0))
    roomy = Candidate(("roomy", 1), 9.0, speed())
    short, long = Bucket(200, 100, 80.0), Bucket(8000, 100, 0.5)
    mix = cheapest([cheap, roomy], traffic_of([short, long]), ANY, by_length=True)
    served = {p.candidate.shape[0]: p.served for p in mix.parts}
    assert served["cheap"][1] == 0
    assert served["roomy"][1] == pytest.approx(0.5)
    assert (
        cheapest([cheap, roomy], traffic_of([short, long]), ANY, by_length=False).parts[0].candidate is roomy
    )


def test_a_bucket_that_nothing_serves_is_named_with_its_nearest_shape_and_limit():
    slow, fast = (Candidate((n, 1), 1.0, speed(prefill_s=s)) for n, s in (("slow", 1e-3), ("fast", 1e-4)))
    (stuck,) = blocked([slow, fast], traffic_of([Bucket(10, 10, 1), Bucket(9000, 10, 1)]), Target(ttft_s=0.5))
    assert stuck.bucket.prompt_tokens == 9000
    assert stuck.nearest is fast
    assert stuck.obstacle.limit is Limit.TTFT


def test_each_bucket_may_have_a_shape_and_all_together_none():
    quick = Candidate(("quick", 1), 1.0, speed(cache_tokens=2000.0, prefill_s=1e-5))
    roomy = Candidate(("roomy", 1), 1.0, speed(fixed_s=0.05))
    traffic = traffic_of([Bucket(1000, 100, 1), Bucket(6000, 2000, 1)])
    target = Target(tpot_s=0.2)
    assert blocked([quick, roomy], traffic, target) == ()
    assert cheapest([quick], traffic, target, by_length=False) is None
    assert cheapest([quick, roomy], traffic, target, by_length=True) is not None


def test_a_load_of_many_lengths_on_many_shapes_is_solved_at_once():
    rng = random.Random(5)
    offered = [
        Candidate(
            (f"X{i}", 1),
            rng.uniform(0.3, 30),
            speed(fixed_s=rng.uniform(0.002, 0.03), prefill_s=rng.uniform(1e-5, 2e-4)),
        )
        for i in range(40)
    ]
    rows = "".join(
        f"{rng.uniform(0.01, 0.5):.3f},{int(rng.lognormvariate(6, 1)) + 1},{int(rng.lognormvariate(5, 1)) + 1}\n"
        for _ in range(400)
    )
    traffic = parse_traffic("qps,prompt_tokens,output_tokens\n" + rows, "load.csv")
    start = time.process_time()
    mix = cheapest(offered, traffic, Target(3, 0.08), by_length=True)
    assert time.process_time() - start < 20  # it takes about 2
    check(mix, traffic, Target(3, 0.08))


def test_the_least_load_needs_a_replica():
    mix = cheapest(
        [Candidate(("x", 1), 2.0, speed())], traffic_of([Bucket(1, 1, 0.001)]), ANY, by_length=True
    )
    assert (mix.replicas, mix.usd_hour) == (1, 2.0)
