"""What one replica can take within a latency target: each request's share of what the replica has.

A replica runs at a time per output token T, at most the target's. In one second it gets requests of kind i at the rate r_i,
with prompts of p_i and outputs of o_i tokens; S_i = p_i x prefill time of a token. Then, with steps and prefills taking
turns, all requests keep T if

    time      sum r_i (o_i (sequence + (p_i + o_i/2) cached) + S_i)  <=  1 - fixed / T
    places    sum r_i (o_i T + S_i)                                  <=  sequences
    cache     sum r_i (o_i T + S_i) (p_i + o_i)                      <=  cache tokens
    queue     sum r_i (S_i + S_i^2 / 2w)                             <=  1,   w = TTFT target - T - longest S

The first is a step's time, divided by the share that prefill leaves, at most T; the next two are Little's law; the last is
the mean wait of an M/G/1 queue (Pollaczek-Khinchine) for prefill, at most w: a prompt waits for the step that runs, for the
prompts before it, and then for itself. All are linear in r, so replicas add up, and requests of several kinds may share
one. If they hold, the T that comes about is at most the T that was assumed, because more time per token only means more
requests in flight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from planner.speed import Speed
from planner.traffic import Bucket, Target

HEADROOM = 0.8
"""Share of what a replica can take that a mix plans with: the rest is for bursts and for a replica that is replaced."""
SLOWEST_S = 100.0
"""Seconds per token that nobody exceeds, also without a target."""
_HALVINGS = 60


class Limit(StrEnum):
    """What stands in the way of one kind of requests on one shape."""

    LENGTH = "max_model_len"
    CACHE = "KV cache"
    TPOT = "time per output token"
    TTFT = "time to the first token"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a shape can't serve requests. `needs` and `has`: in the unit of the limit; the nearest shape has the least `needs / has`."""

    limit: Limit
    needs: float
    has: float
    words: str


@dataclass(frozen=True, slots=True)
class Design:
    """A way to run a shape: seconds per output token, and the longest prefill (s) that is let in; None = any."""

    speed: Speed
    target: Target
    token_s: float
    longest_s: float | None

    def admits(self, bucket: Bucket) -> bool:
        """Whether requests of that kind may come here."""
        return self.longest_s is None or bucket.prompt_tokens * self.speed.prefill_s <= self.longest_s * (
            1 + 1e-12
        )

    def shares(self, bucket: Bucket) -> tuple[float, ...]:
        """Of time, places, cache and queue of a replica: what one request per second of that kind takes, 1 being all."""
        return _shares(self.speed, self.target, self.token_s, self.longest_s, bucket)


def obstacle(speed: Speed, target: Target, bucket: Bucket) -> Obstacle | None:
    """The first limit that keeps a replica from serving one such request; None = it can."""
    tokens = bucket.prompt_tokens + bucket.output_tokens
    if speed.max_len is not None and tokens > speed.max_len:
        words = f"{tokens} tokens, and max_model_len is {speed.max_len}"
        return Obstacle(Limit.LENGTH, tokens, speed.max_len, words)
    if tokens > speed.cache_tokens:
        words = f"{tokens} tokens, and the KV cache holds {speed.cache_tokens:.0f}"
        return Obstacle(Limit.CACHE, tokens, speed.cache_tokens, words)
    least = speed.step_s(1, bucket.prompt_tokens + bucket.output_tokens / 2)
    if target.tpot_s is not None and least >= target.tpot_s:
        words = (
            f"a token takes {least * 1e3:.1f} ms when it is alone, the target is {target.tpot_s * 1e3:g} ms"
        )
        return Obstacle(Limit.TPOT, least, target.tpot_s, words)
    first = bucket.prompt_tokens * speed.prefill_s + least
    if target.ttft_s is not None and first >= target.ttft_s:
        words = f"the first token takes {first * 1e3:.0f} ms when it is alone, the target is {target.ttft_s * 1e3:g} ms"
        return Obstacle(Limit.TTFT, first, target.ttft_s, words)
    return None


def rate(design: Design, load: Sequence[Bucket]) -> float:
    """How many times the load one replica can take, without headroom; 0 when it admits not all of it."""
    if not all(design.admits(b) for b in load):
        return 0.0
    sums = [
        math.fsum(b.qps * s for b, s in zip(load, column, strict=True)) for column in _columns(design, load)
    ]
    worst = max(sums)
    return 0.0 if math.isinf(worst) else 1 / worst


def best_design(speed: Speed, target: Target, load: Sequence[Bucket]) -> Design | None:
    """The design that takes the most of a load, all of whose kinds it admits; None when it can't serve one of them.

    With more time per token a replica has more time for each step, but requests stay longer and the queue must be shorter: the
    most is where these meet.
    """
    if any(obstacle(speed, target, b) for b in load):
        return None
    longest = None if target.ttft_s is None else max(b.prompt_tokens for b in load) * speed.prefill_s
    low = speed.fixed_s
    high = SLOWEST_S if target.tpot_s is None else target.tpot_s
    if target.ttft_s is not None and longest is not None:
        high = min(high, target.ttft_s - longest)
    top = high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        time, *others = _columns(Design(speed, target, middle, longest), load)
        needs = [
            math.fsum(b.qps * s for b, s in zip(load, column, strict=True)) for column in (time, *others)
        ]
        if needs[0] > max(needs[1:]):
            low = middle
        else:
            high = middle
    best = max(
        (Design(speed, target, t, longest) for t in (low, high, top)),
        key=lambda design: rate(design, load),
    )
    return best if rate(best, load) > 0 else None


def _columns(design: Design, load: Sequence[Bucket]) -> list[tuple[float, ...]]:
    return list(zip(*(design.shares(b) for b in load), strict=True))


def _shares(
    speed: Speed, target: Target, token_s: float, longest_s: float | None, bucket: Bucket
) -> tuple[float, float, float, float]:
    prefill = bucket.prompt_tokens * speed.prefill_s
    cached = bucket.prompt_tokens + bucket.output_tokens / 2
    work = bucket.output_tokens * (speed.sequence_s + cached * speed.cached_s) + prefill
    stays = bucket.output_tokens * token_s + prefill
    left = 1 - speed.fixed_s / token_s
    queue = prefill
    if target.ttft_s is not None and longest_s is not None:
        wait = target.ttft_s - token_s - longest_s
        queue = prefill + prefill**2 / (2 * wait) if wait > 0 else math.inf
    return (
        work / left if left > 0 else math.inf,
        stays / speed.sequences,
        stays * (bucket.prompt_tokens + bucket.output_tokens) / speed.cache_tokens,
        queue,
    )
