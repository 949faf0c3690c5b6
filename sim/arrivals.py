"""Synthetic request traces that look like the Azure LLM inference traces, which have a licence of their own and are not shipped.

Lengths: the quantiles of the two services of the trace of 2023 (AzurePublicDataset, `AzureLLMInferenceTrace_conv.csv` and
`_code.csv`, https://github.com/Azure/AzurePublicDataset, CC-BY; described in Splitwise, ISCA '24), on a logarithmic scale between
them. Arrivals: Poisson with a rate that wanders as it does there. That trace is an hour long, so day, night and bursts are ours.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

STEP_S = 10.0
"""The rate holds for so long."""
DAY_S = 86_400.0
SWING = 0.5
"""By day half more than the mean, by night half of it."""
MEMORY_S = 300.0
"""After this long the wandering has forgotten most of where it was."""
MEAN_BETWEEN_BURSTS_S = 3 * 3600.0
BURST_FACTOR, BURST_S = (1.5, 3.0), (180.0, 1200.0)
_SHARES = (0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999, 1.0)


class Asks(StrEnum):
    """What callers ask for: to converse, or for code."""

    CONVERSATION = "conversation"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class _Service:
    """Token counts at _SHARES, and how much the logarithm of the rate wanders, as a standard deviation."""

    prompts: tuple[int, ...]
    outputs: tuple[int, ...]
    wanders: float


_SERVICES = {
    Asks.CONVERSATION: _Service(
        prompts=(2, 29, 181, 207, 396, 1020, 1189, 2734, 4083, 4142, 6179, 14_050),
        outputs=(7, 16, 41, 54, 85, 129, 395, 424, 451, 601, 954, 1000),
        wanders=0.21,
    ),
    Asks.CODE: _Service(
        prompts=(3, 17, 75, 147, 578, 1469, 2744, 5187, 7303, 7436, 7437, 7437),
        outputs=(6, 6, 6, 7, 9, 13, 24, 55, 90, 251, 825, 1899),
        wanders=0.85,
    ),
}


def generate_requests(asks: Asks, *, seed: int, days: float, rate: float) -> Iterator[tuple[float, int, int]]:
    """Requests in order of time: seconds, prompt tokens, output tokens. The first day begins at midnight.

    Args:
        asks: whose lengths.
        seed: decides everything.
        days: how long.
        rate: requests per second, on average over whole days, without the bursts.

    """
    source = random.Random(f"requests {asks} {seed} {days} {rate}")
    service, end = _SERVICES[asks], days * DAY_S
    draw, prompts, outputs = source.random, _Quantiles(service.prompts), _Quantiles(service.outputs)
    for begun, per_s in _rates(source, service.wanders, rate, end):
        at, until = begun, min(begun + STEP_S, end)
        while (at := at + source.expovariate(per_s)) < until:
            yield at, prompts.at(draw()), outputs.at(draw())


def _rates(source: random.Random, wanders: float, mean: float, end: float) -> Iterator[tuple[float, float]]:
    """(From when, requests per second), every STEP_S."""
    keeps = math.exp(-STEP_S / MEMORY_S)
    moves = wanders * math.sqrt(1 - keeps * keeps)
    wandered, at, n = source.gauss(0, wanders), 0.0, 0
    next_burst, burst_ends, factor = source.expovariate(1 / MEAN_BETWEEN_BURSTS_S), 0.0, 1.0
    while at < end:
        if at >= burst_ends:
            factor = 1.0
        if at >= next_burst:
            factor, burst_ends = source.uniform(*BURST_FACTOR), at + source.uniform(*BURST_S)
            next_burst = burst_ends + source.expovariate(1 / MEAN_BETWEEN_BURSTS_S)
        by_day = 1 - SWING * math.cos(2 * math.pi * at / DAY_S)
        yield at, mean * by_day * factor * math.exp(wandered - wanders * wanders / 2)
        wandered = keeps * wandered + source.gauss(0, moves)
        n += 1
        at = n * STEP_S


class _Quantiles:
    """Token counts by share, on a logarithmic scale between the quantiles."""

    def __init__(self, values: tuple[int, ...]) -> None:
        self._logs = [math.log(v) for v in values]

    def at(self, share: float) -> int:
        """`share`: 0 to 1."""
        i = min(bisect_right(_SHARES, share), len(_SHARES) - 1)
        low, high = _SHARES[i - 1], _SHARES[i]
        part = (share - low) / (high - low)
        return round(math.exp(self._logs[i - 1] + (self._logs[i] - self._logs[i - 1]) * part))
