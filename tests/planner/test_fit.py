import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.accelerators import KINDS
from planner.fit import fit, need_of
from spec.errors import InputError
from spec.service import ModelSize


def need(billions, **fields):
    return need_of(ModelSize(parameters_b=billions, **fields))


def test_seventy_billion_parameters_are_130_gib_of_weights_and_40_of_cache():
    n = need(70)
    assert n.weights_gib == pytest.approx(70e9 * 2 / 2**30)
    # 2 x 80 layers x 8 KV heads x 128 x 2 bytes = 320 KiB a token, 16 sequences of 8192 tokens
    assert n.kv_cache_gib == pytest.approx(320 * 1024 * 16 * 8192 / 2**30)


def test_a_seventy_billion_model_needs_four_cards_of_80_gib():
    assert not fit(need(70), accelerator="A100-80GB", count=2).holds
    assert fit(need(70), accelerator="A100-80GB", count=4).holds


@pytest.mark.parametrize(("quantization", "smallest"), [("bf16", 4), ("fp8", 2), ("awq", 2)])
def test_quantization_makes_room(quantization, smallest):
    n = need(70, quantization=quantization)
    holding = [c for c in (1, 2, 4, 8) if fit(n, accelerator="H100", count=c).holds]
    assert holding[0] == smallest


def test_the_arithmetic_is_written_out():
    line = fit(need(70), accelerator="A100-80GB", count=4).line
    assert line == (
        "A100-80GB x 4: 32.6 + 10.0 + 1.5 = 44.1 GiB each, of 80 x 90% = 72.0 GiB: holds it, tensor parallel 4"
    )
    assert any("70 billion parameters x 2 bytes (bf16) = 130.4 GiB" in x for x in need(70).arithmetic)


def test_tensor_parallel_must_divide_the_attention_heads():
    assert "tensor parallel 3 does not divide 64" in fit(need(70), accelerator="H100", count=3).line


def test_kv_heads_are_copied_when_there_are_more_accelerators_than_heads():
    n = need(70, kv_heads=2)
    half, eighth = (fit(n, accelerator="H100", count=c).line for c in (2, 8))
    cache = n.kv_cache_gib / 2
    assert f"+ {cache:.1f} +" in half
    assert f"+ {cache:.1f} +" in eighth


def test_several_nodes_share_the_model():
    assert not fit(need(405), accelerator="A100-80GB", count=8).holds
    assert fit(need(405), accelerator="A100-80GB", count=8, nodes=2).holds


def test_old_cards_can_not_serve_bf16_and_may_serve_fp16():
    assert "compute capability 7.5 can't serve bf16" in fit(need(1), accelerator="T4", count=1).line
    assert fit(need(1, quantization="fp16"), accelerator="T4", count=1).holds


def test_other_vendors_need_to_be_named():
    assert "name it in `accelerators`" in fit(need(1), accelerator="TPU-v5e", count=8).line


def test_the_models_name_tells_its_attention():
    n = need(13, name="lmsys/vicuna-13b-v1.5")
    assert (n.attention.layers, n.attention.kv_heads, n.attention.basis) == (40, 40, "as of Llama-2-13B")


def test_given_attention_wins_and_the_rest_is_estimated():
    n = need(7, layers=30, kv_heads=4)
    assert (n.attention.layers, n.attention.kv_heads, n.attention.head_dim) == (30, 4, 128)
    assert n.attention.basis.startswith("layers, kv_heads as given, the rest estimated")


def test_an_unknown_quantization_offers_a_near_one():
    with pytest.raises(InputError, match=r"unknown quantization `fp88`. Did you mean `fp8`?"):
        need(7, quantization="fp88")


@given(
    billions=st.floats(0.1, 1000),
    extra=st.floats(0, 500),
    kind=st.sampled_from([k for k in KINDS if k.vendor == "nvidia"]),
    count=st.sampled_from([1, 2, 4, 8]),
)
def test_what_can_not_hold_a_model_can_not_hold_a_larger_one(billions, extra, kind, count):
    shape = {"layers": 80, "kv_heads": 8, "head_dim": 128, "quantization": "gptq", "name": "llama-3-70b"}
    small = fit(need(billions, **shape), accelerator=kind.name, count=count).holds
    large = fit(need(billions + extra, **shape), accelerator=kind.name, count=count).holds
    assert small or not large
