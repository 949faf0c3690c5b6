"""SkyServe's format of today is understood, field by field."""

from __future__ import annotations

import pytest

from spec.desired import OnExhausted
from spec.names import Market
from spec.service import Accelerator, Amount, ModelSize, Mount

EVERYTHING = """\
name: everything
envs:
  MODEL: org/model
  VERSION: 1.10
secrets:
  HF_TOKEN: null
num_nodes: 2
workdir: .
file_mounts:
  /models: s3://bucket/models
  /more: {source: s3://bucket/more, mode: MOUNT_CACHED, name: bucket, persistent: false}
resources:
  accelerators: {A100: 1, L4: 8}
  infra: gcp/us-central1/us-central1-a
  instance_type: g2-standard-96
  cpus: 8+
  memory: 32+
  use_spot: true
  spot_recovery: failover
  disk_size: 512
  disk_tier: best
  ports: [8000]
  image_id: docker:vllm/vllm-openai
  labels: {team: a}
service:
  readiness_probe:
    path: /v1/completions
    post_data: {model: org/model, prompt: hi, max_tokens: 1}
    headers: {X-Probe: 1}
    initial_delay_seconds: 900
    timeout_seconds: 5
    endpoint_probe_interval_seconds: 3
  replica_policy:
    min_replicas: 1
    max_replicas: 4
    target_qps_per_replica: {A100: 2, L4: 0.5}
    upscale_delay_seconds: 60
    downscale_delay_seconds: 600
    base_ondemand_fallback_replicas: 1
    dynamic_ondemand_fallback: true
    spot_placer: dynamic_fallback
    num_overprovision: 1
  load_balancing_policy: round_robin
  tls: {keyfile: key.pem, certfile: cert.pem}
  load_balancer: {stream_timeout_seconds: 90}
setup: pip install x
run: serve --model $MODEL
tradewind:
  parameters: 7B
  quantization: FP8
  max_model_len: 4096
  engine: vllm
  models: [small, org/model]
  surge: 2
  failure_threshold: 5
  replace_after_seconds: 60
  budget: {worst_usd_hour: 12.5, usd_month: 900, on_exhausted: floor}
  drain_limit_seconds: 30
  max_request_bytes: 1Mi
  hold_limit_seconds: 900
  max_held: 50
"""


def test_every_field_arrives_in_the_spec(read):
    spec = read(EVERYTHING)

    assert spec.name == "everything"
    [option] = spec.options
    assert option.accelerators == (Accelerator(name="A100", count=1), Accelerator(name="L4", count=8))
    assert (option.cloud, option.region, option.zone) == ("gcp", "us-central1", "us-central1-a")
    assert option.instance_type == "g2-standard-96"
    assert option.cpus == Amount(value=8, at_least=True)
    assert option.memory_gib == Amount(value=32, at_least=True)
    assert option.market is Market.SPOT
    assert (spec.num_nodes, spec.workdir, spec.disk_size_gib, spec.disk_tier) == (2, ".", 512, "best")
    assert spec.labels == {"team": "a"}
    assert spec.file_mounts == (
        Mount(target="/models", source="s3://bucket/models", mode="COPY"),
        Mount(target="/more", source="s3://bucket/more", mode="MOUNT"),
    )
    assert spec.tls is not None
    assert spec.tls.keyfile == "key.pem"
    assert (spec.image, spec.port) == ("vllm/vllm-openai", 8000)
    assert (spec.setup, spec.run) == ("pip install x", "serve --model $MODEL")
    assert (spec.model, spec.engine) == ("org/model", "vllm")
    assert spec.secrets == ("HF_TOKEN",)

    probe = spec.probe
    assert (probe.method, probe.path, probe.headers) == ("POST", "/v1/completions", {"X-Probe": "1"})
    assert probe.body == {"model": "org/model", "prompt": "hi", "max_tokens": 1}
    assert (probe.initial_delay_s, probe.timeout_s, probe.interval_s) == (900, 5, 3)
    assert (probe.failure_threshold, probe.replace_after_s) == (5, 60)

    scaling = spec.scaling
    assert (scaling.min_replicas, scaling.max_replicas, scaling.surge) == (1, 4, 2)
    assert scaling.target_qps_per_replica == {"A100": 2.0, "L4": 0.5}
    assert (scaling.upscale_delay_s, scaling.downscale_delay_s) == (60, 600)
    assert (scaling.base_ondemand_fallback_replicas, scaling.dynamic_ondemand_fallback) == (1, True)
    assert scaling.num_overprovision == 1

    routing = spec.routing
    assert (routing.policy, routing.models) == ("round_robin", ("small", "org/model"))
    assert (routing.stream_idle_timeout_s, routing.drain_limit_s) == (90, 30)
    assert routing.max_request_bytes == 1024 * 1024
    assert (routing.hold_limit_s, routing.max_held) == (900, 50)
    assert (spec.budget.worst_usd_hour, spec.budget.usd_month) == (12.5, 900)
    assert spec.budget.on_exhausted is OnExhausted.FLOOR
    assert spec.model_size == ModelSize(
        name="org/model", parameters_b=7, quantization="fp8", max_model_len=4096
    )


def test_known_fields_that_nothing_acts_on_are_named_with_their_value(read):
    said = "\n".join(read(EVERYTHING).not_acted_on)

    for field in (
        "file_mounts./more.name: bucket",
        "file_mounts./more.persistent: false",
        "file_mounts./more.mode: MOUNT_CACHED",
        "resources.spot_recovery: failover",
        "resources.disk_tier: best",
        "resources.labels: {team: a}",
        "service.replica_policy.spot_placer: dynamic_fallback",
        "service.tls: {keyfile: key.pem",
    ):
        assert f"`{field}" in said
    assert "resources.cpus" not in said
    assert "resources.image_id" not in said
    assert "tradewind.budget" not in said


def test_a_file_that_uses_nothing_of_that_has_nothing_to_report(read, minimal):
    spec = read(minimal)

    assert spec.not_acted_on == ()
    assert spec.assumed == ()


def test_a_file_without_name_is_called_after_itself(read, minimal):
    assert read(minimal).name == "demo"


def test_the_defaults_are_skyserves(read, minimal):
    probe = read(minimal).probe

    assert (probe.method, probe.path, probe.body) == ("GET", "/health", None)
    assert (probe.initial_delay_s, probe.timeout_s, probe.interval_s) == (1200, 15, 10)


def test_fixed_replicas_are_minimum_and_maximum(read, minimal):
    scaling = read(minimal).scaling

    assert (scaling.min_replicas, scaling.max_replicas) == (2, 2)


def test_a_policy_with_a_minimum_only_is_fixed(read, minimal):
    scaling = read(minimal.replace("replicas: 2", "replica_policy: {min_replicas: 3}")).scaling

    assert (scaling.min_replicas, scaling.max_replicas) == (3, 3)


@pytest.mark.parametrize(
    ("written", "expected", "ordered"),
    [
        ("A100:1", [("A100", 1)], False),
        ("a100-80gb", [("a100-80gb", 1)], False),
        ("[L4:8, 'A100:4']", [("L4", 8), ("A100", 4)], True),
        ("{L4:8, A10g:8}", [("L4", 8), ("A10g", 8)], False),
        ("{L4: 8, A100: 1}", [("L4", 8), ("A100", 1)], False),
        ("!!set {L4:8, A100:1}", [("L4", 8), ("A100", 1)], False),
        ("[L4: 2]", [("L4", 2)], True),
    ],
)
def test_accelerators_have_many_forms_and_only_a_list_is_an_order(read, minimal, written, expected, ordered):
    spec = read(minimal.replace("L4:1", written))

    assert [(a.name, a.count) for a in spec.options[0].accelerators] == expected
    assert spec.ordered is ordered


@pytest.mark.parametrize("written", ["8000", "'8000'", "8000/tcp", "[8000]", "['8000/tcp']"])
def test_ports_have_many_forms(read, minimal, written):
    assert read(minimal.replace("ports: 8000", f"ports: {written}")).port == 8000


def test_the_services_own_port_decides_among_several(read, minimal):
    text = minimal.replace("ports: 8000", "ports: [8000, 9000]") + "tradewind: {}\n"

    assert read(text.replace("replicas: 2", "ports: 9000")).port == 9000


def test_any_of_and_ordered_share_the_other_fields(read, minimal):
    alternatives = "[{cloud: AWS, use_spot: true}, {infra: gcp/us-east1, accelerators: T4:1}]"
    base = minimal.replace(
        "  ports: 8000", "  region: eu-west-1\n  cpus: 8\n  ports: 8000\n  KEY: " + alternatives
    )

    for key, ordered in (("any_of", False), ("ordered", True)):
        spec = read(base.replace("KEY", key))
        first, second = spec.options
        assert spec.ordered is ordered
        assert (first.cloud, first.region, first.market) == ("aws", "eu-west-1", Market.SPOT)
        assert [a.name for a in first.accelerators] == ["L4"]
        assert (second.cloud, second.region, second.market) == ("gcp", "us-east1", Market.ON_DEMAND)
        assert [a.name for a in second.accelerators] == ["T4"]
        assert first.cpus == second.cpus == Amount(value=8)


def test_null_means_that_anything_will_do(read, minimal):
    text = minimal.replace("  ports", "  cloud: null\n  region:\n  infra: '*'\n  ports")

    assert (read(text).options[0].cloud, read(text).options[0].region) == (None, None)


@pytest.mark.parametrize(
    ("written", "gib", "at_least"),
    [("32", 32, False), ("32+", 32, True), ("320Gi", 320, True), ("64GB", 64, False), ("1Ti", 1024, True)],
)
def test_memory_is_in_gib_and_a_kubernetes_quantity_is_a_least_amount(read, minimal, written, gib, at_least):
    spec = read(minimal.replace("  ports", f"  memory: {written}\n  ports"))

    assert spec.options[0].memory_gib == Amount(value=gib, at_least=at_least)


def test_post_data_may_be_json_in_a_string(read, minimal):
    probe = '{path: /generate, post_data: \'{"inputs": "hi", "n": [1, null]}\'}'
    spec = read(minimal.replace("/health", probe))

    assert spec.probe.method == "POST"
    assert spec.probe.body == {"inputs": "hi", "n": [1, None]}


@pytest.mark.parametrize(
    ("run", "engine", "model"),
    [
        ("python -m vllm.entrypoints.openai.api_server --model a/b", "vllm", "a/b"),
        ("vllm serve 'a/b' --port 1", "vllm", "a/b"),
        ("python -m sglang.launch_server \\\n      --model-path=a/b", "sglang", "a/b"),
        ("docker run ghcr.io/huggingface/text-generation-inference --model-id $NAME", "tgi", "env/model"),
        ("docker run ghcr.io/predibase/lorax --model-id a/b", "lorax", "a/b"),
        ("docker run tabbyml/tabby serve --model a/b", "tabby", "a/b"),
        ("tritonserver --model-repository=/models", "triton", None),
        ("exec python -m engines.sim --model a", "sim", "a"),
        ("# vllm serve a/b\n  ./mine", None, None),
        ("vllm serve $OTHER", "vllm", None),
    ],
)
def test_engine_and_model_are_told_by_the_command(read, minimal, run, engine, model):
    spec = read(minimal.replace("run: serve", f"envs: {{NAME: env/model}}\nrun: |\n  {run}\n"))

    assert (spec.engine, spec.model) == (engine, model)


def test_what_the_file_says_wins_over_the_command(read, minimal):
    text = minimal.replace("run: serve", "run: vllm serve a/b\ntradewind: {engine: sim, model: c}")

    assert (read(text).engine, read(text).model) == ("sim", "c")


def test_a_task_that_starts_a_known_engine_is_a_service_and_says_what_was_assumed(read):
    text = "resources: {accelerators: A100:8}\nnum_nodes: 1\nrun: vllm serve a/b --port 8123\n"
    spec = read(text)

    assert (spec.port, spec.probe.path, spec.scaling.max_replicas) == (8123, "/health", 1)
    assert len(spec.assumed) == 3


def test_values_of_secrets_are_not_in_the_spec(read, minimal):
    spec = read(minimal + "secrets: {HF_TOKEN: hunter2}\n")

    assert spec.secrets == ("HF_TOKEN",)
    assert "hunter2" not in spec.model_dump_json()
    assert any("secrets.HF_TOKEN" in said for said in spec.assumed)
    assert read(minimal + "secrets: {HF_TOKEN: null}\n").assumed == ()


def test_fields_of_alternatives_may_be_merged_from_an_anchor(read, minimal):
    text = minimal.replace("  ports", "  any_of: [&a {cloud: aws, cpus: 4}, {<<: *a, cloud: gcp}]\n  ports")
    first, second = read(text).options

    assert (first.cloud, second.cloud) == ("aws", "gcp")
    assert first.cpus == second.cpus == Amount(value=4)
