"""A hosted provider behind the edge: it answers at once whatever it is sent, for a price per token.

It stands for somebody else's service, so nothing of it is modelled but when bytes come and what they cost. It has no limit but the
money that it may take in an hour.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from sim.conditions import MOST_USD
from sim.engine import Request, Told

PER_USD = 1e6
"""Prices are per million tokens."""
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Hosted:
    """A provider's offer, USD per million tokens.

    How fast it is: what the quicker providers of 70B models did in LLMPerf's leaderboard of December 2023
    (<https://github.com/ray-project/llmperf-leaderboard>); a first byte of theirs took 0.2 to 0.6 s.

    Attributes:
        usd_input: of prompts.
        usd_output: of answers.
        most_usd_hour: what it may take in an hour; None = there is no limit.
        ttft_s: until the first byte of an answer.
        tokens_s: of an answer, per second, from then on.

    """

    usd_input: float
    usd_output: float
    most_usd_hour: float | None = None
    ttft_s: float = 0.5
    tokens_s: float = 65.0

    def __post_init__(self) -> None:
        for name in ("usd_input", "usd_output"):
            value = getattr(self, name)
            if not 0 <= value <= MOST_USD:
                raise ValueError(f"a price must be 0 or more, and at most {MOST_USD:.0f}; got {value:g}")
        if self.most_usd_hour is not None and not 0 < self.most_usd_hour <= MOST_USD:
            raise ValueError(
                f"the limit must be more than 0, and at most {MOST_USD:.0f}; got {self.most_usd_hour:g}"
            )

    def usd(self, prompt: int, output: int) -> float:
        """What so many tokens cost."""
        return (prompt * self.usd_input + output * self.usd_output) / PER_USD


class Provider:
    """What the edge sends there in one run. `told` learns of each answer when `advance` passes its end."""

    def __init__(self, offer: Hosted, told: Told) -> None:
        self._offer, self._told = offer, told
        self._answers: list[tuple[float, int, float, Request]] = []
        """(When it is whole, number, when its first byte came, request): a heap."""
        self._taken = 0
        self._hour, self._usd_of_hour = 0, 0.0
        self.usd = 0.0
        """What it has taken."""

    @property
    def in_works(self) -> int:
        """Requests that it answers now."""
        return len(self._answers)

    def take(self, at: float, request: Request) -> bool:
        """Whether it answers; not when that would cost more than it may take in this hour, counted from the trace's beginning."""
        _, prompt, output, _ = request
        offer, usd, hour = self._offer, self._offer.usd(prompt, output), int(at / HOUR_S)
        if hour != self._hour:
            self._hour, self._usd_of_hour = hour, 0.0
        if offer.most_usd_hour is not None and self._usd_of_hour + usd > offer.most_usd_hour:
            return False
        self._usd_of_hour += usd
        self.usd += usd
        self._taken += 1
        first_at = at + offer.ttft_s
        whole_at = first_at + max(0, output - 1) / offer.tokens_s
        heapq.heappush(self._answers, (whole_at, self._taken, first_at, request))
        self._told.begun(first_at, request)
        return True

    def advance(self, until: float) -> None:
        """Everything up to and including that moment happens."""
        answers = self._answers
        while answers and answers[0][0] <= until:
            whole_at, _, first_at, request = heapq.heappop(answers)
            self._told.done(whole_at, request, first_at)
