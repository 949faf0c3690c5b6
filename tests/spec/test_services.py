"""The service files that come with the project say what their tutorials say."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec.names import Market
from spec.read import read_service, read_services

SERVICES = Path(__file__).parents[2] / "services"
BIG = {("L4", 8), ("A10g", 8), ("A100", 4), ("A100", 8), ("A100-80GB", 2), ("A100-80GB", 4), ("A100-80GB", 8)}


def service(name: str):
    return read_service(SERVICES / f"{name}.yaml", env={"HF_TOKEN": "x"} if name == "llama2" else {})


def shapes(spec) -> set[tuple[str, int]]:
    return {(a.name, a.count) for option in spec.options for a in option.accelerators}


def test_all_of_them_are_valid_and_differ_in_name():
    specs = read_services(sorted(SERVICES.glob("*.yaml")), env={"HF_TOKEN": "x"})

    assert len({spec.name for spec in specs}) == len(specs) == 15
    assert all(spec.assumed == () for spec in specs)


@pytest.mark.parametrize(
    ("name", "engine", "model", "port", "method", "path"),
    [
        ("mixtral", "vllm", "mistralai/Mixtral-8x7B-Instruct-v0.1", 8080, "GET", "/v1/models"),
        (
            "mixtral-deep-probe",
            "vllm",
            "mistralai/Mixtral-8x7B-Instruct-v0.1",
            8080,
            "POST",
            "/v1/chat/completions",
        ),
        (
            "mixtral-autoscaled",
            "vllm",
            "mistralai/Mixtral-8x7B-Instruct-v0.1",
            8080,
            "POST",
            "/v1/chat/completions",
        ),
        ("tgi-vicuna", "tgi", "lmsys/vicuna-13b-v1.5", 8082, "GET", "/health"),
        ("codellama", "vllm", "codellama/CodeLlama-70b-Instruct-hf", 8000, "POST", "/v1/completions"),
        ("vllm-tiny", "vllm", "tiny", 8000, "POST", "/v1/completions"),
        ("llama2", "vllm", "meta-llama/Llama-2-7b-chat-hf", 8000, "GET", "/v1/models"),
        ("llava-sglang", "sglang", "liuhaotian/llava-v1.6-vicuna-7b", 8000, "GET", "/health"),
        ("tabby", "tabby", "TabbyML/StarCoder-1B", 8080, "GET", "/v1/health"),
        ("lorax", "lorax", "mistralai/Mistral-7B-Instruct-v0.1", 8080, "POST", "/generate"),
    ],
)
def test_engine_model_port_and_probe(name, engine, model, port, method, path):  # noqa: PLR0917 - a table
    spec = service(name)

    assert (spec.engine, spec.model, spec.port) == (engine, model, port)
    assert (spec.probe.method, spec.probe.path) == (method, path)


@pytest.mark.parametrize("name", ["mixtral", "mixtral-deep-probe", "mixtral-autoscaled"])
def test_mixtral_runs_on_the_seven_shapes(name):
    assert shapes(service(name)) == BIG


def test_the_autoscaled_one_goes_from_none_to_ten_on_spot():
    spec = service("mixtral-autoscaled")

    assert (spec.scaling.min_replicas, spec.scaling.max_replicas) == (0, 10)
    assert spec.scaling.target_qps_per_replica == 2.5
    assert spec.options[0].market is Market.SPOT


def test_the_deep_probe_waits_for_half_an_hour_and_asks_for_one_token():
    probe = service("mixtral-deep-probe").probe

    assert probe.initial_delay_s == 1800
    assert probe.body["max_tokens"] == 1


def test_the_dev_stacks_service_is_two_cheap_spot_replicas_of_the_simulated_engine():
    spec = service("chat")

    assert (spec.name, spec.engine, spec.port) == ("chat", "sim", 8000)
    assert shapes(spec) == {("L4", 1)}
    assert spec.options[0].market is Market.SPOT
    assert spec.scaling.min_replicas == spec.scaling.max_replicas == 2
    assert (spec.probe.initial_delay_s, spec.probe.interval_s) == (60, 1)
    assert '"$TRADEWIND_PORT"' in spec.run
    assert spec.not_acted_on == ()


def test_the_vllm_stacks_service_serves_whatever_model_it_is_told_and_has_time_to_install():
    spec = read_service(SERVICES / "vllm-tiny.yaml", env={"MODEL": "Qwen/Qwen2.5-0.5B-Instruct"})

    assert spec.model == spec.probe.body["model"] == "Qwen/Qwen2.5-0.5B-Instruct"
    assert spec.probe.initial_delay_s == 1200
    assert spec.not_acted_on == ()


def test_a_model_given_by_size_names_no_accelerator():
    spec = service("llama3-70b-by-size")

    assert shapes(spec) == set()
    assert spec.model_size is not None
    assert (spec.model_size.parameters_b, spec.model_size.quantization) == (70, "fp8")
