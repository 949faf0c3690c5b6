"""What an operator's Prometheus reads from the controller, under `tradewind_*`.

One registry per controller instead of the library's global one, so that two controllers in one test do not meet.
"""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_TICK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _keep(counter: Counter, label: str, values: Collection[str]) -> None:
    labels = [s.labels for family in counter.collect() for s in family.samples]
    for gone in {x[label] for x in labels} - set(values):
        counter.remove_by_labels({label: gone})


class Metrics:
    """All metrics of one controller. Times in seconds, money in USD."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.leader = Gauge("tradewind_leader", "1 while this controller holds the lease", registry=r)
        self.epoch = Gauge(
            "tradewind_lease_epoch", "Epoch of the lease that this controller holds", registry=r
        )
        self.frozen = Gauge("tradewind_frozen", "1 while nothing may be changed", registry=r)
        self.replicas = Gauge(
            "tradewind_replicas", "Replicas by state", ("service", "pool", "state"), registry=r
        )
        self.desired = Gauge(
            "tradewind_desired_replicas", "Replicas that should be ready", ("service",), registry=r
        )
        self.limits = Gauge(
            "tradewind_replica_limits", "Fewest and most replicas", ("service", "limit"), registry=r
        )
        self.rollout = Gauge(
            "tradewind_rollout", "1 for the phase of the last update", ("service", "phase"), registry=r
        )
        self.usd_hour = Gauge("tradewind_usd_per_hour", "What runs now costs per hour", registry=r)
        self.usd_month = Gauge(
            "tradewind_month_usd", "Spent in this month (UTC) until now, fixed costs included", registry=r
        )
        self.usd_month_service = Gauge(
            "tradewind_service_month_usd", "Spent on a service in this month", ("service",), registry=r
        )
        self.budget_month = Gauge("tradewind_month_budget_usd", "Budget of a month; 0 = none", registry=r)
        self.exhausted = Gauge("tradewind_budget_exhausted", "1 while nothing more may be spent", registry=r)
        self.tick_s = Histogram(
            "tradewind_tick_seconds",
            "Length of a tick's phases",
            ("phase",),
            buckets=_TICK_BUCKETS,
            registry=r,
        )
        self.last_tick = Gauge(
            "tradewind_last_tick_timestamp_seconds", "When the last tick ended (epoch seconds)", registry=r
        )
        self.cloud_calls = Counter(
            "tradewind_cloud_calls_total",
            "Calls that change a cloud",
            ("cloud", "call", "result"),
            registry=r,
        )
        self.commands = Counter(
            "tradewind_commands_total", "Commands that were decided", ("service", "call"), registry=r
        )
        self.launched = Counter(
            "tradewind_replicas_launched_total", "Replicas whose machines appeared", ("pool",), registry=r
        )
        self.refused = Counter(
            "tradewind_launches_refused_total", "Launches that a cloud refused", ("pool",), registry=r
        )
        self.notices = Counter(
            "tradewind_preemption_notices_total", "Announced preemptions", ("pool",), registry=r
        )
        self.lost = Counter(
            "tradewind_replicas_lost_total",
            "Replicas whose machines went away unasked",
            ("pool",),
            registry=r,
        )
        self.failed = Counter(
            "tradewind_replicas_failed_total", "Replicas that failed by themselves", ("service",), registry=r
        )
        self.journal_bytes = Gauge("tradewind_journal_bytes", "Size of the journal", registry=r)
        self.observe_failures = Counter(
            "tradewind_observe_failures_total", "Observations of a cloud that failed", ("cloud",), registry=r
        )
        self.snapshots = Counter("tradewind_snapshots_total", "Snapshots published to the edges", registry=r)
        self.bucket_failures = Counter(
            "tradewind_bucket_failures_total", "Writes that the bucket refused", ("what",), registry=r
        )

    def keep(self, *, pools: Collection[str], services: Collection[str]) -> None:
        """Forgets the counters of all other pools and services: each change of the stack may bring new names."""
        for counter in (self.launched, self.refused, self.notices, self.lost):
            _keep(counter, "pool", pools)
        for counter in (self.commands, self.failed):
            _keep(counter, "service", services)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
