"""From a file that is valid to the `ServiceSpec` that the other rooms read. Nothing can be wrong here any more."""

from __future__ import annotations

from spec import guess
from spec.desired import Budget, OnExhausted, Probe, Routing, Scaling
from spec.later import not_acted_on, sentence
from spec.mounts import home
from spec.names import Market
from spec.scaling import SIGNALS, Pace, RatePolicy, Schedule, Select
from spec.service import ModelSize, Mount, ResourceOption, ServiceSpec, Tls
from spec.source import Node
from spec.written import (
    Alternative,
    Behavior,
    Direction,
    FileMount,
    ReadinessProbe,
    Resources,
    ScheduleEntry,
    ServiceFile,
    TradewindSection,
)

_DOCKER = "docker:"


def normalise(written: ServiceFile, root: Node, *, file: str) -> ServiceSpec:
    """The spec of a file; `root` is the tree that it was read from, for fields as the user wrote them."""
    assert written.name is not None, "the reader has filled it in"
    ours = written.tradewind
    resources = written.resources
    image = _image(resources)
    workdir = written.workdir if isinstance(written.workdir, str) else None
    return ServiceSpec(
        name=written.name,
        file=file,
        options=_options(resources),
        ordered=_ordered(resources),
        model_size=_model_size(written),
        throughput=ours.throughput,
        num_nodes=written.num_nodes,
        disk_size_gib=resources.disk_size,
        disk_tier=resources.disk_tier,
        labels=resources.labels or {},
        image=image,
        setup=written.setup or "",
        run=written.run,
        envs=written.envs,
        secrets=tuple(sorted(set(written.secrets) - set(written.envs))),
        port=_port(written),
        workdir=workdir,
        file_mounts=_mounts(written.file_mounts or {}),
        tls=Tls(**written.service.tls.model_dump()) if written.service.tls else None,
        model=_model(written),
        engine=ours.engine or guess.engine(written.run, image),
        probe=_probe(written.service.readiness_probe or ReadinessProbe(), ours),
        scaling=_scaling(written),
        routing=_routing(written),
        budget=_budget(ours),
        not_acted_on=(*not_acted_on(written, root), *_partly_acted_on(written, root)),
        assumed=tuple(_assumed(written, root)),
    )


def _options(resources: Resources) -> tuple[ResourceOption, ...]:
    alternatives = resources.any_of or resources.ordered
    if not alternatives:
        return (_option(resources),)
    return tuple(_option(_over(resources, alternative)) for alternative in alternatives)


def _over(base: Resources, alternative: Alternative) -> Alternative:
    """The alternative with the fields that it leaves out taken from `resources` itself."""
    given = {name: getattr(alternative, name) for name in alternative.model_fields_set}
    common = {name: getattr(base, name) for name in Alternative.model_fields}
    if alternative.infra is not None:
        common |= {"cloud": None, "region": None, "zone": None}
    elif {"cloud", "region", "zone"} & alternative.model_fields_set:
        common["infra"] = None
    return Alternative.model_construct(**(common | given))


def _option(part: Alternative) -> ResourceOption:
    cloud, region, zone = part.infra or (part.cloud, part.region, part.zone)
    return ResourceOption(
        accelerators=tuple(part.accelerators.items) if part.accelerators else (),
        cloud=cloud,
        region=region,
        zone=zone,
        instance_type=part.instance_type,
        cpus=part.cpus,
        memory_gib=part.memory,
        market=Market.SPOT if part.use_spot else Market.ON_DEMAND,
    )


def _ordered(resources: Resources) -> bool:
    if resources.any_of:
        return False
    return bool(resources.ordered) or bool(resources.accelerators and resources.accelerators.ordered)


def _image(resources: Resources) -> str | None:
    image = resources.image_id
    return image.removeprefix(_DOCKER) if isinstance(image, str) and image.startswith(_DOCKER) else None


def _port(written: ServiceFile) -> int:
    port = written.service.ports or next(iter(written.resources.ports or ()), None) or guess.port(written.run)
    assert port is not None, "the reader has checked it"
    return port


def _mounts(mounts: dict[str, FileMount]) -> tuple[Mount, ...]:
    """SkyPilot's default: what says nothing is mounted. A path of this computer can only be copied."""
    return tuple(
        Mount(
            target=target, source=m.source, mode="COPY" if m.mode == "COPY" or not home(m.source) else "MOUNT"
        )
        for target, m in mounts.items()
    )


def _model(written: ServiceFile) -> str | None:
    return written.tradewind.model or guess.model(written.run, written.envs)


def _model_size(written: ServiceFile) -> ModelSize | None:
    ours = written.tradewind
    if ours.parameters is None:
        return None
    names = ("quantization", "max_model_len", "max_num_seqs", "layers", "kv_heads", "head_dim")
    given = {name: value for name in names if (value := getattr(ours, name)) is not None}
    return ModelSize(name=_model(written), parameters_b=ours.parameters, **given)


def _probe(probe: ReadinessProbe, ours: TradewindSection) -> Probe:
    interval = ours.interval_seconds or probe.endpoint_probe_interval_seconds
    timings = {
        "initial_delay_s": probe.initial_delay_seconds,
        "timeout_s": probe.timeout_seconds,
        "interval_s": interval,
        "failure_threshold": ours.failure_threshold,
        "replace_after_s": ours.replace_after_seconds,
    }
    return Probe(
        method="GET" if probe.post_data is None else "POST",
        path=probe.path,
        headers=probe.headers,
        body=probe.post_data,
        **{name: value for name, value in timings.items() if value is not None},
    )


def _scaling(written: ServiceFile) -> Scaling:
    policy = written.service.replica_policy
    fixed = 1 if written.service.replicas is None else written.service.replicas
    ours = written.tradewind
    own = {name: value for name in ("surge", "slo") if (value := getattr(ours, name)) is not None}
    if policy is None:
        return Scaling(min_replicas=fixed, max_replicas=fixed, **own)
    least = 1 if policy.min_replicas is None else policy.min_replicas
    behavior = policy.behavior or Behavior()
    up, down = behavior.scale_up or Direction(), behavior.scale_down or Direction()
    more = {
        **{name: getattr(policy, name) for name in (*SIGNALS, "target_utilization")},
        "forecast": policy.forecast,
        "schedules": tuple(map(_schedule, policy.schedules)) if policy.schedules else None,
        "upscale_delay_s": _first(policy.upscale_delay_seconds, up.stabilization_window_seconds),
        "downscale_delay_s": _first(policy.downscale_delay_seconds, down.stabilization_window_seconds),
        "scale_up": _pace(behavior.scale_up),
        "scale_down": _pace(behavior.scale_down),
        "num_overprovision": policy.num_overprovision,
        "base_ondemand_fallback_replicas": policy.base_ondemand_fallback_replicas,
        "dynamic_ondemand_fallback": policy.dynamic_ondemand_fallback,
    }
    return Scaling(
        min_replicas=least,
        max_replicas=least if policy.max_replicas is None else policy.max_replicas,
        **own,
        **{name: value for name, value in more.items() if value is not None},
    )


def _first(one: float | None, other: float | None) -> float | None:
    return other if one is None else one


def _schedule(entry: ScheduleEntry) -> Schedule:
    return Schedule(
        cron=entry.cron,
        timezone=entry.timezone,
        duration_s=entry.duration,
        min_replicas=entry.min_replicas,
    )


def _pace(given: Direction | None) -> Pace | None:
    if given is None:
        return None
    return Pace(
        select=given.select_policy or Select.MAX,
        policies=tuple(
            RatePolicy(kind=p.type, value=p.value, period_s=p.period_seconds) for p in given.policies or ()
        ),
        tolerance=given.tolerance,
    )


def _routing(written: ServiceFile) -> Routing:
    service, ours = written.service, written.tradewind
    balancer = service.load_balancer
    given = {
        "stream_idle_timeout_s": balancer.stream_timeout_seconds if balancer else None,
        "max_request_bytes": ours.max_request_bytes,
        "drain_limit_s": ours.drain_limit_seconds,
        "hold_limit_s": ours.hold_limit_seconds,
        "max_held": ours.max_held,
    }
    return Routing(
        policy="round_robin" if service.load_balancing_policy == "round_robin" else "least_request",
        models=tuple(ours.models or ()),
        model=_model(written) or "",
        **{name: value for name, value in given.items() if value is not None},
    )


def _budget(ours: TradewindSection) -> Budget:
    if ours.budget is None:
        return Budget()
    return Budget(
        worst_usd_hour=ours.budget.worst_usd_hour,
        usd_month=ours.budget.usd_month,
        on_exhausted=ours.budget.on_exhausted or OnExhausted.HOLD,
    )


def _partly_acted_on(written: ServiceFile, root: Node) -> list[str]:
    """Fields that are acted on, but not with this value."""
    service, resources = written.service, written.resources
    found: list[tuple[tuple[str, ...], str]] = []
    if isinstance(written.workdir, dict):
        found.append((("workdir",), "only a directory beside the service file is taken along"))
    if resources.image_id is not None and _image(resources) is None:
        instead = "machines start from the cloud's image; `docker:IMAGE` is run there in a container"
        found.append((("resources", "image_id"), instead))
    if service.load_balancing_policy == "instance_aware_least_load":
        found.append((("service", "load_balancing_policy"), "`least_load` is used"))
    if service.replica_policy is not None and service.replicas is not None:
        found.append((("service", "replicas"), "`replica_policy` sets how many there are"))
    policy = service.replica_policy
    counted = policy and (policy.target_qps_per_replica or policy.target_inflight_per_replica)
    if policy is not None and policy.target_utilization is not None and not counted:
        instead = "it is a share of `target_qps_per_replica` or `target_inflight_per_replica`"
        found.append((("service", "replica_policy", "target_utilization"), instead))
    if policy is not None and policy.forecast and not counted:
        instead = "it learns from `target_qps_per_replica` or `target_inflight_per_replica`"
        found.append((("service", "replica_policy", "forecast"), instead))
    if any(a.accelerators and a.accelerators.ordered for a in resources.any_of or ()):
        found.append(
            (("resources", "any_of"), "the order of accelerators inside of it; the cheapest comes first")
        )
    cached = [target for target, m in (written.file_mounts or {}).items() if m.mode == "MOUNT_CACHED"]
    found += [
        (("file_mounts", target, "mode"), "it is mounted to be read, with a cache") for target in cached
    ]
    if written.tradewind.parameters is None:
        sizes = ("quantization", "max_model_len", "max_num_seqs", "layers", "kv_heads", "head_dim")
        given = [name for name in sizes if getattr(written.tradewind, name) is not None]
        found += [(("tradewind", name), "the size of a model needs `parameters`, too") for name in given]
    return [sentence(root, loc, instead) for loc, instead in found]


def _assumed(written: ServiceFile, root: Node) -> list[str]:
    """What the file leaves out, and what was taken instead."""
    service = written.service
    found = []
    if service.readiness_probe is None:
        found.append(
            "`service.readiness_probe` is not given: a replica is ready when GET /health answers 200."
        )
    if service.replicas is None and service.replica_policy is None:
        found.append("`service.replicas` is not given: one replica.")
    if service.ports is None and not written.resources.ports:
        found.append(f"`resources.ports` is not given: {guess.port(written.run)}, from the command in `run`.")
    for name in written.secrets:
        node = root.at("secrets", name)
        if node is not None and node.text:
            found.append(
                f"`{node.path}` has a value in the file, which is not used: secrets come from the store."
            )
    return found
