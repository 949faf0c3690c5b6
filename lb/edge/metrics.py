"""What an operator's Prometheus reads from the agent, under `tradewind_edge_*`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """All metrics of one agent, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.epoch = Gauge(
            "tradewind_edge_snapshot_epoch", "Epoch of the snapshot that is served", registry=r
        )
        self.seq = Gauge("tradewind_edge_snapshot_seq", "Number of it within its epoch", registry=r)
        self.applied = Counter(
            "tradewind_edge_snapshots_applied_total", "Snapshots taken over", ("source",), registry=r
        )
        self.refused = Counter(
            "tradewind_edge_snapshots_refused_total", "Snapshots not taken over", ("reason",), registry=r
        )
        self.controller_up = Gauge(
            "tradewind_edge_controller_up", "1 while the controller answers this agent", registry=r
        )
        self.envoy_up = Gauge(
            "tradewind_edge_envoy_up", "1 while Envoy's admin interface answers", registry=r
        )
        self.envoy_rejected = Counter(
            "tradewind_edge_envoy_rejected_total", "Files that Envoy refused to take over", registry=r
        )
        self.reports = Counter(
            "tradewind_edge_reports_total", "Reports of traffic to the controller", ("result",), registry=r
        )
        self.unreadable_lines = Gauge(
            "tradewind_edge_unreadable_log_lines", "Lines of the access log that were none", registry=r
        )

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
