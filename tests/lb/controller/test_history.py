"""The picture of the last day: bounded, kept over restarts, and right when clocks are set."""

import asyncio
import gzip
from itertools import pairwise

import pytest

from lb.bucket import open_bucket
from lb.controller.history import COARSE_S, FINE_KEPT, FINE_S, PATH, Recorder, decode, encode
from spec.history import Group, History
from spec.names import Market
from spec.status import (
    ControllerStatus,
    ReplicaState,
    ReplicaStatus,
    ServiceStatus,
    Status,
    TrafficStatus,
)

AT = 1_796_000_000.0


@pytest.fixture
def bucket(tmp_path):
    return open_bucket(f"file://{tmp_path}")


def a_replica(number, *, zone="local-east-a", state=ReplicaState.READY):
    return ReplicaStatus(
        id=f"local:local-east:i-{number}",
        pool="chat.local.local-east-a.L4x1.spot",
        cloud="local",
        region="local-east",
        zone=zone,
        market=Market.SPOT,
        accelerator="L4",
        state=state,
        since=AT,
        bundle="a" * 64,
        usd_hour=0.2,
    )


def a_status(at, *replicas, traffic=None, reasons=()):
    ready = sum(r.state is ReplicaState.READY for r in replicas)
    service = ServiceStatus(
        name="chat", endpoint="", ready=ready, desired=2, replicas=replicas, traffic=traffic
    )
    controller = ControllerStatus(alive=True, leader=True, last_tick_age_s=0.1)
    return Status(services=(service,), usd_hour=0.4, controller=controller, written_at=at, reasons=reasons)


def recorded(seconds, *, begin=AT, step=1.0):
    recorder = Recorder()
    for n in range(int(seconds / step) + 1):
        recorder.take(a_status(begin + n * step))
    return recorder


def told(recorder, since=None):
    return History.model_validate_json(recorder.told(since=since)).points


def times(recorder, since=None):
    return [p.at - AT for p in told(recorder, since)]


def test_a_point_says_how_many_replicas_of_each_place_are_in_each_state():
    recorder = Recorder()
    recorder.take(
        a_status(
            AT,
            a_replica(1),
            a_replica(2),
            a_replica(3, state=ReplicaState.STARTING),
            a_replica(4, zone=None),
            traffic=TrafficStatus(qps=2.5, failed_per_s=0.5, ttft_p50_ms=100, ttft_p95_ms=900),
        )
    )
    [point] = told(recorder)
    [service] = point.services
    assert service.groups == (
        Group(place="local-east", market=Market.SPOT, state=ReplicaState.READY, count=1),
        Group(place="local-east-a", market=Market.SPOT, state=ReplicaState.READY, count=2),
        Group(place="local-east-a", market=Market.SPOT, state=ReplicaState.STARTING, count=1),
    )
    assert (service.desired, service.qps, service.failed_per_s, service.ttft_p95_ms) == (2, 2.5, 0.5, 900)


def test_points_are_taken_every_few_seconds_however_often_the_loop_turns():
    assert times(recorded(20, step=0.25)) == [0, 5, 10, 15, 20]


def test_the_last_hour_is_fine_the_day_before_it_coarse_and_no_more_is_kept():
    recorder = recorded(100_000, step=FINE_S)
    points = times(recorder)
    assert points == sorted(set(points))
    fine = [b - a for a, b in pairwise(points[-FINE_KEPT:])]
    assert set(fine) == {FINE_S}
    coarse = points[:-FINE_KEPT]
    assert {b - a for a, b in pairwise(coarse)} == {COARSE_S}
    assert 86_000 <= points[-1] - points[0] <= 86_500


def test_only_what_came_since_a_moment_is_told():
    recorder = recorded(60)
    assert times(recorder, AT + 50) == [55, 60]
    assert told(recorder, AT + 60) == ()


def test_a_restart_keeps_the_picture_and_the_last_decisions(bucket):
    async def story():
        before = recorded(8000, step=FINE_S)
        before.take(a_status(AT + 8100, reasons=("12:00:00Z chat: 1 missing",)))
        await before.save(bucket)
        after = Recorder()
        assert await after.load(bucket) == ("12:00:00Z chat: 1 missing",)
        assert times(after) == times(before)
        after.take(a_status(AT + 8200))
        assert times(after)[-2:] == [8100, 8200]

    asyncio.run(story())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\x1f\x8b",
        gzip.compress(b"[]"),
        encode((), [])[:-4],
        gzip.compress(b'{"reasons": []}\n{}'),
    ],
)
def test_an_unreadable_history_begins_anew(bucket, raw):
    async def story():
        await bucket.put(PATH, raw)
        recorder = Recorder()
        assert await recorder.load(bucket) == ()
        recorder.take(a_status(AT))
        assert times(recorder) == [0]

    asyncio.run(story())


def test_a_bucket_without_a_history_takes_nothing_away(bucket):
    async def story():
        recorder = recorded(9)
        await recorder.load(bucket)
        assert times(recorder) == [0, 5]

    asyncio.run(story())


def test_what_this_process_knows_is_not_replaced_by_an_older_file(bucket):
    async def story():
        recorder = recorded(9)
        await recorder.save(bucket)
        recorder.take(a_status(AT + 30))
        await recorder.load(bucket)
        assert times(recorder) == [0, 5, 30]

    asyncio.run(story())


def test_it_is_written_once_a_minute(bucket):
    async def story():
        recorder = recorded(9)
        await recorder.save_if_due(bucket, now=1000)
        assert await bucket.objects("") == []
        await recorder.save_if_due(bucket, now=1059)
        assert await bucket.objects("") == []
        await recorder.save_if_due(bucket, now=1060)
        assert [p.at - AT for p in decode(await bucket.get(PATH))[1]] == times(recorder)

    asyncio.run(story())


def test_a_clock_that_was_set_back_drops_what_seems_to_come_later_and_goes_on():
    recorder = recorded(3600, step=FINE_S)
    recorder.take(a_status(AT + 100.0))
    recorder.take(a_status(AT + 105.0))
    assert times(recorder) == [*range(0, 106, 5)]


def test_a_day_of_a_large_fleet_is_small_in_the_bucket():
    recorder = Recorder()
    zones = [f"zone-{n}" for n in range(50)]
    replicas = tuple(a_replica(n, zone=zones[n % 50]) for n in range(100))
    point_status = a_status(AT, *replicas)
    for n in range(3000):
        recorder.take(point_status.model_copy(update={"written_at": AT + n * 30}))
    reasons, points = (), recorder._points()
    assert len(encode(reasons, points)) < 400_000
    assert sum(len(p.line) for p in points) < 12_000_000
