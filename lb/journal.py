"""The journal: every tick in which something changed, whole, so that a decision can be explained and made again.

Entries are `journal/<epoch>/<seq>.json.gz`, each created once and never changed. The newest holds the memory that the next
leader starts with. The desired state is repeated at the start of every segment and whenever it changed, the memory that a
decision started from wherever it is not that of the entry before; old segments are deleted whole, so that what is left can
always be decided again.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from pydantic import TypeAdapter

from lb.bucket import Bucket, BucketError
from lb.decide import Command, Memory, Observed
from spec.desired import Desired

log = structlog.get_logger(__name__)

SEGMENT = 100
KEPT_ENTRIES = 20_000
"""Under load every second is an entry: more than five hours."""
KEPT_BYTES = 64 * 1024 * 1024
FOLDER = "journal"
SCHEMA = 1
"""Of entries. What a newer one means can only be guessed, so it is not read; older ones are, their gaps filled with defaults."""
ENTRY_LIMIT = 64 * 1024 * 1024
"""Bytes of one entry, compressed or not; a thousand replicas take one. What is larger is no entry, and not unpacked."""
ENTRY_NAME = re.compile(r"(\d+)/(\d+)\.json(?:\.gz)?")
"""Below the journal's folder: epoch and number."""
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
"""What zlib calls a stream with gzip's header and checksum."""
_FAST = 1
"""Repetition is what there is to compress: higher levels take longer for the same size."""
_TRIES = 50
"""Entries that are looked at for one that is readable, before the memory counts as lost."""


class JournalTaken(Exception):
    """Another process writes in this epoch: it can't be ours any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tick.

    Attributes:
        at: the time that the decision was made with, epoch seconds.
        because: the reason of each command.
        targets: how many replicas of each service should be ready.
        memory: after the decision.
        desired: None = as in the entry before.
        before: the memory that the decision started from; None = that of the entry before.
        code: which code decided (`lb.replay.code_version`); empty where that was not written down.

    """

    at: float
    generation: str | None
    observed: Observed
    commands: tuple[Command, ...]
    reasons: tuple[str, ...]
    memory: Memory
    desired: Desired | None = None
    because: tuple[str, ...] = ()
    targets: dict[str, int] = field(default_factory=dict)
    before: Memory | None = None
    code: str = ""
    schema: int = SCHEMA


_ENTRY = TypeAdapter(Entry)


def encode(entry: Entry) -> bytes:
    """The entry as compressed JSON."""
    return gzip.compress(_ENTRY.dump_json(entry, by_alias=True), _FAST, mtime=0)


def as_json(entry: Entry) -> Any:
    """The entry as values of JSON."""
    return _ENTRY.dump_python(entry, mode="json", by_alias=True)


def decode(raw: bytes) -> Entry:
    """The entry of that JSON, compressed or not; raises ValueError, with the reason, for anything else."""
    content = _unpacked(raw) if raw.startswith(_GZIP) else raw
    if len(content) > ENTRY_LIMIT:
        raise ValueError(f"larger than {ENTRY_LIMIT >> 20} MiB, which no entry is")
    entry = _ENTRY.validate_json(content)
    if entry.schema > SCHEMA:
        raise ValueError(f"of a newer schema than this code reads, {entry.schema} instead of {SCHEMA}")
    return entry


def _unpacked(raw: bytes) -> bytes:
    """Not much more than the limit, whatever the compressed bytes promise. Raises ValueError."""
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = stream.decompress(raw, ENTRY_LIMIT + 1)
    except zlib.error as e:
        raise ValueError(f"torn: {e}") from e
    if len(content) <= ENTRY_LIMIT and (not stream.eof or stream.unused_data):
        raise ValueError("torn: " + ("more follows its end" if stream.eof else "it ends in the middle"))
    return content


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an entry lies. `size` in bytes."""

    epoch: int
    seq: int
    path: str
    size: int

    @property
    def tick(self) -> str:
        """The name of the tick in logs: `<epoch>.<seq>`."""
        return f"{self.epoch}.{self.seq}"

    @property
    def segment(self) -> tuple[int, int]:
        """What is deleted together."""
        return self.epoch, (self.seq - 1) // SEGMENT

    def precedes(self, other: Place) -> bool:
        """Whether the other is the next entry of the same term."""
        return (self.epoch, self.seq + 1) == (other.epoch, other.seq)


async def places(bucket: Bucket) -> list[Place]:
    """Every entry that is kept, oldest first. Raises BucketError."""
    below = len(f"{FOLDER}/")
    found = [(o, ENTRY_NAME.fullmatch(o.path, below)) for o in await bucket.objects(FOLDER)]
    return sorted(Place(int(m[1]), int(m[2]), o.path, o.size) for o, m in found if m)


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
        self._starts = True
        self._present: deque[Place] = deque()
        self._bytes = 0

    @property
    def tick(self) -> str:
        """The name of the tick that was written last, or tried to be: `<epoch>.<seq>`."""
        return f"{self._epoch}.{self._seq}"

    @property
    def bytes(self) -> int:
        """The size of all entries that are kept."""
        return self._bytes

    async def begin(self, epoch: int) -> Recovered:
        """Starts the journal of a new epoch and reads what earlier ones remember. Raises BucketError."""
        self._present = deque(await places(self._bucket))
        self._bytes = sum(place.size for place in self._present)
        self._epoch, self._last, self._generation, self._starts = epoch, None, None, True
        self._seq = max((place.seq for place in self._present if place.epoch == epoch), default=0)
        return await self._recover()

    async def append(self, entry: Entry, *, before: Memory) -> bool:
        """Writes the entry unless nothing changed since the last one; True when it was written.

        `before`: the memory that the decision started from. Raises BucketError, after which the next entry tries again,
        and JournalTaken.
        """
        if not self._changed(entry):
            return False
        starts = self._starts or self._seq % SEGMENT == 0
        changed = entry.generation != self._generation
        whole = replace(
            entry, desired=entry.desired if starts or changed else None, before=before if starts else None
        )
        raw = encode(whole)
        self._seq += 1  # also when the write fails: it may have arrived all the same
        self._starts = True
        place = Place(self._epoch, self._seq, f"{FOLDER}/{self._epoch:08d}/{self._seq:08d}.json.gz", len(raw))
        if not await self._bucket.create_if_absent(place.path, raw):
            raise JournalTaken(f"{place.path} exists")
        self._last, self._generation, self._starts = entry, entry.generation, False
        self._present.append(place)
        self._bytes += place.size
        await self._trim()
        return True

    def _changed(self, entry: Entry) -> bool:
        last = self._last
        return (
            last is None
            or bool(entry.commands)
            or (entry.observed, entry.memory, entry.generation, entry.reasons)
            != (last.observed, last.memory, last.generation, last.reasons)
        )

    async def _trim(self) -> None:
        """Deletes the oldest segments while there is too much."""
        while len(self._present) > self._kept_entries or self._bytes > self._kept_bytes:
            segment = self._present[0].segment
            old = [place for place in self._present if place.segment == segment]
            if len(old) == len(self._present):
                return
            await self._bucket.delete(*(place.path for place in old))
            for _ in old:
                self._bytes -= self._present.popleft().size

    async def _recover(self) -> Recovered:
        memory: Entry | None = None
        for place in list(self._present)[: -SEGMENT - _TRIES : -1]:
            entry = await self._read(place.path)
            memory = memory or entry
            if memory is not None and entry is not None and entry.desired is not None:
                return Recovered(memory.memory, memory.at, entry.desired)
        return Recovered() if memory is None else Recovered(memory.memory, memory.at)

    async def _read(self, path: str) -> Entry | None:
        try:
            return decode(await self._bucket.get(path))
        except (BucketError, ValueError) as e:
            log.warning("a journal entry is unreadable and skipped", path=path, error=str(e).splitlines()[0])
            return None
