"""What callers ask of a service: requests per second by their lengths, and how soon tokens must come.

Lengths come in buckets, because what a request costs depends on its prompt and its output, and a distribution has too many
of them to plan each. Text in, values out; whoever reads the file is elsewhere.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from catalog.cells import Wrong, count, positive, read_rows
from spec.errors import Problem, SpecError

BUCKETS = ("qps", "prompt_tokens", "output_tokens")
TRACE = ("time_s", "prompt_tokens", "output_tokens")
MOST_QPS = 1e6
"""More requests per second than this are a slip of the unit."""
MOST_BUCKETS = 24
"""More rows than this are put together by length."""
PER_OCTAVE = (2.0, 1.0, 0.5, 0.33, 0.25, 0.125)
"""Buckets for each doubling of a length: as many as leave at most so many buckets, so that none is coarser than it must be."""
WINDOW_S = 300.0
"""A trace counts with the rate of its busiest five minutes: capacity that fits the average fits nobody at noon."""


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """Requests of about the same lengths, in tokens; `qps`: how many per second."""

    prompt_tokens: int
    output_tokens: int
    qps: float

    @property
    def lengths(self) -> str:
        """As people read it."""
        return f"{self.prompt_tokens} + {self.output_tokens} tokens"


@dataclass(frozen=True, slots=True)
class Target:
    """Mean seconds to the first token, and mean seconds per output token after it; None = any."""

    ttft_s: float | None = None
    tpot_s: float | None = None


ANY = Target()


@dataclass(frozen=True, slots=True)
class Traffic:
    """A load: buckets in order of their lengths, each of other lengths than the rest."""

    buckets: tuple[Bucket, ...]

    @property
    def qps(self) -> float:
        """Requests per second of all buckets."""
        return sum(b.qps for b in self.buckets)

    @property
    def tokens_s(self) -> float:
        """Tokens per second, prompts and outputs."""
        return sum(b.qps * (b.prompt_tokens + b.output_tokens) for b in self.buckets)


def traffic_of(buckets: Iterable[Bucket]) -> Traffic:
    """The order does not matter, and buckets of the same lengths are one."""
    rates: dict[tuple[int, int], list[float]] = defaultdict(list)
    for b in buckets:
        rates[b.prompt_tokens, b.output_tokens].append(b.qps)
    return Traffic(tuple(Bucket(p, o, math.fsum(qps)) for (p, o), qps in sorted(rates.items())))


def parse_traffic(text: str, file: str) -> Traffic:
    """A load file: `qps,prompt_tokens,output_tokens`, a bucket a row; or a trace, `time_s,prompt_tokens,output_tokens`.

    Raises SpecError that names rows, and InputError for what is no CSV file.
    """
    lines = text.splitlines(keepends=True)
    columns = tuple(cell.strip() for cell in lines[0].split(",")) if lines else ()
    if columns == TRACE:
        return _of_trace(read_rows(lines, file, TRACE, _request), file)
    if columns != BUCKETS:
        both = f"`{','.join(BUCKETS)}` (buckets) or `{','.join(TRACE)}` (a trace)"
        raise SpecError([Problem(file, "", f"the header must be {both}", line=1)])
    rows = [bucket for _, bucket in read_rows(lines, file, BUCKETS, _bucket)]
    if not rows:
        raise SpecError([Problem(file, "", "has no row, so there is no load to plan for", line=1)])
    traffic = traffic_of(rows)
    return traffic if len(traffic.buckets) <= MOST_BUCKETS else _together(traffic.buckets)


def _bucket(row: dict[str, str]) -> Bucket:
    qps = positive("qps", row)
    if qps > MOST_QPS:
        raise Wrong("qps", row["qps"], f"must be at most {MOST_QPS:,.0f} requests per second")
    return Bucket(count("prompt_tokens", row), count("output_tokens", row), qps)


def _request(row: dict[str, str]) -> tuple[float, int, int]:
    try:
        time = float(row["time_s"])
    except ValueError:
        time = math.nan
    if not 0 <= time < math.inf:
        raise Wrong("time_s", row["time_s"], "must be a number of seconds, 0 or more")
    return time, count("prompt_tokens", row), count("output_tokens", row)


def _of_trace(rows: Sequence[tuple[int, tuple[float, int, int]]], file: str) -> Traffic:
    """Lengths as they are distributed over the whole trace, at the rate of its busiest five minutes."""
    if len(rows) < 2:  # noqa: PLR2004  (one request has no rate)
        raise SpecError([Problem(file, "", "a trace needs two requests, so that it has a rate", line=1)])
    for (_, (before, *_)), (line, (time, *_)) in pairwise(rows):
        if time < before:
            why = f"{time:g} comes after {before:g}: sort the rows by time"
            raise SpecError([Problem(file, "time_s", why, line=line)])
    times = [time for _, (time, *_) in rows]
    each = _busiest(times) / len(times)
    return _together(Bucket(prompt, output, each) for _, (_, prompt, output) in rows)


def _busiest(times: Sequence[float]) -> float:
    """Requests per second of the busiest window, or of the whole of a shorter trace (which lasts at least a second)."""
    window = min(WINDOW_S, max(times[-1] - times[0], 1.0))
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] > window:
            first += 1
        most = max(most, last - first + 1)
    return most / window


def _together(buckets: Iterable[Bucket]) -> Traffic:
    """Buckets by powers of two or their roots; each stands for its mean lengths, rounded up."""
    rows = list(buckets)
    merged = (_merged(rows, per_octave) for per_octave in PER_OCTAVE)
    return next((t for t in merged if len(t.buckets) <= MOST_BUCKETS), _merged(rows, 0.0))


def _merged(rows: Sequence[Bucket], per_octave: float) -> Traffic:
    groups: dict[tuple[int, int], list[Bucket]] = defaultdict(list)
    for b in rows:
        groups[_step(b.prompt_tokens, per_octave), _step(b.output_tokens, per_octave)].append(b)
    means = []
    for group in groups.values():
        qps = math.fsum(b.qps for b in group)
        prompt = math.fsum(b.qps * b.prompt_tokens for b in group) / qps
        output = math.fsum(b.qps * b.output_tokens for b in group) / qps
        means.append(Bucket(math.ceil(prompt - 1e-9), math.ceil(output - 1e-9), qps))
    return traffic_of(means)


def _step(tokens: int, per_octave: float) -> int:
    return math.ceil(per_octave * math.log2(tokens))
