import asyncio
import random

import pytest

from lb.edge.edge import Edge
from lb.edge.follow import FIRST_WAIT_S, LONGEST_WAIT_S, Follower
from lb.edge.metrics import Metrics
from lb.edge.sources import Unavailable
from spec.snapshot import Snapshot


def snapshot(epoch, seq):
    return Snapshot(epoch=epoch, seq=seq, edge_id="e1")


class Script:
    """A source that says one thing after the other; exceptions are raised. It remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def newer_than(self, version):
        self.asked.append(version)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


class Looker:
    looks = 0

    async def look(self):
        self.looks += 1
        return True

    look_after_change = look


DOWN = Unavailable("down")


@pytest.fixture
def make(tmp_path):
    def follower(controller, bucket=None):
        metrics = Metrics()
        edge = Edge(edge_id="e1", directory=tmp_path / "edge", metrics=metrics)
        edge.open()
        made.append(edge)
        slept = []

        async def sleep(seconds):
            slept.append(seconds)
            await asyncio.sleep(0)

        following = Follower(
            edge=edge,
            controller=controller,
            bucket=bucket or Script(),
            admin=Looker(),
            metrics=metrics,
            sleep=sleep,
            rng=random.Random(1),
        )
        return following, edge, slept

    made = []
    yield follower
    for edge in made:
        edge.close()


def steps(following, n):
    async def go():
        for _ in range(n):
            await following.step()

    asyncio.run(go())


def test_it_asks_for_what_is_newer_than_what_it_serves(make):
    controller = Script(snapshot(1, 4), None)
    following, edge, _ = make(controller)
    steps(following, 3)
    assert controller.asked == [None, (1, 4), (1, 4)]
    assert edge.version == (1, 4)


def test_without_a_controller_the_bucket_is_asked_and_its_snapshot_served(make):
    bucket = Script(snapshot(2, 1), None)
    following, edge, _ = make(Script(DOWN, DOWN), bucket)
    steps(following, 2)
    assert edge.version == (2, 1)
    assert bucket.asked == [None, (2, 1)]


def test_while_the_controller_answers_the_bucket_is_left_alone(make):
    bucket = Script()
    following, *_ = make(Script(None, snapshot(1, 1), None), bucket)
    steps(following, 3)
    assert bucket.asked == []


def test_waits_grow_to_a_limit_and_start_small_again_after_an_answer(make):
    controller = Script(*[DOWN] * 12, None, DOWN)
    following, _, slept = make(controller)
    steps(following, 14)
    failing, after = slept[:12], slept[-1]
    assert failing[0] <= FIRST_WAIT_S
    assert all(s <= LONGEST_WAIT_S for s in failing)
    assert min(failing[-5:]) >= LONGEST_WAIT_S / 2
    assert len(set(failing)) == 12  # jitter
    assert after <= FIRST_WAIT_S


def test_a_controller_of_a_lower_epoch_changes_nothing_and_is_not_asked_in_a_hurry(make):
    following, edge, slept = make(Script(snapshot(5, 1), snapshot(4, 9), snapshot(4, 10)))
    steps(following, 3)
    assert edge.version == (5, 1)
    assert len(slept) == 2


def test_an_old_snapshot_in_the_bucket_changes_nothing(make):
    following, edge, _ = make(Script(snapshot(5, 2), DOWN), Script(snapshot(4, 9)))
    steps(following, 2)
    assert edge.version == (5, 2)


def test_bucket_and_controller_both_down_keeps_what_is_served(make):
    following, edge, _ = make(Script(snapshot(1, 1), DOWN), Script(Unavailable("bucket down")))
    steps(following, 2)
    assert edge.version == (1, 1)


def test_the_metric_says_whether_the_controller_answers(make):
    following, *_ = make(Script(None, DOWN, None))
    seen = []
    for _ in range(3):
        steps(following, 1)
        seen.append(following._metrics.controller_up._value.get())
    assert seen == [1, 0, 1]


def test_a_defect_does_not_end_the_loop(make):
    controller = Script(RuntimeError("a defect"), snapshot(1, 1))
    following, edge, _ = make(controller)

    async def go():
        running = asyncio.create_task(following.run())
        async with asyncio.timeout(5):
            while edge.version is None:  # noqa: ASYNC110 - the loop under test has no event to wait for
                await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(go())
    assert edge.version == (1, 1)


def test_envoy_is_looked_at_after_every_round(make):
    following, *_ = make(Script(None, snapshot(1, 1), DOWN))
    steps(following, 3)
    assert following._admin.looks == 3
