"""What is worth knowing about each serving engine: image, port, readiness, metric names, tensor parallelism.

The controller scrapes by these names, the planner fills in the tensor-parallel flag, and `guess` finds the engine of a
service that does not name it. A preset describes an engine's defaults; a service file that says otherwise wins. Looked
up in November 2026 in each engine's documentation or source, which is named beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import spec.guess


@dataclass(frozen=True)
class Metric:
    """One Prometheus series to read: the first of `names` that is there, of all label sets that contain `labels`."""

    names: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class MetricNames:
    """Where an engine tells how busy it is; None = it does not tell.

    Attributes:
        path: of the metrics on the metrics port.
        port: of the metrics; None = the engine's own port.
        running: requests in the batch (gauge).
        waiting: requests in the queue (gauge).
        kv_usage: share of the KV cache in use, 0 to 1 (gauge).
        prompt_tokens: tokens read since the start (counter).
        generation_tokens: tokens produced since the start (counter).
        ttft: time to first token in seconds (name of the histogram, without `_bucket`).

    """

    path: str = "/metrics"
    port: int | None = None
    running: Metric | None = None
    waiting: Metric | None = None
    kv_usage: Metric | None = None
    prompt_tokens: Metric | None = None
    generation_tokens: Metric | None = None
    ttft: Metric | None = None


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One engine.

    Attributes:
        image: its public container image, without a tag that would age; None = it has none.
        port: the one it listens on by default (in the image, where image and binary differ).
        readiness_path: answers 200 to a GET exactly when requests can be served.
        readiness_note: why this path and not another.
        tensor_parallel_flag: takes the number of GPUs that share the model; None = it is no flag.
        openai_compatible: whether OpenAI clients can use `/v1/chat/completions` and `/v1/completions`.

    """

    name: str
    title: str
    image: str | None
    port: int
    readiness_path: str
    readiness_note: str
    tensor_parallel_flag: str | None
    openai_compatible: bool
    metrics: MetricNames
    source: str


def _metric(*names: str, **labels: str) -> Metric:
    return Metric(names, tuple(labels.items()))


_VLLM_METRICS = MetricNames(
    running=_metric("vllm:num_requests_running"),
    waiting=_metric("vllm:num_requests_waiting"),
    kv_usage=_metric("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),  # the second until 0.10
    prompt_tokens=_metric("vllm:prompt_tokens_total"),
    generation_tokens=_metric("vllm:generation_tokens_total"),
    ttft=_metric("vllm:time_to_first_token_seconds"),
)

_ALL = (
    Preset(
        name="vllm",
        title="vLLM",
        image="vllm/vllm-openai",
        port=8000,
        readiness_path="/v1/models",
        readiness_note="names the model, so it also fails for the wrong one; /health is 503 once the engine process is dead",
        tensor_parallel_flag="--tensor-parallel-size",
        openai_compatible=True,
        metrics=_VLLM_METRICS,
        source="https://docs.vllm.ai/en/stable/usage/metrics/",
    ),
    Preset(
        name="sglang",
        title="SGLang",
        image="lmsysorg/sglang",
        port=30000,
        readiness_path="/health",
        readiness_note="503 until the model is loaded; /health_generate also makes one token, on the GPU",
        tensor_parallel_flag="--tp-size",
        openai_compatible=True,
        metrics=MetricNames(  # only with --enable-metrics
            running=_metric("sglang:num_running_reqs"),
            waiting=_metric("sglang:num_queue_reqs"),
            kv_usage=_metric("sglang:token_usage"),
            prompt_tokens=_metric("sglang:prompt_tokens_total"),
            generation_tokens=_metric("sglang:generation_tokens_total"),
            ttft=_metric("sglang:time_to_first_token_seconds"),
        ),
        source="https://docs.sglang.io/references/production_metrics.html",
    ),
    Preset(
        name="tgi",
        title="Text Generation Inference",
        image="ghcr.io/huggingface/text-generation-inference",
        port=80,
        readiness_path="/health",
        readiness_note="listens after the shards are up, and then asks them",
        tensor_parallel_flag="--num-shard",
        openai_compatible=True,
        metrics=MetricNames(  # token counts exist only as sums of per-request histograms; no KV usage, no TTFT
            running=_metric("tgi_batch_current_size"),
            waiting=_metric("tgi_queue_size"),
            prompt_tokens=_metric("tgi_request_input_length_sum"),
            generation_tokens=_metric("tgi_request_generated_tokens_sum"),
        ),
        source="https://huggingface.co/docs/text-generation-inference/reference/metrics",
    ),
    Preset(
        name="triton",
        title="Triton Inference Server",
        image="nvcr.io/nvidia/tritonserver",
        port=8000,
        readiness_path="/v2/health/ready",
        readiness_note="200 when all models of the repository are ready; /v2/health/live when the server runs",
        tensor_parallel_flag=None,  # tensor parallelism is built into a TensorRT-LLM engine, or in vLLM's model.json
        openai_compatible=False,  # its OpenAI front end is a second program, on port 9000
        metrics=MetricNames(  # of the TensorRT-LLM backend; tokens are not counted
            port=8002,
            running=_metric("nv_trt_llm_request_metrics", request_type="scheduled"),
            waiting=_metric("nv_trt_llm_request_metrics", request_type="waiting"),
            kv_usage=_metric("nv_trt_llm_kv_cache_block_metrics", kv_cache_block_type="fraction"),
        ),
        source="https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html",
    ),
    Preset(
        name="tabby",
        title="Tabby",
        image="tabbyml/tabby",
        port=8080,
        readiness_path="/v1/health",
        readiness_note="names the loaded models; with accounts turned on it wants a token",
        tensor_parallel_flag=None,  # --parallelism is the number of requests at a time, not of GPUs
        openai_compatible=False,  # the chat route is, /v1/completions has a shape of its own
        metrics=MetricNames(),  # /metrics counts HTTP requests only
        source="TabbyML/tabby, crates/tabby/src/serve.rs and crates/tabby/src/routes/mod.rs",
    ),
    Preset(
        name="lorax",
        title="LoRAX",
        image="ghcr.io/predibase/lorax",
        port=80,
        readiness_path="/health",
        readiness_note="listens after the shards are up, and then asks them",
        tensor_parallel_flag="--num-shard",
        openai_compatible=True,
        metrics=MetricNames(  # as TGI, from which it came
            running=_metric("lorax_batch_current_size"),
            waiting=_metric("lorax_queue_length"),
            prompt_tokens=_metric("lorax_request_input_length_sum"),
            generation_tokens=_metric("lorax_request_generated_tokens_sum"),
        ),
        source="predibase/lorax, router/src/infer.rs, scheduler.rs and server.rs",
    ),
    Preset(
        name="sim",
        title="Tradewind's simulated engine",
        image=None,
        port=8000,
        readiness_path="/v1/models",
        readiness_note="listens after it has loaded, as vLLM",
        tensor_parallel_flag=None,
        openai_compatible=True,
        metrics=_VLLM_METRICS,
        source="engines/sim/metrics.py",
    ),
)

PRESETS = {preset.name: preset for preset in _ALL}
"""Presets by name, in the order in which tables show them."""


def guess(run: str, image: str | None = None) -> str | None:
    """The name of the preset whose engine a `run` script or an image starts.

    None when none is recognised, and when several are: wrong metric names would be worse than none.
    """
    return spec.guess.engine(run, image)
