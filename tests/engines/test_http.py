"""The engine's HTTP answers, without a socket; `test_openai_client` has the real one."""

import asyncio
import json

import httpx
import pytest

from engines.sim.app import MAX_BODY_BYTES, App
from engines.sim.engine import Engine
from engines.sim.settings import Settings
from engines.sim.text import GREETING, count_tokens

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]}
COMPLETION = {"model": "m", "prompt": "Hello there"}


def ask(method, path, *, settings=None, headers=None, **kwargs):
    quick = {"model": "m", "ttft_s": 0, "time_per_token_s": 0}
    chosen = Settings(**quick | (settings or {}))

    async def run():
        transport = httpx.ASGITransport(App(chosen, Engine(chosen)))
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
            return await client.request(method, path, headers=headers, **kwargs)

    return asyncio.run(run())


def events(response):
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = response.text.split("\n\n")
    assert lines.pop() == ""
    assert all(line.startswith("data: ") for line in lines)
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def error(response, status):
    assert response.status_code == status
    content = response.json()["error"]
    assert content["code"] == status
    assert set(content) == {"message", "type", "param", "code"}
    return content


def test_health_models_and_version_answer():
    assert ask("GET", "/health").status_code == 200
    model = ask("GET", "/v1/models").json()["data"][0]
    assert (model["id"], model["max_model_len"]) == ("m", 8192)
    assert "sim" in ask("GET", "/version").json()["version"]


def test_a_chat_gets_one_message_with_consistent_usage():
    answer = ask("POST", "/v1/chat/completions", json=CHAT | {"max_tokens": 50, "temperature": 0.7}).json()

    choice = answer["choices"][0]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].startswith(GREETING)
    assert choice["finish_reason"] == "length"
    usage = answer["usage"]
    assert usage["completion_tokens"] == count_tokens(choice["message"]["content"]) == 50
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] == 2 + 4  # two words, and what a template adds


def test_without_a_limit_the_answer_ends_by_itself():
    answer = ask("POST", "/v1/completions", json=COMPLETION).json()

    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 64, "total_tokens": 66}


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/completions", COMPLETION)])
def test_a_stream_says_the_same_as_the_whole_answer(path, body):
    whole = ask("POST", path, json=body | {"n": 2, "max_tokens": 60}).json()
    chunks = events(
        ask(
            "POST",
            path,
            json=body | {"n": 2, "max_tokens": 60, "stream": True, "stream_options": {"include_usage": True}},
        )
    )

    last = chunks.pop()
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    texts, reasons = ["", ""], [None, None]
    for chunk in chunks:
        assert "usage" not in chunk
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"] if "text" in choice else choice["delta"]["content"]
        reasons[choice["index"]] = reasons[choice["index"]] or choice["finish_reason"]
    assert reasons == ["length", "length"]
    assert texts == [c["text"] if "text" in c else c["message"]["content"] for c in whole["choices"]]
    assert texts[0] != texts[1]


def test_usage_ends_a_stream_only_when_somebody_wants_it():
    body = CHAT | {"stream": True}
    assert events(ask("POST", "/v1/chat/completions", json=body))[-1]["choices"]
    forced = events(ask("POST", "/v1/chat/completions", json=body, settings={"force_usage": True}))
    assert forced[-1]["usage"]["completion_tokens"] == 64


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_answer_before_it(stream):
    response = ask("POST", "/v1/completions", json=COMPLETION | {"stop": " engine", "stream": stream})

    choices = [c for e in events(response) for c in e["choices"]] if stream else response.json()["choices"]
    assert "".join(c["text"] for c in choices) == "This is Tradewind's simulated"
    assert choices[-1]["finish_reason"] == "stop"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_an_answer_that_stops_at_once_still_streams_its_end(path):
    body = CHAT | COMPLETION | {"stop": "This", "stream": True}
    assert events(ask("POST", path, json=body))[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("prompt", "tokens", "choices"), [(["one", "two words"], 3, 2), ([1, 2, 3], 3, 1), ([[1, 2], [3]], 3, 2)]
)
def test_every_kind_of_prompt_is_understood(prompt, tokens, choices):
    answer = ask("POST", "/v1/completions", json=COMPLETION | {"prompt": prompt, "max_tokens": 1}).json()

    assert answer["usage"]["prompt_tokens"] == tokens
    assert [c["index"] for c in answer["choices"]] == list(range(choices))


def test_a_message_may_have_parts_of_which_an_image_counts_as_one_token():
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    body = CHAT | {"messages": [{"role": "user", "content": parts}]}
    assert ask("POST", "/v1/chat/completions", json=body).json()["usage"]["prompt_tokens"] == 4 + 1 + 4


def test_a_model_that_is_not_served_is_a_404():
    content = error(ask("POST", "/v1/chat/completions", json=CHAT | {"model": "gpt-4"}), 404)
    assert content["type"] == "NotFoundError"
    assert content["message"] == "The model `gpt-4` does not exist."


def test_no_model_means_the_one_that_is_served():
    assert ask("POST", "/v1/completions", json={"prompt": "x"}).json()["model"] == "m"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": "hello"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "no role"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 1_000_000}, "n"),
        ({"temperature": -1}, "temperature"),
        ({"stop": 7}, "stop"),
        ({"stream_options": {"include_usage": True}}, None),
    ],
)
def test_a_wrong_field_is_a_400_that_names_it(body, param):
    content = error(ask("POST", "/v1/chat/completions", json=CHAT | body), 400)
    assert content["type"] == "BadRequestError"
    assert content["param"] == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"text"', b'{"prompt": NaN}'])
def test_a_body_that_is_no_request_is_a_400(body):
    error(ask("POST", "/v1/completions", content=body), 400)


@pytest.mark.parametrize(
    "body", [{"prompt": "x " * 100}, {"max_tokens": 99}, {"prompt": "x " * 60, "max_tokens": 50}]
)
def test_more_tokens_than_the_model_holds_is_a_400_that_says_both_numbers(body):
    content = error(
        ask("POST", "/v1/completions", json=COMPLETION | body, settings={"max_model_len": 100}), 400
    )
    assert "maximum context length is 100 tokens" in content["message"]


def test_an_answer_without_a_limit_takes_the_room_that_is_left():
    answer = ask("POST", "/v1/completions", json=COMPLETION, settings={"max_model_len": 10}).json()
    assert answer["usage"]["total_tokens"] == 10


def test_a_full_queue_is_a_503_so_that_an_edge_tries_another_replica():
    content = error(
        ask(
            "POST",
            "/v1/completions",
            json=COMPLETION | {"n": 3},
            settings={"max_num_seqs": 1, "max_queue": 1},
        ),
        503,
    )
    assert content["type"] == "ServiceUnavailableError"


def test_a_body_without_end_is_cut_off():
    async def endless():
        for _ in range(MAX_BODY_BYTES // 2**20 + 1):
            yield b" " * 2**20

    error(ask("POST", "/v1/completions", content=endless()), 413)


def test_unknown_paths_and_methods_are_refused_in_the_same_shape():
    error(ask("GET", "/v1/nothing"), 404)
    error(ask("GET", "/v1/completions"), 405)
    error(ask("POST", "/health"), 405)


def test_an_api_key_closes_v1_and_leaves_health_and_metrics_open():
    keyed = {"api_key": "secret"}
    error(ask("GET", "/v1/models", settings=keyed), 401)
    error(ask("GET", "/v1/models", settings=keyed, headers={"Authorization": "Bearer other"}), 401)
    right = ask("GET", "/v1/models", settings=keyed, headers={"Authorization": "Bearer secret"})
    assert right.status_code == 200
    assert ask("GET", "/health", settings=keyed).status_code == 200
    assert ask("GET", "/metrics", settings=keyed).status_code == 200
