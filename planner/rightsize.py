"""What tokens cost on each shape, and which shapes a load should run on: from a service's plan and what is known of speed.

Prices are the plan's own, so that a mix is made of places that the service may really have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from catalog.throughput import Speeds
from planner.design import best_design, obstacle, rate
from planner.mix import Blocked, Candidate, Mix, Shape, blocked, cheapest, singles
from planner.models import size_of
from planner.plan import Row, ServicePlan
from planner.speed import NoSpeed, Speed, speed_of
from planner.traffic import ANY, Bucket, Target, Traffic, traffic_of
from spec.errors import InputError
from spec.names import Market
from spec.service import ServiceSpec

USUAL = traffic_of([Bucket(prompt_tokens=1536, output_tokens=512, qps=1.0)])
"""Without a load: three prompt tokens to one output token, the blend in which hosted models are mostly compared."""


class NoMix(InputError):
    """No mix of shapes can serve the load within the target; the message says which bucket, and which limit."""


@dataclass(frozen=True, slots=True)
class TokenRate:
    """Tokens per second of one replica at full load, prompts and outputs together, and the speed that it comes from."""

    tokens_s: float
    speed: Speed

    def usd_per_million(self, usd_hour: float) -> float:
        """USD per million tokens of a machine at that price."""
        return usd_hour / (self.tokens_s * 3600) * 1e6


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per hour of one replica. `worst`: of the same on demand, where spot is asked for and on demand is sold."""

    expected: float
    worst: float


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a load should run on.

    Attributes:
        prices: of the shapes in `mix` and `alone`.
        alone: the load on one shape, cheapest first.
        by_length: what the cheapest mix would cost if requests went to shapes by their lengths, USD per hour; None =
            it is that one.
        left_out: why shapes of the plan take no part: nothing is known of their speed, or they can't serve the load.

    """

    service: str
    market: Market
    traffic: Traffic
    target: Target
    mix: Mix
    alone: tuple[Mix, ...]
    prices: Mapping[Shape, Prices]
    by_length: float | None
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    def worst_usd_hour(self, mix: Mix) -> float:
        """When spot capacity is gone, and all replicas run on demand."""
        return math.fsum(p.replicas * self.prices[p.candidate.shape].worst for p in mix.parts)

    def usd_per_million(self, mix: Mix) -> float:
        """USD per million tokens of this load, at the expected price."""
        return mix.usd_hour / (self.traffic.tokens_s * 3600) * 1e6


def token_rates(
    service: ServiceSpec,
    plan: ServicePlan,
    speeds: Speeds,
    traffic: Traffic = USUAL,
    target: Target = ANY,
) -> dict[Shape, TokenRate]:
    """Of each shape of the plan that is known and can serve the traffic; empty when the model is not known.

    Raises InputError for a quantization in a row that nobody knows.
    """
    found = {}
    for shape in _shapes(plan):
        speed = _speed(service, shape, speeds)
        if isinstance(speed, NoSpeed):
            continue
        design = best_design(speed, target, traffic.buckets)
        if design is not None:
            tokens = rate(design, traffic.buckets) * traffic.tokens_s
            found[shape] = TokenRate(tokens, speed)
    return found


def rightsize(
    service: ServiceSpec,
    plan: ServicePlan,
    speeds: Speeds,
    traffic: Traffic,
    target: Target,
    *,
    market: Market | None,
    by_length: bool,
) -> Sizing:
    """The cheapest mix of the plan's shapes for a load. `market`: instead of what the file asks for.

    Raises NoMix, and InputError where nothing is known that one could compute with.
    """
    _check(service)
    wanted = market or _market(service)
    prices = _prices(plan.rows, wanted)
    all_speeds = {shape: _speed(service, shape, speeds) for shape in sorted(prices)}
    candidates = [
        Candidate(shape, prices[shape].expected, s) for shape, s in all_speeds.items() if isinstance(s, Speed)
    ]
    unknown = [s.reason for s in all_speeds.values() if isinstance(s, NoSpeed)]
    if not candidates:
        why = "; ".join(unknown) or f"the plan has no place in the market {wanted.replace('_', ' ')}"
        raise NoMix(f"{service.file}: nothing to choose from: {why}")
    mix = cheapest(candidates, traffic, target, by_length=by_length)
    if mix is None:
        raise NoMix(_why_not(service, candidates, traffic, target, by_length=by_length))
    free = mix if by_length else cheapest(candidates, traffic, target, by_length=True)
    return Sizing(
        service=service.name,
        market=wanted,
        traffic=traffic,
        target=target,
        mix=mix,
        alone=singles(candidates, traffic, target),
        prices=prices,
        by_length=None if by_length or free is None else free.usd_hour,
        left_out=(*unknown, *_unfit(candidates, traffic, target, by_length=by_length)),
        notes=tuple(_notes(service, mix)),
    )


def _check(service: ServiceSpec) -> None:
    if size_of(service) is None:
        raise InputError(
            f"{service.file}: tradewind.parameters is missing, and the model's name does not tell its size. "
            "Add for example `tradewind: {parameters: 8B, quantization: bf16}`."
        )
    if service.num_nodes > 1:
        raise InputError(
            f"{service.file}: num_nodes: how fast a replica of {service.num_nodes} machines is, is not modelled. "
            "Measure it and divide the load by what one replica takes."
        )


def _market(service: ServiceSpec) -> Market:
    return Market.SPOT if any(o.market is Market.SPOT for o in service.options) else Market.ON_DEMAND


def _shapes(plan: ServicePlan) -> list[Shape]:
    priced = [x for x in plan.left_out if x.price_usd_hour is not None]
    return sorted({(x.accelerator, x.accelerator_count) for x in (*plan.rows, *priced)})


def _speed(service: ServiceSpec, shape: Shape, speeds: Speeds) -> Speed | NoSpeed:
    model = size_of(service)
    if model is None or service.num_nodes > 1:
        return NoSpeed("how large the model is, is not known")
    return speed_of(model, accelerator=shape[0], count=shape[1], speeds=speeds)


def _prices(rows: Iterable[Row], market: Market) -> dict[Shape, Prices]:
    """Of each shape that has a place in the market, at its cheapest place."""
    by_market: dict[Market, dict[Shape, list[float]]] = {market: {}, Market.ON_DEMAND: {}}
    for row in rows:
        shape = row.accelerator, row.accelerator_count
        by_market.get(row.market, {}).setdefault(shape, []).append(row.price_usd_hour)
    on_demand = by_market[Market.ON_DEMAND]
    return {
        shape: Prices(min(there), max(min(there), min(on_demand.get(shape, [max(there)]))))
        for shape, there in by_market[market].items()
    }


def _unfit(
    candidates: Iterable[Candidate], traffic: Traffic, target: Target, *, by_length: bool
) -> Iterable[str]:
    """Why candidates can't take part: without a router by length a shape must serve every bucket."""
    for c in candidates:
        stuck = [(b, o) for b in traffic.buckets if (o := obstacle(c.speed, target, b)) is not None]
        if stuck and (not by_length or len(stuck) == len(traffic.buckets)):
            bucket, first = stuck[0]
            yield f"{_name(c.shape)} is left out: bucket {bucket.lengths}: {first.limit}: {first.words}"


def _name(shape: Shape) -> str:
    return f"{shape[0]}:{shape[1]}"


def _why_not(
    service: ServiceSpec,
    candidates: list[Candidate],
    traffic: Traffic,
    target: Target,
    *,
    by_length: bool,
) -> str:
    lines = [f"{service.file}: nothing serves this load within the target."]
    stuck = blocked(candidates, traffic, target)
    lines += [_line(b) for b in stuck]
    if stuck:
        lines.append(
            "Loosen that limit, let the file have faster or larger accelerators, or leave the bucket out."
        )
    elif not by_length:
        lines.append(
            "Each bucket has a shape that can serve it, and no shape can serve all of them; the edge does not send requests "
            "by their lengths. Split the service, or see what it would take with --by-length."
        )
    return "\n  ".join(lines)


def _line(b: Blocked) -> str:
    return (
        f"bucket {b.bucket.lengths}: {b.obstacle.limit}: {b.obstacle.words} "
        f"(on {_name(b.nearest.shape)}, the nearest, {b.nearest.speed.label})"
    )


def _notes(service: ServiceSpec, mix: Mix) -> Iterable[str]:
    most = service.scaling.max_replicas
    if mix.replicas > most:
        yield f"the mix has {mix.replicas} replicas, and the file allows {most}: raise max_replicas"
    if len({p.candidate.shape for p in mix.parts}) > 1:
        yield (
            "the edge balances by requests in flight, not by what a shape can take: a replica of a slower shape may get "
            "more than its part"
        )
    if not mix.exact:
        yield "the search ended early: a cheaper mix may exist"
