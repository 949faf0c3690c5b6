"""A machine hears from its cloud that it will be taken away, and of nothing else."""

import threading
import time

import pytest

from lb.agent.clouds.azure import ScheduledEvents
from lb.agent.clouds.gcp import Maintenance, Preempted
from lb.agent.notice import NoticeWatch, UnreadableNotice

AT = 1_900_000_000.0


def sources(world, notes=None):
    return world.cloud.notices((notes if notes is not None else []).append)


def test_a_quiet_machine_hears_nothing(world):
    assert [s.preempt_at() for s in sources(world)] == [None] * len(sources(world))


def test_every_cloud_is_asked_as_often_as_it_wants(world):
    wanted = {"aws": [5.0, 30.0], "gcp": [1.0, 1.0], "azure": [1.0]}
    assert [s.poll_s for s in sources(world)] == wanted[world.name]


def test_a_metadata_service_that_is_away_is_unreadable_and_no_notice(world):
    found = sources(world)
    world.server.failing = [500] * 50
    for source in found:
        with pytest.raises(UnreadableNotice):
            source.preempt_at()


def test_aws_tells_the_moment_of_an_interruption(opened):
    world = opened("aws")
    world.server.announce(AT)
    assert [s.preempt_at() for s in sources(world)] == [AT, None]


def test_aws_recommends_to_rebalance_which_is_noted_once_and_no_end(opened):
    world, notes = opened("aws"), []
    world.server.metadata["meta-data/events/recommendations/rebalance"] = (
        '{"noticeTime": "2026-01-01T00:00:00Z"}'
    )
    found = sources(world, notes)
    assert [s.preempt_at() for s in (*found, *found)] == [None] * 4
    assert len(notes) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"action": "stop"}', '{"time": "soon"}'])
def test_an_action_of_aws_that_names_no_moment_is_unreadable(opened, text):
    world = opened("aws")
    world.server.metadata["meta-data/spot/instance-action"] = text
    with pytest.raises(UnreadableNotice):
        sources(world)[0].preempt_at()


def test_google_gives_half_a_minute(opened):
    world = opened("gcp")
    world.server.announce(AT)
    assert Preempted(now=lambda: AT).preempt_at() == AT + 30
    assert Maintenance(now=lambda: AT).preempt_at() is None


def test_google_ends_machines_with_gpus_an_hour_after_it_says_so(opened):
    opened("gcp").server.set("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE")
    assert Maintenance(now=lambda: AT).preempt_at() == AT + 3600


def test_google_is_waited_for_and_tells_at_once(opened):
    world, told = opened("gcp"), []
    source = Preempted(now=lambda: AT)
    assert source.preempt_at() is None
    waiting = threading.Thread(target=lambda: told.append(source.preempt_at()), daemon=True)
    waiting.start()
    end = time.monotonic() + 5
    while not any("wait_for_change=true" in path for _, path in world.server.asked):
        assert time.monotonic() < end
        time.sleep(0.01)
    world.server.announce(AT)
    waiting.join(5)
    assert told == [AT + 30]


@pytest.mark.parametrize("kind", ["Preempt", "Terminate", "Reboot", "Redeploy"])
def test_azure_tells_the_moment_of_what_ends_the_engine(opened, kind):
    world, notes = opened("azure"), []
    world.server.announce(AT, kind=kind)
    assert [s.preempt_at() for s in sources(world, notes)] == [AT]
    assert notes == [f"{kind} by Platform: a test"]


def test_azure_freezes_a_machine_for_seconds_which_is_noted_and_no_end(opened):
    world, notes = opened("azure"), []
    world.server.announce(AT, kind="Freeze")
    (source,) = sources(world, notes)
    assert [source.preempt_at(), source.preempt_at()] == [None, None]
    assert notes == ["Freeze by Platform: a test"]


def test_azure_speaks_of_other_machines_of_the_group_too(opened):
    world = opened("azure")
    world.server.announce(AT, name="another")
    assert [s.preempt_at() for s in sources(world)] == [None]


def test_of_several_events_the_first_counts_and_one_that_began_is_now(opened):
    world = opened("azure")
    world.server.announce(AT, kind="Redeploy")
    world.server.announce(AT - 600, kind="Preempt")
    source = ScheduledEvents(lambda _text: None, now=lambda: AT - 700)
    assert source.preempt_at() == AT - 600
    world.server.announce(AT, kind="Preempt", began=True)
    assert source.preempt_at() == AT - 700


def test_azure_is_told_to_go_on_once_with_what_ends_this_machine_only(opened):
    world = opened("azure")
    world.server.announce(AT, kind="Terminate")
    world.server.announce(AT, kind="Freeze")
    world.server.announce(AT, kind="Terminate", name="another")
    (source,) = sources(world)
    source.approve()
    assert world.server.approved == []
    source.preempt_at()
    source.approve()
    source.approve()
    assert world.server.approved == [world.server.events[0]["EventId"]]


def test_a_watch_tells_an_earlier_moment_again_and_a_later_one_not():
    class Source:
        poll_s = 1.0
        moments = iter([None, 50.0, 80.0, 20.0])

        def preempt_at(self):
            return next(self.moments)

    told = []
    watch = NoticeWatch(Source(), tell=told.append, warn=told.append)
    assert [watch.look() for _ in range(4)] == [False, True, True, True]
    assert told == [50.0, 20.0]
