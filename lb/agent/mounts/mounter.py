"""Mounts that stay while an engine runs: made, watched, made again when their program ends, and taken away."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lb.agent.bucket import CloudBucket
from lb.agent.mounts import tools
from lb.agent.mounts.again import Again
from lb.agent.mounts.mount import Mount, MountError
from lb.agent.mounts.table import Made, is_mounted, unmount

_LOOK_S = 0.1
_MOUNTED_S = 60.0
_ENDS_S = 5.0
_AGAIN_S, _AGAIN_MOST_S = 1.0, 60.0


@dataclass
class _Running:
    """`retry_at`: when the next try is due of one whose program has ended; None while it runs."""

    mount: Mount
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    retry_at: float | None = None
    pause_s: float = _AGAIN_S


class Mounter:
    """The mounts of one bundle.

    Args:
        opened: the bucket at a URL.
        folder: for caches, configs and what has to be remembered.
        again: how a bucket that can't be read is asked again; its `pause` may raise to end a wait.
        remount: whether a mount is made again when its program ends, or that is the end of all.
        warn: hears what goes wrong while the engine runs.

    """

    def __init__(
        self,
        cloud: str,
        opened: Callable[[str], CloudBucket],
        *,
        folder: Path,
        again: Again,
        remount: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._cloud = cloud
        self._opened = opened
        self._folder = folder
        self._again = again
        self._remount = remount
        self._warn = warn
        self._made = Made(folder / "mounted.json")
        self._all: list[_Running] = []

    def mount(self, mounts: Sequence[Mount]) -> None:
        """Makes all of them. Raises MountError."""
        for mount in mounts:
            self._again.until_done(partial(self._look, mount))
        self._made.remember([m.path for m in mounts])
        for mount in mounts:
            folder = self._folder / f"mount-{hashlib.sha256(mount.target.encode()).hexdigest()[:16]}"
            self._all.append(_Running(mount, folder))
            self._start(self._all[-1])

    def watch(self) -> None:
        """Makes those again whose program has ended; files that were open stay broken. Raises MountError where that is no use."""
        for one in self._all:
            if one.process is not None and (code := one.process.poll()) is not None:
                ended = f"{one.mount.target}: {tools.PROGRAMS[self._cloud]} has ended with exit code {code}"
                if not self._remount:
                    raise MountError(ended)
                self._warn(f"{ended}; mounted again")
                one.process, one.retry_at = None, self._again.clock()
            if one.retry_at is not None and self._again.clock() >= one.retry_at:
                self._retry(one)

    def unmount(self) -> None:
        """Takes all of them away, with their caches."""
        for one in reversed(self._all):
            unmount(one.mount.path)
            _end(one.process)
            shutil.rmtree(one.folder, ignore_errors=True)
        self._all.clear()
        self._made.release()

    def _retry(self, one: _Running) -> None:
        try:
            self._start(one)
        except MountError as e:
            self._warn(f"{e}; trying again in {one.pause_s:g} s")
            one.retry_at = self._again.clock() + one.pause_s
            one.pause_s = min(2 * one.pause_s, _AGAIN_MOST_S)
        else:
            one.retry_at, one.pause_s = None, _AGAIN_S

    def _look(self, mount: Mount) -> None:
        """Whether there is anything: programs mount what is not there, or not readable, as an empty folder."""
        prefix = f"{mount.key}/" if mount.key else ""
        if next(iter(self._opened(mount.bucket).listing(prefix)), None) is None:
            raise MountError(f"{mount.source}: no object is below it; one object alone needs `mode: COPY`")

    def _start(self, one: _Running) -> None:
        mount, path = one.mount, one.mount.path
        try:
            unmount(path)
            shutil.rmtree(one.folder, ignore_errors=True)
            (one.folder / "cache").mkdir(parents=True)
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise MountError(
                    f"{mount.target}: the folder is not empty, and what is in it would be hidden"
                )
            call = tools.call(self._cloud, mount, folder=one.folder, free=shutil.disk_usage(one.folder).free)
            (one.folder / "config.yaml").write_text(call.config)
            one.process = subprocess.Popen(call.command, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as e:
            raise MountError(f"{mount.target}: {e.filename or ''}: {e.strerror or e}") from e
        self._wait(one, one.process)

    def _wait(self, one: _Running, process: subprocess.Popen[bytes]) -> None:
        program, end = tools.PROGRAMS[self._cloud], self._again.clock() + _MOUNTED_S
        while not is_mounted(one.mount.path):
            code = process.poll()
            if code is None and self._again.clock() < end:
                self._again.pause(_LOOK_S)
                continue
            _end(process)
            one.process = None
            how = f"did not mount within {_MOUNTED_S:g} s" if code is None else f"ended with exit code {code}"
            raise MountError(
                f"{one.mount.target}: {program} {how} for {one.mount.source}; it says why in the log"
            )


def _end(process: subprocess.Popen[bytes] | None) -> None:
    """It ends by itself when its mount is gone; SIGTERM and SIGKILL if not."""
    if process is None:
        return
    for act in (process.terminate, process.kill):
        try:
            process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            act()
        else:
            return
    process.wait()
