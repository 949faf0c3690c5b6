import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from catalog.throughput import Basis
from planner.design import Limit, best_design, obstacle, rate
from planner.speed import Speed
from planner.traffic import ANY, Bucket, Target


def speed(**changes):
    return Speed(
        **{
            "prefill_s": 1e-4,
            "fixed_s": 0.01,
            "cached_s": 5e-8,
            "sequence_s": 4e-5,
            "cache_tokens": 200_000.0,
            "sequences": 256,
            "max_len": 16_384,
            "basis": Basis.ESTIMATED,
            "source": "test",
            **changes,
        }
    )


def token_s(replica, load):
    """The time per output token that comes about: t = (weights + t x work of a step) / (1 - prefill), solved for t."""
    busy = sum(b.qps * b.prompt_tokens * replica.prefill_s for b in load)
    work = (
        sum(b.qps * b.output_tokens * replica.step_s(1, b.prompt_tokens + b.output_tokens / 2) for b in load)
        - sum(b.qps * b.output_tokens for b in load) * replica.fixed_s
    )
    assert busy + work < 1, "more requests come than go"
    return replica.fixed_s / (1 - busy - work)


def first_token_s(replica, load, bucket):
    """Mean: the step that runs, the prompts before it (Pollaczek-Khinchine), its own prefill."""
    own = [(b.qps, b.prompt_tokens * replica.prefill_s) for b in load]
    busy = sum(q * s for q, s in own)
    queue = sum(q * s * s for q, s in own) / (2 * (1 - busy))
    return token_s(replica, load) + queue + bucket.prompt_tokens * replica.prefill_s


buckets = st.builds(Bucket, st.integers(1, 8000), st.integers(1, 2000), st.floats(0.01, 5, allow_nan=False))
speeds = st.builds(
    speed,
    prefill_s=st.floats(1e-5, 5e-4),
    fixed_s=st.floats(0.002, 0.05),
    cached_s=st.floats(1e-8, 5e-7),
    sequence_s=st.floats(1e-6, 5e-4),
    cache_tokens=st.floats(20_000, 1e6),
    sequences=st.integers(4, 512),
)
targets = st.builds(
    Target, st.one_of(st.none(), st.floats(0.1, 5)), st.one_of(st.none(), st.floats(0.01, 0.3))
)


@given(speeds, targets, st.lists(buckets, min_size=1, max_size=4))
def test_what_a_replica_is_said_to_take_it_takes_within_the_target(replica, target, load):
    design = best_design(replica, target, load)
    assume(design is not None)
    most = rate(design, load)
    served = [Bucket(b.prompt_tokens, b.output_tokens, b.qps * most * 0.999) for b in load]
    t = token_s(replica, served)
    assert t <= design.token_s * 1.000001
    assert target.tpot_s is None or t <= target.tpot_s * 1.000001
    if target.ttft_s is not None:
        assert all(first_token_s(replica, served, b) <= target.ttft_s * 1.000001 for b in served)
    stay = [b.output_tokens * t + b.prompt_tokens * replica.prefill_s for b in served]
    assert sum(b.qps * s for b, s in zip(served, stay, strict=True)) <= replica.sequences * 1.000001
    held = sum(b.qps * s * (b.prompt_tokens + b.output_tokens) for b, s in zip(served, stay, strict=True))
    assert held <= replica.cache_tokens * 1.000001


@given(speeds, st.lists(buckets, min_size=1, max_size=4), st.floats(0.2, 4), st.floats(0.02, 0.2))
def test_a_looser_target_never_takes_less(replica, load, ttft, tpot):
    tight, loose = Target(ttft, tpot), Target(ttft * 1.5, tpot * 1.5)
    design = best_design(replica, tight, load)
    assume(design is not None)
    assert rate(best_design(replica, loose, load), load) >= rate(design, load) * 0.999999
    assert rate(best_design(replica, ANY, load), load) >= rate(design, load) * 0.999999


@given(speeds, targets, buckets)
def test_one_kind_of_requests_has_a_design_or_an_obstacle(replica, target, bucket):
    assert (best_design(replica, target, [bucket]) is None) == (obstacle(replica, target, bucket) is not None)


@pytest.mark.parametrize(
    ("bucket", "target", "changes", "limit", "words"),
    [
        (Bucket(16_000, 1000, 1), ANY, {}, Limit.LENGTH, "17000 tokens, and max_model_len is 16384"),
        (Bucket(8000, 1000, 1), ANY, {"cache_tokens": 5000.0}, Limit.CACHE, "the KV cache holds 5000"),
        (
            Bucket(100, 100, 1),
            Target(tpot_s=0.005),
            {},
            Limit.TPOT,
            "10.0 ms when it is alone, the target is 5 ms",
        ),
        (
            Bucket(8000, 100, 1),
            Target(ttft_s=0.5),
            {},
            Limit.TTFT,
            "810 ms when it is alone, the target is 500 ms",
        ),
    ],
)
def test_the_obstacle_is_the_limit_in_its_own_words(bucket, target, changes, limit, words):
    found = obstacle(speed(**changes), target, bucket)
    assert found.limit is limit
    assert words in found.words
    assert found.needs >= found.has


def test_longer_prompts_are_let_in_only_where_they_were_planned_for():
    short, long = Bucket(100, 100, 1), Bucket(8000, 100, 1)
    target = Target(ttft_s=2)
    design = best_design(speed(), target, [short])
    assert design.admits(short)
    assert not design.admits(long)
    assert rate(design, [short, long]) == 0
    assert best_design(speed(), target, [short, long]).admits(long)
