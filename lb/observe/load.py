"""How many requests an engine works on, from its own metrics: what a drain waits for."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from engines.presets import PRESETS, Metric, MetricNames


def metric_names(engine: str | None) -> MetricNames | None:
    """Where that engine tells its load; None for an engine that nobody knows or that does not tell."""
    preset = PRESETS.get(engine or "")
    return preset.metrics if preset is not None and preset.metrics.running is not None else None


def in_flight(text: str, names: MetricNames) -> int | None:
    """Requests that run or wait; None when the text has neither."""
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    values = [_sum(samples, metric) for metric in (names.running, names.waiting) if metric is not None]
    known = [v for v in values if v is not None]
    return round(sum(known)) if known else None


def _sum(samples: list, metric: Metric) -> float | None:
    for name in metric.names:
        found = [s.value for s in samples if s.name == name and set(metric.labels) <= set(s.labels.items())]
        if found:
            return sum(found)
    return None
