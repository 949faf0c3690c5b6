"""Copies of buckets on the machine's disk: many requests at once, and nothing twice.

A file appears under its name only when it is whole, and what was copied and is no longer in the bucket goes. A bucket that
can't be read is asked again for some minutes, because rights that were given a moment ago are not known everywhere yet.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, cast

from lb.agent.bucket import CloudBucket
from lb.agent.clouds.protocol import Object
from lb.agent.mounts import disk
from lb.agent.mounts.again import Again
from lb.agent.mounts.mount import Mount, MountError
from lb.agent.mounts.record import Record
from lb.agent.mounts.told import Told

PART_BYTES = 64 << 20
"""A large object comes in parts, so that one of 100 GB is not one stream."""
WORKERS = 16
_RECORD = ".jsonl"


class _Ended(Exception):
    """Another thread has failed."""


@dataclass
class _File:
    """An object that is not here. `name`: below the target, "" for the target itself; `left`: numbers of missing parts."""

    name: str
    found: Object
    stamp: str
    part: Path
    left: set[int]

    def pieces(self) -> list[tuple[int, range]]:
        """The missing parts, each with its bytes."""
        size, starts = self.found.size, ((n, n * PART_BYTES) for n in sorted(self.left))
        return [(n, range(start, min(start + PART_BYTES, size))) for n, start in starts]


@dataclass
class _Target:
    """One mount. `names`: all files that it is to have; `files`: those that are missing; `size`: of all, in bytes."""

    mount: Mount
    bucket: CloudBucket
    record: Record
    parts: Path
    names: set[str]
    files: list[_File]
    size: int

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return sum(len(part) for file in self.files for _, part in file.pieces())


class Copies:
    """The copies of one bundle.

    Args:
        opened: the bucket at a URL.
        root: of the bundle, which holds `files/`.
        state: a folder for what has to be remembered.
        again: how a bucket that can't be read is asked again.

    """

    def __init__(
        self,
        opened: Callable[[str], CloudBucket],
        *,
        root: Path,
        state: Path,
        told: Told,
        again: Again | None = None,
    ) -> None:
        self._opened = opened
        self._root = root
        self._state = state
        self._told = told
        self._again = again or Again(told)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._came = self._here = self._all = 0

    def run(self, mounts: Sequence[Mount]) -> None:
        """Returns when everything is there. Raises MountError."""
        try:
            self._again.until_done(lambda: self._pass(mounts), moved=lambda: self._came)
        except OSError as e:
            raise MountError(disk.why(e)) from e

    # ---------------------------------------------------------------- one look at everything

    def _pass(self, mounts: Sequence[Mount]) -> None:
        for mount in (m for m in mounts if m.is_here):
            self._place(mount)
        targets = [self._look(m) for m in mounts if not m.is_here]
        for target in targets:
            disk.remove(target.mount.path, target.record.names - target.names)
            disk.remove(target.parts, _unknown(target))
        try:
            disk.check_room({t.mount.path: t.missing for t in targets})
        except MountError:
            if not self._remove_others(mounts):
                raise
            disk.check_room({t.mount.path: t.missing for t in targets})
        self._all = sum(t.size for t in targets)
        self._here = self._all - sum(t.missing for t in targets)
        self._download(targets)
        for target in targets:
            shutil.rmtree(target.parts, ignore_errors=True)
            target.record.keep(target.names)

    def _look(self, mount: Mount) -> _Target:
        """What is in the bucket, and what of it is here."""
        bucket = self._opened(mount.bucket)
        found = _below(mount, bucket)
        record = self._record(mount)
        parts = disk.parts_of(mount.path, single=found.keys() == {""})
        files = []
        for name, one in sorted(found.items()):
            disk.check_name(mount.path, name, of=f"{mount.bucket}/{one.key}")
            stamp = f"{mount.bucket} {one.key} {one.size} {one.etag}"
            if record.is_whole(name, stamp) and disk.has(mount.path / name if name else mount.path, one.size):
                continue
            part = parts / _digest(name)
            known = record.parts(name, stamp) if part.is_file() else set()
            files.append(_File(name, one, stamp, part, set(range(-(-one.size // PART_BYTES))) - known))
        size = sum(one.size for one in found.values())
        return _Target(mount, bucket, record, parts, set(found), files, size)

    def _record(self, mount: Mount) -> Record:
        return Record(self._state / f"{_digest(mount.target)}{_RECORD}", target=str(mount.path))

    def _remove_others(self, mounts: Sequence[Mount]) -> bool:
        """What earlier bundles copied to other targets: it stays until its room is needed, for they may come back."""
        own = {_digest(m.target) + _RECORD for m in mounts}
        others = [path for path in self._state.glob(f"*{_RECORD}") if path.name not in own]
        for path in others:
            record = Record(path)
            disk.remove(Path(record.target), record.names)
            path.unlink()
        return bool(others)

    def _place(self, mount: Mount) -> None:
        """What the bundle itself holds: small, and not worth to be remembered."""
        source, record = self._root / mount.source, self._record(mount)
        single = source.is_file()
        found = {"": source} if single else {p.relative_to(source).as_posix(): p for p in source.rglob("*")}
        names = {name: path for name, path in found.items() if path.is_file()}
        disk.remove(mount.path, record.names - names.keys())
        parts = disk.parts_of(mount.path, single=single)
        parts.mkdir(parents=True, exist_ok=True)
        for name, path in sorted(names.items()):
            part = parts / _digest(name)
            shutil.copy(path, part)
            part.replace(disk.place(mount.path, name, of=f"{mount.source}/{name}"))
            record.add_whole(name, "")
        shutil.rmtree(parts, ignore_errors=True)
        record.keep(set(names))

    # ---------------------------------------------------------------- downloads

    def _download(self, targets: Sequence[_Target]) -> None:
        self._ended.clear()
        self._tell()
        work = ((t, f, piece) for t in targets for f in t.files for piece in f.pieces() or [(-1, range(0))])
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="copy") as threads:
            running = {threads.submit(self._piece, *one) for one in islice(work, 2 * WORKERS)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                try:
                    for one in done:
                        one.result()
                except BaseException:
                    self._ended.set()  # the others end at their next bytes
                    threads.shutdown(cancel_futures=True)
                    raise
                running |= {threads.submit(self._piece, *one) for one in islice(work, len(done))}

    def _piece(self, target: _Target, file: _File, piece: tuple[int, range]) -> None:
        number, part = piece
        file.part.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(file.part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if part:
                to = cast("IO[bytes]", _At(fd, part.start))
                target.bucket.download(file.found.key, to, progress=self._see, part=part, of=file.found)
        finally:
            os.close(fd)
        with self._lock:
            file.left.discard(number)
            if file.left:
                target.record.add_part(file.name, file.stamp, number)
                return
        os.truncate(file.part, file.found.size)  # an older object may have been larger
        path = disk.place(target.mount.path, file.name, of=f"{target.mount.bucket}/{file.found.key}")
        with self._lock:
            file.part.replace(path)
            target.record.add_whole(file.name, file.stamp)

    def _see(self, piece: bytes) -> None:
        if self._ended.is_set():
            raise _Ended
        with self._lock:
            self._came += len(piece)
            self._here += len(piece)
            self._tell(seldom=True)

    def _tell(self, *, seldom: bool = False) -> None:
        self._told.say(f"{disk.shown(self._here)} of {disk.shown(self._all)}", seldom=seldom)


class _At:
    """A place in a file that several threads write."""

    def __init__(self, fd: int, at: int) -> None:
        self._fd = fd
        self._at = at

    def write(self, data: bytes) -> int:
        """All of it. Raises OSError."""
        rest = memoryview(data)
        while rest:
            wrote = os.pwrite(self._fd, rest, self._at)
            self._at += wrote
            rest = rest[wrote:]
        return len(data)


def _below(mount: Mount, bucket: CloudBucket) -> dict[str, Object]:
    """By the name below the target: a folder's objects, or the one object of that key as "". Raises MountError and BucketError."""
    prefix = f"{mount.key}/" if mount.key else ""
    found = {o.key[len(prefix) :]: o for o in bucket.listing(prefix) if not o.key.endswith("/")}
    if not found and mount.key:
        first = next(iter(bucket.listing(mount.key)), None)  # keys come in order, and this is the shortest
        found = {"": first} if first and first.key == mount.key else {}
    if not found:
        raise MountError(f"{mount.source}: nothing is there: no object has that key or is below it")
    return found


def _unknown(target: _Target) -> list[str]:
    """Unfinished files of objects that are not wanted any more."""
    if not target.parts.is_dir():
        return []
    return sorted({p.name for p in target.parts.iterdir()} - {f.part.name for f in target.files})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
