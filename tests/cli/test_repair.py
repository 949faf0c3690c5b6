"""One update at a time, and what a killed one left is mended: its lock, its operations, its processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli import pulumi, repair
from cli.context import Context
from local import proctable
from spec.errors import InputError, OutsideError


@pytest.fixture
def context(tmp_path):
    (tmp_path / "Pulumi.yaml").write_text("name: my-llm\n")
    return Context("dev", tmp_path)


class Stack:
    """Notes what was asked of Pulumi."""

    def __init__(self):
        self.asked = []

    def cancel(self):
        self.asked.append("cancel")

    def refresh(self, *, clear_pending_creates):
        assert clear_pending_creates
        self.asked.append("refresh")


def mend(context):
    stack = Stack()
    return repair.repair(context, stack, repair.clear(context)), stack.asked


def leave_state(context, **latest):
    path = pulumi.checkpoint(context)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": latest}}))
    return path


def leave_lock(context, stack="dev"):
    folder = context.root / ".tradewind/backend/.pulumi/locks/organization/my-llm" / stack
    folder.mkdir(parents=True)
    (folder / "5a1f.json").write_text("{}")


def a_leftover(context, code="import time; print(flush=True); time.sleep(600)", name="pulumi", home=None):
    """A real process as a killed command leaves it."""
    marker = proctable.Marker(str(home or context.home), name, "t0")
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, proctable.MARKER: str(marker)},
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()  # it runs, and handles what it said it would
    return process


@pytest.fixture
def leftovers():
    started = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


# ------------------------------------------------------------ mending


def test_a_new_stack_needs_no_repair(context):
    assert mend(context) == (None, [])


def test_a_stack_in_order_needs_no_repair(context):
    leave_state(context, resources=[])
    leave_state(context, resources=[], pending_operations=[])
    assert mend(context) == (None, [])


def test_a_stale_lock_is_released(context):
    leave_lock(context)
    said, asked = mend(context)
    assert asked == ["cancel"]
    assert said == "repaired after an interrupted command: released its lock"


def test_the_lock_of_another_stack_is_left_alone(context):
    leave_lock(context, stack="other")
    assert mend(context) == (None, [])


def test_unfinished_operations_are_cleared_after_the_lock(context):
    leave_lock(context)
    leave_state(context, pending_operations=[{"type": "creating"}])
    said, asked = mend(context)
    assert asked == ["cancel", "refresh"]
    assert "\n" not in said


def test_an_unreadable_entry_of_a_process_is_removed_and_said(context):
    folder = context.home / "processes"
    folder.mkdir(parents=True)
    (folder / "i-0123456789.json").write_text("{")
    said, asked = mend(context)
    assert "removed unreadable entries of i-0123456789" in said
    assert asked == []
    assert mend(context)[0] is None


def test_a_damaged_state_names_the_one_before_it(context):
    leave_state(context).write_text('{"checkpoint": {"la')
    with pytest.raises(OutsideError, match=r"dev\.json.* dev\.json\.bak is the one before"):
        mend(context)


def test_a_pulumi_that_still_runs_is_interrupted_and_said(context, leftovers):
    leftovers.append(a_leftover(context))
    said, _ = mend(context)
    assert said == "repaired after an interrupted command: ended a Pulumi that was still running"
    assert leftovers[0].wait(5) == -signal.SIGINT


def test_one_that_minds_no_interrupt_is_killed(context, leftovers, monkeypatch):
    monkeypatch.setattr(repair, "GRACE_S", 0.2)
    deaf = "import signal, time; signal.signal(2, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    leftovers.append(a_leftover(context, deaf))
    mend(context)
    assert leftovers[0].wait(5) == -signal.SIGKILL


def test_processes_of_the_stack_and_of_other_stacks_are_left_alone(context, leftovers):
    leftovers += [
        a_leftover(context, name="controller"),
        a_leftover(context, home=context.root / ".tradewind" / "other"),
    ]
    assert mend(context) == (None, [])
    assert [p.poll() for p in leftovers] == [None, None]


# ------------------------------------------------------------ one at a time

HOLDER = """
import sys, time
from pathlib import Path
from cli.context import Context
from cli.repair import update_lock
with update_lock(Context("dev", Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(context):
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, context.root],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_command_is_refused_with_the_pid_of_the_first(context, holder):
    with (
        pytest.raises(InputError, match=rf"stack `dev` \(pid {holder.pid}\).*Ctrl-C"),
        repair.update_lock(context),
    ):
        pytest.fail("two at once")


def test_another_stack_may_be_changed_meanwhile(context, holder):
    with repair.update_lock(Context("other", context.root)):
        pass


def test_a_killed_command_frees_the_lock(context, holder):
    holder.kill()
    holder.wait()
    with repair.update_lock(context):
        assert (context.home / "update.lock").read_text() == str(os.getpid())


def test_the_lock_is_free_again_after_an_error(context):
    with pytest.raises(ZeroDivisionError), repair.update_lock(context):
        raise ZeroDivisionError
    with repair.update_lock(context):
        pass


def test_a_lock_on_a_folder_that_down_has_just_removed_is_not_held(context, monkeypatch):
    flock = repair.fcntl.flock

    def removed_meanwhile(f, how):
        (context.home / "update.lock").unlink()
        flock(f, how)

    monkeypatch.setattr(repair.fcntl, "flock", removed_meanwhile)
    with (
        pytest.raises(InputError, match="was just removed; run the same command again"),
        repair.update_lock(context),
    ):
        pytest.fail("nobody else would see this lock")


def test_a_state_that_a_kill_left_empty_is_the_one_before_again(context):
    path = leave_state(context)
    before = path.read_bytes()
    path.with_name("dev.json.bak").write_bytes(before)
    path.write_bytes(b"")
    said, asked = mend(context)
    assert (
        said
        == "repaired after an interrupted command: took back the state before the one that was being written"
    )
    assert asked == []
    assert path.read_bytes() == before


@pytest.mark.parametrize("backup", [None, b""])
def test_an_empty_state_without_one_before_makes_room_for_a_new_stack(context, backup):
    path = leave_state(context)
    path.write_bytes(b"")
    if backup is not None:
        path.with_name("dev.json.bak").write_bytes(backup)
    repair.clear(context)
    assert not path.exists()


def test_a_state_that_is_damaged_but_not_empty_is_left_for_its_owner_to_decide(context):
    path = leave_state(context)
    path.write_bytes(b'{"version"')
    assert repair.clear(context) == []
    assert path.read_bytes() == b'{"version"'
