"""What became of requests: each one's record, and a run of them in figures and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

LATE_S = 0.05
"""A request that leaves so much after it was due says that the generator, not the service, is slow."""


class Outcome(StrEnum):
    """`failed`: no answer, or one that is no 200. `broken`: a 200 that did not end as a completion ends."""

    OK = "ok"
    FAILED = "failed"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Record:
    """One request. Times are epoch seconds: when it was due, was sent, had the first byte of its body, and ended."""

    due: float
    sent: float
    first: float | None
    end: float
    stream: bool
    status: int | None
    outcome: Outcome
    error: str = ""

    @property
    def waited_s(self) -> float:
        """From the moment at which it was due to the first byte of its answer, or to its end without one."""
        return (self.first or self.end) - self.due


@dataclass(frozen=True)
class Summary:
    """A run in figures. Seconds; `late` is the share of requests that the generator itself sent too late."""

    requests: int = 0
    failed: int = 0
    broken: int = 0
    streams: int = 0
    slow: int = 0
    late: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)
    waited: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Of the answered ones: median, 95th and 99th percentile, and longest time to the first byte."""

    @property
    def ok(self) -> int:
        """Requests that were answered as they should be."""
        return self.requests - self.failed - self.broken


def summary(records: Sequence[Record], *, slow_s: float = 1.0) -> Summary:
    """`slow`: answered, after more than `slow_s`."""
    if not records:
        return Summary()
    answered = sorted(r.waited_s for r in records if r.outcome is Outcome.OK)
    return Summary(
        requests=len(records),
        failed=sum(r.outcome is Outcome.FAILED for r in records),
        broken=sum(r.outcome is Outcome.BROKEN for r in records),
        streams=sum(r.stream for r in records),
        slow=sum(w > slow_s for w in answered),
        late=sum(r.sent - r.due > LATE_S for r in records) / len(records),
        errors=dict(Counter(r.error for r in records if r.error).most_common()),
        waited=(*(percentile(answered, q) for q in (0.5, 0.95, 0.99)), answered[-1] if answered else 0.0),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share lies; 0 of nothing."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def lines(found: Summary) -> Iterable[str]:
    """The summary in words."""
    p50, p95, p99, most = (1000 * x for x in found.waited)
    yield (
        f"{found.requests} requests ({found.streams} streams): {found.failed} failed, {found.broken} broken, "
        f"{found.slow} slow"
    )
    yield f"first byte: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, longest {most:.0f} ms"
    yield from (f"  {n} x {error}" for error, n in found.errors.items())
    if found.late > 0.01:
        yield f"the generator could not keep up: {100 * found.late:.0f} % left more than {1000 * LATE_S:.0f} ms late"
