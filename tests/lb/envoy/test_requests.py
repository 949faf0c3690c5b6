"""The way of a request through a real Envoy: keys, routing by model, streaming, failures of replicas."""

import concurrent.futures
import hashlib
import json
import socket
import threading

import httpx
import pytest

from lb.envoy import names
from spec.snapshot import Endpoint
from tests.lb.envoy.harness import (
    AUTH,
    DEADLINE_S,
    KEY,
    eventually,
    free_port,
    key,
    replicas,
    running_edge,
    service,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def running():
    with running_edge() as edge:
        yield edge


@pytest.fixture(scope="module")
def fakes():
    with replicas("a", "b") as found:
        yield found


@pytest.fixture
def edge(running, fakes):
    for replica in fakes:
        replica.reset()
    return running


def error_of(answer):
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_an_edge_without_a_snapshot_says_so_and_lets_nobody_in():
    with running_edge() as edge:
        ready = edge.anonymous.get(names.READY_PATH)
        assert (ready.status_code, error_of(ready)["message"]) == (503, "This edge has no snapshot yet.")
        assert ready.headers["retry-after"] == "10"
        assert edge.client.get("/v1/models").status_code == 401


class TestKeys:
    def test_without_a_key_it_is_an_openai_401_and_no_replica_is_asked(self, edge, fakes):
        edge.serve(service("chat", fakes[0].endpoint()))
        answer = edge.anonymous.post("/v1/chat/completions", json={"model": "m"})
        assert answer.status_code == 401
        assert error_of(answer)["code"] == "invalid_api_key"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert fakes[0].requests == []

    @pytest.mark.parametrize(
        "headers",
        [
            {"authorization": "Bearer sk-wrong"},
            {"authorization": KEY},
            {"authorization": f"Basic {KEY}"},
            {"authorization": "Bearer"},
            {"authorization": "Bearer " + "k" * 20_000},
            {"x-api-key": KEY + " " + "x"},
            {"authorization": "Bearer " + hashlib.sha256(KEY.encode()).hexdigest()},
            {names.KEY_HASH_HEADER: hashlib.sha256(KEY.encode()).hexdigest()},
        ],
        ids=["wrong", "no-scheme", "basic", "empty", "huge", "almost", "the-hash", "forged-hash-header"],
    )
    def test_what_is_not_the_key_is_refused(self, edge, fakes, headers):
        edge.serve(service("chat", fakes[0].endpoint()))
        assert edge.anonymous.get("/v1/models", headers=headers).status_code == 401
        assert fakes[0].requests == []

    @pytest.mark.parametrize(
        "headers",
        [AUTH, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY}, {**AUTH, "x-api-key": "other"}],
        ids=["bearer", "lower-case", "x-api-key", "both"],
    )
    def test_the_right_key_passes_and_never_reaches_the_replica(self, edge, fakes, headers):
        edge.serve(service("chat", fakes[0].endpoint()))
        forged = {names.CLIENT_HEADER: "somebody-else"}
        answer = edge.anonymous.get("/v1/models", headers={**headers, **forged})
        assert answer.status_code == 200
        seen = fakes[0].requests[-1]["headers"]
        assert seen[names.CLIENT_HEADER] == "tester"
        assert not {"authorization", "x-api-key", names.KEY_HASH_HEADER} & seen.keys()
        assert KEY not in json.dumps(seen)

    @pytest.mark.parametrize("length", [1, 55, 56, 63, 64, 65, 119, 120, 128, 511, 512])
    def test_the_hash_is_sha256_at_every_block_boundary(self, edge, fakes, length):
        secret = ("key-" * 200)[:length]
        edge.serve(service("chat", fakes[0].endpoint()), keys=(key(secret, f"k{length}"),))
        assert eventually(lambda: edge.anonymous.get("/x", headers={"x-api-key": secret}).status_code == 200)

    def test_keys_change_by_a_renamed_file_while_requests_run(self, edge, fakes):
        chat = service("chat", fakes[0].endpoint())
        edge.serve(chat)
        stop, statuses = threading.Event(), []

        def call():
            with httpx.Client(base_url=edge.envoy.url, headers=AUTH, trust_env=False) as client:
                while not stop.is_set():
                    statuses.append(client.get("/v1/models").status_code)

        caller = threading.Thread(target=call)
        caller.start()
        try:
            for n in range(5):
                edge.serve(chat, keys=(key(), key(f"sk-new-{n}", f"new-{n}")))
                new = {"x-api-key": f"sk-new-{n}"}
                eventually(lambda new=new: edge.anonymous.get("/x", headers=new).status_code == 200)
        finally:
            stop.set()
            caller.join()
        assert set(statuses) == {200}
        edge.serve(chat, keys=(key("sk-new-4", "new-4"),))
        eventually(lambda: edge.client.get("/v1/models").status_code == 401)

    def test_an_empty_list_of_keys_lets_nobody_in(self, edge, fakes):
        edge.serve(service("chat", fakes[0].endpoint()))
        eventually(lambda: edge.client.get("/v1/models").status_code == 200)
        edge.serve(service("chat", fakes[0].endpoint()), keys=())
        eventually(lambda: edge.client.get("/v1/models").status_code == 401)

    def test_no_file_and_no_log_holds_a_key(self, edge, fakes):
        edge.serve(service("chat", fakes[0].endpoint()))
        eventually(lambda: edge.client.get("/v1/models?key=" + KEY).status_code == 200)
        eventually(lambda: "/v1/models" in edge.envoy.access_log.read_text())
        for path in edge.files.directory.rglob("*"):
            if path.is_file():
                assert KEY not in path.read_text(), path


class TestOpenPaths:
    def test_ready_needs_no_key(self, edge, fakes):
        edge.serve(service("chat"))
        assert edge.anonymous.get(names.READY_PATH).text == "ready\n"

    def test_a_browser_may_ask_before_it_sends_the_key(self, edge, fakes):
        edge.serve(service("chat", fakes[0].endpoint()))
        answer = edge.anonymous.options("/v1/chat/completions", headers={"origin": "https://app.example"})
        assert answer.status_code == 204
        assert "authorization" in answer.headers["access-control-allow-headers"]
        assert answer.headers["access-control-allow-origin"] == "*"


def test_a_caller_can_not_steer_envoy_by_its_headers(edge, fakes):
    edge.serve(service("chat", fakes[0].endpoint()))
    told = {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "99"}
    assert edge.client.get("/x", headers=told).status_code == 200
    assert not told.keys() & fakes[0].requests[-1]["headers"].keys()


def test_http2_without_tls_is_spoken_on_the_same_port(edge):
    preface, settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0"
    with socket.create_connection(("127.0.0.1", edge.envoy.port), timeout=DEADLINE_S) as caller:
        caller.sendall(preface + settings)
        assert caller.recv(9)[3] == 4  # the type of the answer's first frame: SETTINGS


class TestOneService:
    @pytest.mark.parametrize("path", ["/generate", "/v1/health", "/", "/v2/models/x/infer", "/info?a=1"])
    def test_everything_goes_to_it(self, edge, fakes, path):
        edge.serve(service("chat", fakes[0].endpoint(), models=("some-model",)))
        answer = eventually(lambda: edge.client.post(path, content=b"not json"))
        assert (answer.status_code, answer.json()["path"]) == (200, path)

    @pytest.mark.parametrize(
        ("short", "full"),
        [
            ("/chat/completions", "/v1/chat/completions"),
            ("/completions?x=/y", "/v1/completions?x=/y"),
            ("/models", "/v1/models"),
            ("/embeddings", "/v1/embeddings"),
            ("/v1/models", "/v1/models"),
            ("/modelsx", "/modelsx"),
        ],
    )
    def test_openai_paths_work_without_v1(self, edge, fakes, short, full):
        edge.serve(service("chat", fakes[0].endpoint()))
        assert edge.client.get(short).json()["path"] == full

    def test_a_body_over_the_limit_is_413_whether_announced_or_chunked(self, edge, fakes):
        edge.serve(service("chat", fakes[0].endpoint(), max_request_bytes=2_000_000))
        assert edge.client.post("/x", content=b"x" * 2_000_000).status_code == 200
        for body in (b"x" * 2_000_001, iter([b"x" * 100_000] * 21)):
            answer = edge.client.post("/x", content=body)
            assert answer.status_code == 413
            assert error_of(answer)["code"] == "request_too_large"


class TestSeveralServices:
    @pytest.fixture
    def two(self, edge, fakes):
        edge.serve(
            service(
                "chat", fakes[0].endpoint(), models=("org/chat-7b", "größe"), max_request_bytes=3_000_000
            ),
            service("code", fakes[1].endpoint(), models=('we"ird\\name',), max_request_bytes=1000),
        )
        return edge

    @pytest.mark.parametrize(
        ("body", "replica"),
        [
            ('{"model":"org/chat-7b"}', "a"),
            ('{"model":"chat"}', "a"),
            ('{"model":"code"}', "b"),
            (r'{"model":"org\/chat-7b"}', "a"),
            (r'{"mod\u0065l":"c\u006fde"}', "b"),
            ('{"model":"größe"}', "a"),
            (r'{"model":"gr\u00f6\u00dfe"}', "a"),
            (r'{"model":"we\"ird\\name"}', "b"),
            (r'{"model":"we\"ird\u005cname"}', "b"),
            (
                '{"messages":[{"role":"user","model":"chat","content":"\\"model\\":\\"chat\\""}],"model":"code"}',
                "b",
            ),
            ('{"x":{"model":"chat","y":[{"model":"chat"}]},"model":"code"}', "b"),
            ('{"model":"chat","x":"}{][\\\\","model":"code"}', "b"),
            (' \n{ "stream" : true , "n": 1, "z":null,\t"model" :\n"code" }', "b"),
        ],
    )
    def test_the_top_level_model_decides(self, two, body, replica):
        answer = two.client.post("/v1/chat/completions", content=body.encode())
        assert answer.json()["replica"] == replica

    @pytest.mark.parametrize(
        "body",
        [
            '{"model":"nobody"}',
            '{"messages":[{"model":"chat"}]}',
            '{"x":{"model":"chat"}}',
            '{"model":["chat"]}',
            '{"model":5}',
            '{"model":"chat","model":null}',
            '[{"model":"chat"}]',
            'x{"model":"chat"}',
            '{"model":"chat',
            '{"model":"' + "m" * 5000 + '"}',
            "",
        ],
    )
    def test_no_known_model_is_an_openai_404(self, two, fakes, body):
        answer = two.client.post("/v1/chat/completions", content=body.encode())
        assert answer.status_code == 404
        assert error_of(answer) == {**error_of(answer), "code": "model_not_found", "param": "model"}
        assert fakes[0].requests == fakes[1].requests == []

    def test_the_models_of_all_are_one_list(self, two):
        for path in ("/v1/models", "/models"):
            answer = two.client.get(path)
            assert answer.headers["content-type"] == "application/json"
            listed = {m["id"]: m["owned_by"] for m in answer.json()["data"]}
            assert listed == {
                "chat": "chat",
                "code": "code",
                "größe": "chat",
                "org/chat-7b": "chat",
                'we"ird\\name': "code",
            }

    def test_each_service_has_its_own_limit(self, two):
        padding = "x" * 2_000_000
        assert two.client.post("/x", json={"model": "chat", "p": padding}).status_code == 200
        assert two.client.post("/x", json={"model": "code", "p": padding}).status_code == 413
        assert two.client.post("/x", json={"model": "chat", "p": padding * 2}).status_code == 413

    def test_one_that_names_no_models_takes_every_other(self, edge, fakes):
        edge.serve(service("any", fakes[0].endpoint()), service("code", fakes[1].endpoint(), models=("c",)))
        ask = lambda body: edge.client.post("/generate", content=body).json()["replica"]  # noqa: E731
        assert eventually(lambda: ask(b'{"model":"c"}') == "b")
        assert [ask(b'{"model":"unheard of"}'), ask(b"plain text")] == ["a", "a"]
        assert edge.client.get("/info").json()["replica"] == "a"

    def test_a_very_long_list_of_models_is_served(self, edge, fakes):
        many = tuple(f"org/model-{n:04}" for n in range(500))
        edge.serve(service("chat", fakes[0].endpoint(), models=many), service("code", models=("c",)))
        listed = eventually(lambda: len(edge.client.get("/v1/models").json()["data"]) > 500)
        assert listed
        assert edge.client.post("/x", json={"model": "org/model-0499"}).json()["replica"] == "a"


class TestStreams:
    def test_a_chunk_arrives_before_the_next_is_made(self, edge, fakes):
        edge.serve(service("chat", fakes[0].endpoint()))
        with edge.client.stream("POST", "/stream", json={"model": "m", "stream": True}) as answer:
            chunks = answer.iter_raw()
            assert next(chunks) == b"data: one\n\n"  # the replica waits for us: a buffered answer never comes
            fakes[0].gate.set()
            assert b"".join(chunks) == b"data: two\n\n"

    def test_a_stream_goes_on_while_its_replica_drains_or_leaves(self, edge, fakes):
        a, b = fakes
        edge.serve(service("chat", a.endpoint()))
        with edge.client.stream("GET", "/stream") as answer:
            chunks = answer.iter_raw()
            next(chunks)
            edge.serve(service("chat", a.endpoint(draining=True), b.endpoint()))
            eventually(lambda: edge.client.get("/x").json()["replica"] == "b")
            assert {edge.client.get("/x").json()["replica"] for _ in range(20)} == {"b"}
            edge.serve(service("chat", b.endpoint()))
            a.gate.set()
            assert b"".join(chunks) == b"data: two\n\n"


class TestFailures:
    def test_no_endpoint_is_503_with_the_services_retry_after(self, edge):
        edge.serve(service("chat", retry_after_s=37.2))
        answer = eventually(lambda: edge.client.post("/v1/chat/completions", json={}))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "38"
        assert error_of(answer)["message"] == "No replica of chat is ready; try again in 38 s."

    def test_no_service_at_all_is_503(self, edge):
        edge.serve()
        answer = eventually(lambda: edge.client.get("/v1/models"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert error_of(answer)["message"] == "No service is deployed here."

    @pytest.mark.parametrize("policy", ["least_request", "round_robin"])
    def test_a_dead_replica_costs_nobody_an_answer(self, edge, fakes, policy):
        dead = Endpoint(replica_id="dead", address="127.0.0.1", port=free_port())
        edge.serve(service("chat", fakes[0].endpoint(), dead, policy=policy))
        assert set(statuses(edge, 200)) == {200}

    def test_a_full_replica_is_passed_over_and_stays_in(self, edge, fakes):
        fakes[1].status = 503
        edge.serve(service("chat", *(f.endpoint() for f in fakes)))
        before = self.ejections(edge)
        assert set(statuses(edge, 200)) == {200}
        assert self.ejections(edge) == before

    def test_replicas_that_are_all_full_say_so_themselves_and_serve_as_soon_as_they_can(self, edge, fakes):
        for fake in fakes:
            fake.status = 503
        edge.serve(service("chat", *(f.endpoint() for f in fakes)))
        before = self.ejections(edge)
        assert set(statuses(edge, 100)) == {503}
        for fake in fakes:
            fake.status = 200
        assert set(statuses(edge, 20)) == {200}
        assert self.ejections(edge) == before

    @staticmethod
    def ejections(edge):
        stats = edge.envoy.stats(r"^cluster\.chat\.outlier_detection\.ejections_enforced_total$")
        return sum(stats.values())

    def test_an_engines_own_500s_reach_the_caller_and_do_not_eject_it_at_once(self, edge, fakes):
        fakes[0].status = 500
        edge.serve(service("chat", fakes[0].endpoint()))
        answers = [edge.client.post("/x") for _ in range(8)]
        assert {a.status_code for a in answers} == {500}
        assert {a.json()["replica"] for a in answers} == {"a"}

    def test_a_broken_replica_that_fails_fast_does_not_draw_all_requests(self, edge, fakes):
        fakes[1].status = 500
        edge.serve(service("chat", *(f.endpoint() for f in fakes)))
        assert statuses(edge, 300).count(500) < 60  # ten in a row eject it; on its return again

    def test_addresses_of_replicas_are_not_told(self, edge):
        port = free_port()
        dead = Endpoint(replica_id="dead", address="127.0.0.1", port=port)
        edge.serve(service("chat", dead))
        answer = eventually(lambda: edge.client.get("/x"))
        assert answer.status_code == 503
        assert str(port) not in answer.text
        assert error_of(answer)["type"] == "server_error"

    def test_the_next_priority_is_used_only_when_the_first_has_nobody(self, edge, fakes):
        a, b = fakes
        edge.serve(service("chat", a.endpoint(priority=2), b.endpoint(priority=9)))
        eventually(lambda: edge.client.get("/x").json()["replica"] == "a")
        assert {edge.client.get("/x").json()["replica"] for _ in range(20)} == {"a"}
        edge.serve(service("chat", b.endpoint(priority=9)))
        eventually(lambda: edge.client.get("/x").json()["replica"] == "b")


def test_hostile_names_of_services_do_not_stop_the_others(running, fakes):
    names_ = ["../../etc/passwd", 'a"b\\c', "%REQ(authorization)%", "Chat", "chat", "x" * 200, "naïve 名"]
    running.serve(*(service(n, fakes[0].endpoint(), models=(f"model of {n}",)) for n in names_))
    for name in names_:
        ask = lambda model: running.client.post("/v1/completions", json={"model": model})  # noqa: E731
        assert eventually(lambda a=ask, n=name: a(f"model of {n}").status_code == 200)
    rejected = running.envoy.stats(r"update_(rejected|failure)$")
    assert set(rejected.values()) == {0}


def statuses(edge, n):
    limits = httpx.Limits(max_connections=16)
    with (
        httpx.Client(
            base_url=edge.envoy.url, headers=AUTH, limits=limits, timeout=DEADLINE_S, trust_env=False
        ) as client,
        concurrent.futures.ThreadPoolExecutor(16) as pool,
    ):
        return list(pool.map(lambda _: client.post("/x", json={}).status_code, range(n)))
