"""`tw explain`: the tick that answers for a moment, in words and as JSON, and whether it can be decided again."""

import asyncio
import json
import time

import pytest
import typer
from typer.testing import CliRunner

from cli import explain as command
from cli import options, past
from cli.context import Context
from cli.moments import clock, date_and_clock, moment
from lb.bucket import open_bucket
from lb.decide import Decision, Memory
from lb.decide.observed import ProbeState
from lb.journal import places
from spec.errors import InputError
from spec.status import ReplicaState
from tests.lb.test_replay import Term
from tests.lb.world import NEW, OLD, ZONES, World, a_desired, a_service

NOW = 1_796_000_000.0  # 2026-11-30 00:53:20Z


@pytest.fixture
def context(tmp_path, monkeypatch):
    stack = Context(stack="dev", root=tmp_path)
    stack.state_dir.mkdir(parents=True)
    monkeypatch.setattr(options, "Context", lambda name: Context(stack=name, root=tmp_path))
    return stack


def run(*args):
    app = typer.Typer()
    command.register(app)
    app.command("other")(lambda: None)
    result = CliRunner().invoke(app, ["explain", *args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def bucket_of(context):
    return open_bucket(context.state_dir.as_uri())


def record(context, world=None, seconds=30):
    """A journal whose last tick is at this moment."""

    async def story():
        used = world or World(a_desired())
        used.now = time.time() - seconds
        return (await (await Term(bucket_of(context), 1, world=used).begin()).ticks(seconds)).world

    return asyncio.run(story())


def test_without_a_time_the_last_events_are_told_with_the_reason_of_each_command(context):
    record(context)
    said = run()
    assert "> set_size chat.local.local-east-a.L4x1.spot to 1" in said
    assert "because 1 more, to 1: chat lacks 2" in said
    assert "decided again from this entry: the same" in said
    assert said.count("tick 1.") <= 3


def test_with_a_time_that_tick_is_told_though_nothing_happened_then(context):
    world = record(context)
    said = run("--at", date_and_clock(world.now - 2))
    assert said.count("tick 1.") == 1
    assert "2 ready; 2 should be" in said
    assert "no command: nothing more is needed now" in said
    assert "chat.local.local-east-a.L4x1.spot: counts as up since " in said


def test_what_keeps_commands_from_being_given_is_told_with_what_is_remembered(context):
    world = World(a_desired(), capacity=dict.fromkeys(ZONES, 0))
    world = record(context, world, seconds=6)
    said = run("--at", "-0s")
    assert "nowhere to launch" in said
    assert "left alone until" in said
    assert "0 ready; 2 should be" in said


def test_of_a_replica_that_is_out_of_the_edges_it_is_told_until_when_it_may_recover(context):
    async def story():
        world = World(a_desired(), now=time.time() - 30)
        term = await (await Term(bucket_of(context), 1, world=world).begin()).ticks(20)
        world.answers(
            max(world.machines), probe=ProbeState.FAILING, failures=3, detail="no answer within 5 s"
        )
        return (await term.ticks(10)).world

    world = asyncio.run(story())
    replica = next(r for r in world.memory.replicas.values() if r.state is ReplicaState.UNREADY)
    limit_s = world.desired.services[0].probe.replace_after_s
    assert f"no answer within 5 s; replaced at {clock(replica.since + limit_s)} unless it recovers" in run(
        "--at", "-0s"
    )


def test_the_rollout_that_goes_on_is_told_with_what_is_held_against_it(context):
    world = World(a_desired(), broken={NEW})
    world.run(6)
    world.want(NEW)
    record(context, world, seconds=14)
    said = " ".join(run("--last", "30").split())
    assert f"the rollout of {NEW[:12]}, from {OLD[:12]}, since " in said
    assert "rolling, 1 failed on it: local:" in said
    assert "failed, 2 failed on it: local:" in said
    assert OLD not in said, "hashes are shortened"


def test_a_frozen_tick_says_why_nothing_is_ordered(context):
    record(context, World(a_desired(), frozen="desired/dev.json is missing"), seconds=3)
    assert "frozen, so nothing is ordered: desired/dev.json is missing" in run("--at", "-0s")


def test_one_service_can_be_told_alone(context):
    from tests.lb.world import a_pool

    services = [a_service("chat"), a_service("code")]
    pools = [a_pool(z, service=s.name) for s in services for z in ZONES]
    record(context, World(a_desired(services, pools)))
    both, one = run(), run("--service", "code")
    assert "chat.local" in both
    assert "code.local" in both
    assert "chat" not in one
    assert "> set_size code.local.local-east-a.L4x1.spot to 1" in one
    with pytest.raises(InputError, match="there are chat, code"):
        run("--service", "cod")


def test_the_json_has_the_whole_entry(context):
    record(context)
    [tick] = json.loads(run("--json", "--last", "1"))["ticks"]
    assert tick["decided_again"] == "same"
    assert tick["tick"].startswith("1.")
    assert {"at", "observed", "commands", "because", "reasons", "memory", "targets"} <= set(tick["entry"])


def test_a_time_outside_of_what_is_kept_says_what_is(context):
    world = record(context)
    first = date_and_clock(world.now - 29)
    for outside in ("2020-01-01", "-2h", str(world.now + 3600)):
        with pytest.raises(InputError, match=f"goes from {first} to "):
            run("--at", outside)


def test_without_a_journal_it_says_where_to_look(context):
    with pytest.raises(InputError, match="has no journal yet"):
        run()


def decides_otherwise(monkeypatch):
    nothing = Decision((), Memory())
    monkeypatch.setattr("lb.replay.decide", lambda *_: nothing)


def test_a_decision_of_other_code_is_told_as_such(context, monkeypatch):
    record(context)
    monkeypatch.setattr(past, "code_version", lambda: "newer")
    assert "other code than today's decided this" in run("--last", "1")


def test_a_decision_that_the_same_code_makes_differently_is_called_a_defect(context, monkeypatch):
    record(context)
    decides_otherwise(monkeypatch)
    assert "something else, by the same code; please report this" in run("--last", "1")


def test_damaged_entries_are_stepped_over(context):
    record(context)

    async def damage():
        found = await places(bucket_of(context))
        for place in found[-3:] + found[4:6]:
            await bucket_of(context).put(place.path, b"{")

    asyncio.run(damage())
    assert "tick 1." in run("--at", "-0s")
    assert "tick 1." in run()


# ---------------------------------------------------------------- moments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1795999000", 1_795_999_000.0),
        ("1795999000.5", 1_795_999_000.5),
        ("2026-11-30T00:50:00Z", NOW - 200),
        ("2026-11-30 00:50:00", NOW - 200),
        ("2026-11-30T02:50:00+02:00", NOW - 200),
        ("00:50", NOW - 200),
        ("0:50", NOW - 200),
        ("00:50:30", NOW - 170),
        ("00:50:30Z", NOW - 170),
        ("02:50+02:00", NOW - 200),
        ("23:53:20", NOW - 3600),
        ("-5m", NOW - 300),
        ("-90s", NOW - 90),
        ("-1.5h", NOW - 5400),
        ("-2d", NOW - 172_800),
    ],
)
def test_moments_are_read_as_people_write_them(text, expected):
    assert moment(text, now=NOW) == expected


@pytest.mark.parametrize("text", ["", "noon", "25:00", "5m", "-5", "2026-13-01", "12", "nan", "03:2x"])
def test_what_is_no_moment_is_refused_with_examples(text):
    with pytest.raises(InputError, match="-5m"):
        moment(text, now=NOW)


@pytest.mark.parametrize("at", [1e300, -1e300, float("inf"), float("nan"), 1e12])
def test_a_moment_that_no_calendar_has_is_shown_as_a_number(at):
    assert clock(at) == date_and_clock(at) == f"{at:g}"


def test_a_moment_as_it_is_shown_is_read_as_the_same_moment():
    assert moment(date_and_clock(NOW), now=NOW) == NOW
    assert moment(clock(NOW), now=NOW) == NOW
