"""`tw sim --requests`: policies whose number of replicas follows the requests of a trace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from cli.options import parse_env
from sim import compare
from sim.conditions import Conditions
from sim.engine import Rates
from sim.fleet import Workload
from sim.hosted import Hosted
from sim.metrics import Result
from sim.requests import read
from sim.suggest import TTFT_MS, suggested
from sim.trace import Trace
from spec.errors import InputError, did_you_mean
from spec.read import read_service
from spec.scaling import SIGNALS, Scaling

ENGINE_KEYS = tuple(f.name for f in fields(Rates))
PRICES = 2
"""Of a hosted provider: of prompts and of answers."""


def workload(
    file: Path,
    service: Path | None,
    env: Iterable[str] | None,
    *,
    engine: str | None,
    hosted: str | None,
    goal_ms: float | None,
    slo: float | None,
) -> tuple[Scaling, Workload]:
    """What callers ask and how the number follows it, with the slo that counts, percent. Raises InputError."""
    rates = _rates(engine)
    offer = None if hosted is None else _offer(hosted)
    given = None if service is None else read_service(service, env=parse_env(env)).scaling
    requests = read(file)
    scaling = given or suggested(requests, rates).model_copy(update={"slo": 100 * compare.DEFAULT_SLO})
    if slo is not None:
        scaling = scaling.model_copy(update={"slo": slo})
    goal = goal_ms or scaling.target_ttft_ms or TTFT_MS
    holds = scaling.follows_load and scaling.min_replicas == 0
    return scaling, Workload(requests, rates, goal / 1000, holds=holds, hosted=offer)


def _rates(text: str | None) -> Rates:
    """`prefill=10000,slots=64`; what is not named keeps its default."""
    given: dict[str, float] = {}
    for part in text.split(",") if text else ():
        key, _, value = part.strip().partition("=")
        if key not in ENGINE_KEYS:
            hint = did_you_mean(key, ENGINE_KEYS) or f"There are {', '.join(ENGINE_KEYS)}."
            raise InputError(f"--engine: {key!r} is nothing that an engine has. {hint}")
        try:
            given[key] = int(value) if key in ("slots", "kv") else float(value)
        except ValueError:
            raise InputError(f"--engine: {key} must be a number, got {value!r}.") from None
    try:
        return Rates(**given)  # ty: ignore[invalid-argument-type]  slots and kv are whole
    except ValueError as e:
        raise InputError(f"--engine: {e}") from None


def _offer(text: str) -> Hosted:
    """`0.15/0.60`, or `0.15/0.60/20` with a limit."""
    parts = text.split("/")
    if len(parts) not in (PRICES, PRICES + 1):
        raise InputError(
            f"--hosted is two prices, of a million tokens of prompts and of answers, like 0.15/0.60, got {text!r}. "
            "A third number is what the provider may take in an hour, USD."
        )
    try:
        return Hosted(*map(float, parts))
    except ValueError as e:
        raise InputError(f"--hosted {text}: {e}. Write it like 0.15/0.60 or 0.15/0.60/20.") from None


def notes(trace: Trace, scaling: Scaling, asked: Workload) -> list[str]:
    """What one has to know of the run: its length, the engine, and by what the number moves."""
    requests = asked.requests
    prompt, output = requests.mean_tokens
    takes = asked.rates.capacity(prompt, output)
    targets = [f"{name} {each}" for name in SIGNALS if (each := getattr(scaling, name)) is not None]
    found = [
        (
            f"{requests.name}: {len(requests)} requests, {requests.end_s / 86_400:.4g} days; {prompt:.0f} tokens and "
            f"{output:.0f} of answer on average, of which a replica takes {takes:.3g}/s at most"
        ),
        f"{scaling.min_replicas} to {scaling.max_replicas} replicas; "
        + (", ".join(targets) if targets else "no target of load")
        + f"; slo {scaling.slo:g}",
    ]
    if offer := asked.hosted:
        most = "" if offer.most_usd_hour is None else f", {offer.most_usd_hour:g} USD per hour at most"
        found.append(
            f"a hosted provider answers while no replica is ready, for {offer.usd_input:g} and {offer.usd_output:g} USD per "
            f"million tokens of prompts and of answers{most}"
        )
    if trace.end_s < requests.end_s:
        later = len(requests) - requests.until(trace.end_s)
        found.append(f"{later} requests come after the end of the capacity trace and are left out")
    elif trace.end_s > requests.end_s:
        found.append("the run ends with the last request")
    if scaling.follows_load and scaling.target_qps_per_replica is None:
        found.append("without target_qps_per_replica all but tradewind keep min_replicas")
    return found


def as_dict(
    trace: Trace, conditions: Conditions, scaling: Scaling, asked: Workload, results: Iterable[Result]
) -> dict[str, Any]:
    """What `--json` prints beside what it does without requests."""
    requests = asked.requests
    return {
        "requests": requests.name,
        "request_count": len(requests),
        "engine": asdict(asked.rates),
        "hosted": None if asked.hosted is None else asdict(asked.hosted),
        "scaling": scaling.model_dump(mode="json", exclude_none=True),
        "notes": [*compare.notes(trace, conditions), *notes(trace, scaling, asked)],
        "policies": [r.as_dict() for r in results],
    }
