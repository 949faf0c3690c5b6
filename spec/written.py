"""The service file as it is written, after older dialects were brought to SkyServe's format.

Field for field what the file may say; `docs/service-file.md` explains each. A field that is known and that nothing
acts on yet says so where it stands, with `Later`, and so ends up in the report of `tw plan` instead of being dropped.
Format: https://docs.skypilot.co/en/latest/serving/service-yaml-spec.html, and our own key `tradewind`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from spec import mounts, when
from spec import quantities as q
from spec.base import Written
from spec.desired import OnExhausted
from spec.scaling import RateKind, Select
from spec.service import Accelerator, Amount

Engine = Literal["vllm", "sglang", "tgi", "triton", "tabby", "lorax", "sim"]
"""Names of the presets in `engines/`."""

Quantization = Literal["fp32", "bf16", "fp16", "fp8", "int8", "w8a8", "int4", "w4a16", "nf4", "awq", "gptq"]
"""How weights may be stored; those that the planner can compute with."""


@dataclass(frozen=True, slots=True)
class Later:
    """Marks a field that is read, kept and not acted on yet; `instead` says what happens meanwhile."""

    instead: str


class Part(Written):
    """A part of the file. Types are strict, so that `true` is no number; null means the same as leaving out."""

    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {k: v for k, v in data.items() if v is not None or k not in cls.model_fields}


Count = Annotated[int, Field(ge=0, le=10_000)]
Positive = Annotated[int, Field(ge=1, le=100_000_000)]
Delay = Annotated[float, Field(ge=0, le=30 * 86400)]
HoldLimit = Annotated[float, Field(ge=0, le=3600)]
Interval = Annotated[float, Field(gt=0, le=86400)]
Money = Annotated[float, Field(ge=0, le=1e12)]
Place = Annotated[str | None, BeforeValidator(q.place)]
EnvName = Annotated[str, AfterValidator(q.env_name)]


class Accelerators(Part):
    """What `accelerators` says in any of its forms; a list is a preference, a map or a set is not."""

    ordered: bool
    items: list[Annotated[Accelerator, BeforeValidator(q.accelerator)]]


class Alternative(Part):
    """One entry of `any_of` or `ordered`: what a machine must be like."""

    accelerators: Accelerators | None = None
    infra: Annotated[tuple[str | None, str | None, str | None] | None, BeforeValidator(q.infra)] = None
    cloud: Annotated[str | None, BeforeValidator(q.cloud)] = None
    region: Place = None
    zone: Place = None
    instance_type: Place = None
    cpus: Annotated[Amount | None, BeforeValidator(q.vcpus)] = None
    memory: Annotated[Amount | None, BeforeValidator(q.memory_gib)] = None
    use_spot: bool | None = None
    disk_size: Annotated[int | None, BeforeValidator(q.disk_gib)] = None
    disk_tier: Annotated[str | None, Later("disks are of the cloud's standard tier")] = None
    labels: Annotated[
        dict[str, Annotated[str, BeforeValidator(q.header_value)]] | None,
        Later("machines carry only Tradewind's own labels"),
    ] = None
    spot_recovery: Annotated[Any, Later("the controller replaces lost spot machines by itself")] = None
    job_recovery: Annotated[Any, Later("the controller replaces lost machines by itself")] = None
    accelerator_args: Annotated[Any, Later("accelerators run with the cloud's defaults")] = None
    network_tier: Annotated[Any, Later("the network is of the cloud's standard tier")] = None
    autostop: Annotated[Any, Later("the controller decides when a machine ends")] = None
    max_hourly_cost: Annotated[Any, Later("`tradewind.budget.worst_usd_hour` limits the service instead")] = (
        None
    )


class Resources(Alternative):
    """`resources`: one description, or alternatives that share its other fields."""

    ports: list[Annotated[int, BeforeValidator(q.port)]] | None = None
    image_id: Annotated[Any, BeforeValidator(q.text_or_map)] = None
    any_of: list[Alternative] | None = Field(None, min_length=1)
    ordered: list[Alternative] | None = Field(None, min_length=1)


class ReadinessProbe(Part):
    """`service.readiness_probe`."""

    path: Annotated[str, BeforeValidator(q.probe_path)] = "/health"
    post_data: Annotated[Any, BeforeValidator(q.post_data)] = None
    headers: dict[
        Annotated[str, AfterValidator(q.header_name)], Annotated[str, BeforeValidator(q.header_value)]
    ] = Field(default_factory=dict)
    initial_delay_seconds: Delay | None = None
    timeout_seconds: Interval | None = None
    endpoint_probe_interval_seconds: Interval | None = None


class RateRule(Part):
    """One entry of `policies` in `behavior`: the HPA's `HPAScalingPolicy`."""

    type: Annotated[RateKind, Field(strict=False)]
    value: Annotated[int, Field(ge=1, le=10_000)]
    period_seconds: Annotated[int, Field(ge=1, le=1800)]


class Direction(Part):
    """`behavior.scaleUp` and `behavior.scaleDown`: the HPA's `HPAScalingRules`."""

    stabilization_window_seconds: Delay | None = None
    select_policy: Annotated[Select, Field(strict=False)] | None = None
    policies: list[RateRule] | None = None
    tolerance: Annotated[float, Field(ge=0, le=10)] | None = None


class Behavior(Part):
    """`service.replica_policy.behavior`."""

    scale_up: Direction | None = None
    scale_down: Direction | None = None


class ScheduleEntry(Part):
    """One entry of `service.replica_policy.schedules`."""

    cron: Annotated[str, BeforeValidator(when.cron)]
    timezone: Annotated[str, BeforeValidator(when.timezone)] = "UTC"
    duration: Annotated[float, BeforeValidator(when.duration_s)]
    min_replicas: Count


class ReplicaPolicy(Part):
    """`service.replica_policy`."""

    min_replicas: Count | None = None
    max_replicas: Count | None = None
    target_qps_per_replica: Annotated[Any, BeforeValidator(q.per_replica)] = None
    target_inflight_per_replica: Annotated[Any, BeforeValidator(q.per_replica)] = None
    target_queue_per_replica: Annotated[float, BeforeValidator(q.above_zero)] | None = None
    target_kv_cache_utilization: Annotated[float, BeforeValidator(q.share)] | None = None
    target_gpu_utilization: Annotated[float, BeforeValidator(q.share)] | None = None
    target_ttft_ms: Annotated[float, BeforeValidator(q.above_zero)] | None = None
    target_utilization: Annotated[float, BeforeValidator(q.share)] | None = None
    schedules: list[ScheduleEntry] | None = None
    behavior: Behavior | None = None
    forecast: bool | None = None
    upscale_delay_seconds: Delay | None = None
    downscale_delay_seconds: Delay | None = None
    num_overprovision: Count | None = None
    base_ondemand_fallback_replicas: Count | None = None
    dynamic_ondemand_fallback: bool | None = None
    spot_placer: Annotated[str | None, Later("the planner's order of pools decides")] = None

    @field_validator("max_replicas")
    @classmethod
    def _not_below_min(cls, value: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min_replicas")
        if value is not None and value < (1 if least is None else least):
            shown = f"{least}" if least is not None else "1, which it is when left out"
            raise q.Wrong(f"must not be below `min_replicas` ({shown})", "Raise this one or lower the other.")
        return value


class LoadBalancer(Part):
    """`service.load_balancer`."""

    stream_timeout_seconds: Interval | None = None


class TlsFiles(Part):
    """`service.tls`."""

    keyfile: str
    certfile: str


class ServiceSection(Part):
    """`service`: how many replicas, when one is ready, and how requests are spread."""

    readiness_probe: ReadinessProbe | None = None
    replicas: Count | None = None
    replica_policy: ReplicaPolicy | None = None
    load_balancing_policy: (
        Literal["least_load", "round_robin", "instance_aware_least_load", "least_request"] | None
    ) = None
    ports: Annotated[int, BeforeValidator(q.port)] | None = None
    tls: Annotated[TlsFiles | None, Later("the endpoint speaks plain HTTP")] = None
    load_balancer: LoadBalancer | None = None


class FileMount(Part):
    """One entry of `file_mounts`."""

    source: Annotated[str, BeforeValidator(mounts.source)] = ""  # a missing one is found by `spec.mounts`
    mode: Literal["MOUNT", "COPY", "MOUNT_CACHED"] | None = None
    name: Annotated[str | None, Later("the bucket is the one that `source` names")] = None
    store: str | None = None
    persistent: Annotated[bool | None, Later("buckets are read, and neither made nor deleted")] = None


class BudgetSection(Part):
    """`tradewind.budget`, in USD."""

    worst_usd_hour: Money | None = None
    usd_month: Money | None = None
    on_exhausted: Annotated[OnExhausted, Field(strict=False)] | None = None


class TradewindSection(Part):
    """`tradewind`: everything that SkyServe's format has no field for."""

    model: str | None = Field(None, min_length=1)
    parameters: Annotated[float, BeforeValidator(q.parameters_b)] | None = None
    quantization: Annotated[Quantization, BeforeValidator(q.lower)] | None = None
    max_model_len: Positive | None = None
    max_num_seqs: Positive | None = None
    layers: Positive | None = None
    kv_heads: Positive | None = None
    head_dim: Positive | None = None
    throughput: Annotated[str, Field(min_length=1)] | None = None
    engine: Engine | None = None
    models: list[Annotated[str, Field(min_length=1)]] | None = None
    surge: Count | None = None
    slo: Annotated[float, BeforeValidator(q.slo)] | None = None
    failure_threshold: Positive | None = None
    replace_after_seconds: Delay | None = None
    interval_seconds: Interval | None = None
    budget: BudgetSection | None = None
    drain_limit_seconds: Delay | None = None
    max_request_bytes: Annotated[int, BeforeValidator(q.size_bytes)] | None = None
    hold_limit_seconds: HoldLimit | None = None
    max_held: Count | None = None


_NO_TASK_FIELD = Later("it has no meaning for a service")


class ServiceFile(Part):
    """The whole file."""

    name: Annotated[str, BeforeValidator(q.service_name)] | None = None
    service: ServiceSection = ServiceSection()
    resources: Resources = Resources()
    envs: dict[EnvName, str] = Field(default_factory=dict)
    secrets: dict[EnvName, str] = Field(default_factory=dict)
    num_nodes: Annotated[int, Field(ge=1, le=1000)] = 1
    workdir: Annotated[Any, BeforeValidator(q.text_or_map)] = None
    file_mounts: dict[Annotated[str, AfterValidator(mounts.target)], FileMount] | None = None
    setup: str | None = None
    run: Annotated[str, Field(min_length=1)]
    tradewind: TradewindSection = TradewindSection()
    config: Annotated[Any, Later("SkyPilot's own settings do not apply")] = None
    volumes: Annotated[Any, Later("nothing is mounted: fetch what the engine needs in `setup`")] = None
    event_callback: Annotated[Any, _NO_TASK_FIELD] = None
    inputs: Annotated[Any, _NO_TASK_FIELD] = None
    outputs: Annotated[Any, _NO_TASK_FIELD] = None
