"""A journal decided once more by the code of now: how much comes out the same, and what doesn't.

Every tick is decided from what was recorded for it, and not from what the replay decided before: what is observed answers
the commands that were given, so after a first difference the rest of the recording would be of another world.

Code that is not the recorder's may say and remember things differently. There only the commands count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from lb.decide import Decision
from lb.journal import Place
from lb.replay import Reader, Tick, Unreadable, code_version

UNKNOWN = "the entries before it are gone or unreadable, and with them what it was decided from"


class Part(StrEnum):
    """What of a decision can differ."""

    COMMANDS = "commands"
    TARGETS = "targets"
    MEMORY = "memory"
    REASONS = "reasons"


@dataclass(frozen=True, slots=True)
class Difference:
    """A tick that does not come out as it was recorded.

    Attributes:
        parts: what differs.
        decision: of now; None where there is none.
        failure: why there is none: what the code of now fails with.

    """

    tick: Tick
    parts: tuple[Part, ...]
    decision: Decision | None = None
    failure: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is more than other words or another memory of other code."""
        return Part.COMMANDS in self.parts or self.tick.entry.code == code_version()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Entries that could not be decided again for the same reason."""

    first: Place
    number: int


@dataclass
class Replay:
    """What came of a journal.

    Attributes:
        shown: how many differences are kept whole.
        times: of the first and the last tick that was replayed, epoch seconds.
        codes: ticks by the code that recorded them.
        differ: ticks by what differs in them; only those that count.
        otherwise: ticks of other code with the same commands, by what else differs in them.
        left_out: entries that could not be decided again, by the reason.

    """

    shown: int
    times: tuple[float, float] | None = None
    terms: set[int] = field(default_factory=set)
    codes: Counter[str] = field(default_factory=Counter)
    different: int = 0
    differ: Counter[Part] = field(default_factory=Counter)
    otherwise: Counter[Part] = field(default_factory=Counter)
    first: list[Difference] = field(default_factory=list)
    left_out: dict[str, LeftOut] = field(default_factory=dict)

    @property
    def replayed(self) -> int:
        """Ticks that were decided again."""
        return self.codes.total()

    def take(self, found: Tick | Unreadable) -> None:
        """Decides it again and counts what comes of it."""
        if isinstance(found, Unreadable):
            self._leave_out(found.place, found.reason)
        elif found.before is None or found.desired is None:
            self._leave_out(found.place, UNKNOWN)
        else:
            at = found.entry.at
            self.times = (self.times[0] if self.times else at, at)
            self.terms.add(found.place.epoch)
            self.codes[found.entry.code] += 1
            if (difference := compare(found)) is not None:
                self._note(difference)

    def _note(self, difference: Difference) -> None:
        if not difference.counts:
            self.otherwise.update(difference.parts)
            return
        self.different += 1
        self.differ.update(difference.parts)
        if len(self.first) < self.shown:
            self.first.append(difference)

    def _leave_out(self, place: Place, reason: str) -> None:
        known = self.left_out.get(reason, LeftOut(place, 0))
        self.left_out[reason] = LeftOut(known.first, known.number + 1)


async def replay(
    reader: Reader, *, only: Place | None = None, shown: int, done: Callable[[], object] = lambda: None
) -> Replay:
    """Decides everything again that the reader finds, or that one entry alone.

    `shown`: how many differences are kept whole; `done`: called after each entry. Raises BucketError.
    """
    result = Replay(shown)
    async for found in reader.forwards():
        if only in (None, found.place):
            result.take(found)
        done()
    return result


def compare(tick: Tick) -> Difference | None:
    """How the decision of now differs; None = not at all, or its inputs are not all kept."""
    try:
        again = tick.again()
    except Exception as e:  # noqa: BLE001  whatever code does with inputs that were real, or damaged: it is the finding
        return Difference(tick, (Part.COMMANDS,), failure=f"{type(e).__name__}: {e}")
    if again is None:
        return None
    entry = tick.entry
    pairs = {
        Part.COMMANDS: (entry.commands, again.commands),
        Part.TARGETS: (entry.targets, again.targets),
        Part.MEMORY: (entry.memory, again.memory),
        Part.REASONS: ((entry.because, entry.reasons), (again.because, again.reasons)),
    }
    parts = tuple(part for part, (then, now) in pairs.items() if then != now)
    return Difference(tick, parts, again) if parts else None
