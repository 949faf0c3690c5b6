"""What a policy that knew the whole trace would pay: a linear program, solved by HiGHS.

It knows which machines live how long, so it only ever pays a cold start for one that is worth it. Its moments are those at
which usable capacity, prices or the target change; replicas may be fractions. So it is a bound, and nobody can reach it.

For each span k and zone z: r replicas that are ready, u of them new; o and v the same on demand; b in 0..1, how much of
the span is short.

    minimise   sum price (r length + u cold start) + launch_usd (u + v)
    r_zk <= the least capacity from one cold start before the span to its end
    u_zk >= r_zk - r_z,k-1
    sum_z r_zk + o_k >= target_k (1 - b_k)
    sum b_k length_k <= short time allowed
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any

from sim.ahead import least_ahead
from sim.conditions import Conditions
from sim.metrics import Result, Tally
from sim.policies import OMNISCIENT
from sim.trace import Series, Trace
from spec.errors import InputError, OutsideError

SHORT = 0.001
"""Of the time, with less than the target ready."""
MOST_VARIABLES = 3_000_000
LIMIT_S = 300.0
"""For HiGHS. The published scenarios take seconds."""
TIME_IS_UP = 1
"""A status of `scipy.optimize.linprog`."""
_WAY_OUT = "leave that policy out or cut the trace"
_HOUR = 3600.0


class NoOptimum(InputError):
    """The trace is too large for its optimum, not for policies."""


def omniscient(
    trace: Trace,
    conditions: Conditions,
    target: int | Sequence[tuple[float, int]],
    *,
    on_demand: Trace | None = None,
    short: float = SHORT,
) -> Result:
    """The optimum. Raises NoOptimum where the trace is too large for it, OutsideError without a solution."""
    from scipy import sparse

    if trace.end_s <= conditions.cold_start.total_s:
        idle = Tally()  # nobody can be ready, so to pay nothing is best
        idle.pass_time(trace.end_s, target=max(n for _, n in _steps(target)), ready=0, scored=True)
        return idle.result(OMNISCIENT)
    program = _Program(trace.priced(conditions.ratio), conditions, target, on_demand, short)
    if program.size > MOST_VARIABLES:
        raise NoOptimum(f"{trace.name} has too many changes for {OMNISCIENT}; {_WAY_OUT}")
    solved = _solve(program.arguments(sparse))
    if solved.status == TIME_IS_UP:
        raise NoOptimum(
            f"HiGHS found no optimum of {trace.name} for {OMNISCIENT} in {LIMIT_S:g} s; {_WAY_OUT}"
        )
    if solved.status != 0:
        raise OutsideError(f"{OMNISCIENT}: HiGHS found no optimum: {solved.message}")
    return program.result([float(value) for value in solved.x])


def _solve(program: dict[str, Any]) -> Any:
    """HiGHS, in a thread of its own: it hears no signal, so whoever waits for it would not either."""
    from scipy import optimize

    found: Future[Any] = Future()

    def solve() -> None:
        try:
            found.set_result(optimize.linprog(**program, method="highs", options={"time_limit": LIMIT_S}))
        except BaseException as e:  # noqa: BLE001  handed to whoever waits
            found.set_exception(e)

    Thread(target=solve, daemon=True).start()
    return found.result()


@dataclass(slots=True)
class _Place:
    """Where replicas may be: a zone's spot or on demand. By span: how many ready, how many of them new, at what price.

    `first` is its first variable.
    """

    limit: list[int]
    new: list[int]
    price: list[float]
    first: int


class _Program:
    """Variables by place: r (or o) of all spans, then u (or v) of all spans; at the end b of all spans."""

    def __init__(
        self,
        trace: Trace,
        conditions: Conditions,
        target: int | Sequence[tuple[float, int]],
        on_demand: Trace | None,
        short: float,
    ) -> None:
        self._cold_s = conditions.cold_start.total_s
        self._launch_usd = conditions.launch_usd
        self._hours = trace.end_s / _HOUR
        targets = _steps(target)
        most = max(n for _, n in targets)
        usable = {z: _usable(s, self._cold_s, most) for z, s in trace.zones.items()}
        given = (
            {z: _launchable(s, self._cold_s, most) for z, s in on_demand.zones.items()} if on_demand else {}
        )
        prices = {z: _price_steps(s) for z, s in trace.zones.items()}
        begin = self._cold_s
        moments = {begin, *(t for t, _ in targets)}
        for steps in (*usable.values(), *given.values(), *prices.values()):
            moments.update(t for t, _ in steps)
        cuts = sorted(t for t in moments if begin <= t < trace.end_s)
        self._lengths = [b - a for a, b in zip(cuts, [*cuts[1:], trace.end_s], strict=True)]
        self._short_s = short * sum(self._lengths)
        self._targets = [_at(targets, t) for t in cuts]
        spans = len(cuts)
        self._places: list[_Place] = []
        for z in trace.zones:
            self._add([_at(usable[z], t) for t in cuts], None, [_at(prices[z], t)[0] for t in cuts])
        self._spot = len(self._places)
        for z in _on_demand_zones(prices, every=bool(given)):
            new = [_at(given[z], t) for t in cuts] if given else None
            self._add([most] * spans, new, [_at(prices[z], t)[1] for t in cuts])
        self._reference = (
            sum(
                n * min(_at(p, t)[1] for p in prices.values()) * length / _HOUR
                for n, t, length in zip(self._targets, cuts, self._lengths, strict=True)
            )
            + self._targets[0] * min(p[0][1][1] for p in prices.values()) * begin / _HOUR
        )

    def _add(self, limit: list[int], new: list[int] | None, price: list[float]) -> None:
        self._places.append(_Place(limit, new or limit, price, 2 * len(self._places) * len(limit)))

    @property
    def size(self) -> int:
        """How many variables there are."""
        return len(self._lengths) * (2 * len(self._places) + 1)

    def arguments(self, sparse: Any) -> dict[str, Any]:
        """What `scipy.optimize.linprog` takes; all rows are `<=`."""
        spans, size = len(self._lengths), self.size
        short = size - spans
        cost, upper = [0.0] * size, [0.0] * size
        rows: list[int] = []
        columns: list[int] = []
        values: list[float] = []
        limits: list[float] = []

        def row(limit: float, *entries: tuple[int, float]) -> None:
            rows.extend([len(limits)] * len(entries))
            columns.extend(c for c, _ in entries)
            values.extend(v for _, v in entries)
            limits.append(limit)

        for place in self._places:
            for k in range(spans):
                ready, new = place.first + k, place.first + spans + k
                cost[ready] = place.price[k] * self._lengths[k] / _HOUR
                cost[new] = place.price[k] * self._cold_s / _HOUR + self._launch_usd
                upper[ready], upper[new] = place.limit[k], place.new[k]
                before = ((ready - 1, -1.0),) if k else ()
                row(0.0, (ready, 1.0), (new, -1.0), *before)
        for k in range(spans):
            upper[short + k] = 1.0
            row(
                -float(self._targets[k]),
                (short + k, -float(self._targets[k])),
                *((p.first + k, -1.0) for p in self._places),
            )
        row(self._short_s, *((short + k, self._lengths[k]) for k in range(spans)))
        matrix = sparse.csr_array((values, (rows, columns)), shape=(len(limits), size))
        return {"c": cost, "A_ub": matrix, "b_ub": limits, "bounds": [(0.0, u) for u in upper]}

    def result(self, x: Sequence[float]) -> Result:
        """What the solution comes to, in the words of every other policy."""
        spans = len(self._lengths)
        paid, news, lost = [0.0, 0.0], 0.0, 0.0
        for n, place in enumerate(self._places):
            for k in range(spans):
                ready, new = x[place.first + k], x[place.first + spans + k]
                usd = place.price[k] * (ready * self._lengths[k] + new * self._cold_s) / _HOUR
                paid[n >= self._spot] += usd
                news += new
                if k and n < self._spot:
                    lost += max(0.0, x[place.first + k - 1] - place.limit[k])
        cost = sum(paid) + news * self._launch_usd
        short = x[len(x) - spans :]
        total = sum(self._lengths)
        missing = sum(b * length for b, length in zip(short, self._lengths, strict=True)) / total
        wanted = sum(n * length for n, length in zip(self._targets, self._lengths, strict=True))
        unserved = sum(
            b * n * length for b, n, length in zip(short, self._targets, self._lengths, strict=True)
        )
        return Result(
            name=OMNISCIENT,
            availability=1.0 - missing,
            served=1.0 - unserved / wanted if wanted else 1.0,
            zero_ready=0.0,
            cost_ratio=cost / self._reference if self._reference else 0.0,
            cost_on_demand_part=paid[1] / cost if cost else 0.0,
            cost_usd=cost,
            preemptions=round(lost),
            launches=round(news),
            failed_launches=0,
            calls_per_hour=news / self._hours,
        )


def _steps(target: int | Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    return [(0.0, target)] if isinstance(target, int) else list(target)


def _usable(series: Series, cold_s: float, most: int) -> list[tuple[float, int]]:
    """How many replicas can be ready: the least capacity of the last cold start. More than anybody wants is no change."""
    capacity = [min(most, c) for c in series.capacity]
    return [(t + cold_s, c) for t, c in least_ahead(series.times, capacity, cold_s)]


def _launchable(series: Series, cold_s: float, most: int) -> list[tuple[float, int]]:
    """How many on-demand replicas can become ready at a moment: what was to be had a cold start before."""
    return [(t + cold_s, min(most, c)) for t, c in zip(series.times, series.capacity, strict=True)]


def _price_steps(series: Series) -> list[tuple[float, tuple[float, float]]]:
    found: list[tuple[float, tuple[float, float]]] = []
    for i, t in enumerate(series.times):
        now = (series.spot[i], series.on_demand[i])
        if not found or found[-1][1] != now:
            found.append((t if i else 0.0, now))
    return found


def _on_demand_zones(prices: dict[str, Any], *, every: bool) -> list[str]:
    """All zones where on demand is limited or its price moves; else the cheapest is enough."""
    if every or any(len({on_demand for _, (_, on_demand) in p}) > 1 for p in prices.values()):
        return list(prices)
    return [min(prices, key=lambda z: prices[z][0][1][1])]


def _at(steps: Sequence[tuple[float, Any]], t: float) -> Any:
    """The value that holds then; the first before the first."""
    return steps[max(0, bisect_right(steps, t, key=lambda step: step[0]) - 1)][1]
