"""A journal decided once more: the same whatever happened, and told exactly where it is not."""

import asyncio
import gzip
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.again import UNKNOWN, Part, replay
from lb.bucket import open_bucket
from lb.decide import SetSize
from lb.decide.observed import Action, AgentState, Wish
from lb.journal import ENTRY_LIMIT, SEGMENT, decode, encode, places
from lb.replay import AT_ONCE, Reader, code_version
from tests.lb.test_replay import Term
from tests.lb.world import NEW, ZONES, Machine, World, a_desired, a_service

ROOT = Path(__file__).parents[2]
OLDER = Path(__file__).with_name("an_older_journal.jsonl")
"""Written by the code of the release before: strikes in the memory of pools, no loads of engines, one step of scaling."""


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


async def replayed(bucket, shown=3):
    return await replay(await Reader.open(bucket), shown=shown)


def recorded(bucket, ticks=12):
    """A journal of a small world that comes up."""

    async def story():
        await (await Term(bucket).begin()).ticks(ticks)

    asyncio.run(story())


def rewrite(bucket, seq, **changes):
    """An entry that says something else."""

    async def story():
        place = next(p for p in await places(bucket) if p.seq == seq)
        entry = decode(await bucket.get(place.path))
        given = {k: v(entry) if callable(v) else v for k, v in changes.items()}
        await bucket.put(place.path, encode(replace(entry, **given)))

    asyncio.run(story())


# ------------------------------------------------------------ the same


EVENTS = st.one_of(
    st.tuples(st.just("lose"), st.integers(0, 5)),
    st.tuples(st.just("capacity"), st.sampled_from(ZONES), st.integers(0, 3)),
    st.tuples(st.just("asks"), st.sampled_from([0.0, 0.5, 3.0, 9.0, 40.0])),
    st.tuples(st.just("want"), st.sampled_from([NEW, "c" * 64])),
    st.tuples(st.just("wish"), st.sampled_from(Action)),
    st.tuples(st.just("down"), st.booleans()),
    st.tuples(st.just("frozen"), st.booleans()),
    st.tuples(st.just("notice"), st.integers(0, 5)),
    st.tuples(st.just("restart"), st.sampled_from([-30.0, 0.0, 5.0, 4000.0])),
    st.tuples(st.just("pause"), st.sampled_from([0.25, 7.3, 60.0, 3600.0])),
)


def happens(world, event, n):
    """To the world, between two ticks."""
    machines = sorted(world.machines)
    match event:
        case "lose", k if machines:
            world.lose(machines[k % len(machines)])
        case "capacity", zone, room:
            world.capacity[zone] = room
        case "asks", qps:
            world.asks(qps, held=int(qps) % 2)
        case "want", sha256:
            world.want(sha256)
            world.desired = world.desired.model_copy(update={"generation": f"after event {n}"})
        case "wish", action:
            world.wishes = (Wish(f"01WISH{n:04d}", "chat", action),)
        case "down", down:
            world.down = {"local"} if down else set()
        case "frozen", frozen:
            world.frozen = "desired/dev.json is missing" if frozen else None
        case "notice", k if machines:
            world.answers(
                machines[k % len(machines)], agent=AgentState.ANSWERS, preempt_at=world.now + 1 / 3 + k
            )


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=14), st.booleans(), st.sampled_from([1, 2]))
def test_whatever_happens_the_journal_holds_all_that_decisions_were_made_from(events, dynamic, nodes):
    async def story(bucket):
        service = a_service(replicas=1, most=5, qps=2.0, dynamic=dynamic, num_nodes=nodes, month=300.0)
        term = await Term(bucket, world=World(a_desired([service]), slow_s=1.5)).begin()
        written = 0
        for n, event in enumerate(events):
            happens(term.world, event, n)
            if event[0] == "restart":
                term.world.now += event[1]
                term = await Term(bucket, term.epoch + 1, world=term.world).begin()
            for seconds in (event[1] if event[0] == "pause" else 1.0, 0.7, 1.0):
                written += await term.record(seconds)
        result = await replayed(bucket)
        assert (result.first, result.otherwise, result.left_out) == ([], {}, {})
        assert result.replayed == written

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(open_bucket(f"file://{folder}")))


def test_another_process_with_other_hashes_decides_the_same(bucket, tmp_path):
    async def story():
        service = a_service(replicas=3, most=9, qps=2.0, dynamic=True)
        term = await Term(bucket, world=World(a_desired([service]), capacity={ZONES[0]: 1})).begin()
        for n in range(40):
            term.world.asks(1.0 + n)
            if n % 9 == 8:
                term.world.lose(max(term.world.machines))
            await term.record()

    asyncio.run(story())
    program = (
        "import asyncio, sys; from lb.again import replay; from lb.bucket import open_bucket; from lb.replay import Reader\n"
        "async def main():\n"
        "    found = await replay(await Reader.open(open_bucket(sys.argv[1])), shown=1)\n"
        "    print(found.replayed, found.different, len(found.left_out), flush=True)\n"
        "asyncio.run(main())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path.as_uri()],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == ["40", "0", "0"], done.stderr


def test_only_few_entries_are_read_ahead_and_each_once(bucket, monkeypatch):
    recorded(bucket, 50)
    read, ahead = [], []
    get = bucket.get

    async def counted(path):
        read.append(path)
        return await get(path)

    monkeypatch.setattr(bucket, "get", counted)

    async def story():
        done = 0

        def count():
            nonlocal done
            done += 1
            ahead.append(len(read) - done)

        return await replay(await Reader.open(bucket), shown=0, done=count)

    assert asyncio.run(story()).replayed == 50
    assert len(read) == len(set(read)) == 50
    assert max(ahead) < AT_ONCE


# ------------------------------------------------------------ different


def test_a_command_that_is_not_decided_again_is_found_in_its_tick(bucket):
    recorded(bucket)
    rewrite(bucket, 5, commands=(SetSize("chat.local.local-west-a.L4x1.spot", 7),), because=("for fun",))
    result = asyncio.run(replayed(bucket))
    assert (result.replayed, result.different) == (12, 1)
    [found] = result.first
    assert (found.tick.place.seq, found.parts) == (5, (Part.COMMANDS, Part.REASONS))
    assert found.decision.commands == ()


def test_another_memory_of_the_same_code_is_a_difference_in_its_tick_and_in_the_one_that_starts_from_it(
    bucket,
):
    recorded(bucket)
    rewrite(bucket, 5, memory=lambda e: replace(e.memory, replicas={}))
    result = asyncio.run(replayed(bucket))
    assert [d.tick.place.seq for d in result.first] == [5, 6]
    assert result.first[0].parts == (Part.MEMORY,)


def test_of_other_code_only_the_commands_count(bucket):
    recorded(bucket)
    for seq in range(1, 13):
        rewrite(bucket, seq, code="0123456789ab", reasons=("in other words",))
    result = asyncio.run(replayed(bucket))
    assert (result.replayed, result.different, result.first) == (12, 0, [])
    assert result.otherwise == {Part.REASONS: 12}
    rewrite(bucket, 4, commands=(SetSize("chat.local.local-west-a.L4x1.spot", 7),))
    result = asyncio.run(replayed(bucket))
    assert (result.different, result.differ[Part.COMMANDS]) == (1, 1)


def test_mixed_recorders_are_counted_apart(bucket):
    recorded(bucket)
    rewrite(bucket, 2, code="0123456789ab")
    rewrite(bucket, 3, code="")
    result = asyncio.run(replayed(bucket))
    assert result.codes == {code_version(): 10, "0123456789ab": 1, "": 1}
    assert result.different == 0


def test_code_that_fails_with_what_was_real_is_the_difference(bucket, monkeypatch):
    recorded(bucket, 3)

    def fails(*_):
        raise KeyError("no such pool")

    monkeypatch.setattr("lb.replay.decide", fails)
    result = asyncio.run(replayed(bucket))
    assert result.different == 3
    assert (result.first[0].decision, result.first[0].failure) == (None, "KeyError: 'no such pool'")


def test_no_more_differences_are_kept_than_are_shown(bucket):
    recorded(bucket)
    for seq in range(1, 13):
        rewrite(bucket, seq, reasons=("in other words",))
    result = asyncio.run(replayed(bucket, shown=2))
    assert (result.different, len(result.first)) == (12, 2)


# ------------------------------------------------------------ damage


def test_a_torn_end_is_left_out_and_told(bucket):
    recorded(bucket)

    async def tear():
        last = (await places(bucket))[-1]
        await bucket.put(last.path, (await bucket.get(last.path))[:-20])
        return last, await replayed(bucket)

    last, result = asyncio.run(tear())
    assert (result.replayed, result.different) == (11, 0)
    assert {reason: (left.first.path, left.number) for reason, left in result.left_out.items()} == {
        "torn: it ends in the middle": (last.path, 1)
    }


def test_after_a_damaged_entry_the_next_one_is_left_out_too_and_the_rest_goes_on(bucket):
    recorded(bucket)

    async def damage():
        await bucket.put((await places(bucket))[5].path, b"damaged")
        return await replayed(bucket)

    result = asyncio.run(damage())
    assert (result.replayed, result.different) == (10, 0)
    assert result.left_out[UNKNOWN].first.seq == 7


def test_a_segment_that_the_controller_deletes_meanwhile_is_no_damage_to_the_others(bucket):
    recorded(bucket, SEGMENT + 8)

    async def story():
        reader = await Reader.open(bucket)
        await bucket.delete(*(p.path for p in (await places(bucket))[:SEGMENT]))
        return await replay(reader, shown=1)

    result = asyncio.run(story())
    assert (result.replayed, result.different) == (8, 0)
    assert result.left_out["deleted as too old in this moment"].number == SEGMENT


def bomb():
    """A small file that unpacks to more than any entry has."""
    return gzip.compress(b" " * (ENTRY_LIMIT + 1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no entry of a journal: Invalid JSON"),
        (b"[1, 2]", "no entry of a journal: "),
        (b'{"at": 1}', "no entry of a journal: generation: Field required"),
        (b"[" * 100_000, "no entry of a journal: Invalid JSON"),
        (gzip.compress(b"{}")[:5], "torn: it ends in the middle"),
        (gzip.compress(b"{}") + b"more", "torn: more follows its end"),
        (b"\x1f\x8b\x00\x00\x00", "torn: "),
        (bomb(), "larger than 64 MiB, which no entry is"),
    ],
    ids=["empty", "list", "object", "deep", "cut", "longer", "no gzip", "bomb"],
)
def test_what_is_no_entry_is_told_in_one_line(bucket, content, reason):
    recorded(bucket, 3)

    async def story():
        await bucket.put("journal/00000002/00000001.json.gz", content)
        return await replayed(bucket)

    result = asyncio.run(story())
    [told] = result.left_out
    assert told.startswith(reason)
    assert "\n" not in told
    assert (result.replayed, result.different) == (3, 0)


def test_an_entry_of_a_newer_schema_is_not_guessed_at(bucket):
    recorded(bucket, 3)
    rewrite(bucket, 3, schema=2)
    result = asyncio.run(replayed(bucket))
    assert list(result.left_out) == ["of a newer schema than this code reads, 2 instead of 1"]


def test_values_that_no_clock_has_end_no_replay(bucket):
    recorded(bucket, 4)
    rewrite(bucket, 3, at=1e300)
    result = asyncio.run(replayed(bucket))
    assert result.replayed == 4
    assert 3 in {d.tick.place.seq for d in result.first}


# ------------------------------------------------------------ the release before


async def older(bucket):
    for seq, line in enumerate(OLDER.read_bytes().splitlines(), 1):
        await bucket.put(f"journal/00000001/{seq:08d}.json.gz", gzip.compress(line))


def test_a_journal_of_the_release_before_is_read_and_gives_the_same_commands(bucket):
    assert b'"strikes":1' in OLDER.read_bytes()
    assert b'"engines"' not in OLDER.read_bytes()

    async def story():
        await older(bucket)
        return await replayed(bucket)

    result = asyncio.run(story())
    assert (result.replayed, result.different, result.left_out) == (3, 0, {})
    assert code_version() not in result.codes


def world_of(entry, desired):
    """The cloud as that entry has seen it."""
    world = World(desired, now=entry.at, launched=2)
    for pool in entry.observed.pools:
        world.sizes[pool.pool_id] = pool.size
        world.machines |= {i.instance_id: Machine(pool.pool_id, i) for i in pool.instances}
    world.assignments = {a.pool_id: a for a in entry.observed.assignments}
    return world


def test_a_controller_that_is_updated_in_place_goes_on_from_the_memory_of_the_release_before(bucket):
    first, *_, last = map(decode, OLDER.read_bytes().splitlines())

    async def story():
        await older(bucket)
        term = await Term(bucket, 2, world=world_of(last, first.desired)).begin()
        lost = term.world.memory.pools["chat.local.local-east-a.L4x1.spot"]
        assert (lost.struck_at, lost.not_before) == (1_800_000_042.0, 1_800_000_047.0)
        scaling = term.world.memory.scaling["chat"]
        assert (scaling.target, scaling.asked, scaling.since) == (1, 2, 1_800_000_002.0)
        term.world.asks(7.0)
        while term.world.now < scaling.since + 305:
            await term.record()
        assert term.world.ready() == 2, "the upscale delay that was under way has gone on"
        while term.world.now < last.at + 305:
            await term.record()
        assert term.world.ready() == 4, "7 requests a second, 2 for a replica"
        result = await replayed(bucket)
        assert (result.different, result.left_out, len(result.terms)) == (0, {}, 2)

    asyncio.run(story())
