"""How one replica answers: a GPU that does one thing at a time, prefill before decode, and a queue in the order of arrival.

A prompt of p tokens is prefilled for p / P seconds, alone; its first token is there when that ends. Meanwhile nothing decodes.
Otherwise the n requests that decode get one token each per step of s(n) = base + n x slope seconds: the weights are read once per step,
each request's cache by itself. A request takes a slot and room for all its tokens in the KV cache before its prefill, so none has
to be thrown out later. The total work is that of an engine that mixes both in one batch; only its order within a second differs.

All are equal in decode, so what counts is a clock that ticks tokens: a request of k further tokens that begins to decode at token
time v is done at v + k, whoever comes or goes. So an event costs a heap operation, and nothing is approximated but that
tokens come evenly instead of in steps.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Protocol

Request = tuple[float, int, int, int]
"""When it arrived, prompt tokens, output tokens, how often it was tried before."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What one replica does. The defaults are what `planner.speed` estimates of Mixtral 8x7B on two A100-80GB, no measurement,
    with the slots that vLLM has unless told otherwise.

    Attributes:
        prefill: prompt tokens per second.
        alone: tokens per second of a request that decodes alone.
        full: tokens per second of all together with every slot taken.
        slots: requests that run at the same time.
        kv: tokens that the KV cache holds.

    """

    prefill: float = 10_500.0
    alone: float = 31.5
    full: float = 3700.0
    slots: int = 256
    kv: int = 440_000

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not math.isfinite(value) or value <= 0:
                raise ValueError(f"{f.name} must be more than 0, got {value:g}")
        if not self.alone <= self.full <= self.alone * self.slots:
            raise ValueError(
                f"full must lie between alone ({self.alone:g}) and alone x slots ({self.alone * self.slots:g}), got {self.full:g}"
            )

    @property
    def slope(self) -> float:
        """Seconds that each request adds to a step."""
        return (self.slots / self.full - 1 / self.alone) / (self.slots - 1) if self.slots > 1 else 0.0

    def step(self, running: int) -> float:
        """Seconds of a decode step of so many requests."""
        return 1 / self.alone + self.slope * (running - 1)

    def capacity(self, prompt: float, output: float) -> float:
        """Requests of that size per second with all slots taken; infinite where they are no work."""
        seconds = prompt / self.prefill + max(0.0, output - 1) / self.full
        return 1 / seconds if seconds else math.inf


class Told(Protocol):
    """Who is told what becomes of requests. Times in seconds since the trace began."""

    def begun(self, at: float, request: Request) -> None:
        """The first token of its answer is there."""
        ...

    def done(self, at: float, request: Request, first_at: float) -> None:
        """Its answer is whole; it began at `first_at`."""
        ...


class Engine:
    """One replica's engine. `next_at`: when something will happen in it; call `advance` with no earlier moment than before."""

    __slots__ = (
        "_kv_base",
        "_now",
        "_prefilled_at",
        "_prefills",
        "_rates",
        "_reserved",
        "_running",
        "_seq",
        "_steps",
        "_tokens",
        "_told",
        "_waiting",
        "idle_s",
        "in_works",
        "next_at",
    )

    def __init__(self, rates: Rates, told: Told, now: float) -> None:
        self._rates, self._told, self._now = rates, told, now
        self._steps = [rates.step(max(1, n)) for n in range(rates.slots + 1)]
        self._waiting: deque[Request] = deque()
        self._prefills: Request | None = None
        self._prefilled_at = math.inf
        self._running: list[tuple[float, int, float, float, Request]] = []
        """(Token time of its end, number, token time of its begin, when that was, request): a heap."""
        self._tokens = 0.0
        """Token time: what a request that has been decoding for ever would have got."""
        self._seq = 0
        self._reserved = 0
        self._kv_base = 0.0
        self.in_works = 0
        """Requests that run or wait."""
        self.next_at = math.inf
        self.idle_s = 0.0
        """Seconds in which it had nothing to do."""

    def fits(self, request: Request) -> bool:
        """Whether it can ever be answered here."""
        return request[1] + request[2] <= self._rates.kv

    def submit(self, at: float, request: Request) -> None:
        """Takes a request that `fits`."""
        if self._now < at:
            self.advance(at)
        self.in_works += 1
        self._waiting.append(request)
        if self._prefills is None:
            self._start()
            self._plan()

    def advance(self, until: float) -> None:
        """Everything up to and including that moment happens."""
        running, told = self._running, self._told
        while True:
            if self._prefills is not None:
                if self._prefilled_at > until:
                    break
                self._now = at = self._prefilled_at
                request, self._prefills = self._prefills, None
                told.begun(at, request)
                if request[2] > 1:
                    self._seq += 1
                    end = self._tokens + request[2] - 1
                    heapq.heappush(running, (end, self._seq, self._tokens, at, request))
                    self._kv_base += request[1] + 1 - self._tokens
                else:
                    self._leave(at, request, at)
            elif running:
                step = self._steps[len(running)]
                at = self._now + (running[0][0] - self._tokens) * step
                if at > until:
                    self._tokens += (until - self._now) / step
                    break
                end, _, begun, first_at, request = heapq.heappop(running)
                self._now, self._tokens = at, end
                self._kv_base -= request[1] + 1 - begun
                self._leave(at, request, first_at)
                if running and running[0][0] <= end:
                    continue  # whoever is done at the same moment leaves before the next prefill
                if not running:
                    self._tokens = self._kv_base = 0.0
            else:
                self.idle_s += until - self._now
                break
            self._start()
        self._now = until
        self._plan()

    def load(self) -> tuple[int, int, float]:
        """Now: how many run (the one in prefill, too), how many wait, the used share of the KV cache."""
        running = len(self._running) + (self._prefills is not None)
        used = self._kv_base + len(self._running) * self._tokens
        if self._prefills is not None:
            used += self._prefills[1]
        return running, len(self._waiting), min(1.0, max(0.0, used / self._rates.kv))

    def unbegun(self) -> Iterator[Request]:
        """Those that have had no token yet, in the order of arrival."""
        if self._prefills is not None:
            yield self._prefills
        yield from self._waiting

    def begun(self) -> Iterator[tuple[Request, float]]:
        """Those that are in the middle of their answer, and when it began."""
        return ((r[-1], r[-2]) for r in self._running)

    def _leave(self, at: float, request: Request, first_at: float) -> None:
        self._reserved -= request[1] + request[2]
        self.in_works -= 1
        self._told.done(at, request, first_at)

    def _start(self) -> None:
        """The next prefill, where a slot and the KV cache have room for it."""
        waiting = self._waiting
        if not waiting or len(self._running) >= self._rates.slots:
            return
        request = waiting[0]
        if self._reserved + request[1] + request[2] > self._rates.kv:
            return
        waiting.popleft()
        self._reserved += request[1] + request[2]
        self._prefills = request
        self._prefilled_at = self._now + request[1] / self._rates.prefill

    def _plan(self) -> None:
        if self._prefills is not None:
            self.next_at = self._prefilled_at
        elif self._running:
            self.next_at = self._now + (self._running[0][0] - self._tokens) * self._steps[len(self._running)]
        else:
            self.next_at = math.inf
