"""The real vLLM behind the same edge, keys and controller: `make up STACK=vllm` on a machine without GPU and hub.

The first one on a machine installs vLLM through the service's own `setup`, which takes minutes and a package registry.
"""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from engines.presets import PRESETS
from lb.observe.load import in_flight
from tests.e2e.checkout import eventually, private_checkout

INSTALL_LIMIT_S = 1400
START_LIMIT_S = 360
NOTICE_S = 600

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(INSTALL_LIMIT_S + 60)]

TO_THE_END = {"extra_body": {"ignore_eos": True}}
LONG = {"model": "tiny", "prompt": "Hello", "max_tokens": 900, "n": 4, **TO_THE_END}
"""A second or more of work on one core."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with private_checkout(tmp_path_factory.mktemp("v"), "vllm") as place:
        place.trace = place.root / "local" / "traces" / "vllm.csv"
        set_capacity(place)
        place.configure(local={**place.ports, "trace": "local/traces/vllm.csv", "noticeS": NOTICE_S})
        up = place.tw("up", check=0, timeout=INSTALL_LIMIT_S)
        assert "./tw status --stack vllm" in up.stdout, "what it says to type is about this stack"
        yield place


def set_capacity(place, **none_in):
    """Each zone has two machines, but for those that are named."""
    zones = ("local-east-a", "local-east-b", "local-west-a")
    rows = [f"0,{zone},{0 if zone.replace('-', '_') in none_in else 2},0.20,0.70" for zone in zones]
    place.trace.write_text("\n".join(["time_s,zone,capacity,spot_price,ondemand_price", *rows, ""]))


def client(place):
    return openai.OpenAI(base_url=f"{place.endpoint}/v1", api_key=place.key, max_retries=0, timeout=60)


def replicas(place):
    [service] = place.status()["services"]
    return service["replicas"]


def the_only_ready_one(place):
    found = replicas(place)
    return found[0] if len(found) == 1 and found[0]["state"] == "ready" else None


def metrics(place):
    """What the engine of the only machine says of itself."""
    [machine] = place.machines()
    return httpx.get(f"http://127.0.0.1:{place.entry(machine)['meta']['port']}/metrics", timeout=10).text


@contextlib.contextmanager
def asking(place, question):
    """That question again and again, one at a time; yields the lengths of the answers so far."""
    lengths, stop = [], threading.Event()

    def ask():
        while not stop.wait(1.0):  # leaves the cores to an engine that starts
            lengths.append(client(place).completions.create(**question).usage.completion_tokens)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield lengths
    finally:
        stop.set()
        thread.join()


def engine_processes(place):
    """vLLM's children, by the folder that they run in: they overwrite their names and their environment."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            inside = process.joinpath("cwd").readlink().is_relative_to(place.root)
            if inside and process.joinpath("cmdline").read_bytes().startswith(b"VLLM::"):
                found.add(int(process.name))
    return found


def test_a_question_is_answered_streaming_and_not(stack):
    question = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "How is the wind?"}],
        "max_tokens": 12,
        **TO_THE_END,
    }
    answer = client(stack).chat.completions.create(**question)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens == 12
    chunks = list(client(stack).chat.completions.create(**question, stream=True))
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 3
    assert chunks[-1].usage.completion_tokens == 12, "usage is in every stream, so that the edge can count"


def test_equal_questions_without_chance_get_equal_answers(stack):
    question = {"model": "tiny", "prompt": "The trade winds", "max_tokens": 20, "temperature": 0}
    answers = {client(stack).completions.create(**question).choices[0].text for _ in range(3)}
    assert len(answers) == 1


def test_the_model_is_listed_and_another_one_is_refused(stack):
    assert [m.id for m in client(stack).models.list()] == ["tiny"]
    with pytest.raises(openai.NotFoundError):
        client(stack).completions.create(model="huge", prompt="Hello")


def test_without_a_key_nobody_is_served(stack):
    assert httpx.post(f"{stack.endpoint}/v1/completions", json={"prompt": "Hello"}).status_code == 401


def test_the_engine_is_vllm_itself_and_runs_outside_of_the_stacks_environment(stack):
    [machine] = stack.machines()
    version = httpx.get(f"http://127.0.0.1:{stack.entry(machine)['meta']['port']}/version", timeout=10).json()
    assert version == {"version": "0.32.0"}
    assert engine_processes(stack)


def test_the_controller_finds_every_metric_that_the_preset_names_and_sees_the_load(stack):
    names = PRESETS["vllm"].metrics
    assert in_flight(metrics(stack), names) == 0
    with asking(stack, LONG):  # again and again, for a busy engine may answer only when the load is over
        eventually(lambda: in_flight(metrics(stack), names) == LONG["n"], within=60, what="the load")
    samples = {s.name for f in text_string_to_metric_families(metrics(stack)) for s in f.samples}
    for metric in (
        names.running,
        names.waiting,
        names.kv_usage,
        names.prompt_tokens,
        names.generation_tokens,
    ):
        assert metric.names[0] in samples
    assert f"{names.ttft.names[0]}_bucket" in samples
    eventually(lambda: in_flight(metrics(stack), names) == 0, what="idleness")


def test_a_replica_under_notice_is_replaced_and_finishes_what_it_has_begun(stack):
    before = the_only_ready_one(stack)
    announced = time.monotonic()
    with asking(stack, LONG) as lengths:
        set_capacity(stack, **{before["zone"].replace("-", "_"): 0})
        after = eventually(
            lambda: (one := the_only_ready_one(stack)) and one["id"] != before["id"] and one,
            within=START_LIMIT_S,
            what="a replica elsewhere",
        )
        assert time.monotonic() - announced < NOTICE_S, (
            "the engine said that it is idle: nobody waited for the kill"
        )
    set_capacity(stack)
    eventually(lambda: len(stack.machines()) == 1, what="the end of the machine under notice")
    assert after["zone"] != before["zone"]
    assert len(lengths) > 1
    assert set(lengths) == {LONG["n"] * LONG["max_tokens"]}, "not one request failed or was cut"


def test_a_killed_engine_is_replaced_and_nothing_of_it_is_left(stack):
    [machine], before = stack.machines(), engine_processes(stack)
    assert len(before) > 1
    os.kill(min(before), signal.SIGKILL)
    eventually(lambda: machine not in stack.machines(), within=START_LIMIT_S, what="the end of its machine")
    assert not before & engine_processes(stack)
    eventually(lambda: the_only_ready_one(stack), within=START_LIMIT_S, what="a new replica")
    assert client(stack).completions.create(model="tiny", prompt="Hello", max_tokens=3).choices


def test_down_ends_every_process_of_the_engine(stack):
    assert engine_processes(stack)
    stack.tw("down", check=0)
    assert not engine_processes(stack)
    assert not stack.processes()
    assert not stack.home.exists()
