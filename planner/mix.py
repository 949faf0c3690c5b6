"""The cheapest machines for a load: an integer program over shapes, solved by HiGHS.

    minimise    sum n_j price_j
    such that   every flow is served:            sum_j x_fj = 1
                no replica is asked too much:    sum_f x_fj share_fjk  <=  HEADROOM n_j     for each resource k of `planner.design`
                n_j whole, x_fj >= 0

A flow is what the edge can tell apart. It does not look at lengths, so the whole load is one flow and every replica gets
requests of all kinds; `by_length` asks what it would cost if each bucket could be sent to the shapes that suit it. That
one is the program of Griggs et al., *Mélange* (2024), with fractions of a bucket where they cut it into slices.

Pure: same inputs in any order, same answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from planner.design import HEADROOM, Design, Obstacle, best_design, obstacle
from planner.speed import Speed
from planner.traffic import Bucket, Target, Traffic

Shape = tuple[str, int]
"""(accelerator, count)."""
Flow = tuple[Bucket, ...]

BEST_WAYS = 2
"""Ways to run that are kept for each flow, by what the flow costs there, so that the program stays small."""
_GAP = 1e-3
"""A mix is `exact` when nothing can be cheaper by more than this share."""
_NODES = 50
"""Of the search tree: an end that does not depend on how fast this computer is."""
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Candidate:
    """A shape that could serve: what a replica costs, in USD per hour, and how fast it is."""

    shape: Shape
    price: float
    speed: Speed

    @property
    def order(self) -> tuple[object, ...]:
        """The order in which candidates are looked at, whatever theirs was."""
        return self.price, self.shape


@dataclass(frozen=True, slots=True)
class Part:
    """Replicas of one shape that run in one way, and the requests per second that they get of each bucket of the load."""

    candidate: Candidate
    design: Design
    replicas: int
    served: tuple[float, ...]

    @property
    def usd_hour(self) -> float:
        """Of all its replicas."""
        return self.replicas * self.candidate.price


@dataclass(frozen=True, slots=True)
class Mix:
    """What serves a load. `usd_hour`: what it costs; `exact`: whether nothing cheaper exists, and not only nothing was found."""

    parts: tuple[Part, ...]
    exact: bool = True

    @property
    def usd_hour(self) -> float:
        """Of all parts."""
        return sum(p.usd_hour for p in self.parts)

    @property
    def replicas(self) -> int:
        """Of all parts."""
        return sum(p.replicas for p in self.parts)


@dataclass(frozen=True, slots=True)
class Blocked:
    """A bucket that no candidate can serve, the nearest one, and what stands in its way."""

    bucket: Bucket
    nearest: Candidate
    obstacle: Obstacle


def blocked(candidates: Sequence[Candidate], traffic: Traffic, target: Target) -> tuple[Blocked, ...]:
    """The buckets that nothing can serve; with no candidates at all there is nothing to say."""
    found = []
    for bucket in traffic.buckets:
        obstacles = [
            (c, obstacle(c.speed, target, bucket)) for c in sorted(candidates, key=lambda c: c.order)
        ]
        known = [(c, o) for c, o in obstacles if o is not None]
        if known and len(known) == len(obstacles):
            nearest, least = min(known, key=lambda x: x[1].needs / x[1].has)
            found.append(Blocked(bucket, nearest, least))
    return tuple(found)


def single(candidate: Candidate, traffic: Traffic, target: Target) -> Mix | None:
    """The load on one shape alone; None when it can't serve all of it."""
    design = best_design(candidate.speed, target, traffic.buckets)
    if design is None:
        return None
    replicas = max(1, math.ceil(_most(design, traffic.buckets) / HEADROOM - _TINY))
    return Mix((Part(candidate, design, replicas, tuple(b.qps for b in traffic.buckets)),))


def singles(candidates: Sequence[Candidate], traffic: Traffic, target: Target) -> tuple[Mix, ...]:
    """The load on each shape alone that can serve it, cheapest first."""
    alone = [m for c in sorted(candidates, key=lambda c: c.order) if (m := single(c, traffic, target))]
    return tuple(sorted(alone, key=lambda m: (m.usd_hour, m.parts[0].candidate.order)))


def cheapest(
    candidates: Sequence[Candidate], traffic: Traffic, target: Target, *, by_length: bool
) -> Mix | None:
    """The cheapest mix; None when it does not exist. Never dearer than the best of `singles`, nor by length than without.

    Of `candidates` each shape is there once. Where two mixes cost the same the solver's is taken, which is the same each time.
    """
    flows = tuple((b,) for b in traffic.buckets) if by_length else (traffic.buckets,)
    ways = _ways(candidates, flows, traffic, target)
    kept = _kept(ways, flows) if by_length else ways
    if by_length:
        best = cheapest(candidates, traffic, target, by_length=False)
    else:
        best = next(iter(singles(candidates, traffic, target)), None)
    if any(not any(_admits(w[1], flow) for w in kept) for flow in flows):
        return best
    solved = _solve(kept, flows, traffic)
    exact = solved is not None and solved.exact and len(kept) == len(ways)
    found = solved if best is None or (solved and solved.usd_hour < best.usd_hour - _TINY) else best
    return None if found is None else Mix(found.parts, exact)


Way = tuple[Candidate, Design]


def _ways(
    candidates: Sequence[Candidate], flows: Sequence[Flow], traffic: Traffic, target: Target
) -> list[Way]:
    """How each candidate could run: best for each flow alone, and, for each longest prompt let in, best for all that then come."""
    ways: dict[tuple[Shape, float, float | None], Way] = {}
    for c in sorted(candidates, key=lambda c: c.order):
        able = [b for b in traffic.buckets if obstacle(c.speed, target, b) is None]
        loads: list[Flow] = [flow for flow in flows if all(b in able for b in flow)]
        if len(flows) > 1:
            limits = sorted({b.prompt_tokens for b in able}) if target.ttft_s is not None else [math.inf]
            loads += [tuple(b for b in able if b.prompt_tokens <= limit) for limit in limits]
        for load in filter(None, loads):
            design = best_design(c.speed, target, load)
            if design is not None:
                ways.setdefault((c.shape, design.token_s, design.longest_s), (c, design))
    return list(ways.values())


def _kept(ways: Sequence[Way], flows: Sequence[Flow]) -> list[Way]:
    """For each flow the ways in which a unit of it costs least, and those whose single replica does: a small load needs no more."""
    kept: set[int] = set()
    for flow in flows:
        able = [w for w, (_, design) in enumerate(ways) if _admits(design, flow)]
        kept.update(sorted(able, key=lambda w: ways[w][0].price * _most(ways[w][1], flow))[:BEST_WAYS])
        kept.update(sorted(able, key=lambda w: ways[w][0].price)[:BEST_WAYS])
    return [way for w, way in enumerate(ways) if w in kept]


def _admits(design: Design, flow: Flow) -> bool:
    return all(design.admits(b) and obstacle(design.speed, design.target, b) is None for b in flow)


def _most(design: Design, flow: Flow) -> float:
    """The resource of one replica that a whole flow needs most of, in replicas."""
    return max(_needs(design, flow))


def _needs(design: Design, flow: Flow) -> tuple[float, ...]:
    """Of each resource what a whole flow needs, in replicas."""
    shares = [design.shares(b) for b in flow]
    return tuple(
        math.fsum(b.qps * s for b, s in zip(flow, column, strict=True))
        for column in zip(*shares, strict=True)
    )


def _solve(ways: Sequence[Way], flows: Sequence[Flow], traffic: Traffic) -> Mix | None:
    """Columns: first the replicas of each way, then the part of each flow that each way gets."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    pairs = [(f, w) for f, flow in enumerate(flows) for w, way in enumerate(ways) if _admits(way[1], flow)]
    entries: list[tuple[int, int, float]] = []
    upper: list[float] = []
    lower: list[float] = []
    for f in range(len(flows)):
        entries += [(f, len(ways) + x, 1.0) for x, pair in enumerate(pairs) if pair[0] == f]
        lower.append(1.0)
        upper.append(1.0)
    needs = {pair: _needs(ways[pair[1]][1], flows[pair[0]]) for pair in pairs}
    for w in range(len(ways)):
        here = [(len(ways) + x, needs[pair]) for x, pair in enumerate(pairs) if pair[1] == w]
        for k in range(len(here[0][1]) if here else 0):
            row = len(upper)
            entries += [(row, x, need[k]) for x, need in here]
            entries.append((row, w, -HEADROOM))
            lower.append(-math.inf)
            upper.append(0.0)
        if here:  # the solver rounds what is below its tolerance; however little comes here needs a replica
            entries += [(len(upper), x, 1.0) for x, _ in here]
            entries.append((len(upper), w, -float(len(flows))))
            lower.append(-math.inf)
            upper.append(0.0)
    rows, columns, values = zip(*entries, strict=True)
    size = len(ways) + len(pairs)
    found = milp(
        [c.price for c, _ in ways] + [0.0] * len(pairs),
        integrality=[1] * len(ways) + [0] * len(pairs),
        bounds=Bounds(0, [math.inf] * len(ways) + [1.0] * len(pairs)),
        constraints=LinearConstraint(
            coo_array((values, (rows, columns)), shape=(len(upper), size)), lower, upper
        ),
        options={"mip_rel_gap": _GAP, "node_limit": _NODES},
    )
    if found.x is None:
        return None
    parts = _parts(ways, flows, traffic, pairs, [float(x) for x in found.x])
    return Mix(parts, exact=found.status == 0)


def _parts(
    ways: Sequence[Way],
    flows: Sequence[Flow],
    traffic: Traffic,
    pairs: Sequence[tuple[int, int]],
    x: Sequence[float],
) -> tuple[Part, ...]:
    """From the solver's numbers to whole replicas; what it left at rounding's edge goes to the others of its flow."""
    place = {bucket: i for i, bucket in enumerate(traffic.buckets)}
    replicas = [round(n) for n in x[: len(ways)]]
    given = {
        pair: x[len(ways) + at]
        for at, pair in enumerate(pairs)
        if replicas[pair[1]] and x[len(ways) + at] > _TINY
    }
    whole = [math.fsum(share for (of, _), share in given.items() if of == f) for f in range(len(flows))]
    parts = []
    for w, (candidate, design) in enumerate(ways):
        served = [0.0] * len(traffic.buckets)
        for (f, way), share in given.items():
            if way == w:
                for bucket in flows[f]:
                    served[place[bucket]] += share / whole[f] * bucket.qps
        if any(served):
            parts.append(Part(candidate, design, replicas[w], tuple(served)))
    return tuple(sorted(parts, key=lambda p: (-p.usd_hour, p.candidate.order, p.design.token_s)))
