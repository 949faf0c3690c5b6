"""The edges' traffic for Prometheus: counters whose values lie elsewhere, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from lb.observe.traffic import CLASSES, Traffic
from spec.report import TTFT_BOUNDS_MS


class TrafficCollector(Collector):
    """`tradewind_requests_*`, `tradewind_ttft_seconds`, `tradewind_held_requests`, by service."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        """All families, of what is known at this moment."""
        arrived = _counter("tradewind_requests_arrived", "Requests that came to the edges")
        finished = CounterMetricFamily(
            "tradewind_requests", "Answers by class of status", labels=("service", "class")
        )
        retried = _counter("tradewind_requests_retried", "Requests that were tried on several replicas")
        broken = _counter("tradewind_requests_broken", "Answers that their replica broke off")
        ttft = HistogramMetricFamily(
            "tradewind_ttft_seconds", "From a request's first byte to its answer's", labels=("service",)
        )
        held = GaugeMetricFamily(
            "tradewind_held_requests", "Requests that wait for a service to come back", labels=("service",)
        )
        for service, totals in sorted(self._traffic.totals.items()):
            arrived.add_metric((service,), totals["arrived"])
            retried.add_metric((service,), totals["retried"])
            broken.add_metric((service,), totals["broken"])
            for name in CLASSES:
                if totals[f"finished {name}"]:
                    finished.add_metric((service, name), totals[f"finished {name}"])
            ttft.add_metric((service,), *_histogram(totals))
            held.add_metric((service,), self._traffic.held(service))
        yield from (arrived, finished, retried, broken, ttft, held)


def _counter(name: str, help_: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, help_, labels=("service",))


def _histogram(totals: dict[str, int]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative buckets in seconds, and the sum."""
    reached, buckets = 0, []
    for n, bound in enumerate((*TTFT_BOUNDS_MS, None)):
        reached += totals[f"ttft {n}"]
        buckets.append(("+Inf" if bound is None else str(bound / 1000), reached))
    return buckets, totals["ttft_sum_ms"] / 1000
