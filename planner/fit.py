"""Which shapes can hold a model, computed from its size. All in GiB (2^30 bytes).

    weights  = parameters x bytes per parameter
    KV cache = 2 (keys and values) x layers x KV heads x head dimension x 2 bytes   per token,
               for `max_num_seqs` sequences of `max_model_len` tokens
    one accelerator needs  weights / (tensor parallel x nodes)
                         + KV cache / (min(tensor parallel, KV heads) x nodes)
                         + OVERHEAD_GIB
    and has                memory that programs see x UTILIZATION

Sources: the KV cache formula of the PagedAttention paper (Kwon et al., SOSP 2023, section 3); vLLM's documentation for
`gpu_memory_utilization`, for tensor parallel sizes that must divide the attention heads, and for the hardware each
quantization needs. With fewer KV heads than accelerators each holds a copy, so the cache is not split further.
Several nodes are pipeline stages, which split the layers. The whole cache is asked for, so that no sequence is ever
evicted; a service that may evict some sets a smaller `max_num_seqs`.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog.accelerators import AcceleratorKind, kind_of
from planner.models import Attention, attention_of
from spec.errors import InputError, did_you_mean
from spec.service import ModelSize

GIB = 2**30
UTILIZATION = 0.90
"""Share of an accelerator's memory that the engine takes: vLLM's default."""
OVERHEAD_GIB = 1.5
"""Activations, CUDA graphs and communication buffers of one accelerator; an allowance, engines measure their own."""
KV_BYTES = 2
"""Engines keep the cache in 16 bits unless told otherwise, also with quantized weights."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """How weights are stored. `capability`: the least CUDA compute capability that serves them in vLLM."""

    bits: float
    capability: tuple[int, int]


QUANTIZATIONS = {
    "fp32": Quantization(32, (7, 0)),
    "fp16": Quantization(16, (7, 0)),
    "bf16": Quantization(16, (8, 0)),
    "fp8": Quantization(8, (7, 5)),
    "int8": Quantization(8, (7, 5)),
    # Scales, zero points and the layers that stay in 16 bits: Llama-3-70B in AWQ is 39.8 GB, 4.5 bits a parameter.
    "int4": Quantization(4.5, (7, 5)),
    "awq": Quantization(4.5, (7, 5)),
    "gptq": Quantization(4.5, (7, 0)),
}
_SPELLINGS = {
    "float32": "fp32",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "none": "bf16",
    "w8a8": "int8",
    "w4a16": "int4",
    "nf4": "int4",
    "bitsandbytes": "int4",
    "awqmarlin": "awq",
    "gptqmarlin": "gptq",
    "fp8e4m3": "fp8",
}


@dataclass(frozen=True, slots=True)
class Need:
    """What a model needs, before it is split over accelerators. `arithmetic`: how that was computed, by line."""

    weights_gib: float
    kv_cache_gib: float
    attention: Attention
    quantization: str
    capability: tuple[int, int]
    arithmetic: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether one shape holds a model. `line` is the arithmetic, or why it was not even tried."""

    holds: bool
    line: str


def quantization_of(name: str) -> tuple[str, Quantization]:
    """The canonical name of a quantization, and what is known of it. Raises InputError."""
    folded = name.casefold().replace("-", "").replace("_", "")
    canonical = _SPELLINGS.get(folded, folded)
    if canonical not in QUANTIZATIONS:
        hint = did_you_mean(name, QUANTIZATIONS) or f"Known: {', '.join(QUANTIZATIONS)}."
        raise InputError(f"unknown quantization `{name}`. {hint}")
    return canonical, QUANTIZATIONS[canonical]


def weights_bytes(parameters_b: float, quantization: str) -> float:
    """Bytes of the weights of that many billions of parameters. Raises InputError for an unknown quantization."""
    return parameters_b * 1e9 * quantization_of(quantization)[1].bits / 8


def need_of(model: ModelSize) -> Need:
    """Memory that a model needs. Raises InputError for an unknown quantization."""
    name, quantization = quantization_of(model.quantization)
    attention = attention_of(model)
    weights = weights_bytes(model.parameters_b, name) / GIB
    token_bytes = 2 * attention.layers * attention.kv_heads * attention.head_dim * KV_BYTES
    cache = token_bytes * model.max_num_seqs * model.max_model_len / GIB
    a = attention
    shape = f"{a.layers} layers, {a.heads} heads, {a.kv_heads} KV heads of {a.head_dim} ({a.basis})"
    size = f"{model.parameters_b:g} billion parameters x {quantization.bits / 8:g} bytes ({name})"
    token = f"2 x {a.layers} x {a.kv_heads} x {a.head_dim} x {KV_BYTES} bytes = {token_bytes / 1024:g} KiB a token"
    sequences = f"{model.max_num_seqs} sequences x {model.max_model_len} tokens"
    each = f"its share of both + {OVERHEAD_GIB:g} GiB, within {UTILIZATION:.0%} of its memory"
    return Need(
        weights_gib=weights,
        kv_cache_gib=cache,
        attention=attention,
        quantization=name,
        capability=quantization.capability,
        arithmetic=(
            f"attention: {shape}",
            f"weights: {size} = {weights:.1f} GiB",
            f"KV cache: {token}; x {sequences} = {cache:.1f} GiB",
            f"each accelerator: {each}",
        ),
    )


def fit(need: Need, *, accelerator: str, count: int, nodes: int = 1) -> Fit:
    """Whether `nodes` machines of `count` accelerators (a canonical name) hold the model, all of them in use."""
    kind = kind_of(accelerator)
    shape = f"{accelerator} x {count}" + (f" x {nodes} nodes" if nodes > 1 else "")
    if obstacle := _obstacle(need, kind, count):
        return Fit(holds=False, line=f"{shape}: {obstacle}")
    heads = need.attention.kv_heads
    weights = need.weights_gib / (count * nodes)
    cache = need.kv_cache_gib / (min(count, heads) * nodes)
    needs = weights + cache + OVERHEAD_GIB
    has = kind.usable_gib * UTILIZATION
    holds = needs <= has
    return Fit(
        holds=holds,
        line=(
            f"{shape}: {weights:.1f} + {cache:.1f} + {OVERHEAD_GIB:g} = {needs:.1f} GiB each, "
            f"of {kind.usable_gib:g} x {UTILIZATION:.0%} = {has:.1f} GiB: "
            + (f"holds it, tensor parallel {count}" if holds else "can't hold it")
        ),
    )


def _obstacle(need: Need, kind: AcceleratorKind, count: int) -> str | None:
    """Why a shape is out whatever its memory is."""
    if kind.vendor != "nvidia":
        return "needs its own build of the engine; to use it, name it in `accelerators`"
    if kind.capability is not None and kind.capability < need.capability:
        have, least = (f"{major}.{minor}" for major, minor in (kind.capability, need.capability))
        return f"compute capability {have} can't serve {need.quantization}, which needs {least}"
    if need.attention.heads % count:
        return f"tensor parallel {count} does not divide {need.attention.heads} attention heads"
    return None
