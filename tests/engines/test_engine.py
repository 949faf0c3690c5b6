"""The timetable of the engine on a clock that the test moves."""

import asyncio
import re

import pytest

from engines.sim.engine import Engine, Generation
from engines.sim.scheduler import QueueFull
from engines.sim.settings import Settings


class Clock:
    """Time that passes only in `sleep`, or when a test says so; sleepers wake in the order of their time."""

    def __init__(self):
        self.now = 100.0
        self._sleepers: list[tuple[float, int, asyncio.Future]] = []

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, len(self._sleepers), woken))
        await woken

    async def advance(self, seconds):
        await settle()
        end = self.now + seconds
        while due := [s for s in self._sleepers if s[0] <= end + 1e-9]:
            first = min(due)
            self._sleepers.remove(first)
            self.now = max(self.now, first[0])
            if not first[2].done():
                first[2].set_result(None)
            await settle()
        self.now = end


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def generation(tokens=4, prompt_tokens=10):
    return Generation(prompt_tokens=prompt_tokens, tokens=["x"] * tokens, finish_reason="length")


def on_a_clock(scenario, **settings):
    async def run():
        clock = Clock()
        defaults = {"ttft_s": 1.0, "time_per_token_s": 0.5, "max_num_seqs": 1, "max_model_len": 100}
        engine = Engine(
            Settings(model="m", **defaults | settings), clock=lambda: clock.now, sleep=clock.sleep
        )
        await scenario(engine, clock)

    asyncio.run(run())


async def start(engine, g, emit=None):
    async def work():
        with engine.admitted([g]):
            await engine.generate(g, emit)

    task = asyncio.create_task(work())
    await settle()
    return task


def value(engine, series):
    found = re.search(rf"^vllm:{re.escape(series)} (\S+)$", engine.metrics.render().decode(), re.MULTILINE)
    assert found, f"no series {series}"
    return float(found[1])


def test_tokens_come_out_one_by_one_on_the_timetable():
    async def scenario(engine, clock):
        seen = []

        async def emit(tokens):
            seen.append((round(clock.now - 100, 3), len(tokens)))

        task = await start(engine, generation(), emit)
        await clock.advance(10)

        assert task.done()
        assert seen == [(1.0, 1), (1.5, 1), (2.0, 1), (2.5, 1)]

    on_a_clock(scenario)


def test_an_answer_that_nobody_streams_takes_as_long_as_a_stream():
    async def scenario(engine, clock):
        task = await start(engine, generation())
        await clock.advance(2.4)
        assert not task.done()
        await clock.advance(0.1)
        assert task.done()

    on_a_clock(scenario)


def test_load_and_token_counts_are_exact_in_the_middle_of_an_answer():
    async def scenario(engine, clock):
        await start(engine, generation())
        waiting = await start(engine, generation())
        await clock.advance(1.6)

        load = engine.load()
        assert (load.running, load.waiting) == (1, 1)
        assert (load.prompt_tokens, load.generation_tokens) == (10, 2)
        assert load.kv_cache_usage == pytest.approx(12 / 100)
        waiting.cancel()
        await clock.advance(10)

    on_a_clock(scenario)


def test_the_next_in_the_queue_starts_when_a_slot_is_free_and_its_wait_is_measured():
    async def scenario(engine, clock):
        first = await start(engine, generation())
        second = await start(engine, generation())
        await clock.advance(2.5)
        assert first.done()
        assert engine.load().running == 1
        await clock.advance(2.4)
        assert not second.done()
        await clock.advance(0.1)
        assert second.done()

        labels = '{engine="0",model_name="m"}'
        assert value(engine, f"request_queue_time_seconds_sum{labels}") == pytest.approx(2.5)
        assert value(engine, f"time_to_first_token_seconds_sum{labels}") == pytest.approx(1.0 + 3.5)
        assert value(engine, f"e2e_request_latency_seconds_sum{labels}") == pytest.approx(2.5 + 5.0)
        assert value(engine, f"generation_tokens_total{labels}") == 8

    on_a_clock(scenario)


def test_a_cancelled_answer_frees_its_slot_and_counts_as_aborted_with_the_tokens_it_made():
    async def scenario(engine, clock):
        first = await start(engine, generation())
        second = await start(engine, generation())
        await clock.advance(1.6)
        first.cancel()
        await settle()

        assert engine.load().running == 1
        assert engine.load().generation_tokens == 2
        await clock.advance(2.5)
        assert second.done()
        reasons = {
            reason: value(
                engine, f'request_success_total{{engine="0",finished_reason="{reason}",model_name="m"}}'
            )
            for reason in ("stop", "length", "abort")
        }
        assert reasons == {"stop": 0, "length": 1, "abort": 1}

    on_a_clock(scenario)


def test_one_that_is_cancelled_while_it_waits_never_runs():
    async def scenario(engine, clock):
        await start(engine, generation())
        waiting = await start(engine, generation())
        waiting.cancel()
        await clock.advance(10)

        load = engine.load()
        assert (load.running, load.waiting, load.prompt_tokens) == (0, 0, 10)

    on_a_clock(scenario)


def test_a_full_queue_refuses_without_disturbing_the_others():
    async def scenario(engine, clock):
        running = await start(engine, generation())
        refused = await start(engine, generation())
        assert isinstance(refused.exception(), QueueFull)
        await clock.advance(2.5)
        assert running.done()

    on_a_clock(scenario, max_queue=0)


def test_an_empty_answer_takes_the_time_to_the_first_token():
    async def scenario(engine, clock):
        task = await start(engine, generation(tokens=0))
        await clock.advance(0.9)
        assert not task.done()
        await clock.advance(0.1)
        assert task.done()

    on_a_clock(scenario)
