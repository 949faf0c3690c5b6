"""The journal read again: which tick answers for a moment, and each tick with all that it was decided from.

Names of entries hold no time, and a term may begin with another clock than the one before ended with. So a moment is
looked for term by term, from the newest: within one, time never goes back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from pydantic import ValidationError

from lb.bucket import Bucket, ObjectNotFound
from lb.decide import Decision, Memory, decide
from lb.journal import ENTRY_LIMIT, SEGMENT, Entry, Place, decode, places
from spec.desired import Desired

KEPT_IN_MEMORY = 32
"""Entries; one of a large fleet takes megabytes."""
AT_ONCE = 16
"""Entries that a walk reads at the same time: a cloud's store takes tens of milliseconds for each."""
_ROOT = Path(__file__).parent.parent
_DECIDES = ("lb/decide", "lb/clouds/protocol.py", "spec")
"""Everything that a decision depends on beside its inputs."""


@cache
def code_version() -> str:
    """Names the code that decides, by its content: 12 hex digits."""
    digest = hashlib.sha256()
    for name in _DECIDES:
        top = _ROOT / name
        for path in sorted(top.rglob("*.py")) if top.is_dir() else [top]:
            digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Tick:
    """One entry with what it takes for granted.

    Attributes:
        before: the memory that the decision started from; None where the entries that knew it are gone.
        desired: what should run; None likewise.

    """

    place: Place
    entry: Entry
    before: Memory | None
    desired: Desired | None

    def again(self) -> Decision | None:
        """The decision made once more, by the code of now; None where its inputs are not all kept."""
        if self.before is None or self.desired is None:
            return None
        return decide(self.desired, self.entry.observed, self.before, self.entry.at)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry that tells nothing, and why."""

    place: Place
    reason: str


class Reader:
    """The entries that a bucket keeps. All calls raise BucketError when the bucket fails."""

    def __init__(self, bucket: Bucket, found: Sequence[Place]) -> None:
        self._bucket = bucket
        self._all = list(found)
        self._terms = [list(of_term) for _, of_term in groupby(found, key=lambda p: p.epoch)]
        self._read: dict[Place, Entry | None] = {}

    @classmethod
    async def open(cls, bucket: Bucket) -> Reader:
        """Looks which entries there are."""
        return cls(bucket, await places(bucket))

    async def kept(self) -> tuple[float, float] | None:
        """The times of the oldest and the newest readable entry; None when there is none."""
        oldest = await self._first_readable(self._all)
        newest = await self._first_readable(self._all[::-1])
        return None if oldest is None or newest is None else (oldest[1].at, newest[1].at)

    async def at(self, moment: float) -> Tick | None:
        """The tick that answers for that moment: the last one until then, because nothing changed after it.

        A term that was under way at the moment goes before a later one that began with a clock set back.
        """
        answers: Place | None = None
        for term in reversed(self._terms):
            first = await self._first_readable(term)
            if first is None or first[1].at > moment:
                continue
            place = await self._last_until(term, moment)
            newest = await self._first_readable(term[::-1])
            if newest is not None and newest[1].at >= moment:
                return None if place is None else await self.tick(place)
            answers = answers or place
        return None if answers is None else await self.tick(answers)

    async def backwards(self) -> AsyncIterator[tuple[Place, Entry]]:
        """Every readable entry, the newest first."""
        newest_first = self._all[::-1]
        for at in range(0, len(newest_first), AT_ONCE):
            some = newest_first[at : at + AT_ONCE]
            entries = await asyncio.gather(*(self._entry(place) for place in some))
            for place, entry in zip(some, entries, strict=True):
                if entry is not None:
                    yield place, entry

    async def forwards(self) -> AsyncIterator[Tick | Unreadable]:
        """Every tick with its inputs, the oldest first. Each entry is read once, and few are held at a time."""
        last: Tick | None = None
        desired: Desired | None = None
        for at in range(0, len(self._all), AT_ONCE):
            some = self._all[at : at + AT_ONCE]
            for place, raw in zip(some, await asyncio.gather(*map(self._raw, some)), strict=True):
                entry = raw if isinstance(raw, str) else _decoded(raw)
                if isinstance(entry, str):
                    yield Unreadable(place, entry)
                    continue
                before = last.entry.memory if last is not None and last.place.precedes(place) else None
                desired = entry.desired or desired
                fits = desired is not None and desired.generation == entry.generation
                last = Tick(place, entry, entry.before or before, desired if fits else None)
                yield last

    async def tick(self, place: Place) -> Tick:
        """The entry at that place, with the inputs that earlier ones hold. Raises KeyError where it is unreadable."""
        entry = await self._entry(place)
        if entry is None:
            raise KeyError(place.path)
        before = entry.before
        if before is None and (previous := self._neighbour(place, place.seq - 1)) is not None:
            known = await self._entry(previous)
            before = known.memory if known is not None else None
        return Tick(place, entry, before, await self._desired(place, entry))

    async def _desired(self, place: Place, entry: Entry) -> Desired | None:
        """What the entry, the first of its segment, or else the nearest one before it holds."""
        first = self._neighbour(place, place.seq - (place.seq - 1) % SEGMENT)
        term = self._term(place)
        here = term.index(place)
        earlier = term[max(0, here - SEGMENT) : here][::-1]
        for candidate in (place, *([first] if first else []), *earlier):
            known = await self._entry(candidate)
            if known is not None and known.desired is not None and known.generation == entry.generation:
                return known.desired
        return None

    # ------------------------------------------------------------ the order of entries

    def _term(self, place: Place) -> list[Place]:
        return next(t for t in self._terms if t[0].epoch == place.epoch)

    def _neighbour(self, place: Place, seq: int) -> Place | None:
        """The entry of that number in the same term; None where it is missing."""
        return next((p for p in self._term(place) if p.seq == seq), None)

    async def _last_until(self, term: list[Place], moment: float) -> Place | None:
        """Bisects; an unreadable entry is stepped over towards the older ones."""
        low, high = 0, len(term)
        while low < high:
            middle = (low + high) // 2
            readable = await self._first_readable(term[low : middle + 1][::-1])
            if readable is None or readable[1].at <= moment:
                low = middle + 1
            else:
                high = term.index(readable[0])
        found = await self._first_readable(term[:low][::-1])
        return found[0] if found else None

    async def _first_readable(self, candidates: Sequence[Place]) -> tuple[Place, Entry] | None:
        for place in candidates:
            entry = await self._entry(place)
            if entry is not None:
                return place, entry
        return None

    async def _entry(self, place: Place) -> Entry | None:
        """The entry; None where it is unreadable or was deleted meanwhile."""
        if place not in self._read:
            while len(self._read) >= KEPT_IN_MEMORY:
                del self._read[next(iter(self._read))]
            try:
                self._read[place] = decode(await self._bucket.get(place.path))
            except (ObjectNotFound, ValueError):
                self._read[place] = None
        return self._read[place]

    async def _raw(self, place: Place) -> bytes | str:
        """The entry as it lies there; in words where that is nothing to be read."""
        if place.size > ENTRY_LIMIT:
            return f"larger than {ENTRY_LIMIT >> 20} MiB, which no entry is"
        try:
            return await self._bucket.get(place.path)
        except ObjectNotFound:
            return "deleted as too old in this moment"


def _decoded(raw: bytes) -> Entry | str:
    """The entry; in words, of one line, where it is none."""
    try:
        return decode(raw)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return "no entry of a journal: " + (f"{where}: " if where else "") + first["msg"]
    except ValueError as e:
        return str(e)
