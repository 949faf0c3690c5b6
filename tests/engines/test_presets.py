import asyncio
import re
from pathlib import Path

import httpx
import pytest

import spec.guess
from engines.presets import PRESETS, guess
from engines.sim.app import App
from engines.sim.engine import Engine
from engines.sim.settings import Settings


def test_every_engine_that_a_service_file_can_mean_has_a_preset():
    assert set(spec.guess._STARTS) == set(PRESETS)


@pytest.mark.parametrize(
    ("run", "image", "name"),
    [
        ("python -u -m vllm.entrypoints.openai.api_server --model m", None, "vllm"),
        ("conda activate vllm\nvllm serve meta-llama/Llama-3-8B", None, "vllm"),
        ("--model m", "docker:vllm/vllm-openai:v0.11.0", "vllm"),
        ("python -m sglang.launch_server --model-path m", None, "sglang"),
        ("docker run ghcr.io/huggingface/text-generation-inference:3 --model-id m", None, "tgi"),
        (
            "tritonserver --model-repository=/models",
            "nvcr.io/nvidia/tritonserver:25.06-vllm-python-py3",
            "triton",
        ),
        ("docker run tabbyml/tabby serve --model TabbyML/StarCoder-1B --device cuda", None, "tabby"),
        ("docker run ghcr.io/predibase/lorax:main", None, "lorax"),
        ("exec python -m engines.sim --port 1", None, "sim"),
        ("pip install vllm && python my_server.py", None, None),
        ("# like vllm serve, but ours\npython my_server.py", None, None),
        ("vllm serve a & python -m sglang.launch_server", None, None),
    ],
)
def test_the_engine_is_recognised_by_how_it_is_started(run, image, name):
    assert guess(run, image) == name


def test_presets_are_complete_enough_to_probe_and_scrape():
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.readiness_path.startswith("/")
        assert preset.readiness_note
        assert preset.source


def test_the_simulated_engine_has_the_metrics_that_its_preset_and_that_of_vllm_name():
    names = PRESETS["sim"].metrics
    assert names == PRESETS["vllm"].metrics
    settings = Settings(model="m")
    text = Engine(settings).metrics.render().decode()
    for metric in (
        names.running,
        names.waiting,
        names.kv_usage,
        names.prompt_tokens,
        names.generation_tokens,
    ):
        assert re.search(rf'^{metric.names[0]}{{engine="0",model_name="m"}} 0.0$', text, re.MULTILINE)
    assert f"{names.ttft.names[0]}_bucket" in text


def test_the_simulated_engine_answers_where_its_preset_says_that_readiness_is():
    settings = Settings(model="m")

    async def run():
        transport = httpx.ASGITransport(App(settings, Engine(settings)))
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
            return await client.get(PRESETS["sim"].readiness_path)

    assert asyncio.run(run()).status_code == 200


def test_the_table_in_the_docs_says_what_the_presets_say():
    text = (Path(__file__).parents[2] / "docs/engines.md").read_text()
    rows = dict(
        re.findall(
            r"^\| (\w+) \| (.+) \|$", text.partition("## Presets")[2].partition("## On")[0], re.MULTILINE
        )
    )
    for name, preset in PRESETS.items():
        image, port, readiness, parallel, _ = rows[name].split(" | ")
        assert (image, port, readiness) == (preset.image or "-", str(preset.port), preset.readiness_path)
        assert preset.tensor_parallel_flag in {parallel, None}
