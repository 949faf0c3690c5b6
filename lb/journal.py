"""The journal: every tick in which something changed, whole, so that a decision can be explained and made again.

Entries are `journal/<epoch>/<seq>.json`, each created once and never changed. The newest holds the memory that the next
leader starts with. The desired state is repeated at the start of every segment and whenever it changed; old segments are
deleted whole, so that what is left can always be replayed.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace

import structlog
from pydantic import TypeAdapter, ValidationError

from lb.bucket import Bucket, BucketError
from lb.decide import Command, Memory, Observed
from spec.desired import Desired

log = structlog.get_logger(__name__)

SEGMENT = 100
KEPT_ENTRIES = 5000
KEPT_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"journal/(\d+)/(\d+)\.json")
_TRIES = 50
"""Entries that are looked at for one that is readable, before the memory counts as lost."""


class JournalTaken(Exception):
    """Another process writes in this epoch: it can't be ours any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tick. `at`: the time the decision was made with. `desired`: None = as in the entry before."""

    at: float
    generation: str | None
    observed: Observed
    commands: tuple[Command, ...]
    reasons: tuple[str, ...]
    memory: Memory
    desired: Desired | None = None
    schema: int = 1


_ENTRY = TypeAdapter(Entry)


def encode(entry: Entry) -> bytes:
    """The entry as JSON."""
    return _ENTRY.dump_json(entry, by_alias=True)


def decode(raw: bytes) -> Entry:
    """The entry of that JSON; raises ValueError for anything else."""
    return _ENTRY.validate_json(raw)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the journal still knows. `at`: when the memory was written; None = nothing is known."""

    memory: Memory = field(default_factory=Memory)
    at: float | None = None
    desired: Desired | None = None


class Journal:
    """Writes one epoch's entries, and forgets the oldest of all."""

    def __init__(
        self, bucket: Bucket, *, kept_entries: int = KEPT_ENTRIES, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self._bucket = bucket
        self._kept_entries = kept_entries
        self._kept_bytes = kept_bytes
        self._epoch = 0
        self._seq = 0
        self._last: Entry | None = None
        self._generation: str | None = None
        self._present: deque[tuple[str, int]] = deque()
        self._bytes = 0

    async def begin(self, epoch: int) -> Recovered:
        """Starts the journal of a new epoch and reads what earlier ones remember. Raises BucketError."""
        found = [(o, _NAME.fullmatch(o.path)) for o in await self._bucket.objects("journal")]
        objects = sorted((int(m[1]), int(m[2]), o) for o, m in found if m)
        self._present = deque((o.path, o.size) for _, _, o in objects)
        self._bytes = sum(size for _, size in self._present)
        self._epoch, self._last, self._generation = epoch, None, None
        self._seq = max((seq for e, seq, _ in objects if e == epoch), default=0)
        return await self._recover()

    async def append(self, entry: Entry) -> bool:
        """Writes the entry unless nothing changed since the last one; True when it was written.

        Raises BucketError, after which the next entry tries again, and JournalTaken.
        """
        if not self._changed(entry):
            return False
        starts = self._last is None or self._seq % SEGMENT == 0
        kept = entry.desired if starts or entry.generation != self._generation else None
        raw = encode(replace(entry, desired=kept))
        self._seq += 1  # also when the write fails: it may have arrived all the same
        path = f"journal/{self._epoch:08d}/{self._seq:08d}.json"
        if not await self._bucket.create_if_absent(path, raw):
            raise JournalTaken(f"{path} exists")
        self._last, self._generation = entry, entry.generation
        self._present.append((path, len(raw)))
        self._bytes += len(raw)
        await self._trim()
        return True

    def _changed(self, entry: Entry) -> bool:
        last = self._last
        return (
            last is None
            or bool(entry.commands)
            or (entry.observed, entry.memory, entry.generation)
            != (last.observed, last.memory, last.generation)
        )

    async def _trim(self) -> None:
        """Deletes the oldest segments while there is too much."""
        while len(self._present) > self._kept_entries or self._bytes > self._kept_bytes:
            segment = _segment(self._present[0][0])
            old = [item for item in self._present if _segment(item[0]) == segment]
            if len(old) == len(self._present):
                return
            await self._bucket.delete(*(path for path, _ in old))
            for _ in old:
                self._bytes -= self._present.popleft()[1]

    async def _recover(self) -> Recovered:
        memory: Entry | None = None
        for path, _ in list(self._present)[: -SEGMENT - _TRIES : -1]:
            entry = await self._read(path)
            memory = memory or entry
            if memory is not None and entry is not None and entry.desired is not None:
                return Recovered(memory.memory, memory.at, entry.desired)
        return Recovered() if memory is None else Recovered(memory.memory, memory.at)

    async def _read(self, path: str) -> Entry | None:
        try:
            return decode(await self._bucket.get(path))
        except (BucketError, ValidationError) as e:
            log.warning("a journal entry is unreadable and skipped", path=path, error=str(e).splitlines()[0])
            return None


def _segment(path: str) -> tuple[str, int]:
    name = _NAME.fullmatch(path)
    assert name is not None
    return name[1], (int(name[2]) - 1) // SEGMENT
