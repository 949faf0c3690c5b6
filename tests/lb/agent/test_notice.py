"""A machine hears of its preemption, whatever lies in the file."""

import os

import pytest

from lb.agent.notice import NoticeFile, NoticeWatch, UnreadableNotice
from lb.agent.status import Phase, StatusBoard


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notice.json"


def test_no_file_is_no_notice(path):
    assert NoticeFile(path).preempt_at() is None


@pytest.mark.parametrize(
    "content", ['{"preempt_at": 1800000030.5}', '{"schema": 9, "preempt_at": 1800000030.5}']
)
def test_a_file_tells_the_moment(path, content):
    path.write_text(content)
    assert NoticeFile(path).preempt_at() == 1800000030.5


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"preempt_at": null}',
        b'{"preempt_at": "soon"}',
        b'{"preempt_at": true}',
        b'{"preempt_at": NaN}',
        b'{"preempt_at": -1}',
        b'{"preempt_at": 1e999}',
        b'{"preempt_at": 1' + b"0" * 400 + b"}",
        b'{"preempt_at": 1' + b"0" * 100_000 + b"}",
        b"[" * 4096,
        b"\xff\xfe\x00",
    ],
)
def test_a_file_that_names_no_moment_is_unreadable(path, content):
    path.write_bytes(content)
    with pytest.raises(UnreadableNotice, match=r"notice\.json"):
        NoticeFile(path).preempt_at()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_unreadable_and_holds_nobody_up(path, make):
    make(path)
    with pytest.raises(UnreadableNotice, match=r"notice\.json"):
        NoticeFile(path).preempt_at()


def test_a_watch_warns_once_of_what_it_can_not_read_and_tells_what_comes_then(path):
    told, warned = [], []
    watch = NoticeWatch(NoticeFile(path), tell=told.append, warn=warned.append)
    assert not watch.look()
    path.write_text("{")
    assert not watch.look()
    assert not watch.look()
    assert len(warned) == 1
    path.write_text('{"preempt_at": 7}')
    assert watch.look()
    assert told == [7.0]


def test_an_announcement_is_told_in_every_phase():
    board = StatusBoard(now=lambda: 0.0, on_change=lambda _status: None)
    assert board.as_json(instance_id="i", pool_id="p")["preempt_at"] is None
    board.announce(7.0)
    board.enter(Phase.RUNNING, bundle="a")
    assert board.as_json(instance_id="i", pool_id="p")["preempt_at"] == 7.0


def test_a_machine_that_shuts_down_says_so_and_goes_on_saying_it():
    board = StatusBoard(now=lambda: 0.0, on_change=lambda _status: None)
    board.announce(700.0)
    assert board.as_json(instance_id="i", pool_id="p")["leaving"] is False
    board.announce(25.0, leaving=True)
    board.announce(600.0)
    told = board.as_json(instance_id="i", pool_id="p")
    assert (told["preempt_at"], told["leaving"]) == (25.0, True)
