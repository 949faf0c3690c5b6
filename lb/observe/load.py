"""How busy an engine is, from its own metrics: what a drain waits for, and what a service may scale by.

Such a page may have thousands of lines, and a large fleet is asked all the time: only the lines that matter are parsed.
"""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from engines.presets import PRESETS, Metric, MetricNames
from lb.decide.observed import EngineLoad
from lb.observe.http import named, origin

TIMEOUT_S = 2.0
_DIGITS = 2


def metric_names(engine: str | None) -> MetricNames | None:
    """Where that engine tells its load; None for an engine that nobody knows or that does not tell."""
    preset = PRESETS.get(engine or "")
    return preset.metrics if preset is not None and preset.metrics.running is not None else None


async def ask_engine(
    client: httpx.AsyncClient, address: str, port: int, *, engine: str | None, peer: str | None
) -> EngineLoad | None:
    """What the engine at that address tells, of no replica yet; None when it tells nothing.

    `peer`: the name in the certificate that the machine has to show. Such a machine has one open port, which leads to the
    engine's first one: metrics on another can't be had.
    """
    names = metric_names(engine)
    if names is None or (peer is not None and names.port is not None):
        return None
    url = origin(address, names.port or port, peer) + names.path
    try:
        response = await client.get(url, timeout=TIMEOUT_S, extensions=named(peer))
        return read_load(response.text, names) if response.is_success else None
    except (httpx.HTTPError, ValueError):
        return None


def read_load(text: str, names: MetricNames) -> EngineLoad:
    """What the page tells, of no replica yet. Raises ValueError where it is none.

    An engine of several parts, as vLLM with data parallelism, has the mean of their KV caches and the sum of the rest.
    """
    running, waiting, kv = (_values(text, m) for m in (names.running, names.waiting, names.kv_usage))
    return EngineLoad(
        "",
        running=round(sum(running)) if running else None,
        waiting=round(sum(waiting)) if waiting else None,
        kv_cache=round(min(1.0, max(0.0, sum(kv) / len(kv))), _DIGITS) if kv else None,
    )


def in_flight(text: str, names: MetricNames) -> int | None:
    """Requests that run or wait; None when the text has neither."""
    return in_works(read_load(text, names))


def in_works(load: EngineLoad | None) -> int | None:
    """Requests that run or wait; None when it does not tell."""
    known = [n for n in (load.running, load.waiting) if n is not None] if load else []
    return sum(known) if known else None


def _values(text: str, metric: Metric | None) -> list[float]:
    """Of the first name that is there, the values of all its series that have the labels."""
    for name in metric.names if metric else ():
        lines = [line for line in text.splitlines() if line.startswith(name)]
        samples = (s for family in text_string_to_metric_families("\n".join(lines)) for s in family.samples)
        found = [s.value for s in samples if s.name == name and _has(s, metric)]
        if found := [value for value in found if value == value]:  # noqa: PLR0124 - not a number is no value
            return found
    return []


def _has(sample: Sample, metric: Metric | None) -> bool:
    return metric is not None and set(metric.labels) <= set(sample.labels.items())
