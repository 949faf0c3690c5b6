"""The official client against the engine on a real socket, and callers that hang up."""

import json
import socket
import threading
import time

import httpx
import openai
import pytest
import uvicorn

from engines.sim.app import App
from engines.sim.engine import Engine
from engines.sim.settings import Settings


@pytest.fixture
def serve():
    servers = []

    def start(**settings):
        chosen = Settings(model="m", **{"ttft_s": 0.001, "time_per_token_s": 0.0005} | settings)
        engine = Engine(chosen)
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(App(chosen, engine), lifespan="off", ws="none", log_level="error", http="h11")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        servers.append((server, thread, listening))
        return engine, f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for server, thread, listening in servers:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def client(serve):
    _, url = serve()
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def eventually(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 5 s"
        time.sleep(0.01)


HELLO = [{"role": "user", "content": "Hello"}]


def test_the_official_client_chats(client):
    answer = client.chat.completions.create(model="m", messages=HELLO, max_tokens=20)

    assert answer.choices[0].message.content.startswith("This is Tradewind's simulated engine")
    assert answer.usage.completion_tokens == 20


def test_the_official_client_streams(client):
    stream = client.chat.completions.create(
        model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "no model behind it" in text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.completion_tokens == 64


def test_the_official_client_completes_and_lists_models(client):
    assert client.completions.create(model="m", prompt="Hello", max_tokens=5).usage.completion_tokens == 5
    assert [m.id for m in client.models.list()] == ["m"]


def test_the_official_client_knows_the_errors(client):
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model="other", prompt="Hello")
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        client.completions.create(model="m", prompt="Hello", max_tokens=100_000)


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_that_hangs_up_frees_its_slot(serve, stream):
    engine, url = serve(ttft_s=0.01, time_per_token_s=60, max_num_seqs=1)
    body = json.dumps({"prompt": "x", "stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as caller:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body)
        eventually(lambda: engine.load().running == 1)

    eventually(lambda: engine.load().running == 0)
    assert b'finished_reason="abort",model_name="m"} 1.0' in engine.metrics.render()


def test_chunks_leave_when_they_are_made(serve):
    _, url = serve(ttft_s=0.01, time_per_token_s=60)
    body = {"prompt": "x", "stream": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=5) as response:
        assert '"text":"This"' in next(response.iter_lines())
