"""The journal: written when something changed, recovered after anything, bounded."""

import asyncio
import gzip
from dataclasses import replace

import pytest

from lb.bucket import BucketError, open_bucket
from lb.decide import Memory, Observed, decide
from lb.journal import Entry, Journal, JournalTaken, decode, encode
from tests.lb.world import World, a_desired, a_service


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


def entries(number=6, *, nodes=1):
    """The entries of a world that comes up; the last ones change nothing."""
    world = World(a_desired([a_service(num_nodes=nodes)]))
    for _ in range(number):
        observed, memory, now = world.observed(), world.memory, world.now + 1
        decision = world.tick()
        yield (
            memory,
            Entry(
                now,
                "g1",
                observed,
                decision.commands,
                decision.reasons,
                decision.memory,
                world.desired,
                because=decision.because,
            ),
        )


@pytest.mark.parametrize("nodes", [1, 2])
def test_an_entry_survives_the_way_through_json(nodes):
    for _, entry in entries(nodes=nodes):
        assert decode(encode(entry)) == entry


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_decision_can_be_made_again_from_its_entry(nodes):
    for memory, entry in entries(nodes=nodes):
        again = decode(encode(entry))
        decision = decide(again.desired, again.observed, memory, again.at)
        assert (decision.commands, decision.memory, decision.reasons) == (
            again.commands,
            again.memory,
            again.reasons,
        )


def test_an_idle_controller_writes_nothing(bucket):
    async def story():
        journal = Journal(bucket)
        await journal.begin(1)
        written = [await journal.append(entry, before=memory) for memory, entry in entries(40)]
        assert written[0]
        assert not any(written[10:])
        assert len(await bucket.objects("journal/00000001")) == sum(written)

    asyncio.run(story())


def test_the_next_leader_starts_with_the_memory_of_the_last(bucket):
    async def story():
        journal = Journal(bucket)
        await journal.begin(1)
        for memory, entry in entries():
            await journal.append(entry, before=memory)
        recovered = await Journal(bucket).begin(2)
        assert recovered.memory == entry.memory
        assert recovered.desired == entry.desired
        assert recovered.at is not None

    asyncio.run(story())


def test_an_empty_journal_recovers_an_empty_memory(bucket):
    recovered = asyncio.run(Journal(bucket).begin(1))
    assert (recovered.memory, recovered.at, recovered.desired) == (Memory(), None, None)


WHOLE = encode(Entry(1.0, None, Observed(), (), (), Memory()))


@pytest.mark.parametrize(
    "torn",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": 1}',
        b"\xff\xfe",
        WHOLE[:1],
        WHOLE[:9],
        WHOLE[:-9],
        WHOLE[:-1],
        WHOLE + b"x",
    ],
)
def test_a_torn_entry_is_skipped_for_the_one_before(bucket, torn):
    async def story():
        journal = Journal(bucket)
        await journal.begin(1)
        written = [entry for memory, entry in entries() if await journal.append(entry, before=memory)]
        last = (await bucket.objects("journal"))[-1].path
        await bucket.put(last, torn)
        recovered = await Journal(bucket).begin(2)
        assert recovered.memory == written[-2].memory

    asyncio.run(story())


def test_a_damaged_entry_in_the_middle_costs_nothing_but_itself(bucket):
    async def story():
        journal = Journal(bucket)
        await journal.begin(1)
        for memory, entry in entries():
            await journal.append(entry, before=memory)
        await bucket.put((await bucket.objects("journal"))[1].path, b"damaged")
        recovered = await Journal(bucket).begin(2)
        assert (recovered.memory, recovered.desired) == (entry.memory, entry.desired)

    asyncio.run(story())


def test_entries_that_were_written_before_entries_were_compressed_are_read(bucket):
    async def story():
        last = list(entries())[-1][1]
        plain = gzip.decompress(encode(last))
        assert plain.startswith(b"{")
        await bucket.put("journal/00000001/00000001.json", plain)
        recovered = await Journal(bucket).begin(2)
        assert recovered.memory == last.memory

    asyncio.run(story())


def test_a_kill_after_any_entry_recovers_that_entry(bucket):
    async def story():
        journal = Journal(bucket)
        await journal.begin(1)
        for memory, entry in entries(8):
            if await journal.append(entry, before=memory):
                recovered = await Journal(bucket).begin(2)
                assert (recovered.memory, recovered.at, recovered.desired) == (
                    entry.memory,
                    entry.at,
                    entry.desired,
                )

    asyncio.run(story())


def test_what_was_said_is_written_down_even_when_nothing_else_changed(bucket):
    async def story():
        journal = Journal(bucket)
        await journal.begin(1)
        first = next(entries())[1]
        quiet = replace(first, commands=(), because=(), reasons=("chat: 1 missing; launches wait",))
        assert await journal.append(quiet, before=Memory())
        assert not await journal.append(quiet, before=Memory())
        assert await journal.append(
            replace(quiet, reasons=("chat: 1 missing and nowhere to launch",)), before=Memory()
        )

    asyncio.run(story())


def test_foreign_files_in_the_journal_are_ignored(bucket):
    async def story():
        await bucket.put("journal/readme.txt", b"hello")
        assert (await Journal(bucket).begin(1)).at is None

    asyncio.run(story())


def test_a_full_disk_loses_an_entry_and_not_the_journal(bucket, monkeypatch):
    async def story():
        journal = Journal(bucket)
        await journal.begin(1)
        some = [entry for _, entry in entries()]
        create = bucket.create_if_absent

        async def full(path, data):
            raise BucketError("no space left on device")

        monkeypatch.setattr(bucket, "create_if_absent", full)
        with pytest.raises(BucketError):
            await journal.append(some[0], before=Memory())
        monkeypatch.setattr(bucket, "create_if_absent", create)
        assert await journal.append(some[0], before=Memory())
        assert (await Journal(bucket).begin(2)).memory == some[0].memory

    asyncio.run(story())


def test_two_writers_of_one_epoch_are_noticed(bucket):
    async def story():
        one, two = Journal(bucket), Journal(bucket)
        await one.begin(1)
        await two.begin(1)
        some = [entry for _, entry in entries()]
        await one.append(some[0], before=Memory())
        with pytest.raises(JournalTaken):
            await two.append(some[0], before=Memory())

    asyncio.run(story())


def test_a_journal_that_is_begun_again_in_its_epoch_goes_on_counting(bucket):
    async def story():
        some = [entry for _, entry in entries()]
        for entry in some[:2]:
            journal = Journal(bucket)
            await journal.begin(1)
            assert await journal.append(entry, before=Memory())
        assert len(await bucket.objects("journal")) == 2

    asyncio.run(story())


def test_the_journal_stays_bounded_and_what_is_left_can_be_replayed(bucket):
    async def story():
        journal = Journal(bucket, kept_entries=250)
        await journal.begin(1)
        first = next(entries())[1]
        for n in range(600):
            await journal.append(replace(first, observed=Observed(frozen=str(n))), before=Memory())
        objects = await bucket.objects("journal")
        assert 150 <= len(objects) <= 250
        assert decode(await bucket.get(objects[0].path)).desired is not None
        assert (await Journal(bucket).begin(2)).desired == first.desired

    asyncio.run(story())


def test_time_in_which_nobody_watched_counts_for_no_deadline():
    world = World(a_desired())
    world.run(3)
    at = world.now
    waiting = {n: replace(s, not_before=at + 5) for n, s in world.memory.services.items()}
    later = replace(world.memory, services=waiting).resumed(written_at=at, now=at + 1000)
    assert all(s.not_before == at + 1005 for s in later.services.values())
    assert [r.since for r in later.replicas.values()] == [r.since for r in world.memory.replicas.values()]


def test_a_clock_that_was_set_back_while_nobody_watched_makes_nothing_wait_for_the_future():
    world = World(a_desired())
    world.run(3)
    earlier = world.memory.resumed(written_at=world.now, now=world.now - 1000)
    assert all(r.since <= world.now - 1000 for r in earlier.replicas.values())
