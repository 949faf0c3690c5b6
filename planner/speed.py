"""How fast one replica of a model is on a shape: a roofline of the data sheets, corrected by a measurement where there is one.

    prefill: a token takes   2 x active parameters / (FLOPS x COMPUTE_EFFICIENCY) + communication
    a decode step takes      STEP_S + all-reduces x ALL_REDUCE_S + weights / bandwidth
                           + cached tokens x bytes of cache of one / bandwidth
                           + sequences x (2 x active parameters / FLOPS + communication)

with bandwidth = memory bandwidth x MEMORY_EFFICIENCY. It is linear in sequences and in cached tokens, which the integer
program of `planner.mix` needs. A row of the throughput table scales all terms of a step such that the row comes out, never
above what the data sheet promises.

Sources: Williams et al., *Roofline* (CACM 2009); Pope et al., *Efficiently Scaling Transformer Inference* (MLSys 2023)
for what a token moves and computes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from catalog.accelerators import kind_of
from catalog.throughput import Basis, Datasheet, Speeds, Throughput
from planner.fit import GIB, KV_BYTES, OVERHEAD_GIB, UTILIZATION, Need, need_of, quantization_of
from planner.models import active_b, is_called
from spec.service import ModelSize

MEMORY_EFFICIENCY = 0.8
"""Share of the memory bandwidth that decoding gets, as in NVIDIA's own estimates (`mem_bw_empirical_scaling_factor` of the
sources in `catalog/datasheets.csv`)."""
STEP_S = 0.002
"""Seconds of a decode step in which an engine schedules, starts kernels and samples."""
ALL_REDUCE_S = 15e-6
"""Seconds of an all-reduce beside the bytes that it sends."""
COMPUTE_EFFICIENCY = 0.45
"""Share of the dense FLOPS that prefill gets: Llama-3.3-70B in fp8 on two H100 gets 0.44 (NVIDIA's NIM benchmark)."""
LINK_EFFICIENCY = 0.65
"""Share of the link between accelerators that all-reduces get."""
ENGINE_SEQUENCES = 256
"""Sequences that an engine runs at once unless told otherwise: vLLM's documented default of `max_num_seqs`."""
ALL_REDUCES = 2
"""Of a layer under tensor parallelism: after attention and after the MLP."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One replica. All `_s` are seconds.

    Attributes:
        prefill_s: of one prompt token.
        fixed_s: of a decode step, whatever is in it: the weights are read, kernels started, accelerators wait for each other.
        cached_s: of a decode step, for each token in the cache.
        sequence_s: of a decode step, for each sequence.
        cache_tokens: what the KV cache holds.
        sequences: in flight at most.
        max_len: tokens of prompt and output at most; None = no limit is known.
        basis: `estimated`, or what the row is that corrects the estimate; `source`: the row's.
        prefill_estimated: whether prefill is a data sheet's all the same, because the row does not tell it.

    """

    prefill_s: float
    fixed_s: float
    cached_s: float
    sequence_s: float
    cache_tokens: float
    sequences: int
    max_len: int | None
    basis: Basis
    source: str
    prefill_estimated: bool = False

    def step_s(self, sequences: float, cached: float) -> float:
        """Seconds of a decode step of so many sequences with so many tokens in the cache altogether."""
        return self.fixed_s + sequences * self.sequence_s + cached * self.cached_s

    @property
    def is_estimated(self) -> bool:
        """Whether all or a part of it is a data sheet's."""
        return self.basis is Basis.ESTIMATED or self.prefill_estimated

    @property
    def label(self) -> str:
        """Where it comes from, as tables say it."""
        return f"{self.basis}, prefill estimated" if self.prefill_estimated else self.basis.value


@dataclass(frozen=True, slots=True)
class NoSpeed:
    """Why nobody can say how fast a shape is."""

    reason: str


def speed_of(model: ModelSize, *, accelerator: str, count: int, speeds: Speeds) -> Speed | NoSpeed:
    """The speed of a model, all `count` accelerators (a canonical name) in tensor parallel. Raises InputError."""
    need = need_of(model)
    room = _cache_tokens(need, model, accelerator, count)
    if room < 1:
        return NoSpeed(f"{accelerator} x {count} can't hold it")
    here = (r for r in speeds.rows if (r.accelerator, r.accelerator_count) == (accelerator, count))
    row = next((r for r in here if is_about(r, model, need)), None)
    sheet = speeds.sheets.get(accelerator)
    if sheet is None:
        return _of_row_alone(row, model, room, accelerator)
    roofline = _roofline(model, need, sheet, count, room)
    return roofline if row is None else _corrected(roofline, row)


def is_about(row: Throughput, model: ModelSize, need: Need) -> bool:
    """Whether a row is about this model and its quantization, on whatever shape. Raises InputError."""
    same = {quantization_of(row.quantization)[0], need.quantization}
    return (len(same) == 1 or same == {"bf16", "fp16"}) and is_called(model, row.model)


def _cache_tokens(need: Need, model: ModelSize, accelerator: str, count: int) -> float:
    """What `planner.fit` leaves for the cache beside weights and overhead."""
    heads = need.attention.kv_heads
    free = kind_of(accelerator).usable_gib * UTILIZATION - need.weights_gib / count - OVERHEAD_GIB
    bytes_of_one = need.kv_cache_gib * GIB / (model.max_num_seqs * model.max_model_len)
    return max(0.0, free) * GIB * min(count, heads) / bytes_of_one


def _roofline(model: ModelSize, need: Need, sheet: Datasheet, count: int, room: float) -> Speed:
    a = need.attention
    bandwidth = sheet.memory_gb_s * 1e9 * MEMORY_EFFICIENCY * count
    compute_s = 2 * active_b(model) * 1e9 / (_flops(need.quantization, sheet) * COMPUTE_EFFICIENCY * count)
    hidden = a.heads * a.head_dim
    sent = 2 * (count - 1) / count * ALL_REDUCES * a.layers * hidden * 2  # a ring; 16-bit activations
    link_s = sent / (sheet.link_gb_s * 1e9 * LINK_EFFICIENCY)
    waits_s = ALL_REDUCES * a.layers * ALL_REDUCE_S if count > 1 else 0.0
    copies = count / min(count, a.kv_heads)
    bytes_of_one = 2 * a.layers * a.kv_heads * a.head_dim * KV_BYTES * copies
    sized = "max_num_seqs" in model.model_fields_set
    limited = "max_model_len" in model.model_fields_set
    return Speed(
        prefill_s=compute_s + link_s,
        fixed_s=STEP_S + waits_s + need.weights_gib * GIB / bandwidth,
        cached_s=bytes_of_one / bandwidth,
        sequence_s=compute_s + link_s,
        cache_tokens=room,
        sequences=model.max_num_seqs if sized else ENGINE_SEQUENCES,
        max_len=model.max_model_len if limited else None,
        basis=Basis.ESTIMATED,
        source=sheet.source,
    )


def _flops(quantization: str, sheet: Datasheet) -> float:
    """Dense FLOPS of the units that multiply these weights; 16-bit ones where those for 8 bits are not faster, as for 4-bit weights."""
    tflops = {
        "fp8": max(sheet.fp8_tflops or 0.0, sheet.fp16_tflops),
        "int8": max(sheet.int8_tops or 0.0, sheet.fp16_tflops),
        "fp32": sheet.fp16_tflops / 2,  # as TF32 is
    }.get(quantization, sheet.fp16_tflops)
    return tflops * 1e12


def _corrected(roofline: Speed, row: Throughput) -> Speed:
    prefill_s = roofline.prefill_s if row.prefill_tokens_s is None else 1 / row.prefill_tokens_s
    ours = roofline.step_s(row.concurrency, row.concurrency * (row.prompt_tokens + row.output_tokens / 2))
    theirs = _step_of(row, prefill_s)
    scale = max(theirs / ours, MEMORY_EFFICIENCY)
    most = roofline.sequences if row.max_concurrency is None else min(roofline.sequences, row.max_concurrency)
    return replace(
        roofline,
        prefill_s=prefill_s,
        fixed_s=roofline.fixed_s * scale,
        cached_s=roofline.cached_s * scale,
        sequence_s=roofline.sequence_s * scale,
        sequences=most,
        basis=row.basis,
        source=row.source,
        prefill_estimated=row.prefill_tokens_s is None,
    )


def _step_of(row: Throughput, prefill_s: float) -> float:
    """Seconds of a step that the row tells: a request's time per output token without its share of the others' prefill."""
    return row.concurrency * (1 / row.decode_tokens_s - row.prompt_tokens * prefill_s / row.output_tokens)


def _of_row_alone(row: Throughput | None, model: ModelSize, room: float, accelerator: str) -> Speed | NoSpeed:
    """Without a data sheet a row says how long a step takes up to its own concurrency, and nothing beyond it."""
    if row is None:
        return NoSpeed(f"no row of the throughput table and no data sheet tells how fast {accelerator} is")
    if row.prefill_tokens_s is None:
        return NoSpeed(
            f"the row about {accelerator} has no prefill_tokens_s, and there is no data sheet to estimate it from"
        )
    step = _step_of(row, 1 / row.prefill_tokens_s)
    if step <= 0:
        return NoSpeed(
            f"the row about {accelerator} contradicts itself: its prefill alone takes longer than all"
        )
    return Speed(
        prefill_s=1 / row.prefill_tokens_s,
        fixed_s=step,
        cached_s=0.0,
        sequence_s=0.0,
        cache_tokens=room,
        sequences=row.concurrency,
        max_len=model.max_model_len if "max_model_len" in model.model_fields_set else None,
        basis=row.basis,
        source=row.source,
    )
