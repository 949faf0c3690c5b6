"""The engine's Prometheus metrics under the names, labels and buckets of vLLM (v1 engine).

Names and labels: https://docs.vllm.ai/en/stable/usage/metrics/ . `vllm:kv_cache_usage_perc` is the present name of what
older versions called `vllm:gpu_cache_usage_perc`; 1 means full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_TTFT_S = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    20,
    40,
    80,
    160,
    640,
)
_REQUEST_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
_LABELS = ("model_name", "engine")

FINISHED_REASONS = ("stop", "length", "abort")
"""Values of the label `finished_reason`; an aborted request is one whose client went away."""


@dataclass(frozen=True)
class Load:
    """What the engine does at this moment. `kv_cache_usage`: 0 to 1; the token counts are since the start."""

    running: int
    waiting: int
    kv_cache_usage: float
    prompt_tokens: int
    generation_tokens: int


class Metrics:
    """All metrics of one engine; `load` is asked at each scrape."""

    def __init__(self, *, model: str, load: Callable[[], Load]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_LoadCollector((model, "0"), load))
        success = Counter(
            "vllm:request_success",
            "Count of successfully processed requests.",
            (*_LABELS, "finished_reason"),
            registry=self._registry,
        )
        self._success = {reason: success.labels(model, "0", reason) for reason in FINISHED_REASONS}
        self._ttft = self._histogram("time_to_first_token", "time to first token", _TTFT_S, model)
        self._e2e = self._histogram("e2e_request_latency", "e2e request latency", _REQUEST_S, model)
        self._queue = self._histogram("request_queue_time", "time spent in WAITING phase", _REQUEST_S, model)

    def first_token(self, *, ttft_s: float, queue_s: float) -> None:
        """Counts a sequence that has its first token, by its times since the arrival of the request."""
        self._ttft.observe(ttft_s)
        self._queue.observe(queue_s)

    def finished(self, *, reason: str, e2e_s: float) -> None:
        """Counts a sequence that ended for one of FINISHED_REASONS."""
        self._success[reason].inc()
        self._e2e.observe(e2e_s)

    def render(self) -> bytes:
        """The text that `/metrics` answers with."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], model: str) -> Histogram:
        help_text = f"Histogram of {what} in seconds."
        h = Histogram(f"vllm:{name}_seconds", help_text, _LABELS, buckets=buckets, registry=self._registry)
        return h.labels(model, "0")


class _LoadCollector(Collector):
    """Gauges and token counters, computed when somebody looks instead of at every token."""

    def __init__(self, labels: tuple[str, str], load: Callable[[], Load]) -> None:
        self._values = labels
        self._load = load

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not ask the engine."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The five families of a Load."""
        now = self._load()
        yield self._gauge(
            "num_requests_running", "Number of requests in model execution batches.", now.running
        )
        yield self._gauge("num_requests_waiting", "Number of requests waiting to be processed.", now.waiting)
        yield self._gauge(
            "kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", now.kv_cache_usage
        )
        yield self._counter("prompt_tokens", "Number of prefill tokens processed.", now.prompt_tokens)
        yield self._counter(
            "generation_tokens", "Number of generation tokens processed.", now.generation_tokens
        )

    def _gauge(self, name: str, what: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"vllm:{name}", what, labels=_LABELS)
        family.add_metric(self._values, value)
        return family

    def _counter(self, name: str, what: str, value: float) -> Metric:
        family = CounterMetricFamily(f"vllm:{name}", what, labels=_LABELS)
        family.add_metric(self._values, value)
        return family
