"""What engines tell of their load, in the forms in which they tell it."""

import pytest

from engines.presets import PRESETS
from engines.sim.metrics import Load, Metrics
from lb.decide.observed import EngineLoad
from lb.observe.load import in_flight, read_load

VLLM = PRESETS["vllm"].metrics


def page(*lines):
    return "\n".join(["# HELP other Something.", "# TYPE other gauge", 'other{le="0.1"} 3', *lines, ""])


def test_the_look_alike_engine_tells_what_vllm_tells():
    metrics = Metrics(model="m", load=lambda: Load(3, 5, 0.456, 100, 200))
    found = read_load(metrics.render().decode(), VLLM)
    assert found == EngineLoad("", running=3, waiting=5, kv_cache=0.46)
    assert in_flight(metrics.render().decode(), VLLM) == 8


def test_an_older_vllm_calls_its_cache_by_another_name():
    assert read_load(page('vllm:gpu_cache_usage_perc{model_name="m"} 0.5'), VLLM).kv_cache == 0.5


def test_of_an_engine_of_several_parts_the_mean_of_caches_and_the_sum_of_requests_count():
    found = read_load(
        page(
            'vllm:kv_cache_usage_perc{engine="0"} 0.2',
            'vllm:kv_cache_usage_perc{engine="1"} 0.6',
            'vllm:num_requests_waiting{engine="0"} 2',
            'vllm:num_requests_waiting{engine="1"} 3',
            'vllm:num_requests_waiting_by_reason{reason="capacity"} 5',
        ),
        VLLM,
    )
    assert (found.kv_cache, found.waiting, found.running) == (0.4, 5, None)


def test_tritons_series_are_told_apart_by_their_labels():
    found = read_load(
        page(
            'nv_trt_llm_request_metrics{model="m",request_type="waiting"} 7',
            'nv_trt_llm_request_metrics{model="m",request_type="scheduled"} 2',
            'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="m"} 0.25',
            'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="used",model="m"} 100',
        ),
        PRESETS["triton"].metrics,
    )
    assert found == EngineLoad("", running=2, waiting=7, kv_cache=0.25)


@pytest.mark.parametrize("text", ["", page(), page("vllm:num_requests_waiting NaN")])
def test_a_page_without_it_tells_nothing(text):
    assert read_load(text, VLLM) == EngineLoad("")


def test_a_page_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="lots"):
        read_load("vllm:num_requests_waiting lots", VLLM)
