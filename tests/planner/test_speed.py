from dataclasses import replace

import pytest

from catalog.throughput import Basis, Speeds, load_speeds
from planner.models import attention_of
from planner.speed import ALL_REDUCE_S, ENGINE_SEQUENCES, MEMORY_EFFICIENCY, STEP_S, NoSpeed, speed_of
from spec.service import ModelSize

SIZES = {
    "Llama-3-70B": 70.6,
    "Llama-3-8B": 8.03,
    "Mixtral-8x7B": 46.7,
    "Qwen2.5-0.5B": 0.49,
    "Qwen2.5-7B": 7.6,
    "Qwen2.5-14B": 14.8,
}
SPEEDS = load_speeds()
SHEETS_ONLY = Speeds((), SPEEDS.sheets)


BY_SHAPE = {(r.model, r.accelerator): r for r in SPEEDS.rows}
NIM, A40, L4 = (BY_SHAPE[x] for x in (("Llama-3-70B", "H100"), ("Llama-3-8B", "A40"), ("Qwen2.5-0.5B", "L4")))
OTHER_LOADS = (
    replace(NIM, concurrency=1, decode_tokens_s=51.67),
    replace(NIM, concurrency=1, prompt_tokens=500, output_tokens=2000, decode_tokens_s=52.85),
    replace(NIM, concurrency=5, decode_tokens_s=218.48),
    replace(NIM, concurrency=25, decode_tokens_s=623.4),
    replace(A40, model="Qwen2.5-7B", output_tokens=514, decode_tokens_s=1094.54),
    replace(A40, model="Qwen2.5-14B", output_tokens=504, decode_tokens_s=529.88),
    replace(L4, concurrency=1, decode_tokens_s=168),
    replace(L4, concurrency=8, decode_tokens_s=1312),
)
"""What the sources of our table publish beside its rows."""


def model(name="Llama-3-8B", **fields):
    return ModelSize(name=name, parameters_b=SIZES.get(name, 8.0), **fields)


def output_tokens_s(speed, row):
    """What a benchmark of the row's kind would report for a replica of that speed."""
    b, p, o = row.concurrency, row.prompt_tokens, row.output_tokens
    per_token = speed.step_s(b, b * (p + o / 2)) + b * p * speed.prefill_s / o
    return b / per_token


@pytest.mark.parametrize(
    "row",
    [*SPEEDS.rows, *OTHER_LOADS],
    ids=lambda r: f"{r.model}-{r.accelerator}x{r.accelerator_count}-{r.concurrency}",
)
def test_the_estimate_from_the_data_sheet_is_near_what_was_measured(row):
    size = ModelSize(name=row.model, parameters_b=SIZES[row.model], quantization=row.quantization)
    estimated = speed_of(size, accelerator=row.accelerator, count=row.accelerator_count, speeds=SHEETS_ONLY)
    assert estimated.basis is Basis.ESTIMATED
    assert 0.74 < output_tokens_s(estimated, row) / row.decode_tokens_s < 1.14


@pytest.mark.parametrize("row", SPEEDS.rows, ids=lambda r: f"{r.model}-{r.accelerator}x{r.accelerator_count}")
def test_where_there_is_a_row_the_speed_is_the_rows(row):
    size = ModelSize(name=row.model, parameters_b=SIZES[row.model], quantization=row.quantization)
    speed = speed_of(size, accelerator=row.accelerator, count=row.accelerator_count, speeds=SPEEDS)
    assert (speed.basis, speed.source) == (row.basis, row.source)
    clamped = output_tokens_s(speed, row) < row.decode_tokens_s
    assert clamped or output_tokens_s(speed, row) == pytest.approx(row.decode_tokens_s)
    assert ("prefill estimated" in speed.label) == (row.prefill_tokens_s is None)


def test_a_row_never_makes_a_shape_faster_than_its_data_sheet():
    fast = replace(SPEEDS.rows[1], decode_tokens_s=1e9)
    speed = speed_of(model(), accelerator="H200", count=1, speeds=Speeds((fast,), SPEEDS.sheets))
    weights = 8.03e9 * 2
    assert speed.fixed_s == pytest.approx(weights / 4800e9 + MEMORY_EFFICIENCY * STEP_S)
    assert speed.fixed_s / MEMORY_EFFICIENCY == pytest.approx(
        speed_of(model(), accelerator="H200", count=1, speeds=SHEETS_ONLY).fixed_s
    )


def test_a_row_about_other_weights_or_another_shape_does_not_count():
    for changes in ({"quantization": "fp8"}, {"name": "Llama-2-13B"}):
        name = changes.pop("name", "Llama-3-8B")
        speed = speed_of(model(name, **changes), accelerator="H200", count=1, speeds=SPEEDS)
        assert speed.basis is Basis.ESTIMATED
    assert speed_of(model(), accelerator="H200", count=8, speeds=SPEEDS).basis is Basis.ESTIMATED
    half = model(quantization="fp16")
    assert speed_of(half, accelerator="H200", count=1, speeds=SPEEDS).basis is Basis.DERIVED


def test_the_users_row_counts_for_a_model_that_only_he_knows():
    mine = replace(SPEEDS.rows[1], model="acme-8b", basis=Basis.MEASURED, source="mine")
    speeds = Speeds((mine, *SPEEDS.rows), SPEEDS.sheets)
    named = ModelSize(name="acme/Acme-8B-chat", parameters_b=8)
    assert speed_of(named, accelerator="H200", count=1, speeds=speeds).source == "mine"


def test_decoding_is_as_fast_as_the_memory_and_prefill_as_the_flops():
    slow, fast = (speed_of(model(), accelerator=a, count=1, speeds=SHEETS_ONLY) for a in ("A100", "H100"))
    assert (slow.fixed_s - STEP_S) / (fast.fixed_s - STEP_S) == pytest.approx(3350 / 1555)
    assert slow.prefill_s / fast.prefill_s == pytest.approx(989 / 312)


@pytest.mark.parametrize(
    ("accelerator", "quantization", "times"),
    [
        ("L40S", "fp8", 733 / 362.05),
        ("L40S", "int8", 733 / 362.05),
        ("L40S", "awq", 1),
        ("L40S", "fp32", 1 / 2),
        ("A100", "fp8", 1),  # it has no units for it
        ("B300", "int8", 1),  # it has hardly any
    ],
)
def test_weights_are_multiplied_by_the_units_for_them(accelerator, quantization, times):
    usual, other = (
        speed_of(model(quantization=q), accelerator=accelerator, count=1, speeds=SHEETS_ONLY)
        for q in ("bf16", quantization)
    )
    assert usual.prefill_s / other.prefill_s == pytest.approx(times)


def test_more_accelerators_than_heads_of_the_cache_each_read_a_copy():
    heads = attention_of(model()).kv_heads
    half, whole, twice = (
        speed_of(model(), accelerator="H100", count=c, speeds=SHEETS_ONLY).cached_s
        for c in (heads // 2, heads, 2 * heads)
    )
    assert whole == pytest.approx(half / 2)
    assert twice == pytest.approx(whole)


def test_a_mixture_of_experts_computes_with_few_of_its_parameters_and_reads_all():
    mixture = speed_of(model("Mixtral-8x7B"), accelerator="H100", count=2, speeds=SHEETS_ONLY)
    dense = speed_of(
        ModelSize(name="dense", parameters_b=46.7, layers=32, kv_heads=8, head_dim=128),
        accelerator="H100",
        count=2,
        speeds=SHEETS_ONLY,
    )
    assert mixture.fixed_s == pytest.approx(dense.fixed_s)
    assert mixture.prefill_s < dense.prefill_s / 3


def test_tensor_parallel_over_a_slow_link_is_worth_less():
    def gain(accelerator):
        one, eight = (
            speed_of(model(quantization="awq"), accelerator=accelerator, count=c, speeds=SHEETS_ONLY)
            for c in (1, 8)
        )
        return one.prefill_s / eight.prefill_s

    assert gain("L40S") < gain("H100") < 8


def test_each_step_of_tensor_parallel_waits_for_its_all_reduces():
    one, two = (speed_of(model(), accelerator="H100", count=c, speeds=SHEETS_ONLY).fixed_s for c in (1, 2))
    reduces = 2 * attention_of(model()).layers
    assert two == pytest.approx((one + STEP_S) / 2 + reduces * ALL_REDUCE_S)


def test_the_file_says_how_many_sequences_there_are_or_else_the_engine():
    few = speed_of(model(max_num_seqs=4, max_model_len=4096), accelerator="H100", count=1, speeds=SHEETS_ONLY)
    assert (few.sequences, few.max_len) == (4, 4096)
    many = speed_of(model(), accelerator="H100", count=1, speeds=SHEETS_ONLY)
    assert (many.sequences, many.max_len) == (ENGINE_SEQUENCES, None)
    assert many.cache_tokens == pytest.approx(few.cache_tokens)


def test_the_cache_is_what_the_weights_leave():
    speed = speed_of(model(), accelerator="A100", count=1, speeds=SHEETS_ONLY)
    a = attention_of(model())
    free = 40 * 0.9 - 8.03e9 * 2 / 2**30 - 1.5
    assert speed.cache_tokens == pytest.approx(free * 2**30 / (2 * a.layers * a.kv_heads * a.head_dim * 2))


def test_what_nobody_knows_is_not_made_up():
    big = speed_of(model("Llama-3-70B"), accelerator="L4", count=1, speeds=SPEEDS)
    assert big == NoSpeed("L4 x 1 can't hold it")
    tpu = speed_of(model(), accelerator="TPU-v5e", count=8, speeds=SPEEDS)
    assert isinstance(tpu, NoSpeed)
    assert "no data sheet tells how fast TPU-v5e is" in tpu.reason


@pytest.mark.parametrize(
    ("prefill", "why"),
    [(None, "has no prefill_tokens_s"), (1.0, "contradicts itself")],
)
def test_a_row_that_is_not_enough_without_a_data_sheet_says_what_it_lacks(prefill, why):
    row = replace(SPEEDS.rows[1], accelerator="TPU-v5e", accelerator_count=8, prefill_tokens_s=prefill)
    speed = speed_of(model(), accelerator="TPU-v5e", count=8, speeds=Speeds((row,), SPEEDS.sheets))
    assert isinstance(speed, NoSpeed)
    assert why in speed.reason


def test_without_a_data_sheet_a_row_holds_up_to_its_own_concurrency():
    row = replace(SPEEDS.rows[1], accelerator="TPU-v5e", accelerator_count=8, prefill_tokens_s=20_000.0)
    speed = speed_of(model(), accelerator="TPU-v5e", count=8, speeds=Speeds((row,), SPEEDS.sheets))
    assert speed.sequences == row.concurrency
    assert output_tokens_s(speed, row) == pytest.approx(row.decode_tokens_s)
