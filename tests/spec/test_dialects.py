"""Files as older tutorials write them are understood, and errors name them as they were written."""

from __future__ import annotations

from spec.names import Market
from spec.service import Amount, Mount

SERVICE_OF_ITS_OWN_DIALECT = """\
service:
  name: llama
  replicas: 3
  port: 8000
  health_check_path: /health
  autoscaling:
    min_replicas: 1
    max_replicas: 10
    target_qps_per_replica: 5
    cooldown_seconds: 60
resources:
  accelerator: A100-80GB:4
  memory: 256Gi
  disk_size: 1000
  use_spot: true
  spot_recovery: restart
  ports: 8000/tcp
file_mounts:
  /model_store: {source: s3://bucket/prefix/, mode: MOUNT}
run: |
  python -m vllm.entrypoints.openai.api_server --model /model_store/llama --enable-prefix-caching
"""

TASK_OF_TWO_NODES = """\
name: llama3-70b
num_nodes: 2
envs:
  HF_TOKEN: ${HF_TOKEN}
  MODEL: meta-llama/Llama-3-70b-instruct
resources:
  cloud: null
  accelerators: A100-80GB:8
  memory: 320Gi
  disk_size: 2000
setup: pip install vllm==0.6.6
run: |
  python -m vllm.entrypoints.openai.api_server --model $MODEL --quantization fp8 \\
    --max-model-len 8192 --gpu-memory-utilization 0.92 --tensor-parallel-size 8 --port 8000
"""

SINGLE_MACHINE = """\
name: single
accelerators: A100:1
instance_type: p4d.24xlarge
spot_recovery: auto-recover
region: us-west-2
fallback_regions: [us-east-1, europe-west4]
ports: 8000
health_check: {path: /health, interval: 10, timeout: 5, failure_threshold: 3}
replicas: 3
run: ./serve
"""


def test_autoscaling_and_health_check_path_of_the_service_section(read):
    spec = read(SERVICE_OF_ITS_OWN_DIALECT)

    assert (spec.name, spec.port, spec.probe.path) == ("llama", 8000, "/health")
    assert (spec.scaling.min_replicas, spec.scaling.max_replicas) == (1, 10)
    assert spec.scaling.target_qps_per_replica == 5
    assert (spec.scaling.upscale_delay_s, spec.scaling.downscale_delay_s) == (60, 60)
    [option] = spec.options
    assert [(a.name, a.count) for a in option.accelerators] == [("A100-80GB", 4)]
    assert option.memory_gib == Amount(value=256, at_least=True)
    assert option.market is Market.SPOT
    assert spec.file_mounts == (Mount(target="/model_store", source="s3://bucket/prefix/", mode="MOUNT"),)


def test_replicas_beside_a_policy_are_reported(read):
    said = read(SERVICE_OF_ITS_OWN_DIALECT).not_acted_on

    assert any(s.startswith("`service.replicas: 3` is not acted on") for s in said)


def test_moved_fields_are_reported_as_they_were_written(read):
    said = read(SINGLE_MACHINE).not_acted_on

    assert any(s.startswith("`spot_recovery: auto-recover` is not acted on") for s in said)


def test_a_task_with_the_variable_of_the_callers_shell(read, problems):
    spec = read(TASK_OF_TWO_NODES, HF_TOKEN="hf_x")

    assert (spec.num_nodes, spec.port, spec.engine) == (2, 8000, "vllm")
    assert spec.model == "meta-llama/Llama-3-70b-instruct"
    assert spec.envs["HF_TOKEN"] == "hf_x"
    [problem] = problems(TASK_OF_TWO_NODES)
    assert (problem.field, problem.line) == ("envs.HF_TOKEN", 4)


def test_fields_of_resources_and_service_at_the_top(read):
    spec = read(SINGLE_MACHINE)

    assert spec.ordered
    assert [o.region for o in spec.options] == ["us-west-2", "us-east-1", "europe-west4"]
    assert {o.instance_type for o in spec.options} == {"p4d.24xlarge"}
    probe = spec.probe
    assert (probe.path, probe.interval_s, probe.timeout_s, probe.failure_threshold) == ("/health", 10, 5, 3)
    assert spec.scaling.max_replicas == 3


def test_problems_name_the_older_field_and_its_line(problems):
    text = SINGLE_MACHINE.replace("interval: 10", "interval: often").replace("replicas: 3", "replicas: -3")
    found = {(p.field, p.line) for p in problems(text)}

    assert found == {("health_check.interval", 8), ("replicas", 9)}


def test_a_minimum_above_the_maximum_is_found_in_the_older_dialect_too(problems):
    [problem] = problems(SERVICE_OF_ITS_OWN_DIALECT.replace("max_replicas: 10", "max_replicas: 0"))

    assert problem.field == "service.autoscaling.max_replicas"
    assert problem.line == 8


def test_the_same_thing_said_in_both_dialects_is_a_problem(problems):
    text = SERVICE_OF_ITS_OWN_DIALECT.replace("  port: 8000\n", "  port: 8000\n  ports: 9000\n")
    [problem] = problems(text)

    assert problem.field == "service.port"
    assert "`service.ports` in line 5" in problem.message


def test_fallback_regions_beside_alternatives_are_a_problem(problems, minimal):
    text = minimal.replace("  ports", "  fallback_regions: [a]\n  any_of: [{cloud: aws}]\n  ports")

    assert [p.field for p in problems(text)] == ["resources.fallback_regions"]


def test_the_section_that_is_moved_to_may_be_null(read, minimal):
    assert (
        read("resources:\nservice:\n" + "accelerators: L4\nport: 80\nreadiness_probe: /h\nrun: x\n").port
        == 80
    )
