"""`tw plan`'s load: what is asked on the command line, which tables of speed count, and how a mix is shown."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.throughput import load_speeds, read_throughput
from cli.context import Context
from planner.design import HEADROOM
from planner.fit import need_of
from planner.mix import Mix, Part
from planner.models import size_of
from planner.plan import ServicePlan
from planner.rightsize import USUAL, Sizing, TokenRate, rightsize, token_rates
from planner.speed import is_about
from planner.tables import Table
from planner.traffic import ANY, MOST_QPS, Bucket, Target, Traffic, parse_traffic, traffic_of
from spec.errors import InputError
from spec.names import Market
from spec.service import ServiceSpec

_COLUMNS = ("SHAPE", "REPLICAS", "$/HOUR", "WORST $/H", "REQUESTS/S", "MS/TOKEN", "SPEED")
_ALONE_COLUMNS = ("SHAPE", "REPLICAS", "$/HOUR", "WORST $/H", "$/M TOKENS", "SPEED")
_SINGLES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """The load and the target of the command line. `traffic`: None = no load was given."""

    traffic: Traffic | None = None
    target: Target = ANY
    by_length: bool = False


def asked(
    *,
    load: Path | None,
    qps: float | None,
    prompt_tokens: int | None,
    output_tokens: int | None,
    ttft_ms: float | None,
    tpot_ms: float | None,
    by_length: bool,
) -> Asked:
    """Raises InputError for options that don't go together or make no sense, and SpecError for a wrong file."""
    one = {"--qps": qps, "--prompt-tokens": prompt_tokens, "--output-tokens": output_tokens}
    given = [name for name, value in one.items() if value is not None]
    if load and given:
        raise InputError(f"--load names the whole load, so {given[0]} has no place beside it")
    if given and len(given) < len(one):
        missing = ", ".join(name for name in one if name not in given)
        raise InputError(f"a load is --qps, --prompt-tokens and --output-tokens; {missing} is missing")
    numbers = {**one, "--ttft-ms": ttft_ms, "--tpot-ms": tpot_ms}
    for name, value in numbers.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be a number above 0; it is `{value:g}`")
    if qps is not None and qps > MOST_QPS:
        raise InputError(f"--qps must be at most {MOST_QPS:,.0f} requests per second; it is `{qps:g}`")
    target = Target(
        ttft_s=None if ttft_ms is None else ttft_ms / 1e3, tpot_s=None if tpot_ms is None else tpot_ms / 1e3
    )
    traffic = None
    if load:
        traffic = _read(load)
    elif qps is not None and prompt_tokens is not None and output_tokens is not None:
        traffic = traffic_of([Bucket(prompt_tokens, output_tokens, qps)])
    if traffic is None and (ttft_ms is not None or tpot_ms is not None or by_length):
        raise InputError(
            "a target is for a load: name one with --load FILE, or --qps, --prompt-tokens and --output-tokens"
        )
    return Asked(traffic, target, by_length)


def _read(path: Path) -> Traffic:
    try:
        return parse_traffic(path.read_text(encoding="utf-8"), str(path))
    except OSError as e:
        raise InputError(f"--load: {path} can't be read: {e.strerror}") from None
    except UnicodeDecodeError as e:
        raise InputError(f"--load: {path} is no CSV file: {e}") from None


@dataclass(frozen=True, slots=True)
class Sized:
    """What is known of one service's speed: rates by shape, with a load the sizing for it, and what is to be noted."""

    rates: dict[tuple[str, int], TokenRate]
    sizing: Sizing | None = None
    notes: tuple[str, ...] = ()


def sized(
    specs: Sequence[ServiceSpec],
    plans: Sequence[ServicePlan],
    ask: Asked,
    context: Context | None,
    market: Market | None,
) -> dict[str, Sized]:
    """By service. Raises NoMix where a load can't be served, and InputError for a load of several services."""
    by_name = {plan.name: plan for plan in plans}
    if ask.traffic is not None and len(specs) != 1:
        raise InputError(f"a load is of one service, and the plan is of {len(specs)}: name one file")
    return {spec.name: _sized(spec, by_name[spec.name], ask, context, market) for spec in specs}


def _sized(
    spec: ServiceSpec, plan: ServicePlan, ask: Asked, context: Context | None, market: Market | None
) -> Sized:
    own = Path(spec.file).parent / spec.throughput if spec.throughput else None
    stacks = context.root / context.config.throughput if context and context.config.throughput else None
    speeds = load_speeds(*filter(None, (own, stacks)))
    sizing = None
    if ask.traffic is not None:
        with quiet():
            sizing = rightsize(
                spec, plan, speeds, ask.traffic, ask.target, market=market, by_length=ask.by_length
            )
    rates = token_rates(spec, plan, speeds, ask.traffic or USUAL, ask.target)
    return Sized(rates, sizing, () if own is None else _unheard(spec, own))


def _unheard(spec: ServiceSpec, own: Path) -> tuple[str, ...]:
    """A service's own table that says nothing of its model is a slip that would otherwise show nowhere."""
    model = size_of(spec)
    if model is None or any(is_about(row, model, need_of(model)) for row in read_throughput(own)):
        return ()
    weights = need_of(model).quantization
    return (f"{own.name}: no row is about {model.name or 'this model'} in {weights}, so none counts",)


@contextmanager
def quiet() -> Generator[None]:
    """Nothing that C code prints reaches the output: HiGHS has a line that its log's switch does not reach
    (https://github.com/ERGO-Code/HiGHS/issues/2783), and it would stand in our JSON.
    """
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


# ---------------------------------------------------------------- JSON: names that others rely on


def as_dict(s: Sizing) -> dict[str, Any]:
    """What `--json` has as `sizing`. USD per hour, seconds, requests per second."""
    return {
        "market": s.market.value,
        "ttft_s": s.target.ttft_s,
        "tpot_s": s.target.tpot_s,
        "buckets": [
            {"prompt_tokens": b.prompt_tokens, "output_tokens": b.output_tokens, "qps": b.qps}
            for b in s.traffic.buckets
        ],
        "mix": _mix(s, s.mix),
        "alone": [_mix(s, m) for m in s.alone],
        "by_length_usd_hour": s.by_length,
        "left_out": list(s.left_out),
        "notes": list(s.notes),
    }


def _mix(s: Sizing, mix: Mix) -> dict[str, Any]:
    return {
        "expected_usd_hour": round(mix.usd_hour, 6),
        "worst_usd_hour": round(s.worst_usd_hour(mix), 6),
        "usd_per_million_tokens": round(s.usd_per_million(mix), 6),
        "exact": mix.exact,
        "parts": [
            {
                "accelerator": p.candidate.shape[0],
                "accelerator_count": p.candidate.shape[1],
                "replicas": p.replicas,
                "qps": [round(x, 9) for x in p.served],
                "token_s": round(p.design.token_s, 6),
                "throughput": p.candidate.speed.label,
                "source": p.candidate.speed.source,
            }
            for p in mix.parts
        ],
    }


# ---------------------------------------------------------------- for people


def mix_tables(s: Sizing) -> tuple[Table, ...]:
    """The cheapest mix, and what single shapes would cost instead."""
    total = (
        f"{s.mix.replicas} replicas, {s.mix.usd_hour:.2f} USD/hour expected, {s.worst_usd_hour(s.mix):.2f} worst; "
        f"{s.usd_per_million(s.mix):.2f} USD per million tokens"
    )
    shown = s.alone[:_SINGLES_SHOWN]
    more = len(s.alone) - len(shown)
    return (
        Table(
            f"{s.service}: cheapest mix for {_load(s)}",
            _COLUMNS,
            tuple(_part(s, p) for p in s.mix.parts),
            total,
        ),
        Table(
            f"{s.service}: on one shape instead",
            _ALONE_COLUMNS,
            tuple(_alone(s, m) for m in shown),
            f"{more} more shapes (--json)" if more else "",
        ),
    )


def _load(s: Sizing) -> str:
    t = s.target
    buckets = len(s.traffic.buckets)
    words = [f"{s.traffic.qps:g} requests/s", f"{buckets} {'bucket' if buckets == 1 else 'buckets'}"]
    words += [f"TTFT {t.ttft_s * 1e3:g} ms"] if t.ttft_s is not None else []
    words += [f"TPOT {t.tpot_s * 1e3:g} ms"] if t.tpot_s is not None else []
    return f"{', '.join(words)} ({s.market.replace('_', ' ')})"


def _shape(p: Part) -> str:
    return f"{p.candidate.shape[0]}:{p.candidate.shape[1]}"


def _part(s: Sizing, p: Part) -> tuple[str, ...]:
    worst = p.replicas * s.prices[p.candidate.shape].worst
    return (
        _shape(p),
        str(p.replicas),
        f"{p.usd_hour:.2f}",
        f"{worst:.2f}",
        f"{math.fsum(p.served):.3g}",
        f"{p.design.token_s * 1e3:.0f}",
        p.candidate.speed.label,
    )


def _alone(s: Sizing, m: Mix) -> tuple[str, ...]:
    (p,) = m.parts
    money = (f"{m.usd_hour:.2f}", f"{s.worst_usd_hour(m):.2f}", f"{s.usd_per_million(m):.2f}")
    return _shape(p), str(p.replicas), *money, p.candidate.speed.label


def mix_lines(s: Sizing) -> tuple[str, ...]:
    """What is to be said of a sizing beside its tables."""
    lines = [
        f"planned with {HEADROOM:.0%} of what a replica can take; TTFT and TPOT are means",
        *(
            _bucket(s, i, b)
            for i, b in enumerate(s.traffic.buckets)
            if len(s.mix.parts) > 1 and s.by_length is None
        ),
    ]
    if s.by_length is not None and s.by_length < s.mix.usd_hour - 0.005:
        lines.append(
            f"if the edge sent requests by their lengths it would be {s.by_length:.2f} USD/hour (--by-length)"
        )
    if s.by_length is None:
        lines.append(
            "the edge does not send requests by their lengths: this mix needs a router of yours that does"
        )
    return (*lines, *s.left_out, *s.notes)


def _bucket(s: Sizing, i: int, b: Bucket) -> str:
    parts = [f"{p.served[i] / b.qps:.0%} on {_shape(p)}" for p in s.mix.parts if p.served[i] > 0]
    return f"{b.lengths}, {b.qps:g}/s: {', '.join(parts)}"
