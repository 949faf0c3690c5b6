"""The pretended generation: sequences take a slot, produce tokens on a timetable, and leave.

How many tokens a sequence has is a function of the clock. Nothing counts tokens one by one, so a scrape in the middle
of an answer is exact, and an answer that nobody streams costs one timer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from engines.sim.metrics import Load, Metrics
from engines.sim.scheduler import Scheduler
from engines.sim.settings import Settings

_ROUNDING = 1e-6  # of a token; timers may fire a clock tick early


@dataclass(eq=False, slots=True)
class Generation:
    """One answer to one prompt: a sequence in vLLM's words. Times are the engine's clock, in seconds."""

    prompt_tokens: int
    tokens: list[str]
    finish_reason: str
    arrived_at: float = 0.0
    started_at: float | None = None
    has_first_token: bool = False
    ended: bool = False
    start: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


Emit = Callable[[list[str]], Awaitable[None]]
"""Is awaited with the tokens that came out since the last call."""


class Engine:
    """Slots, queue and timetable of one engine.

    Args:
        clock: monotonic seconds.
        sleep: waits for seconds; the only thing here that takes time.

    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._scheduler: Scheduler[Generation] = Scheduler(
            max_num_seqs=settings.max_num_seqs, max_queue=settings.max_queue
        )
        self._prompt_tokens = 0
        self._generation_tokens = 0
        self.metrics = Metrics(model=settings.model, load=self.load)

    @contextmanager
    def admitted(self, generations: Sequence[Generation]) -> Generator[None]:
        """Holds a place for all of them; on leaving, those that did not finish are aborted and their slots are free.

        Raises:
            QueueFull: when there is no room; none of them has a place then.

        """
        now = self._clock()
        for g in generations:
            g.arrived_at = now
        self._started(self._scheduler.submit(generations))
        try:
            yield
        finally:
            for g in generations:
                self._end(g)

    async def generate(self, g: Generation, emit: Emit | None = None) -> None:
        """Waits for the slot of an admitted generation and for all its tokens; with `emit`, hands them out as they come."""
        await g.start
        whole = len(g.tokens)
        out = 0
        while True:
            await self._sleep(self._due(g, min(out + 1, whole) if emit else whole) - self._clock())
            self._note_first_token(g)
            new = self._generated(g)
            if emit and new > out:
                await emit(g.tokens[out:new])
            out = new
            if out == whole:
                break
        self._end(g)

    def load(self) -> Load:
        """What runs, waits and was produced up to now."""
        running = self._scheduler.running
        made = sum(self._generated(g) for g in running)
        started = sum(g.prompt_tokens for g in running)
        capacity = self._settings.max_num_seqs * self._settings.max_model_len
        return Load(
            running=len(running),
            waiting=len(self._scheduler.waiting),
            kv_cache_usage=min((started + made) / capacity, 1.0),
            prompt_tokens=self._prompt_tokens,
            generation_tokens=self._generation_tokens + made,
        )

    def _due(self, g: Generation, count: int) -> float:
        assert g.started_at is not None
        return g.started_at + self._settings.ttft_s + max(count - 1, 0) * self._settings.time_per_token_s

    def _generated(self, g: Generation) -> int:
        if g.started_at is None:
            return 0
        decoding = self._clock() - g.started_at - self._settings.ttft_s
        step = self._settings.time_per_token_s
        if decoding < -_ROUNDING * step:
            return 0
        return min(1 + int(decoding / step + _ROUNDING), len(g.tokens)) if step else len(g.tokens)

    def _started(self, generations: Sequence[Generation]) -> None:
        now = self._clock()
        for g in generations:
            g.started_at = now
            self._prompt_tokens += g.prompt_tokens
            if not g.start.done():
                g.start.set_result(None)

    def _note_first_token(self, g: Generation) -> None:
        """By the timetable, because an answer that nobody streams is looked at only when it is whole."""
        if not g.has_first_token and g.started_at is not None:
            g.has_first_token = True
            queue_s = g.started_at - g.arrived_at
            self.metrics.first_token(ttft_s=queue_s + self._settings.ttft_s, queue_s=queue_s)

    def _end(self, g: Generation) -> None:
        if g.ended:
            return
        g.ended = True
        made = self._generated(g)
        self._generation_tokens += made
        reason = g.finish_reason if g.started_at is not None and made == len(g.tokens) else "abort"
        self.metrics.finished(reason=reason, e2e_s=self._clock() - g.arrived_at)
        self._started(self._scheduler.finish(g))
