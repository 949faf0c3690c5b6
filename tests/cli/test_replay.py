"""`tw sim replay`: a journal from wherever it lies, decided again: exit code, words, JSON, and what is no journal."""

import asyncio
import json
import os
import shutil
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from cli import again, options, sim
from cli.context import Context
from lb.bucket import open_bucket
from lb.decide import SetSize
from lb.journal import decode, encode, places
from lb.replay import code_version
from spec.errors import InputError
from tests.lb.test_replay import Term
from tests.lb.world import World, a_desired

WEST = "chat.local.local-west-a.L4x1.spot"


def tw(*words):
    app = typer.Typer()
    sim.register(app)
    app.command("other")(lambda: None)
    result = CliRunner().invoke(app, ["sim", "replay", *(str(w) for w in words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The state folder of stack dev, with a journal of two terms."""
    monkeypatch.setattr(options, "Context", lambda name: Context(stack=name, root=tmp_path))
    folder = Context(stack="dev", root=tmp_path).state_dir
    folder.mkdir(parents=True)

    async def story():
        bucket = open_bucket(folder.as_uri())
        first = await (await Term(bucket, world=World(a_desired())).begin()).ticks(10)
        await (await Term(bucket, 2, world=first.world).begin()).ticks(10)

    asyncio.run(story())
    return folder


def rewrite(state, epoch, seq, **changes):
    """That entry says something else."""

    async def story():
        bucket = open_bucket(state.as_uri())
        place = next(p for p in await places(bucket) if (p.epoch, p.seq) == (epoch, seq))
        entry = decode(await bucket.get(place.path))
        given = {k: v(entry) if callable(v) else v for k, v in changes.items()}
        await bucket.put(place.path, encode(replace(entry, **given)))

    asyncio.run(story())


# ------------------------------------------------------------ the same


def test_a_journal_that_comes_out_the_same_says_so_and_ends_with_0(state):
    done = tw(state)
    assert done.exit_code == 0
    assert "20 ticks of 2 terms, 2027-01-15 08:00:01Z to 2027-01-15 08:00:20Z" in done.stdout
    assert "decided again by this code: the same commands, memory and reasons" in done.stdout


@pytest.mark.parametrize(
    ("part", "ticks"),
    [
        (".", 20),
        ("journal", 20),
        ("journal/00000002", 10),
        ("journal/00000002/00000007.json.gz", 1),
    ],
)
def test_a_state_folder_a_journal_a_term_and_an_entry_can_be_named(state, part, ticks):
    assert json.loads(tw(state / part, "--json").stdout)["replayed"] == ticks


def test_a_copy_that_is_called_otherwise_can_be_named(state, tmp_path):
    copied = shutil.copytree(state / "journal", tmp_path / "the storm of monday")
    assert json.loads(tw(copied, "--json").stdout)["replayed"] == 20


def test_without_a_name_and_with_stack_it_is_the_journal_of_that_stack(state):
    for words in ([], ["--stack", "dev"]):
        found = json.loads(tw(*words, "--json").stdout)
        assert (found["journal"], found["replayed"]) == (f"{state}/journal", 20)


def test_the_json_says_all_that_the_words_say(state):
    found = json.loads(tw(state, "--json").stdout)
    assert found == {
        "journal": str(state),
        "same": True,
        "replayed": 20,
        "terms": 2,
        "from": 1_800_000_001.0,
        "to": 1_800_000_020.0,
        "code": code_version(),
        "recorded_by": {code_version(): 20},
        "different": 0,
        "differ": {},
        "same_commands_but": {},
        "left_out": [],
        "differences": [],
    }


# ------------------------------------------------------------ different


def test_a_difference_is_shown_with_tick_service_and_both_commands_and_ends_with_1(state):
    rewrite(
        state, 2, 4, commands=(SetSize(WEST, 7),), because=(f"{WEST}: 6 more, to 7",), targets={"chat": 8}
    )
    done = tw(state)
    assert done.exit_code == 1
    assert "2027-01-15 08:00:14Z  tick 2.4" in done.stdout
    assert f"- set_size {WEST} to 7\n      because 6 more, to 7\n" in done.stdout
    assert "chat: 8 replicas should be, now 2" in done.stdout
    assert "different in 1 of 20 ticks: commands in 1 tick, targets in 1 tick" in done.stdout
    assert "this is a defect; please report it" in done.stdout
    [shown] = json.loads(tw(state, "--json").stdout)["differences"]
    assert (shown["tick"], shown["at"]) == ("2.4", 1_800_000_014.0)
    assert shown["recorded"]["commands"] == [{"pool_id": WEST, "size": 7, "call": "set_size"}]
    assert shown["replayed"]["commands"] == []


def test_commands_that_are_given_now_and_were_not_are_shown_with_their_reason(state):
    rewrite(state, 1, 1, commands=(), because=())
    said = tw(state).stdout
    assert (
        "+ set_size chat.local.local-east-a.L4x1.spot to 1\n      because 1 more, to 1: chat lacks 2" in said
    )


def test_what_is_remembered_otherwise_is_shown_field_by_field(state):
    rewrite(
        state,
        2,
        10,
        memory=lambda e: replace(
            e.memory, pools={**e.memory.pools, WEST: replace(e.memory.pools[WEST], awaiting=5)}
        ),
    )
    assert f"remembered pools[{WEST}].awaiting: 5 -> 0" in tw(state).stdout
    [shown] = json.loads(tw(state, "--json").stdout)["differences"]
    assert shown["memory"] == [{"of": f"pools[{WEST}].awaiting", "recorded": 5, "replayed": 0}]


def test_moments_that_differ_by_less_than_is_shown_are_shown_whole():
    assert list(again.changes("x", {"at": 1.8e9}, {"at": 1.8e9 + 0.25})) == [("x[at]", 1.8e9, 1.8e9 + 0.25)]
    assert again._from_to(1.8e9, 1.8e9 + 0.25) == "1800000000.0 -> 1800000000.25"


def test_only_the_first_differences_are_shown(state):
    for seq in range(1, 11):
        rewrite(state, 1, seq, reasons=("in other words",))
    said = tw(state, "--show", 2).stdout
    assert said.count("  tick 1.") == 2
    assert "and 8 ticks more" in said
    assert len(json.loads(tw(state, "--json", "--show", 10).stdout)["differences"]) == 10


def test_code_that_fails_with_a_recorded_tick_is_told_as_a_difference(state, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("lb.replay.decide", fails)
    done = tw(state)
    assert done.exit_code == 1
    assert "this code fails: ZeroDivisionError: division by zero" in done.stdout


def test_other_code_is_told_and_other_words_of_it_are_no_difference(state):
    for seq in range(1, 11):
        rewrite(state, 1, seq, code="0123456789ab", reasons=("in other words",))
    done = tw(state)
    assert done.exit_code == 0
    assert f"10 ticks recorded by other code than this ({code_version()})" in done.stdout
    assert "with the same commands reasons in 10 ticks differ" in done.stdout
    assert done.stdout.endswith("decided again by this code: the same commands\n")
    rewrite(state, 1, 5, commands=(SetSize(WEST, 7),))
    done = tw(state)
    assert done.exit_code == 1
    assert "please report" not in done.stdout


# ------------------------------------------------------------ damage and what is no journal


def test_a_torn_last_entry_is_told_and_the_rest_is_the_same(state):
    last = max(state.rglob("*.json.gz"))
    last.write_bytes(last.read_bytes()[:-30])
    done = tw(state)
    assert done.exit_code == 0
    assert f"left out {last}: torn: it ends in the middle" in done.stdout
    assert "19 ticks of 2 terms" in done.stdout


def test_where_nothing_can_be_decided_again_it_is_neither_the_same_nor_different(state):
    for entry in state.rglob("*.json.gz"):
        entry.write_bytes(b"{}")
    with pytest.raises(InputError, match="nothing in it can be decided again") as failed:
        tw(state)
    assert "00000001/00000001.json.gz and 19 more: no entry of a journal: at: Field required" in str(
        failed.value
    )


def test_an_entry_alone_needs_those_before_it(state, tmp_path):
    alone = tmp_path / "00000002"
    alone.mkdir()
    shutil.copy(state / "journal/00000002/00000007.json.gz", alone)
    with pytest.raises(InputError, match="the entries before it are gone or unreadable"):
        tw(alone / "00000007.json.gz")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="nowhere: can't be read: No such file"):
        tw(tmp_path / "nowhere")


def test_what_is_no_journal_is_said_with_what_is_one(tmp_path):
    (tmp_path / "trace.csv").write_text("time_s,zone,capacity\n")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "1.csv").write_text("")
    (tmp_path / "2").mkdir()
    os.mkfifo(tmp_path / "2" / "1.json")
    (tmp_path / "empty").mkdir()
    for path in (
        tmp_path,
        tmp_path / "empty",
        tmp_path / "trace.csv",
        tmp_path / "2" / "1.json",
        "/dev/null",
    ):
        with pytest.raises(InputError, match="is no journal: there are no entries EPOCH/NUMBER"):
            tw(path)


def test_a_stack_whose_controller_has_decided_nothing_has_no_journal_yet(state):
    shutil.rmtree(state / "journal")
    with pytest.raises(InputError, match="stack dev has no journal yet"):
        tw()


def test_two_journals_are_one_too_many(state):
    with pytest.raises(InputError, match="name either a journal"):
        tw(state, "--stack", "dev")


def test_a_file_of_a_size_that_no_entry_has_is_not_read(state):
    with (state / "journal/00000002/00000011.json.gz").open("wb") as f:
        f.truncate(8 << 30)
    done = tw(state)
    assert done.exit_code == 0
    assert "larger than 64 MiB, which no entry is" in done.stdout
