"""What callers met: times to first byte and to the whole answer, and what failed, in memory that does not grow with requests.

Times are counted in buckets each 2 % wider than the one before, so a percentile is off by 1 % at most. Requests that came before
any policy could have had a ready replica are answered but not counted.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import asdict, dataclass
from typing import Any

_LEAST_S, _WIDER = 0.001, 1.02
_PER_LOG = 1 / math.log(_WIDER)
_BUCKETS = 1300
"""Up to more than a year."""
MINUTE_S = 60.0
MAY_BE_LATE = 0.01
"""A minute's P99 kept its goal when no more than this share of its requests was late."""


class Times:
    """A histogram of seconds."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _BUCKETS))

    def add(self, seconds: float) -> None:
        """One more."""
        n = int(math.log(seconds / _LEAST_S) * _PER_LOG) + 1 if seconds > _LEAST_S else 0
        self._counts[n if n < _BUCKETS else _BUCKETS - 1] += 1

    def percentile(self, share: float) -> float | None:
        """Seconds that this share kept, to 1 %; None = nothing was counted."""
        wanted = share * sum(self._counts)
        if not wanted:
            return None
        reached = 0
        for n, count in enumerate(self._counts):
            reached += count
            if reached >= wanted:
                return _LEAST_S * _WIDER ** (n - 0.5) if n else _LEAST_S
        return None


@dataclass(frozen=True, slots=True)
class Met:
    """What the callers of one run met. Times are in seconds, None = nobody was answered; shares are from 0 to 1.

    Attributes:
        requests: that were counted.
        answered: whole.
        failed: not answered, or not to the end: the four after it together.
        no_replica: came when no replica was ready, and were not held, or for too long.
        lost: waited or ran in replicas that went away, and could not be tried again: three times, or no other replica.
        broken: had begun, and their replica went away.
        too_long: do not fit into the KV cache.
        retried: tried on more than one replica.
        hosted: sent to a hosted provider.
        late: share of the requests that had no first byte in time, failed ones included.
        late_minutes: share of the minutes in which that was so for more than one request in a hundred: whose P99 missed the goal.

    """

    requests: int
    answered: int
    failed: int
    no_replica: int
    lost: int
    broken: int
    too_long: int
    retried: int
    hosted: int
    ttft_p50_s: float | None
    ttft_p90_s: float | None
    ttft_p99_s: float | None
    latency_p50_s: float | None
    latency_p90_s: float | None
    latency_p99_s: float | None
    ttft_goal_s: float
    late: float
    late_minutes: float

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints of it; the names are stable."""
        return asdict(self)


class Callers:
    """Counts while the run goes on.

    Args:
        goal_s: within which first bytes should come.
        counts_from: requests that came earlier are not counted; seconds since the trace began.
        end_s: of the run.

    """

    def __init__(self, *, goal_s: float, counts_from: float, end_s: float) -> None:
        self._goal, self._from = goal_s, counts_from
        self._ttft, self._latency = Times(), Times()
        self._came = array("L", bytes(array("L").itemsize * (int(end_s / MINUTE_S) + 1)))
        self._late = self._came[:]
        self._why = dict.fromkeys(("no_replica", "lost", "broken", "too_long"), 0)
        self._retried = self._answered = self._hosted = 0

    def came(self, arrived: float) -> None:
        """A request."""
        if arrived >= self._from:
            self._came[int(arrived / MINUTE_S)] += 1

    def retried(self, arrived: float) -> None:
        """It is tried on another replica for the first time."""
        self._retried += arrived >= self._from

    def covered(self, arrived: float) -> None:
        """It is sent to a hosted provider."""
        self._hosted += arrived >= self._from

    def began(self, arrived: float, at: float) -> None:
        """Its first byte came."""
        if arrived >= self._from:
            self._ttft.add(at - arrived)
            if at - arrived > self._goal:
                self._late[int(arrived / MINUTE_S)] += 1

    def done(self, arrived: float, at: float) -> None:
        """Its answer is whole."""
        if arrived >= self._from:
            self._answered += 1
            self._latency.add(at - arrived)

    def failed(self, arrived: float, why: str, *, began_after_s: float = 0.0) -> None:
        """It failed for that reason. `began_after_s`: of a broken answer; one that began late was counted as late then."""
        if arrived >= self._from:
            self._why[why] += 1
            if began_after_s <= self._goal:
                self._late[int(arrived / MINUTE_S)] += 1

    def waits(self, arrived: float, end_s: float) -> None:
        """It still waits for its first byte when the run ends."""
        if arrived >= self._from and end_s - arrived > self._goal:
            self._late[int(arrived / MINUTE_S)] += 1

    def met(self) -> Met:
        """What it comes to."""
        came = sum(self._came)
        minutes = [(c, late) for c, late in zip(self._came, self._late, strict=True) if c]
        missed = sum(late > MAY_BE_LATE * c for c, late in minutes)
        times = [t.percentile(s) for t in (self._ttft, self._latency) for s in (0.5, 0.9, 0.99)]
        return Met(
            came,
            self._answered,
            sum(self._why.values()),
            self._why["no_replica"],
            self._why["lost"],
            self._why["broken"],
            self._why["too_long"],
            self._retried,
            self._hosted,
            *times,
            ttft_goal_s=self._goal,
            late=sum(self._late) / came if came else 0.0,
            late_minutes=missed / len(minutes) if minutes else 0.0,
        )
