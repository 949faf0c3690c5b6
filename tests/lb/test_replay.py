"""The journal read again: by time, through damage, over terms; and every decision made once more."""

import asyncio

import pytest

from lb.bucket import BucketError, open_bucket
from lb.journal import SEGMENT, Entry, Journal, places
from lb.replay import AT_ONCE, Reader, code_version
from tests.lb.world import START, World, a_desired


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


class Term:
    """A world whose ticks are journaled in one epoch; something changes in every one."""

    def __init__(self, bucket, epoch=1, *, world=None, **limits):
        self.bucket, self.epoch = bucket, epoch
        self.world = world or World(a_desired())
        self.journal = Journal(bucket, **limits)

    async def begin(self):
        recovered = await self.journal.begin(self.epoch)
        if recovered.at is not None:
            self.world.memory = recovered.memory.resumed(written_at=recovered.at, now=self.world.now)
        return self

    async def tick(self):
        running = sorted(self.world.machines)
        if running:
            in_flight = self.world.launched * 1000 + int(self.world.now) % 1000
            self.world.answers(running[0], in_flight=in_flight)
        return await self.record()

    async def record(self, seconds=1.0):
        """One tick of the world as it is."""
        world, before = self.world, self.world.memory
        decision = world.tick(seconds)
        entry = Entry(
            world.now,
            world.desired.generation,
            world.seen,
            decision.commands,
            decision.reasons,
            decision.memory,
            world.desired,
            because=decision.because,
            targets=decision.targets,
            code=code_version(),
        )
        return await self.journal.append(entry, before=before)

    async def ticks(self, number):
        for _ in range(number):
            await self.tick()
        return self


def same(tick):
    again = tick.again()
    return again is not None and (again.commands, again.because, again.memory, again.reasons) == (
        tick.entry.commands,
        tick.entry.because,
        tick.entry.memory,
        tick.entry.reasons,
    )


async def all_ticks(bucket):
    reader = await Reader.open(bucket)
    return [await reader.tick(place) async for place, _ in reader.backwards()][::-1]


def test_every_tick_of_several_terms_can_be_decided_again(bucket):
    async def story():
        first = await (await Term(bucket, 1).begin()).ticks(12)
        first.world.now += 500  # nobody watched
        first.world.lose(min(first.world.machines))
        await (await Term(bucket, 2, world=first.world).begin()).ticks(12)
        ticks = await all_ticks(bucket)
        assert len(ticks) > 12
        assert all(same(tick) for tick in ticks)
        assert any(tick.entry.commands for tick in ticks)

    asyncio.run(story())


def test_what_is_left_after_old_segments_were_deleted_can_be_decided_again(bucket):
    async def story():
        await (await Term(bucket, kept_entries=2 * SEGMENT).begin()).ticks(3 * SEGMENT)
        kept = await places(bucket)
        assert kept[0].seq == SEGMENT + 1
        reader = await Reader.open(bucket)
        for place in (kept[0], kept[1], kept[SEGMENT], kept[-1]):
            assert same(await reader.tick(place))

    asyncio.run(story())


def test_after_a_full_disk_the_next_entry_holds_what_it_started_from(bucket, monkeypatch):
    async def story():
        term = await (await Term(bucket).begin()).ticks(3)

        async def full(path, data):
            raise BucketError("no space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(bucket, "create_if_absent", full)
            for _ in range(3):
                with pytest.raises(BucketError):
                    await term.tick()
        await term.ticks(3)
        ticks = await all_ticks(bucket)
        assert [tick.place.seq for tick in ticks] == [1, 2, 3, 7, 8, 9]
        assert all(same(tick) for tick in ticks)

    asyncio.run(story())


def test_a_damaged_entry_leaves_only_the_one_after_it_unsure(bucket):
    async def story():
        await (await Term(bucket).begin()).ticks(8)
        damaged = (await places(bucket))[4]
        await bucket.put(damaged.path, b"\x1f\x8bdamaged")
        ticks = {tick.place.seq: tick for tick in await all_ticks(bucket)}
        assert sorted(ticks) == [1, 2, 3, 4, 6, 7, 8]
        assert ticks[6].again() is None
        assert all(same(tick) for seq, tick in ticks.items() if seq != 6)
        reader = await Reader.open(bucket)
        assert (await reader.at(START + 5.5)).place.seq == 4

    asyncio.run(story())


def test_a_moment_is_answered_by_the_last_tick_until_then(bucket):
    async def story():
        term = await (await Term(bucket).begin()).ticks(40)
        reader = await Reader.open(bucket)
        assert await reader.kept() == (START + 1, term.world.now)
        assert await reader.at(START) is None
        assert (await reader.at(START + 1)).place.seq == 1
        assert (await reader.at(START + 20.9)).place.seq == 20
        assert (await reader.at(START + 10_000)).place.seq == 40

    asyncio.run(story())


@pytest.mark.parametrize(("moment", "tick"), [(10.5, "2.18"), (-3.0, "2.5"), (1e6, "2.29")])
def test_with_a_clock_set_back_between_two_terms_the_later_term_answers_for_what_both_cover(
    bucket, moment, tick
):
    async def story():
        term = await (await Term(bucket, 1).begin()).ticks(20)
        term.world.now = START - 8
        await (await Term(bucket, 2, world=term.world).begin()).ticks(29)
        found = await (await Reader.open(bucket)).at(START + moment)
        assert found.place.tick == tick
        assert same(found)

    asyncio.run(story())


def test_a_moment_before_a_clock_was_set_back_is_answered_by_the_term_of_that_time(bucket):
    async def story():
        term = await (await Term(bucket, 1).begin()).ticks(20)
        term.world.now = START - 8
        await (await Term(bucket, 2, world=term.world).begin()).ticks(4)
        reader = await Reader.open(bucket)
        assert (await reader.at(START + 10.5)).place.tick == "1.10"

    asyncio.run(story())


def test_an_empty_journal_keeps_nothing(bucket):
    async def story():
        reader = await Reader.open(bucket)
        assert await reader.kept() is None
        assert await reader.at(START) is None

    asyncio.run(story())


def test_an_entry_that_another_process_deletes_meanwhile_is_stepped_over(bucket):
    async def story():
        await (await Term(bucket).begin()).ticks(6)
        reader = await Reader.open(bucket)
        await bucket.delete((await places(bucket))[2].path)
        assert (await reader.at(START + 3)).place.seq == 2

    asyncio.run(story())


def test_a_walk_reads_several_entries_at_the_same_time_and_tells_them_in_their_order(bucket):
    running, most = 0, 0

    async def story():
        await (await Term(bucket).begin()).ticks(30)
        get = bucket.get

        async def slow(path):
            nonlocal running, most
            running, most = running + 1, max(most, running + 1)
            await asyncio.sleep(0)
            found = await get(path)
            running -= 1
            return found

        bucket.get = slow
        reader = await Reader.open(bucket)
        return [place async for place, _ in reader.backwards()], await places(bucket)

    walked, kept = asyncio.run(story())
    assert walked == kept[::-1]
    assert 1 < most <= AT_ONCE
