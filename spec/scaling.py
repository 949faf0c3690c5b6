"""How many replicas a service may have, and what moves the number: the part of the desired state that autoscaling reads.

The words of a service file in the units of the controller. Behaviour has the meaning of the Kubernetes HPA's field of the
same name: https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from spec.base import Seconds, Wire

PerReplica = float | dict[str, float]
"""What one replica takes: one number, or one per accelerator."""


class Select(StrEnum):
    """Which of several policies holds: the one that allows the largest change, the smallest, or no change at all."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class RateKind(StrEnum):
    """What a rate policy counts: replicas, or percent of those that there were when its period began."""

    PODS = "Pods"
    PERCENT = "Percent"


class RatePolicy(Wire):
    """At most `value` replicas or percent within any `period_s` seconds."""

    kind: RateKind
    value: int = Field(gt=0)
    period_s: Seconds


class Pace(Wire):
    """How fast the number may move in one direction. Without policies there is no limit."""

    select: Select = Select.MAX
    policies: tuple[RatePolicy, ...] = ()
    tolerance: float | None = Field(None, ge=0)
    """How far a signal may be off its target before the number moves; None = as is usual for each signal."""


class Schedule(Wire):
    """At least `min_replicas` for `duration_s` from each moment that `cron` names, by the clocks of `timezone`."""

    cron: str
    timezone: str = "UTC"
    duration_s: Seconds
    min_replicas: int = Field(ge=0)


class Scaling(Wire):
    """How many replicas a service may have, and what moves the number between min and max."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(1, ge=0)
    surge: int = Field(1, ge=0)
    """Replicas above `max_replicas` that an update or a move between pools may hold for a while."""
    target_qps_per_replica: PerReplica | None = None
    target_inflight_per_replica: PerReplica | None = None
    target_queue_per_replica: float | None = None
    target_kv_cache_utilization: float | None = None
    """Share of the KV cache in use, 0 to 1."""
    target_gpu_utilization: float | None = None
    """Share of the time in which a GPU works, 0 to 1."""
    target_ttft_ms: float | None = None
    """Time to first byte of 95 of 100 answers."""
    target_utilization: float | None = None
    """Share of what a replica takes (requests per second, in flight) that is used at most; None = all of it."""
    schedules: tuple[Schedule, ...] | None = None
    forecast: bool | None = None
    """Whether what was usual at this time of the last days is a floor, too."""
    upscale_delay_s: Seconds = 300
    downscale_delay_s: Seconds = 1200
    scale_up: Pace | None = None
    scale_down: Pace | None = None
    num_overprovision: int = Field(0, ge=0)
    base_ondemand_fallback_replicas: int = Field(0, ge=0)
    dynamic_ondemand_fallback: bool = False
    slo: float = Field(99.0, gt=0, lt=100)
    """Share of the time, in percent, in which as many replicas as needed should be ready."""

    @property
    def follows_load(self) -> bool:
        """Whether any signal moves the number; otherwise there are `min_replicas`, and what schedules add."""
        return any(getattr(self, name) is not None for name in SIGNALS)

    @property
    def counts_load(self) -> bool:
        """Whether any signal grows with the load, so that it says when replicas are too many."""
        return any(getattr(self, name) is not None for name in COUNTING)

    @property
    def asks_engines(self) -> bool:
        """Whether the engines' own metrics are needed."""
        return self.target_queue_per_replica is not None or self.target_kv_cache_utilization is not None

    @property
    def asks_gpus(self) -> bool:
        """Whether the machines have to tell how busy their GPUs are."""
        return self.target_gpu_utilization is not None


COUNTING = (
    "target_qps_per_replica",
    "target_inflight_per_replica",
    "target_kv_cache_utilization",
    "target_gpu_utilization",
)
SIGNALS = (*COUNTING, "target_queue_per_replica", "target_ttft_ms")
"""The fields that name a signal; those of COUNTING grow with the load."""
