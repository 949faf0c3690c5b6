"""One update at a time, and what a killed one left behind is put in order before the next begins.

A killed update can leave Pulumi and its plugins running, the stack locked, operations pending, and processes that
the state does not know. The last are the registry's business; the others are mended here.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from pulumi import automation as auto

from cli import pulumi
from cli.context import Context
from local import proctable
from local.files import write_atomic
from local.processes import Registry
from spec.errors import InputError, OutsideError

GRACE_S = 8.0
KILL_LIMIT_S = 2.0
POLL_S = 0.05


@contextmanager
def update_lock(context: Context) -> Generator[None]:
    """Held by the one command that changes the stack. Raises InputError when another one holds it."""
    path = context.home / "update.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            f.seek(0)
            raise InputError(
                f"another command is changing the stack `{context.stack}` (pid {f.read().strip() or 'unknown'}); "
                "wait for it to end, or stop it with Ctrl-C there"
            ) from None
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(f.fileno())):
            raise InputError(f"the stack `{context.stack}` was just removed; run the same command again")
        f.truncate(0)
        f.write(str(os.getpid()))
        f.flush()
        yield


def clear(context: Context) -> list[str]:
    """Before a stack is selected: ends a Pulumi that still runs, and mends a state that it had no time to write.

    The update lock must be held. What was done, in words.
    """
    done = []
    if _end_leftovers(context):
        done.append("ended a Pulumi that was still running")
    if _restore_checkpoint(context):
        done.append("took back the state before the one that was being written")
    return done


def _restore_checkpoint(context: Context) -> bool:
    """A kill in the middle of Pulumi's write may leave an empty file: the one before takes its place, or none does.

    Without a state nothing is lost here: what runs is found by its name, and taken over or ended.
    """
    path = pulumi.checkpoint(context)
    before = path.with_name(f"{path.name}.bak")
    if not path.exists() or path.stat().st_size:
        return False
    if before.exists() and before.stat().st_size:
        write_atomic(path, before.read_bytes())
    else:
        path.unlink()
    return True


def repair(context: Context, stack: auto.Stack, done: list[str]) -> str | None:
    """Mends what a killed command left; the update lock must be held. One line about what was done, or None.

    `done`: what `clear` did.
    """
    if pulumi.locks(context):
        stack.cancel()
        done.append("released its lock")
    if _pending_operations(context):
        stack.refresh(clear_pending_creates=True)
        done.append("cleared its unfinished operations")
    if forgotten := Registry(context.home).forget_unusable():
        done.append(f"removed unreadable entries of {', '.join(forgotten)}")
    return f"repaired after an interrupted command: {', '.join(done)}" if done else None


def _end_leftovers(context: Context) -> bool:
    """Interrupts, then kills, whatever carries the marker of this stack's Pulumi. Returns whether there was any."""
    found = bool(_leftovers(context))
    for number, limit_s in ((signal.SIGINT, GRACE_S), (signal.SIGKILL, KILL_LIMIT_S)):
        left = _leftovers(context)
        for pid in left:
            _signal(pid, number)
        deadline = time.monotonic() + limit_s
        while left and time.monotonic() < deadline:
            time.sleep(POLL_S)
            left = _leftovers(context)
    return found


def _leftovers(context: Context) -> list[int]:
    alive = [pid for pid, p in proctable.table().items() if not p.dead]
    return [
        pid
        for pid, marker in proctable.markers(alive).items()
        if marker.name == "pulumi" and marker.home == str(context.home)
    ]


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _pending_operations(context: Context) -> bool:
    path = pulumi.checkpoint(context)
    try:
        state = json.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    except ValueError as e:
        raise OutsideError(
            f"Pulumi's state of the stack is damaged: {path}: {e}. Beside it, {path.name}.bak is the one before; "
            "copy it over and run the same command again."
        ) from None
    return bool((state.get("checkpoint", {}).get("latest") or {}).get("pending_operations"))
